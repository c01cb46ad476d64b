//! What a request asks for, found without parsing JSON: the load generator's requests have their id,
//! method and tool name near the front, and every contender pays the same for this upstream.

use super::Method;
use memchr::memmem;

/// Bytes at the front of a body in which id, method and tool name are looked for.
const FRONT: usize = 1024;

/// What a request asks for. `id` is the raw JSON token of the request's id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ask<'a> {
    /// A JSON-RPC request.
    Request {
        /// The id's JSON token.
        id: &'a [u8],
        /// What is called.
        call: Call,
    },
    /// A JSON-RPC notification.
    Notification,
    /// A GET stream.
    Listen,
    /// The end of a session.
    Delete,
    /// Not a method of the transport.
    Unknown,
}

/// What a JSON-RPC request calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    /// `initialize`, revisions up to 2025-11-25.
    Initialize,
    /// `server/discover`, revision 2026-07-28.
    Discover,
    /// `tools/list`: 100 tools.
    List,
    /// `tools/call` of `stream`: an SSE answer of three events.
    Stream,
    /// `tools/call` of `big`: a result of 1 MiB.
    Big,
    /// `tools/call` of `ask` for the first time: a result that asks for something (2026-07-28).
    Ask,
    /// `tools/call` of anything else: a result of 1 KiB.
    Tool,
    /// `ping`: an empty result.
    Ping,
    /// Any other method: JSON-RPC error -32601.
    Other,
}

impl<'a> Ask<'a> {
    /// What `body`, sent with `method`, asks for.
    #[must_use]
    pub fn read(method: Method, body: &'a [u8]) -> Self {
        match method {
            Method::Post => Self::message(&body[..body.len().min(FRONT)]),
            Method::Get => Self::Listen,
            Method::Delete => Self::Delete,
            Method::Other => Self::Unknown,
        }
    }

    fn message(front: &'a [u8]) -> Self {
        let Some(id) = value(front, b"\"id\":") else { return Self::Notification };
        let call = match value(front, b"\"method\":").unwrap_or_default() {
            b"\"tools/call\"" => match value(front, b"\"name\":").unwrap_or_default() {
                b"\"stream\"" => Call::Stream,
                b"\"big\"" => Call::Big,
                b"\"ask\"" if value(front, b"\"requestState\":").is_none() => Call::Ask,
                _ => Call::Tool,
            },
            b"\"tools/list\"" => Call::List,
            b"\"initialize\"" => Call::Initialize,
            b"\"server/discover\"" => Call::Discover,
            b"\"ping\"" => Call::Ping,
            _ => Call::Other,
        };
        Self::Request { id, call }
    }
}

/// The number or plain string after `key`, as its raw JSON token.
fn value<'a>(front: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = front[memmem::find(front, key)? + key.len()..].trim_ascii_start();
    let end = match rest.strip_prefix(b"\"") {
        Some(text) => memchr::memchr(b'"', text)? + 2,
        None => memchr::memchr3(b',', b'}', b' ', rest)?,
    };
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_method_and_tool() {
        let cases: [(&str, Call); 9] = [
            (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"}}"#, Call::Tool),
            (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"big"}}"#, Call::Big),
            (r#"{"id":7,"method":"tools/call","params":{"name":"ask"}}"#, Call::Ask),
            (r#"{"id":7,"method":"tools/call","params":{"name":"ask","requestState":"s"}}"#, Call::Tool),
            (r#"{"method":"tools/call","params":{"name":"stream"},"id":7}"#, Call::Stream),
            (r#"{"id": 7 ,"method": "tools/list"}"#, Call::List),
            (r#"{"id":7,"method":"initialize"}"#, Call::Initialize),
            (r#"{"id":7,"method":"server/discover"}"#, Call::Discover),
            (r#"{"id":7,"method":"resources/list"}"#, Call::Other),
        ];
        for (body, call) in cases {
            let found = Ask::read(Method::Post, body.as_bytes());
            assert_eq!(found, Ask::Request { id: b"7", call }, "{body}");
        }
    }

    #[test]
    fn a_string_id_keeps_its_quotes() {
        let body = br#"{"id":"a-1","method":"ping"}"#;
        assert_eq!(Ask::read(Method::Post, body), Ask::Request { id: b"\"a-1\"", call: Call::Ping });
    }

    #[test]
    fn a_message_without_id_is_a_notification() {
        let body = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(Ask::read(Method::Post, body), Ask::Notification);
        assert_eq!(Ask::read(Method::Post, b""), Ask::Notification);
    }
}
