//! Stage 7: a new request to the upstream, and the header of its answer.

use crate::forward::{self, Answer, ForwardError, Outbound};
use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::stage::credential::Credentialed;
use crate::stage::frame::Verb;
use crate::stage::permit::Permitted;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, InvalidHeaderValue};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use narthex_credentials::UpstreamCredential;
use narthex_mcp::headers::encode_value;
use narthex_mcp::request_state;
use narthex_upstreams::Slot;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use std::time::{Instant, SystemTime};

/// A request that the upstream has answered, as far as the header.
pub(crate) struct Answered<'b> {
    pub(crate) permitted: Box<Permitted<'b>>,
    pub(crate) answer: Answer,
    pub(crate) client_gone: bool,
    pub(crate) slot: Slot,
    /// What the request was made with.
    pub(crate) credential: UpstreamCredential,
}

/// Sends the request, once more with a new credential if the upstream refuses the first with 401.
///
/// # Errors
/// The upstream is taken for down, cannot be reached, does not answer, or accepts no credential of ours.
pub(crate) async fn send<'b>(
    shared: &Shared,
    credentialed: Credentialed<'b>,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<Answered<'b>, Refusal> {
    let Credentialed { permitted, mut credential } = credentialed;
    let upstream = permitted.routed.inbound().route.upstream.clone();
    let mut slot = upstream.enter(Instant::now()).map_err(Refusal::Busy)?;
    let cancels = permitted.routed.revision.is_modern() || permitted.routed.inbound().verb != Verb::Post;
    let (mut client_gone, mut renewed) = (false, false);
    let sent_at = Instant::now();
    loop {
        let request = outbound(&permitted, &credential, visit)?;
        let sent =
            forward::send(session, &mut client_gone, cancels, &upstream, &shared.connections, &request).await;
        visit.upstream_time = Some(sent_at.elapsed());
        let answer = sent.map_err(|error| {
            if !matches!(error, ForwardError::ClientGone) {
                slot.passage.failed(Instant::now());
            }
            Refusal::Forward(error)
        })?;
        visit.retries += answer.retries;
        let status = answer.header().map_err(Refusal::Forward)?.status;
        if is_outage(status) {
            slot.passage.failed(Instant::now());
        } else {
            slot.passage.succeeded();
        }
        // A 401 comes before anything is done, so this is not a second execution.
        if status != StatusCode::UNAUTHORIZED || renewed {
            return Ok(Answered { permitted, answer, client_gone, slot, credential });
        }
        shared.connections.abandon(answer.connection);
        renewed = true;
        shared.metrics.credential_renewed(upstream.id.as_str());
        credential = renew(&permitted, &credential, visit).await?;
    }
}

/// Whether the status says that the server is not there. A 500 does not: one caller's failing tool must
/// not close the upstream for all.
fn is_outage(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

async fn renew(
    permitted: &Permitted<'_>,
    rejected: &UpstreamCredential,
    visit: &Visit,
) -> Result<UpstreamCredential, Refusal> {
    let identified = &permitted.routed.scanned.identified;
    let source = &identified.inbound.route.credentials;
    if !source.is_renewable() {
        return Err(Refusal::CredentialRejected { status: StatusCode::UNAUTHORIZED });
    }
    source
        .renew(rejected, &identified.caller, identified.token(), visit.now)
        .await
        .map_err(Refusal::Credential)
}

fn outbound(
    permitted: &Permitted<'_>,
    credential: &UpstreamCredential,
    visit: &Visit,
) -> Result<Outbound, Refusal> {
    let routed = &permitted.routed;
    let internal = |_| Refusal::Internal("cannot build the upstream's request");
    let body = match (routed.scanned.body, &routed.resumes) {
        (None, _) => Bytes::new(),
        (Some(body), None) => body.bytes.clone(),
        (Some(body), Some(ours)) => request_state::splice(&body.bytes, ours.span.clone(), &ours.state).into(),
    };
    let mut parts = Parts::from(routed.inbound().route.post.as_ref().clone());
    match routed.inbound().verb {
        Verb::Post => drop(parts.headers.insert(CONTENT_LENGTH, body.len().into())),
        Verb::Get => without_body(&mut parts, Method::GET),
        Verb::Delete => without_body(&mut parts, Method::DELETE),
    }
    protocol_fields(&mut parts.headers, permitted).map_err(internal)?;
    trace_fields(&mut parts.headers, permitted, visit);
    // Not `visit.now`: a body may have been long in coming.
    let (upstream, now) = (&routed.inbound().route.upstream, SystemTime::now());
    let mut header = RequestHeader::from(parts);
    forward::authorize(&mut header, &body, upstream, credential, now)?;
    Ok(Outbound { header, body, replayable: routed.is_replayable() })
}

fn without_body(parts: &mut Parts, method: Method) {
    parts.headers.remove(CONTENT_TYPE);
    if method == Method::GET {
        parts.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    }
    parts.method = method;
}

/// The MCP fields, written anew from what was decided on.
fn protocol_fields(fields: &mut HeaderMap, permitted: &Permitted<'_>) -> Result<(), InvalidHeaderValue> {
    const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
    let (routed, facts) = (&permitted.routed, &permitted.routed.inbound().facts);
    if facts.protocol_version.is_some() {
        fields.insert(VERSION, HeaderValue::from_static(routed.revision.as_str()));
    }
    if let Some(session) = &routed.session {
        fields
            .insert(HeaderName::from_static("mcp-session-id"), HeaderValue::try_from(session.upstream_id())?);
    }
    // What is replayed is not looked into, and a list of tools may be among it.
    let hides = routed.inbound().route.policy.hides_tools(&routed.caller().tenant);
    let may_replay = !routed.revision.is_modern() && !hides;
    if let Some(last) = facts.last_event_id.as_ref().filter(|_| may_replay) {
        fields.insert(HeaderName::from_static("last-event-id"), last.clone());
    }
    let Some(message) = routed.scanned.message().filter(|_| routed.revision.is_modern()) else {
        return Ok(());
    };
    if !message.method.is_empty() {
        fields.insert(HeaderName::from_static("mcp-method"), HeaderValue::try_from(message.method.as_ref())?);
    }
    if let Some(name) = &message.name {
        fields
            .insert(HeaderName::from_static("mcp-name"), HeaderValue::try_from(encode_value(name).as_ref())?);
    }
    for (name, value) in &facts.params {
        fields.insert(name.clone(), value.clone());
    }
    Ok(())
}

fn trace_fields(fields: &mut HeaderMap, permitted: &Permitted<'_>, visit: &Visit) {
    fields.insert(HeaderName::from_static("x-request-id"), visit.request_id.value().clone());
    if let Some(parent) = &visit.traceparent {
        fields.insert(HeaderName::from_static("traceparent"), parent.clone());
        if let Some(state) = permitted.routed.inbound().facts.tracestate_of(parent) {
            fields.insert(HeaderName::from_static("tracestate"), state.clone());
        }
    }
}
