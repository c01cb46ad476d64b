//! What a server does with a request.

use super::feed::{Feed, SseFeed, feed};
use super::record::UpstreamRequest;
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

/// What to do with one request.
pub struct Answer {
    /// Waits this long first.
    pub(super) delay: Duration,
    /// Writes these bytes first: informational responses, or anything else. HTTP/1.1 only.
    pub(super) before: Vec<u8>,
    pub(super) what: What,
    /// Closes the connection after it, without saying so before. HTTP/1.1 only.
    pub(super) close: bool,
    /// One byte for each write. HTTP/1.1 only.
    pub(super) trickle: bool,
}

pub(super) enum What {
    Response {
        status: u16,
        headers: Vec<(String, String)>,
        body: Body,
    },
    /// Bytes as they are. HTTP/1.1 only.
    Raw(Vec<u8>),
    /// Nothing: the connection is closed.
    Close,
    /// Nothing: the connection is reset.
    Reset,
    /// Nothing, until the peer closes.
    Hang,
}

pub(super) enum Body {
    /// With a Content-Length.
    Full(Bytes),
    /// So many times the byte `x`, between two texts, with a Content-Length.
    Filled(String, u64, String),
    /// Chunked, in pieces as the test sends them.
    Fed(Feed),
    /// Ended by closing the connection.
    UntilClose(Bytes),
    /// None at all, nor a Content-Length.
    None,
}

impl Answer {
    /// A good MCP answer: the id echoed, a tool's result, a list of [`Answer::TOOLS`], 202 for a
    /// notification, 405 for GET.
    #[must_use]
    pub fn mcp(request: &UpstreamRequest) -> Self {
        super::mcp::answer(request)
    }

    /// What [`Answer::mcp`] says to `server/discover`; `None` for any other request.
    #[must_use]
    pub fn discovered(request: &UpstreamRequest) -> Option<Self> {
        (request.rpc_method().as_deref() == Some("server/discover")).then(|| Self::mcp(request))
    }

    /// The tools that [`Self::mcp`] lists.
    pub const TOOLS: [&str; 4] = ["add", "create_issue", "echo", "whoami"];

    /// Status and JSON body.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub fn json(status: u16, body: Value) -> Self {
        Self::full(status, "application/json", body.to_string())
    }

    /// Status, content type and body.
    #[must_use]
    pub fn full(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::response(status, Body::Full(body.into())).header("Content-Type", content_type)
    }

    /// Status, no body, `Content-Length: 0`.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::response(status, Body::Full(Bytes::new()))
    }

    /// 204, with neither a body nor a Content-Length.
    #[must_use]
    pub fn no_content() -> Self {
        Self::response(204, Body::None)
    }

    /// A JSON-RPC result for `request`, in JSON.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub fn result(request: &UpstreamRequest, result: Value) -> Self {
        Self::json(200, json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}))
    }

    /// A JSON-RPC error for `request`, in JSON, with HTTP status 200.
    #[must_use]
    pub fn error(request: &UpstreamRequest, code: i64, message: &str) -> Self {
        let error = json!({"code": code, "message": message});
        Self::json(200, json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error}))
    }

    /// A JSON-RPC error with `data` for `request`, in JSON, with any HTTP status.
    #[must_use]
    pub fn failure(request: &UpstreamRequest, status: u16, code: i64, message: &str, data: Value) -> Self {
        let mut error = json!({"code": code, "message": message});
        if !data.is_null() {
            error["data"] = data;
        }
        Self::json(status, json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error}))
    }

    /// A result of 2026-07-28 that is complete.
    #[must_use]
    pub fn complete(request: &UpstreamRequest, mut result: Value) -> Self {
        result["resultType"] = "complete".into();
        Self::result(request, result)
    }

    /// A result of 2026-07-28 that asks the client for something first: `inputRequests`, and
    /// `requestState`, each where it is not `Null`.
    #[must_use]
    pub fn input_required(request: &UpstreamRequest, requests: Value, state: Value) -> Self {
        let mut result = json!({"resultType": "input_required"});
        for (member, value) in [("inputRequests", requests), ("requestState", state)] {
            if !value.is_null() {
                result[member] = value;
            }
        }
        Self::result(request, result)
    }

    /// The result of a tool: one text.
    #[must_use]
    pub fn text(request: &UpstreamRequest, text: &str) -> Self {
        Self::result(request, json!({"content": [{"type": "text", "text": text}], "isError": false}))
    }

    /// The result of a tool: a text of `len` bytes, with a Content-Length, never whole in memory.
    #[must_use]
    pub fn giant(request: &UpstreamRequest, len: u64) -> Self {
        let id = &request.json()["id"];
        let before = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":""#);
        let body = Body::Filled(before, len, r#""}],"isError":false}}"#.to_owned());
        Self::response(200, body).header("Content-Type", "application/json")
    }

    /// An event stream whose header leaves at once, and whose events the test sends one by one.
    #[must_use]
    pub fn sse() -> (Self, SseFeed) {
        let (sender, receiver) = feed();
        let answer = Self::response(200, Body::Fed(receiver)).header("Content-Type", "text/event-stream");
        (answer.header("Cache-Control", "no-cache"), sender)
    }

    /// An event stream with these JSON-RPC messages, complete at once.
    #[must_use]
    pub fn sse_events(messages: &[Value]) -> Self {
        let (answer, feed) = Self::sse();
        for message in messages {
            feed.event(message.to_string());
        }
        answer
    }

    /// A body that ends when the connection does.
    #[must_use]
    pub fn until_close(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::response(status, Body::UntilClose(body.into())).header("Content-Type", content_type)
    }

    /// These bytes, whatever they are; the connection stays open. HTTP/1.1 only.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(What::Raw(bytes.into()))
    }

    /// No byte, and the connection is closed.
    #[must_use]
    pub fn close() -> Self {
        Self::of(What::Close)
    }

    /// No byte, and the connection is reset.
    #[must_use]
    pub fn reset() -> Self {
        Self::of(What::Reset)
    }

    /// No byte until the peer gives up.
    #[must_use]
    pub fn hang() -> Self {
        Self::of(What::Hang)
    }

    /// With this header field too.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let What::Response { headers, .. } = &mut self.what {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// After so long.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// After an informational response (1xx) with this status. HTTP/1.1 only.
    #[must_use]
    pub fn after_informational(mut self, status: u16) -> Self {
        self.before.extend_from_slice(format!("HTTP/1.1 {status} Info\r\nX-Early: 1\r\n\r\n").as_bytes());
        self
    }

    /// And then the connection is closed, though nothing said so. HTTP/1.1 only.
    #[must_use]
    pub fn then_close(mut self) -> Self {
        self.close = true;
        self
    }

    /// Byte by byte. HTTP/1.1 only.
    #[must_use]
    pub fn trickled(mut self) -> Self {
        self.trickle = true;
        self
    }

    fn response(status: u16, body: Body) -> Self {
        Self::of(What::Response { status, headers: Vec::new(), body })
    }

    fn of(what: What) -> Self {
        Self { delay: Duration::ZERO, before: Vec::new(), what, close: false, trickle: false }
    }
}
