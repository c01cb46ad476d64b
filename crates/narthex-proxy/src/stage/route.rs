//! Stage 4: by which revision, in which session, to which upstream.

use crate::record::Visit;
use crate::refusal::Refusal;
use crate::snapshot::RouteEntry;
use crate::stage::frame::{Inbound, Verb};
use crate::stage::scan::Scanned;
use http::HeaderValue;
use narthex_identity::Caller;
use narthex_mcp::headers::{self, StandardHeaders};
use narthex_mcp::request_state::{self, Asked};
use narthex_mcp::revision;
use narthex_mcp::seal::{Binding, HandleError};
use narthex_mcp::session::{BridgedSession, Session, SessionHandle};
use narthex_mcp::{Kind, Message, Revision};
use std::ops::Range;

/// A request that is known to fit its revision, with the upstream's session opened.
pub(crate) struct Routed<'b> {
    pub(crate) scanned: Scanned<'b>,
    pub(crate) revision: Revision,
    /// The upstream's own session id.
    pub(crate) session: Option<SessionHandle>,
    /// The session that the gateway itself keeps for the client.
    pub(crate) bridged: Option<Box<BridgedSession>>,
    /// The upstream's own `requestState`, in the place of ours.
    pub(crate) resumes: Option<Resumed>,
}

/// A retry with what the upstream had asked for (MCP 2026-07-28, basic/patterns/mrtr).
pub(crate) struct Resumed {
    /// Where in the body the client's `requestState` stands.
    pub(crate) span: Range<usize>,
    /// The upstream's.
    pub(crate) state: String,
}

impl Routed<'_> {
    pub(crate) fn inbound(&self) -> &Inbound {
        &self.scanned.identified.inbound
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.scanned.identified.caller
    }

    /// Whether sending it twice does no harm. A tool may change the world; a response or a
    /// notification may be counted; everything else that MCP defines only reads or is absolute.
    pub(crate) fn is_replayable(&self) -> bool {
        self.inbound().verb != Verb::Post || self.scanned.messages().iter().all(is_replayable)
    }
}

fn is_replayable(message: &Message<'_>) -> bool {
    message.kind == Kind::Request && is_replayable_method(&message.method)
}

/// Whether requests of that method only read, or are absolute.
pub(crate) fn is_replayable_method(method: &str) -> bool {
    const SAFE: [&str; 9] = [
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
    ];
    SAFE.contains(&method)
}

/// Whom a handle of `caller` on this route is bound to.
pub(crate) fn binding<'a>(inbound: &'a Inbound, caller: &'a Caller) -> Binding<'a> {
    bind(&inbound.route, caller)
}

/// [`binding`], when the request itself is gone.
pub(crate) fn bind<'a>(route: &'a RouteEntry, caller: &'a Caller) -> Binding<'a> {
    Binding {
        tenant: caller.tenant.as_str(),
        issuer: &caller.issuer,
        subject: &caller.subject,
        route: route.id.as_str(),
        // What a merged route gives is good for whichever of its upstreams it names.
        upstream: if route.merged.is_some() { "" } else { route.upstream.id.as_str() },
    }
}

/// Settles the revision, checks what it demands of the header, and opens the session handle.
///
/// # Errors
/// Header and body differ, the revision is unknown, the session is somebody else's or expired.
pub(crate) fn target<'b>(scanned: Scanned<'b>, visit: &mut Visit) -> Result<Routed<'b>, Refusal> {
    let inbound = &scanned.identified.inbound;
    let header = inbound.facts.protocol_version.as_ref().map(HeaderValue::as_bytes);
    let revision = match &scanned.said {
        Some(said) => revision::select_for(header, said),
        None => revision::select(header, None),
    };
    let revision = revision.map_err(Refusal::Version)?;
    visit.revision = Some(revision);
    let (mut session, mut bridged, mut resumes) = (None, None, None);
    if revision.is_modern() {
        modern(&scanned)?;
        resumes = resumed(&scanned, visit)?;
    } else {
        match legacy(&scanned, visit)? {
            Some(Session::Upstream(theirs)) => session = Some(theirs),
            Some(Session::Bridged(ours)) => bridged = Some(ours),
            None => {}
        }
    }
    Ok(Routed { scanned, revision, session, bridged, resumes })
}

/// MCP 2026-07-28, basic/transports/streamable-http: POST only, and headers that mirror the body.
fn modern(scanned: &Scanned<'_>) -> Result<(), Refusal> {
    let inbound = &scanned.identified.inbound;
    let Some(message) = scanned.message() else {
        return Err(Refusal::Method { allow: "POST" });
    };
    if message.kind == Kind::Response {
        // Servers ask nothing of clients any more, so there is nothing to answer.
        return Err(Refusal::UnaskedResponse);
    }
    let facts = &inbound.facts;
    let standard = StandardHeaders {
        version: facts.protocol_version.as_ref().map(HeaderValue::as_bytes),
        method: facts.method.as_ref().map(HeaderValue::as_bytes),
        name: facts.name.as_ref().map(HeaderValue::as_bytes),
    };
    headers::check(&standard, message).map_err(Refusal::HeaderMismatch)?;
    if facts.params.iter().all(|(_, value)| headers::is_sane_value(value.as_bytes())) {
        Ok(())
    } else {
        Err(Refusal::ParamHeader)
    }
}

/// Opens the `requestState` of a retry: ours, with the upstream's inside.
fn resumed(scanned: &Scanned<'_>, visit: &Visit) -> Result<Option<Resumed>, Refusal> {
    let Some(message) = scanned.message().filter(|m| request_state::may_ask(&m.method)) else {
        return Ok(None);
    };
    let Some(handle) = &message.request_state else { return Ok(None) };
    let (inbound, caller) = (&scanned.identified.inbound, &scanned.identified.caller);
    let asked = Asked { method: &message.method, name: message.name.as_deref().unwrap_or_default() };
    let sealer = &visit.snapshot.sealer;
    let state = request_state::open(sealer, &binding(inbound, caller), asked, &handle.text, visit.now);
    let state = state.map_err(Refusal::RequestState)?;
    Ok(Some(Resumed { span: handle.span.clone(), state }))
}

/// MCP 2025-03-26 to 2025-11-25, basic/transports: sessions, GET streams, DELETE.
fn legacy(scanned: &Scanned<'_>, visit: &Visit) -> Result<Option<Session>, Refusal> {
    let (inbound, caller) = (&scanned.identified.inbound, &scanned.identified.caller);
    let initializes = scanned.message().is_some_and(|m| m.method == "initialize");
    let Some(handle) = inbound.facts.session.as_ref().filter(|_| !initializes) else {
        if inbound.facts.last_event_id.is_some() {
            // Without a session nothing says whose events they are.
            return Err(Refusal::EventIdWithoutSession);
        }
        // A stream belongs to a session; a server without sessions has none to offer.
        return if inbound.verb == Verb::Post { Ok(None) } else { Err(Refusal::Method { allow: "POST" }) };
    };
    let handle = handle.to_str().map_err(|_| Refusal::Session(HandleError::Malformed))?;
    Session::open(&visit.snapshot.sealer, &binding(inbound, caller), handle, visit.now)
        .map(Some)
        .map_err(Refusal::Session)
}
