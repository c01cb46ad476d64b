//! The application behind the public listener.

use crate::bridge;
use crate::pipeline;
use crate::record::Visit;
use crate::reply::Reply;
use crate::request_id::RequestId;
use crate::snapshot::Snapshot;
use crate::stage::record;
use crate::streams::Streams;
use crate::trace;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::Method;
use narthex_config::model::UpstreamId;
use narthex_telemetry::{AccessLog, Metrics};
use narthex_upstreams::Connections;
use narthex_upstreams::stdio::{Children, Hooks, Keeper, Reason};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::server::ShutdownWatch;
use pingora::time::timeout;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What outlives every configuration.
pub(crate) struct Shared {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Arc<AccessLog>,
    pub(crate) connections: Connections,
    pub(crate) streams: Streams,
    pub(crate) bridge: bridge::Memory,
    pub(crate) children: Arc<Children>,
    in_flight: AtomicUsize,
}

/// The gateway: one snapshot of the configuration in use, and what outlives it.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    shared: Arc<Shared>,
    options: HttpServerOptions,
}

impl Gateway {
    /// A gateway that serves `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, metrics: Arc<Metrics>, access_log: Arc<AccessLog>) -> Self {
        let children = Arc::new(Children::new(Arc::new(CountChildren(Arc::clone(&metrics)))));
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(snapshot.limits.idle_timeout);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            shared: Arc::new(Shared {
                metrics,
                access_log,
                connections: Connections::default(),
                streams: Streams::default(),
                bridge: bridge::Memory::default(),
                children,
                in_flight: AtomicUsize::new(0),
            }),
            options,
        }
    }

    /// The snapshot in use.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a new snapshot in use, at once and for every request that comes after. Child processes that it
    /// knows no more, or not as they were, are ended. To be called within a runtime.
    pub fn swap(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        let old = self.snapshot.swap(Arc::clone(&new));
        for group in old.upstreams.iter().filter(|group| group.first().stdio().is_some()) {
            if !new.has_child(group.first(), None) {
                self.shared.children.forget(&group.id);
            }
        }
        self.end_children(&new);
        self.shared.bridge.configured.send_replace(Some(bridge::Configured(new)));
    }

    /// Has child processes that are started from now on kept by that program: see [`Children::keep_with`].
    pub fn keep_children_with(&self, keeper: Keeper) {
        self.shared.children.keep_with(keeper);
    }

    fn end_children(&self, snapshot: &Snapshot) {
        let sessions = &self.shared.bridge.sessions;
        sessions.end_children(|upstream, credentials| snapshot.has_child(upstream, Some(credentials)));
    }

    /// Requests being answered now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    /// Ends what the bridge has kept too long. To be called every few seconds, within a runtime.
    pub fn sweep(&self) {
        let snapshot = self.snapshot.load();
        self.shared.bridge.sweep(&snapshot);
        // A request that was older than the last reload may have started one since.
        self.end_children(&snapshot);
        let bridge = &self.shared.bridge;
        let (suspended, live) = (bridge.suspended.count(), bridge.live.count());
        self.shared.metrics.bridge(suspended, live, bridge.sessions.count());
    }

    /// Starts the health checks that are due. To be called about every second, within a runtime.
    pub fn check_health(&self) {
        let random = RandomState::new().hash_one("health");
        for check in self.snapshot.load().upstreams.checks_due(Instant::now(), random) {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { check.run(&shared.connections).await });
        }
    }

    /// Closes idle connections to upstreams that are of no more use; see [`Connections::sweep`].
    pub fn sweep_connections(&self) {
        self.shared.connections.sweep(Instant::now());
    }

    /// Bytes of request bodies held now.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.snapshot.load().budget.held()
    }

    /// Reads the next request on `session`. `None`: there is none, or none that can be answered.
    async fn next_request(
        &self,
        session: &mut ServerSession,
        remote: &Remote,
        within: Duration,
    ) -> Option<()> {
        // pingora bounds each read; this bounds all of them together, however slowly bytes drip in.
        match timeout(within, session.read_request()).await {
            Ok(Ok(true)) => Some(()),
            Ok(Ok(false)) | Err(_) => None,
            Ok(Err(error)) => {
                // Its text quotes the request, and with it tokens.
                tracing::debug!(error = error.etype().as_str(), "unreadable request");
                record::unreadable(&self.shared, remote.0);
                session.set_keepalive(None);
                // A client that sends no HTTP may not read any either.
                let _ = Reply::unreadable(session).await;
                None
            }
        }
    }
}

#[async_trait]
impl HttpServerApp for Gateway {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let (header_timeout, idle_timeout, write_timeout) = {
            let limits = &self.snapshot.load().limits;
            (limits.header_timeout, limits.idle_timeout, limits.write_timeout)
        };
        session.set_read_timeout(Some(header_timeout));
        // Whatever is answered, a client that does not read must not hold its place for ever.
        session.set_write_timeout(Some(write_timeout));
        let remote = Remote::of(&mut session);
        self.next_request(&mut session, &remote, idle_timeout + header_timeout).await?;
        // The wait for it may have been long: decide by the configuration of now.
        let snapshot = self.snapshot.load_full();
        if *shutdown.borrow() || chunked_by_client(&session) {
            session.set_keepalive(None);
        } else {
            session.set_keepalive(Some(snapshot.limits.idle_timeout.as_secs().max(1)));
        }
        let _busy = Busy::new(&self.shared.in_flight);
        let mut visit = begin(snapshot, &session, &remote);
        if let Err(refusal) = pipeline::walk(&self.shared, &mut session, &mut visit, shutdown).await {
            record::note_refusal(&self.shared, &mut visit, &refusal);
            let sent = match Reply::refusing(&refusal, &visit) {
                Ok(reply) => reply.send(&mut session, &mut visit).await,
                Err(error) => Err(error),
            };
            if sent.is_err() {
                visit.cut = visit.cut.or(Some("client_gone"));
            }
        }
        record::write(&self.shared, &visit);
        finish(session, &visit, remote).await
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    fn h2_options(&self) -> Option<H2Options> {
        let limits = &self.snapshot.load().limits;
        let mut options = default_h2_options();
        options
            .max_header_list_size(u32::try_from(limits.header_block).unwrap_or(u32::MAX).saturating_mul(2));
        Some(options)
    }
}

/// Counts what becomes of child processes.
struct CountChildren(Arc<Metrics>);

impl Hooks for CountChildren {
    fn started(&self, upstream: &UpstreamId, again: bool) {
        self.0.child_started(upstream.as_str(), again);
    }

    fn ended(&self, upstream: &UpstreamId, reason: Reason) {
        self.0.child_ended(upstream.as_str(), reason.as_str());
    }

    fn resident(&self, upstream: &UpstreamId, change: i64) {
        self.0.child_resident(upstream.as_str(), change);
    }
}

/// Whether the request came in chunks over HTTP/1.1. Its connection serves no other: pingora's parser
/// takes anything for a chunk extension, a bare line feed too, so a proxy in front may see another end
/// of the body than we do, and what it takes for the rest must not become the next client's request.
fn chunked_by_client(session: &ServerSession) -> bool {
    session.as_http1().is_some() && session.get_header(http::header::TRANSFER_ENCODING).is_some()
}

/// Counts a request for as long as it is being answered, also when its task is dropped.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn begin(snapshot: Arc<Snapshot>, session: &ServerSession, remote: &Remote) -> Visit {
    let header = session.req_header();
    let verb = match header.method {
        Method::POST => "POST",
        Method::GET => "GET",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let request_id = RequestId::of(&header.headers);
    let mut visit = Visit::begin(snapshot, request_id, verb, remote.0);
    visit.traceparent = trace::of_header(header.headers.get("traceparent"));
    visit
}

/// The client's address. Kept for as long as the connection: asking for it is a system call.
struct Remote(Option<IpAddr>);

impl Remote {
    fn of(session: &mut ServerSession) -> Box<Self> {
        match session.take_connection_user_context().map(|known| known.downcast()) {
            Some(Ok(known)) => known,
            _ => {
                let address = session.client_addr().and_then(|a| a.as_inet());
                Box::new(Self(address.map(SocketAddr::ip)))
            }
        }
    }
}

/// Gives the connection back if the exchange on it is over in good order.
async fn finish(mut session: ServerSession, visit: &Visit, remote: Box<Remote>) -> Option<ReusedHttpStream> {
    if visit.cut.is_some_and(|cut| cut != "ended") {
        session.shutdown().await;
        return None;
    }
    let mut settings = HttpPersistentSettings::for_session(&session);
    settings.set_user_context(remote);
    let reusable = session.finish().await.ok()??;
    Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
}
