//! The requests of one connection.

use crate::client;
use crate::gateway::Gateway;
use crate::pipeline;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::request_id::RequestId;
use crate::snapshot::Snapshot;
use crate::stage::record;
use crate::trace;
use async_trait::async_trait;
use http::Method;
use narthex_upstreams::at_once;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use pingora::time::timeout;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a new connection may be silent at most, seconds.
const FIRST_WAIT: u64 = 60;

impl Gateway {
    /// Serves a connection, until it is to be closed.
    pub async fn serve(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) {
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            self.process_new(stream, shutdown).await;
        } else {
            self.serve_http1(stream, shutdown).await;
        }
    }

    /// Serves the requests of an HTTP/1.1 connection, one after the other, until it is to be closed.
    ///
    /// As pingora does for its apps, but what serves a request is part of what serves the connection: made once, and
    /// not copied to a place of its own for each request.
    async fn serve_http1(&self, stream: Stream, shutdown: &ShutdownWatch) {
        let mut session = ServerSession::new_http1(stream);
        // For the wait for the first request; the others have what the one before them left.
        session.set_keepalive((!*shutdown.borrow()).then_some(FIRST_WAIT));
        // Asking for it is a system call.
        let remote = address(&session);
        loop {
            let Some(busy) = self.exchange(&mut session, remote, shutdown).await else { return };
            let keepalive = session.get_keepalive();
            if client::finish(&mut session).await.is_err() {
                return;
            }
            let patience = client::patience(&session);
            let ServerSession::H1(mut http1) = session else { return };
            let reused = if http1.will_keepalive() && http1.is_body_done() {
                at_once(http1.reuse())
            } else {
                Box::pin(timeout(patience, http1.reuse())).await.ok()
            };
            let Some(Ok(Some(reused))) = reused else { return };
            drop(busy);
            // Nothing comes with it: what a client sends before it has its answer ends the connection.
            session = ServerSession::new_http1(reused.into_parts().0);
            session.set_keepalive(keepalive);
        }
    }

    /// Reads one request and answers it. It counts as being answered until what is given is dropped: the last bytes may
    /// not be sent yet. `None`: the connection is to be closed, and has been as far as need be.
    async fn exchange(
        &self,
        session: &mut ServerSession,
        remote: Option<IpAddr>,
        shutdown: &ShutdownWatch,
    ) -> Option<Busy<'_>> {
        self.receive(session, remote).await?;
        // The wait for it may have been long: decide by the configuration of now.
        let snapshot = self.snapshot.load_full();
        if *shutdown.borrow() || chunked_by_client(session) {
            session.set_keepalive(None);
        } else {
            session.set_keepalive(Some(snapshot.limits.idle_timeout.as_secs().max(1)));
        }
        let busy = Busy::new(&self.shared.in_flight);
        let mut visit = begin(snapshot, session, remote);
        if let Err(refusal) = pipeline::walk(&self.shared, session, &mut visit, shutdown).await {
            self.refuse(&refusal, session, &mut visit).await;
        }
        record::write(&self.shared, &visit);
        if visit.cut.is_some_and(|cut| cut != "ended") {
            client::leave(session);
            return None;
        }
        Some(busy)
    }

    /// Waits for the next request on `session`. `None`: there is none, or none that can be answered.
    async fn receive(&self, session: &mut ServerSession, remote: Option<IpAddr>) -> Option<()> {
        let (header_timeout, idle_timeout, write_timeout) = {
            let limits = &self.snapshot.load().limits;
            (limits.header_timeout, limits.idle_timeout, limits.write_timeout)
        };
        session.set_read_timeout(Some(header_timeout));
        // Whatever is answered, a client that does not read must not hold its place for ever.
        session.set_write_timeout(Some(write_timeout));
        self.read_request(session, remote, idle_timeout + header_timeout).await
    }

    async fn read_request(
        &self,
        session: &mut ServerSession,
        remote: Option<IpAddr>,
        within: Duration,
    ) -> Option<()> {
        // pingora bounds each read; this bounds all of them together, however slowly bytes drip in.
        match timeout(within, session.read_request()).await {
            Ok(Ok(true)) => Some(()),
            Ok(Ok(false)) | Err(_) => None,
            Ok(Err(error)) => {
                // Its text quotes the request, and with it tokens.
                tracing::debug!(error = error.etype().as_str(), "unreadable request");
                record::unreadable(&self.shared, remote);
                session.set_keepalive(None);
                // A client that sends no HTTP may not read any either.
                let _ = Box::pin(Reply::unreadable(session)).await;
                None
            }
        }
    }

    async fn refuse(&self, refusal: &Refusal, session: &mut ServerSession, visit: &mut Visit) {
        record::note_refusal(&self.shared, visit, refusal);
        let sent = match Reply::refusing(refusal, visit) {
            Ok(reply) => reply.send(session, visit).await,
            Err(error) => Err(error),
        };
        if sent.is_err() {
            visit.cut = visit.cut.or(Some("client_gone"));
        }
    }
}

/// For HTTP/2, where each request is a session of its own.
#[async_trait]
impl HttpServerApp for Gateway {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let remote = address(&session);
        let _busy = self.exchange(&mut session, remote, shutdown).await?;
        // A stream that cannot be finished is gone.
        let _ = Box::pin(session.finish()).await;
        None
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

fn begin(snapshot: Arc<Snapshot>, session: &ServerSession, remote: Option<IpAddr>) -> Visit {
    let header = session.req_header();
    let verb = match header.method {
        Method::POST => "POST",
        Method::GET => "GET",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let request_id = RequestId::of(&header.headers);
    let mut visit = Visit::begin(snapshot, request_id, verb, remote);
    visit.traceparent = trace::of_header(header.headers.get("traceparent"));
    visit
}

/// The client's.
fn address(session: &ServerSession) -> Option<IpAddr> {
    session.client_addr().and_then(|address| address.as_inet()).map(SocketAddr::ip)
}
