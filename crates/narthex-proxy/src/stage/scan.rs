//! Stage 3: what is asked, by the body alone.

use crate::body::{self, Body};
use crate::leak;
use crate::record::{Visit, method_label};
use crate::refusal::Refusal;
use crate::stage::frame::Verb;
use crate::stage::identify::Identified;
use crate::trace;
use http::HeaderValue;
use narthex_mcp::{Body as Parsed, Kind, Message, request_state};
use pingora::protocols::http::ServerSession;

/// A request whose body has been read and understood. `'b` is the body's life.
pub(crate) struct Scanned<'b> {
    pub(crate) identified: Identified,
    /// The bytes that were read, and that are sent.
    pub(crate) body: Option<&'b Body>,
    /// What they say; none for GET and DELETE.
    pub(crate) said: Option<Parsed<'b>>,
}

impl<'b> Scanned<'b> {
    /// The message, unless there is none or a batch of them.
    pub(crate) fn message(&self) -> Option<&Message<'b>> {
        match &self.said {
            Some(Parsed::Single(message)) => Some(message),
            _ => None,
        }
    }

    /// All messages.
    pub(crate) fn messages(&self) -> &[Message<'b>] {
        match &self.said {
            Some(Parsed::Single(message)) => std::slice::from_ref(message),
            Some(Parsed::Batch(messages)) => messages,
            _ => &[],
        }
    }
}

/// Reads the body into `held` and scans it.
///
/// # Errors
/// The body is too large, too slow, not one JSON-RPC message (or batch), or carries the caller's token.
pub(crate) async fn read<'b>(
    identified: Identified,
    session: &mut ServerSession,
    visit: &mut Visit,
    held: &'b mut Option<Body>,
) -> Result<Scanned<'b>, Refusal> {
    if identified.inbound.verb != Verb::Post {
        return without_body(identified, session, visit);
    }
    let facts = &identified.inbound.facts;
    if !is_json(facts.content_type.as_ref()) {
        return Err(Refusal::MediaType);
    }
    if !accepts_both(facts.accept.as_ref()) {
        return Err(Refusal::NotAcceptable);
    }
    let limits = &visit.snapshot.limits;
    let read = body::read(session, limits.body, limits.body_timeout, &visit.snapshot.budget).await;
    let body: &'b Body = held.insert(read.map_err(Refusal::Body)?);
    visit.bytes_in = body.bytes.len();
    // Before anything of the body is noted: what is noted may be logged.
    if identified.token().is_some_and(|token| leak::carries(&body.bytes, token)) {
        return Err(Refusal::TokenLeak);
    }
    let said = narthex_mcp::scan(&body.bytes, &visit.snapshot.scan).map_err(|error| {
        visit.rpc_id = error.id().map(Into::into);
        Refusal::Scan(error)
    })?;
    note(&said, visit);
    Ok(Scanned { identified, body: Some(body), said: Some(said) })
}

fn without_body<'b>(
    identified: Identified,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<Scanned<'b>, Refusal> {
    if !session.is_body_done() {
        return Err(Refusal::Body(body::BodyError::Incomplete));
    }
    visit.method = if identified.inbound.verb == Verb::Get { "GET" } else { "DELETE" };
    Ok(Scanned { identified, body: None, said: None })
}

fn note(said: &Parsed<'_>, visit: &mut Visit) {
    let Parsed::Single(message) = said else {
        visit.method = "batch";
        return;
    };
    if let Some(parent) = trace::of_meta(message.meta.traceparent.as_deref()) {
        visit.traceparent = Some(parent);
    }
    visit.rpc_id = message.id.filter(|_| message.kind == Kind::Request).map(Into::into);
    visit.method = if message.kind == Kind::Response { "response" } else { method_label(&message.method) };
    if message.is_tool_call() {
        visit.tool = message.name.as_deref().map(Into::into);
    } else if request_state::may_ask(&message.method) {
        visit.asked = message.name.as_deref().map(Into::into);
    }
}

/// `application/json`, with parameters or without.
fn is_json(value: Option<&HeaderValue>) -> bool {
    let Some(text) = value.and_then(|v| v.to_str().ok()) else { return false };
    let media = text.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
}

/// Both kinds of answer are accepted (MCP 2025-03-26 to 2026-07-28, transports: "Sending Messages").
fn accepts_both(value: Option<&HeaderValue>) -> bool {
    // What most clients say, word for word.
    const USUAL: &[u8] = b"application/json, text/event-stream";
    if value.is_some_and(|value| value.as_bytes() == USUAL) {
        return true;
    }
    let Some(text) = value.and_then(|v| v.to_str().ok()) else { return value.is_none() };
    let names = |wanted: &[&str]| {
        text.split(',').any(|range| {
            let media = range.split(';').next().unwrap_or_default().trim();
            wanted.iter().any(|w| media.eq_ignore_ascii_case(w))
        })
    };
    names(&["application/json", "application/*", "*/*"]) && names(&["text/event-stream", "text/*", "*/*"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_answers_have_to_be_accepted() {
        let accept = |v: &'static str| accepts_both(Some(&HeaderValue::from_static(v)));
        assert!(accept("application/json, text/event-stream"));
        assert!(accept("text/event-stream;q=0.5,application/JSON"));
        assert!(accept("*/*"));
        assert!(accepts_both(None));
        for bad in ["application/json", "text/event-stream", "text/html", ""] {
            assert!(!accept(bad), "{bad}");
        }
    }

    #[test]
    fn only_json_is_read() {
        let json = |v: &'static str| is_json(Some(&HeaderValue::from_static(v)));
        assert!(json("application/json"));
        assert!(json("Application/JSON; charset=utf-8"));
        for bad in ["text/plain", "application/jsonp", "application/json+x", "multipart/form-data", ""] {
            assert!(!json(bad), "{bad}");
        }
        assert!(!is_json(None));
    }
}
