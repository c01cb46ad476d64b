//! The terminated way to answer: for clients and servers of different eras the gateway is a full MCP server
//! to the one and a full MCP client to the other.
//!
//! Two halves meet in the middle. A *front* speaks to the client: [`front::modern`] to those of 2026-07-28,
//! [`front::legacy`] to those before. A *party* speaks to the server: [`modern`] and [`legacy`]. What passes
//! between them is a [`party::Step`], in the words of the older revisions, which can say everything.
//!
//! The pipeline decides before: whatever comes here is permitted, and has a credential.

pub(crate) mod enter;
pub(crate) mod front;
mod legacy;
mod link;
pub(crate) mod merge;
mod modern;
mod party;
mod quota;
mod reader;
mod suspended;

pub(crate) use front::live::LiveSessions;
pub(crate) use legacy::Sessions;
pub(crate) use suspended::Suspended;

use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::snapshot::Snapshot;
use enter::Job;
use front::Out;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use quota::Waiters;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long clients may keep what was bridged, if the server does not say.
pub(crate) const TTL: Duration = Duration::from_secs(60);
/// How often a silent stream is given a comment, so that nobody between takes it for dead.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers a request in the client's era by a server of another.
///
/// # Errors
/// The server failed, or the request is none that may be made; nothing has been sent to the client.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    mut job: Box<Job>,
    session: &mut ServerSession,
    visit: &mut Visit,
    shutdown: &ShutdownWatch,
) -> Result<(), Refusal> {
    shared.metrics.bridged(job.link.route.id.as_str(), job.modern);
    let begun = Instant::now();
    let caller = Arc::clone(&job.link.caller);
    let mut out = Out::new(shared, &caller, job.stream.take(), session, visit, shutdown);
    let answered = if job.modern {
        front::modern::answer(*job, &mut out).await
    } else {
        front::legacy::answer(*job, &mut out).await
    };
    out.visit.upstream_time = Some(begun.elapsed());
    conclude(answered, &mut out)
}

/// What is left to be said to the client.
fn conclude(answered: Result<(), Refusal>, out: &mut Out<'_>) -> Result<(), Refusal> {
    match answered {
        // On a stream that has begun, nothing can be said but that it ends too early.
        Err(refusal) if out.visit.streaming && !out.gone => {
            tracing::warn!(reason = refusal.reason(), detail = refusal.detail(), "a stream broke off");
            out.visit.cut = Some(refusal.reason());
            Ok(())
        }
        // A client that is gone needs no answer.
        _ if out.gone => Ok(()),
        answered => answered,
    }
}

/// What the bridge remembers from one request to the next, for as long as the process lives.
#[derive(Debug)]
pub(crate) struct Memory {
    /// This process, among the replicas that share its keys.
    pub(crate) node: Box<str>,
    /// Sessions at servers, for clients that have none.
    pub(crate) sessions: Sessions,
    /// Sessions of clients, at servers that have none.
    pub(crate) live: LiveSessions,
    /// Calls that wait for what their client was asked.
    pub(crate) suspended: Arc<Suspended>,
    /// Calls whose user is about to connect an upstream.
    pub(crate) connecting: Waiters,
    /// What the upstreams of merged routes list.
    pub(crate) catalogues: merge::Catalogues,
    /// What clients are given of that.
    pub(crate) pages: merge::Pages,
    /// Where callers have seen which URI.
    pub(crate) mentions: merge::Mentions,
    /// The configuration, each time that it is another than at the start.
    pub(crate) configured: watch::Sender<Option<Configured>>,
}

/// A configuration that is in use.
#[derive(Clone)]
pub(crate) struct Configured(pub(crate) Arc<Snapshot>);

impl std::fmt::Debug for Configured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured").finish_non_exhaustive()
    }
}

impl Default for Memory {
    fn default() -> Self {
        // Without randomness nothing is sealed either, so no state ever names this node.
        let node = narthex_mcp::seal::random_id().unwrap_or_default();
        Self {
            node: node.into(),
            sessions: Sessions::default(),
            live: LiveSessions::default(),
            suspended: Arc::default(),
            connecting: Waiters::default(),
            catalogues: merge::Catalogues::default(),
            pages: merge::Pages::default(),
            mentions: merge::Mentions::default(),
            configured: watch::Sender::new(None),
        }
    }
}

impl Memory {
    /// Ends what has been idle, or waited for, too long.
    pub(crate) fn sweep(&self, snapshot: &Snapshot) {
        let now = Instant::now();
        let bounds = enter::Bounds::of(&snapshot.limits);
        self.catalogues.sweep(bounds.session_idle, |upstream| snapshot.upstreams.has(upstream));
        self.pages.sweep();
        self.mentions.sweep();
        self.catalogues.trust(snapshot.pins.generation());
        self.suspended.sweep(now);
        self.sessions.sweep(now, bounds.session_idle);
        self.live.sweep(now, bounds.session_idle);
    }
}
