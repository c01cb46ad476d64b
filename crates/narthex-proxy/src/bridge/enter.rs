//! Which requests are bridged, and what of them goes on.

use super::link::{Link, Ways};
use super::modern;
use super::suspended::Room;
use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::snapshot::RouteEntry;
use crate::stage::credential::Credentialed;
use crate::stage::forward::Answered;
use crate::stage::frame::Verb;
use crate::stage::permit::Permitted;
use crate::stage::route::Routed;
use crate::streams::StreamGuard;
use http::StatusCode;
use narthex_config::model::HttpLimits;
use narthex_mcp::bridge::declared::Declared;
use narthex_mcp::bridge::message::{self, Incoming};
use narthex_mcp::seal::HandleError;
use narthex_mcp::session::BridgedSession;
use narthex_policy::Permit;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much the bridge may keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) sessions: usize,
    pub(crate) sessions_per_caller: usize,
    pub(crate) session_idle: Duration,
    pub(crate) room: Room,
    /// Events of one stream that can be asked for again.
    pub(crate) events: usize,
    /// Bytes of one session's events.
    pub(crate) event_bytes: usize,
}

impl Bounds {
    pub(crate) fn of(limits: &HttpLimits) -> Self {
        Self {
            sessions: limits.sessions,
            sessions_per_caller: limits.sessions_per_caller,
            session_idle: limits.session_idle,
            room: Room {
                calls: limits.suspended_calls,
                per_caller: limits.suspended_per_caller,
                patience: limits.suspend_timeout,
            },
            events: limits.events_per_stream,
            event_bytes: limits.event_bytes_per_session,
        }
    }
}

/// A request that is answered here: all that is needed of it, and nothing that is borrowed. `L` is the way to
/// the upstream, or to whichever upstream it turns out to be.
pub(crate) struct Job<L = Link> {
    pub(crate) link: L,
    /// The client speaks 2026-07-28.
    pub(crate) modern: bool,
    pub(crate) verb: Verb,
    pub(crate) messages: Vec<Incoming>,
    pub(crate) batch: bool,
    /// The session that the client named.
    pub(crate) session: Option<Box<BridgedSession>>,
    /// What the client's `requestState` holds.
    pub(crate) state: Option<String>,
    /// `Mcp-Param-*`, by lower-case name.
    pub(crate) param_headers: Vec<(String, Vec<u8>)>,
    pub(crate) last_event_id: Option<String>,
    pub(crate) stream: Option<StreamGuard>,
    pub(crate) bounds: Bounds,
    /// Its places in the limits are free again when it is dropped.
    _permit: Permit,
}

impl<L> Job<L> {
    fn new(link: L, permitted: Box<Permitted<'_>>, visit: &Visit) -> Result<Box<Self>, Refusal> {
        let Permitted { routed, permit, stream } = *permitted;
        let facts = &routed.inbound().facts;
        let messages = match routed.scanned.body {
            Some(body) => message::parse(&body.bytes),
            None => Ok(Vec::new()),
        };
        // The scan has read the same bytes, and more strictly, but for nesting within values.
        let messages = messages.map_err(|_| Refusal::Unreadable)?;
        let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        };
        Ok(Box::new(Self {
            modern: routed.revision.is_modern(),
            verb: routed.inbound().verb,
            batch: matches!(routed.scanned.said, Some(narthex_mcp::Body::Batch(_))),
            param_headers: facts.params.iter().map(header).collect(),
            last_event_id: facts.last_event_id.as_ref().and_then(|v| v.to_str().ok()).map(str::to_owned),
            state: routed.resumes.as_ref().map(|resumed| resumed.state.clone()),
            session: routed.bridged,
            link,
            messages,
            stream,
            bounds: Bounds::of(&visit.snapshot.limits),
            _permit: permit,
        }))
    }
}

/// Takes a request on a merged route out of the pipeline.
///
/// # Errors
/// It cannot be read.
pub(crate) fn merge(
    shared: &Arc<Shared>,
    permitted: Box<Permitted<'_>>,
    visit: &Visit,
) -> Result<Box<Job<Ways>>, Refusal> {
    Job::new(Ways::of(shared, &permitted, visit), permitted, visit)
}

/// Takes a request out of the pipeline whose client and server do not speak the same era; see [`is_needed`].
///
/// # Errors
/// It cannot be read.
pub(crate) fn take(
    shared: &Arc<Shared>,
    credentialed: Credentialed<'_>,
    visit: &Visit,
) -> Result<Box<Job>, Refusal> {
    let link = Link::of(shared, &credentialed.permitted, &credentialed.credential, visit);
    Job::new(link, credentialed.permitted, visit)
}

/// [`take`] after the server has answered; see [`learn_from`].
///
/// # Errors
/// It cannot be read.
pub(crate) fn take_back(
    shared: &Arc<Shared>,
    answered: Answered<'_>,
    visit: &Visit,
) -> Result<Box<Job>, Refusal> {
    let Answered { permitted, answer, credential, .. } = answered;
    shared.connections.abandon(answer.connection);
    take(shared, Credentialed { permitted, credential }, visit)
}

/// Whether a session of ours is for a server that has sessions of its own again.
fn has_outlived(routed: &Routed<'_>, visit: &Visit) -> bool {
    let upstream = &routed.inbound().route.upstream;
    let (modern, legacy) = (upstream.eras.modern(visit.started), upstream.eras.legacy(visit.started));
    routed.bridged.is_some() && !upstream.has_wire() && legacy == Some(true) && modern != Some(true)
}

/// Whether client and server need an interpreter, as they do not speak the same era.
///
/// # Errors
/// Its session was opened while the server spoke the other era.
pub(crate) async fn is_needed(
    shared: &Arc<Shared>,
    credentialed: &Credentialed<'_>,
    visit: &Visit,
) -> Result<bool, Refusal> {
    let routed = &credentialed.permitted.routed;
    if has_outlived(routed, visit) {
        return Err(Refusal::Session(HandleError::Expired));
    }
    let upstream = &routed.inbound().route.upstream;
    if routed.bridged.is_some() {
        return Ok(true);
    }
    if routed.revision.is_modern() {
        return Ok(match upstream.eras.modern(visit.started) {
            Some(speaks) => !speaks,
            None => {
                let link = Link::of(shared, &credentialed.permitted, &credentialed.credential, visit);
                // What cannot be found out is left to the server.
                Box::pin(find_out(link)).await == Some(false)
            }
        });
    }
    // Sessions of the server's own, and servers without any, are passed through.
    Ok(upstream.has_wire() || is_initialize(routed) && upstream.eras.legacy(visit.started) == Some(false))
}

fn is_initialize(routed: &Routed<'_>) -> bool {
    routed.scanned.message().is_some_and(|message| message.method == "initialize")
}

/// Whether an `initialize` has all that it needs.
fn is_sound(routed: &Routed<'_>) -> bool {
    let body = routed.scanned.body.map(|body| message::parse(&body.bytes));
    let Some(Ok([Incoming::Request { params, .. }])) = body.as_ref().map(|m| m.as_deref()) else {
        return false;
    };
    let declared = Declared::from_initialize(params).is_ok_and(|declared| declared.client_info.is_some());
    declared && params.string("protocolVersion").is_some()
}

/// Whether the server speaks 2026-07-28; `None`: that cannot be found out now.
pub(super) async fn speaks_modern(link: &Link) -> Option<bool> {
    let upstream = link.upstream();
    if upstream.has_wire() {
        return Some(false);
    }
    match upstream.eras.modern(Instant::now()) {
        Some(speaks) => Some(speaks),
        None => Box::pin(find_out(link.clone())).await,
    }
}

/// Asks the server whether it speaks 2026-07-28, once for all who want to know.
///
/// The question is the gateway's own, with nothing of the caller's in it: what comes of it holds for all.
async fn find_out(mut link: Link) -> Option<bool> {
    let route: Arc<RouteEntry> = Arc::clone(&link.route);
    let eras = &route.upstream.eras;
    let _asking = eras.asking.lock().await;
    if let Some(known) = eras.modern(Instant::now()) {
        return Some(known);
    }
    if !eras.may_ask(Instant::now()) {
        return None;
    }
    let mut slot = link.enter().ok()?;
    let found = modern::probe(&mut link).await;
    super::link::report(&mut slot, &found);
    let Some(speaks) = found.ok().flatten() else {
        eras.learn_nothing(Instant::now());
        return None;
    };
    tracing::info!(upstream = %route.upstream.id, modern = speaks, "found out which era the server speaks");
    eras.learn_modern(speaks, Instant::now());
    Some(speaks)
}

/// Learns from how the server took a request of its own era. Whether it is to be taken back: it is an `initialize` that
/// the server refused because it speaks 2026-07-28 only.
///
/// # Errors
/// It needs a session that the server does not have.
pub(crate) async fn learn_from(
    shared: &Arc<Shared>,
    answered: &Answered<'_>,
    visit: &Visit,
) -> Result<bool, Refusal> {
    let routed = &answered.permitted.routed;
    let eras = &routed.inbound().route.upstream.eras;
    let Ok(header) = answered.answer.header() else { return Ok(false) };
    let (status, now) = (header.status, Instant::now());
    let refused =
        matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    if routed.revision.is_modern() {
        if refused {
            eras.doubt(now);
        }
        return Ok(false);
    }
    if !is_initialize(routed) {
        let is_fine = status != StatusCode::BAD_REQUEST || eras.legacy(now) != Some(false);
        return if is_fine { Ok(false) } else { Err(without_session(routed)) };
    }
    if status == StatusCode::OK {
        eras.learn_legacy(true, now);
    }
    // One that deserves to be refused proves nothing.
    if !refused || !is_sound(routed) {
        return Ok(false);
    }
    if eras.legacy(now) == Some(true) {
        // It may be another server than it was.
        eras.doubt(now);
    }
    if eras.legacy(now) == Some(true) {
        return Ok(false);
    }
    let link = Link::of(shared, &answered.permitted, &answered.credential, visit);
    if Box::pin(find_out(link)).await != Some(true) {
        return Ok(false);
    }
    eras.learn_legacy(false, Instant::now());
    Ok(true)
}

/// What an older request comes to that a server without sessions refused: its session is over, or it has to
/// open one first. The server's own words are of 2026-07-28.
fn without_session(routed: &Routed<'_>) -> Refusal {
    match routed.session {
        Some(_) => Refusal::Session(HandleError::Expired),
        None => Refusal::SessionRequired,
    }
}
