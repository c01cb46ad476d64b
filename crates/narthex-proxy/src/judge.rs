//! What an upstream's status and content type mean for the client. A table, and nothing else.

use crate::refusal::Refusal;
use crate::stage::frame::Verb;
use http::{HeaderValue, StatusCode};

/// What an answer's body is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    Json,
    EventStream,
}

/// What the client gets.
#[derive(Debug)]
pub(crate) enum Judged {
    /// The body as it comes, under this status.
    Relay(StatusCode, Content),
    /// This status and no body; the upstream's is thrown away.
    Empty(StatusCode),
    /// This status and a JSON-RPC error of ours; the upstream's body is none that we pass on.
    Status(StatusCode),
}

/// Judges an answer. An upstream's 401, 403 and redirects never reach a client: they are about the
/// gateway's credential and the gateway's URL.
///
/// # Errors
/// The upstream failed, or refused the gateway.
pub(crate) fn judge(
    verb: Verb,
    expects_result: bool,
    status: StatusCode,
    content_type: Option<&HeaderValue>,
) -> Result<Judged, Refusal> {
    let content = content(content_type);
    match status.as_u16() {
        200..=299 => success(verb, expects_result, status, content),
        300..=399 => Err(Refusal::UpstreamRedirect { status }),
        401 | 403 => Err(Refusal::CredentialRejected { status }),
        405 if verb != Verb::Post => Ok(Judged::Empty(status)),
        400 | 404 | 409 | 410 | 422 | 429 => Ok(match content {
            Some(Content::Json) => Judged::Relay(status, Content::Json),
            _ => Judged::Status(status),
        }),
        _ => Err(Refusal::UpstreamError { status }),
    }
}

fn success(
    verb: Verb,
    expects_result: bool,
    status: StatusCode,
    content: Option<Content>,
) -> Result<Judged, Refusal> {
    match (verb, content) {
        (Verb::Post, _) if !expects_result => Ok(Judged::Empty(StatusCode::ACCEPTED)),
        (Verb::Post, Some(content)) if status == StatusCode::OK => Ok(Judged::Relay(status, content)),
        (Verb::Get, Some(Content::EventStream)) if status == StatusCode::OK => {
            Ok(Judged::Relay(status, Content::EventStream))
        }
        (Verb::Delete, _) => Ok(Judged::Empty(StatusCode::NO_CONTENT)),
        _ => Err(Refusal::UpstreamError { status }),
    }
}

fn content(value: Option<&HeaderValue>) -> Option<Content> {
    let media = value?.to_str().ok()?.split(';').next()?.trim();
    if media.eq_ignore_ascii_case("application/json") {
        Some(Content::Json)
    } else if media.eq_ignore_ascii_case("text/event-stream") {
        Some(Content::EventStream)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(verb: Verb, expects_result: bool, status: u16, content: &'static str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let content = HeaderValue::from_static(content);
        match judge(verb, expects_result, status, Some(&content)) {
            Ok(Judged::Relay(s, Content::Json)) => format!("{} json", s.as_u16()),
            Ok(Judged::Relay(s, Content::EventStream)) => format!("{} sse", s.as_u16()),
            Ok(Judged::Empty(s)) => format!("{} empty", s.as_u16()),
            Ok(Judged::Status(s)) => format!("{} error", s.as_u16()),
            Err(refusal) => refusal.reason().to_owned(),
        }
    }

    #[test]
    fn answers_to_requests() {
        let post = |status, content| of(Verb::Post, true, status, content);
        assert_eq!(post(200, "application/json; charset=utf-8"), "200 json");
        assert_eq!(post(200, "Text/Event-Stream"), "200 sse");
        assert_eq!(post(400, "application/json"), "400 json");
        assert_eq!(post(404, "application/json"), "404 json");
        assert_eq!(post(404, "text/html"), "404 error");
        assert_eq!(post(429, "text/plain"), "429 error");
    }

    #[test]
    fn a_page_of_somebody_else_is_never_passed_on() {
        for (status, content) in
            [(200, "text/html"), (200, ""), (204, "application/json"), (206, "application/json")]
        {
            assert_eq!(of(Verb::Post, true, status, content), "upstream_error", "{status} {content}");
        }
        assert_eq!(of(Verb::Get, true, 200, "application/json"), "upstream_error");
    }

    #[test]
    fn what_is_about_the_gateway_never_reaches_the_client() {
        for status in [301, 302, 307, 308] {
            assert_eq!(of(Verb::Post, true, status, "application/json"), "upstream_redirect");
        }
        for status in [401, 403] {
            assert_eq!(of(Verb::Post, true, status, "application/json"), "credential_rejected");
        }
        for status in [402, 406, 407, 413, 415, 421, 431, 500, 502, 503, 599] {
            assert_eq!(of(Verb::Post, true, status, "application/json"), "upstream_error");
        }
    }

    #[test]
    fn notifications_streams_and_deletes() {
        for status in [200, 202, 204] {
            assert_eq!(of(Verb::Post, false, status, ""), "202 empty");
        }
        assert_eq!(of(Verb::Get, true, 200, "text/event-stream"), "200 sse");
        assert_eq!(of(Verb::Get, true, 405, "text/html"), "405 empty");
        assert_eq!(of(Verb::Delete, false, 200, "text/html"), "204 empty");
        assert_eq!(of(Verb::Delete, false, 405, ""), "405 empty");
        assert_eq!(of(Verb::Post, true, 405, "application/json"), "upstream_error");
    }
}
