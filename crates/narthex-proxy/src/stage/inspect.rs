//! Stage 8: the answer, on its way to the client.

use crate::forward::{self, Relay, RelayEnd};
use crate::gateway::Shared;
use crate::judge::{Content, Judged, judge};
use crate::listing;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::{Reply, decorate};
use crate::stage::forward::Answered;
use crate::stage::frame::Verb;
use crate::stage::route::{Routed, binding};
use crate::streams::StreamGuard;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode};
use narthex_mcp::session::SessionHandle;
use narthex_mcp::{Kind, rpc};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::time::Duration;

/// How long a session handle is good for.
const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Judges the answer and brings it to the client.
///
/// # Errors
/// The upstream failed in a way that is the gateway's to explain; nothing has been sent to the client.
pub(crate) async fn deliver(
    shared: &Shared,
    mut answered: Answered<'_>,
    session: &mut ServerSession,
    visit: &mut Visit,
    shutdown: &ShutdownWatch,
) -> Result<(), Refusal> {
    let prepared = match prepare(shared, &mut answered, visit) {
        Ok(prepared) => prepared,
        Err(refusal) => {
            shared.connections.abandon(answered.answer.connection).await;
            return Err(refusal);
        }
    };
    let (header, content, stream) = match prepared {
        Prepared::Relay { header, content, stream } => (header, content, stream),
        Prepared::Own { status, body } => return own(shared, answered, status, body, session, visit).await,
    };
    let routed = &answered.permitted.routed;
    if listing::is_wanted(routed, visit) && header.status == StatusCode::OK {
        return listing::deliver(shared, answered, header, content, session, visit).await;
    }
    relay(shared, answered, header, stream, session, visit, shutdown).await
}

/// What is to be sent.
enum Prepared {
    /// The upstream's body, under this header.
    Relay { header: ResponseHeader, content: Content, stream: Option<StreamGuard> },
    /// Something of ours.
    Own { status: StatusCode, body: Option<Bytes> },
}

fn prepare(shared: &Shared, answered: &mut Answered<'_>, visit: &mut Visit) -> Result<Prepared, Refusal> {
    let taken = answered.permitted.stream.take();
    let routed = &answered.permitted.routed;
    let upstream = answered.answer.header().map_err(Refusal::Forward)?;
    let verb = routed.inbound().verb;
    let (status, content) =
        match judge(verb, expects_result(routed), upstream.status, upstream.headers.get(CONTENT_TYPE))? {
            Judged::Relay(status, content) => (status, content),
            Judged::Empty(status) => return Ok(Prepared::Own { status, body: None }),
            Judged::Status(status) => {
                let text = "The MCP server refused the request";
                let body = rpc::error_body(visit.rpc_id.as_deref(), rpc::INTERNAL_ERROR, text, None);
                return Ok(Prepared::Own { status, body: Some(body.into()) });
            }
        };
    let header = build_header(routed, upstream, status, content, visit)
        .map_err(|_| Refusal::Internal("cannot build the answer"))?;
    let stream = match (content, taken) {
        (Content::EventStream, None) => Some(shared.streams.open(routed.caller(), visit)?),
        (_, taken) => taken,
    };
    Ok(Prepared::Relay { header, content, stream })
}

fn expects_result(routed: &Routed<'_>) -> bool {
    routed.inbound().verb == Verb::Get || routed.scanned.messages().iter().any(|m| m.kind == Kind::Request)
}

/// The header for the client: every field is one that we chose.
fn build_header(
    routed: &Routed<'_>,
    upstream: &ResponseHeader,
    status: StatusCode,
    content: Content,
    visit: &mut Visit,
) -> pingora::Result<ResponseHeader> {
    let mut header = ResponseHeader::build_no_case(status, Some(16))?;
    match content {
        Content::Json => {
            header.insert_header(CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
            header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
        }
        Content::EventStream => {
            header.insert_header(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))?;
            header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"))?;
            header.insert_header(
                HeaderName::from_static("x-accel-buffering"),
                HeaderValue::from_static("no"),
            )?;
        }
    }
    match upstream.headers.get(CONTENT_LENGTH) {
        Some(length) => header.insert_header(CONTENT_LENGTH, length.clone())?,
        None => header.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?,
    }
    if let Some(after) = upstream.headers.get(RETRY_AFTER).filter(|_| status == StatusCode::TOO_MANY_REQUESTS)
    {
        header.insert_header(RETRY_AFTER, after.clone())?;
    }
    if let Some(handle) = session_handle(routed, upstream, visit) {
        header.insert_header(HeaderName::from_static("mcp-session-id"), handle)?;
    }
    decorate(&mut header, visit)?;
    visit.status = status;
    Ok(header)
}

/// The client's handle of a session that the upstream has just opened. 2026-07-28 has no sessions.
fn session_handle(routed: &Routed<'_>, upstream: &ResponseHeader, visit: &Visit) -> Option<String> {
    let initializes = routed.scanned.messages().iter().any(|m| m.method == "initialize");
    if routed.revision.is_modern() || !initializes {
        return None;
    }
    let id = upstream.headers.get("mcp-session-id")?;
    let opened = SessionHandle::from_upstream(id.as_bytes());
    let sealed = opened.map_err(|e| e.to_string()).and_then(|session| {
        let binding = binding(routed.inbound(), routed.caller());
        let sealed = session.seal(&visit.snapshot.sealer, &binding, visit.now + SESSION_LIFETIME);
        sealed.map_err(|e| e.to_string())
    });
    // Without a handle the client has no session: its next request says so, and nothing leaks.
    sealed.inspect_err(|error| tracing::warn!(upstream = %routed.inbound().route.upstream.id, %error, "unusable session id")).ok()
}

/// Answers without the upstream's body, which is read to its end so that its connection lives on.
async fn own(
    shared: &Shared,
    answered: Answered<'_>,
    status: StatusCode,
    body: Option<Bytes>,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<(), Refusal> {
    const DRAIN: usize = 64 * 1024;
    let internal = |_| Refusal::Internal("cannot build the answer");
    let content_type = body.as_ref().map(|_| "application/json");
    let mut reply = Reply::new(status, content_type, body.unwrap_or_default()).map_err(internal)?;
    reply.header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store")).map_err(internal)?;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        reply.header.insert_header(ALLOW, HeaderValue::from_static("POST")).map_err(internal)?;
    }
    if reply.send(session, visit).await.is_err() {
        visit.cut = Some("client_gone");
    }
    let upstream = answered.permitted.routed.inbound().route.upstream.clone();
    // What is left over is nobody's: a body that is too long only costs its connection.
    let _ = forward::collect(answered.answer, DRAIN, &upstream, &shared.connections).await;
    Ok(())
}

async fn relay(
    shared: &Shared,
    answered: Answered<'_>,
    header: ResponseHeader,
    stream: Option<StreamGuard>,
    session: &mut ServerSession,
    visit: &mut Visit,
    shutdown: &ShutdownWatch,
) -> Result<(), Refusal> {
    let Answered { permitted, answer, mut client_gone, slot } = answered;
    let routed = &permitted.routed;
    let upstream = routed.inbound().route.upstream.clone();
    let counted = stream.as_ref().map(|_| routed.inbound().route.metrics.stream());
    // Nothing that is subscribed to ends by itself.
    let endless = routed.inbound().verb == Verb::Get || visit.method == "subscriptions/listen";
    if !client_gone {
        session.set_write_timeout(Some(visit.snapshot.limits.write_timeout));
        client_gone = session.write_response_header(Box::new(header)).await.is_err();
    }
    let relay = Relay {
        client_gone,
        cancel_with_client: routed.revision.is_modern() || routed.inbound().verb != Verb::Post,
        until: stream.as_ref().and(routed.caller().expires),
        end_on_shutdown: endless.then_some(shutdown),
    };
    let (end, sent) = relay.run(session, answer, &upstream, &shared.connections).await;
    visit.bytes_out = sent;
    visit.cut = match end {
        RelayEnd::Complete => None,
        RelayEnd::Undelivered | RelayEnd::ClientGone => Some("client_gone"),
        RelayEnd::UpstreamBroken => Some("upstream_broken"),
        RelayEnd::Ended => Some("ended"),
    };
    drop((stream, counted, slot));
    Ok(())
}
