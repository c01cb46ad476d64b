//! Stage 8: the answer, on its way to the client.

use crate::asking::{self, Begun, States};
use crate::client;
use crate::forward::{self, Answer, Early, ForwardError, Relay, RelayEnd};
use crate::gateway::Shared;
use crate::judge::{Content, Judged, judge};
use crate::listing;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::{FIELDS, Reply, decorate, header_of};
use crate::snapshot::RouteEntry;
use crate::stage::forward::Answered;
use crate::stage::frame::Verb;
use crate::stage::permit::Permitted;
use crate::stage::route::{Routed, binding};
use crate::streams::StreamGuard;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, InvalidHeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use narthex_identity::Caller;
use narthex_mcp::session::SessionHandle;
use narthex_mcp::{Kind, Revision, rpc};
use narthex_policy::Permit;
use narthex_upstreams::Slot;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::sync::Arc;
use std::time::Duration;

/// How long a session handle is good for.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// An answer that may go to the client. Of the request it has what is still needed, but not the body:
/// a stream may go on for hours, and the bytes that it would hold are everybody's.
pub(crate) struct Delivery {
    pub(crate) route: Arc<RouteEntry>,
    pub(crate) answer: Answer,
    verb: Verb,
    revision: Revision,
    pub(crate) caller: Arc<Caller>,
    client_gone: bool,
    stream: Option<StreamGuard>,
    /// They are free again when it is dropped.
    places: (Slot, Permit),
}

/// Judges the answer.
///
/// # Errors
/// The upstream failed in a way that is the gateway's to explain.
pub(crate) fn prepare(
    shared: &Shared,
    mut answered: Answered<'_>,
    visit: &mut Visit,
) -> Result<(Prepared, Delivery), Refusal> {
    let prepared = match judged(shared, &mut answered, visit) {
        Ok(prepared) => prepared,
        Err(refusal) => {
            shared.connections.abandon(answered.answer.connection);
            return Err(refusal);
        }
    };
    let Answered { permitted, answer, client_gone, slot, credential: _ } = answered;
    let Permitted { routed, permit, stream } = *permitted;
    let delivery = Delivery {
        verb: routed.inbound().verb,
        revision: routed.revision,
        caller: Arc::clone(&routed.scanned.identified.caller),
        route: Arc::clone(&routed.inbound().route),
        answer,
        client_gone,
        stream,
        places: (slot, permit),
    };
    Ok((prepared, delivery))
}

/// Brings it to the client.
///
/// # Errors
/// A list that has to be looked into cannot be; nothing has been sent to the client.
pub(crate) async fn deliver(
    shared: &Shared,
    (prepared, delivery): (Prepared, Delivery),
    session: &mut ServerSession,
    visit: &mut Visit,
    shutdown: &ShutdownWatch,
) -> Result<(), Refusal> {
    // In boxes is what few requests need.
    match prepared {
        Prepared::Own { status, body } => Box::pin(own(shared, delivery, status, body, session, visit)).await,
        Prepared::Listing { header, content } => {
            Box::pin(listing::deliver(shared, delivery, header, content, session, visit)).await
        }
        Prepared::Relay { header, content } => {
            relay(shared, delivery, header, content, session, visit, shutdown).await
        }
    }
}

/// What is to be sent.
pub(crate) enum Prepared {
    /// The upstream's body, under this header.
    Relay { header: Box<ResponseHeader>, content: Content },
    /// A list of tools that has to be looked into.
    Listing { header: Box<ResponseHeader>, content: Content },
    /// Something of ours.
    Own { status: StatusCode, body: Option<Bytes> },
}

fn judged(shared: &Shared, answered: &mut Answered<'_>, visit: &mut Visit) -> Result<Prepared, Refusal> {
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
    let coding = upstream.headers.get(CONTENT_ENCODING);
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        // We asked for none, and the client would not be told of it.
        let cause = "a content coding that was not asked for".to_owned();
        return Err(Refusal::Forward(ForwardError::Malformed(cause)));
    }
    let header = build_header(routed, upstream, status, content, visit)
        .map_err(|_| Refusal::Internal("cannot build the answer"))?;
    let is_listing = status == StatusCode::OK && listing::is_wanted(routed, visit);
    if content == Content::EventStream && answered.permitted.stream.is_none() {
        // That there was room was asked before it was sent: what has been done is not refused.
        answered.permitted.stream = Some(shared.streams.join(routed.caller()));
    }
    Ok(if is_listing { Prepared::Listing { header, content } } else { Prepared::Relay { header, content } })
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
) -> Result<Box<ResponseHeader>, InvalidHeaderValue> {
    let mut fields = HeaderMap::with_capacity(FIELDS);
    match content {
        Content::Json => {
            fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        Content::EventStream => {
            fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
            fields.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        }
    }
    let length = upstream.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) => fields.insert(CONTENT_LENGTH, HeaderValue::from(length)),
        None => fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
    };
    if let Some(after) = retry_after(status, upstream) {
        fields.insert(RETRY_AFTER, after.clone());
    }
    if let Some(handle) = session_handle(routed, upstream, visit) {
        fields.insert(HeaderName::from_static("mcp-session-id"), HeaderValue::try_from(handle)?);
    }
    decorate(&mut fields, visit);
    visit.status = status;
    Ok(header_of(status, fields))
}

/// When the upstream wants to be asked again, if it says that it was asked too often.
fn retry_after(status: StatusCode, upstream: &ResponseHeader) -> Option<&HeaderValue> {
    upstream.headers.get(RETRY_AFTER).filter(|_| status == StatusCode::TOO_MANY_REQUESTS)
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
    delivery: Delivery,
    status: StatusCode,
    body: Option<Bytes>,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<(), Refusal> {
    const DRAIN: usize = 64 * 1024;
    // The client's next request on this connection waits for it.
    const PATIENCE: Duration = Duration::from_millis(500);
    let internal = |_| Refusal::Internal("cannot build the answer");
    let content_type = body.as_ref().map(|_| "application/json");
    let mut reply = Reply::new(status, content_type, body.unwrap_or_default()).map_err(internal)?;
    reply.header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store")).map_err(internal)?;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        reply.header.insert_header(ALLOW, HeaderValue::from_static("POST")).map_err(internal)?;
    }
    let upstream = delivery.answer.header().map_err(Refusal::Forward)?;
    if let Some(after) = retry_after(status, upstream) {
        reply.header.insert_header(RETRY_AFTER, after.clone()).map_err(internal)?;
    }
    if reply.send(session, visit).await.is_err() {
        visit.cut = Some("client_gone");
    }
    // What is left over is nobody's: a body that is too long or too slow only costs its connection.
    let upstream = &delivery.route.upstream;
    let _ = forward::collect(delivery.answer, DRAIN, PATIENCE, upstream, &shared.connections).await;
    Ok(())
}

async fn relay(
    shared: &Shared,
    delivery: Delivery,
    mut header: Box<ResponseHeader>,
    content: Content,
    session: &mut ServerSession,
    visit: &mut Visit,
    shutdown: &ShutdownWatch,
) -> Result<(), Refusal> {
    let Delivery { route, mut answer, verb, revision, caller, mut client_gone, stream, places } = delivery;
    let mut states = States::of(visit).filter(|_| header.status == StatusCode::OK && !client_gone);
    let early = match begin(shared, &mut states, answer, &route, content, session).await? {
        Begun::Whole(_) if client_gone => {
            visit.cut = Some("client_gone");
            return Ok(());
        }
        Begun::Whole(body) => return Reply::whole(header, body)?.pass_on(session, visit).await,
        Begun::Part(rest, early) => {
            answer = rest;
            early
        }
    };
    if states.is_some() {
        // Its length may change on the way.
        header.remove_header(&CONTENT_LENGTH);
        let chunked = header.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        chunked.map_err(|_| Refusal::Internal("cannot build the answer"))?;
    }
    let counted = stream.as_ref().map(|_| route.metrics.stream());
    // Nothing that is subscribed to ends by itself.
    let endless = verb == Verb::Get || visit.method == "subscriptions/listen";
    if !client_gone {
        client_gone = client::begin(session, header).await.is_err();
    }
    let relay = Relay {
        client_gone,
        cancel_with_client: revision.is_modern() || verb != Verb::Post,
        early: early.bytes,
        filter: states.as_mut().map(|states| states as &mut dyn forward::Filter),
        until: stream.as_ref().and(caller.expires),
        end_on_shutdown: endless.then_some(shutdown),
    };
    let (end, sent) = relay.run(session, answer, &route.upstream, &shared.connections).await;
    visit.bytes_out = sent;
    visit.cut = match end {
        RelayEnd::Complete => None,
        RelayEnd::Undelivered | RelayEnd::ClientGone => Some("client_gone"),
        RelayEnd::UpstreamBroken => Some("upstream_broken"),
        RelayEnd::Ended => Some("ended"),
    };
    drop((stream, counted, places));
    Ok(())
}

/// Takes what is there of the body, and all of it where it may be a question. Leaves `states` to whoever
/// relays the rest, if there are any to be sealed in it.
///
/// # Errors
/// The answer broke off, or the client went away.
async fn begin(
    shared: &Shared,
    states: &mut Option<States>,
    mut answer: Answer,
    route: &RouteEntry,
    content: Content,
    session: &mut ServerSession,
) -> Result<Begun, Refusal> {
    let early = match Early::take(&mut answer) {
        Ok(early) => early,
        Err(error) => {
            shared.connections.abandon(answer.connection);
            return Err(Refusal::Forward(error));
        }
    };
    if early.ended {
        shared.connections.release(answer.connection, route.upstream.keepalive);
        return Ok(Begun::Whole(match (states.take(), content) {
            (Some(states), Content::Json) => states.json(early.bytes),
            (Some(states), Content::EventStream) => states.events(early.bytes),
            (None, _) => early.bytes,
        }));
    }
    if content == Content::Json
        && let Some(states) = states.take()
    {
        let begun = Box::pin(asking::gather(shared, answer, early, route, session)).await?;
        return Ok(begun.map(|body| states.json(body)));
    }
    Ok(Begun::Part(answer, early))
}
