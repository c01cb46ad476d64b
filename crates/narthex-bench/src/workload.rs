//! What is sent: the request of each workload as bytes, ready but for the id.

use std::io::Write as _;

/// Body length of the requests that are not about a long argument, bytes.
const BODY: usize = 1 << 10;
/// Body length of the long argument, bytes.
const LONG_BODY: usize = 64 << 10;
/// Ids are numbers of ten digits, so that one can be written over another.
const FIRST_ID: u64 = 1_000_000_000;

/// One kind of call.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, clap::ValueEnum)]
pub enum Workload {
    /// 1 KiB `tools/call`, 1 KiB JSON answer, 2025-06-18.
    Call,
    /// The same within a session that `initialize` opened.
    Session,
    /// The same as revision 2026-07-28 has it.
    Modern,
    /// 1 KiB `tools/call`, answered by three SSE events.
    Sse,
    /// `tools/call` with an argument of 64 KiB.
    Argument,
    /// `tools/call` with a result of 1 MiB.
    Result,
    /// `tools/list` of 100 tools.
    List,
    /// [`Workload::Modern`], at a server that speaks 2025-06-18 only.
    ToLegacy,
    /// [`Workload::Session`], at a server that speaks 2026-07-28 only.
    ToModern,
    /// [`Workload::Modern`], asked again with the `requestState` that the first answer held.
    Retry,
}

impl Workload {
    /// Those that every contender is measured with, in the order in which they are run.
    pub const PLAIN: [Self; 7] =
        [Self::Call, Self::Session, Self::Modern, Self::Sse, Self::Argument, Self::Result, Self::List];
    /// Those that are more than passed through, each beside the one that it is compared with.
    pub const COMPARED: [(Self, Self); 3] =
        [(Self::ToLegacy, Self::Modern), (Self::ToModern, Self::Session), (Self::Retry, Self::Modern)];

    /// What the report calls it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Call => "1 KiB call, JSON",
            Self::Session => "1 KiB call, JSON, in a session",
            Self::Modern => "1 KiB call, JSON, 2026-07-28",
            Self::Sse => "1 KiB call, SSE answer",
            Self::Argument => "64 KiB argument",
            Self::Result => "1 MiB result",
            Self::List => "tools/list of 100",
            Self::ToLegacy => "1 KiB call, 2026-07-28 to a server of 2025-06-18",
            Self::ToModern => "1 KiB call, 2025-06-18 to a server of 2026-07-28",
            Self::Retry => "1 KiB call, 2026-07-28, with a requestState",
        }
    }

    /// Whether the caller opens a session first and names it in every request.
    #[must_use]
    pub fn in_session(self) -> bool {
        matches!(self, Self::Session | Self::ToModern)
    }

    /// Requests as `sender`.
    #[must_use]
    pub fn request(self, sender: &Sender<'_>) -> Request {
        let (tool, length) = match self {
            Self::Modern | Self::ToLegacy => return sender.post_modern("echo"),
            Self::Retry => return sender.post_modern("ask"),
            Self::List => return sender.post("tools/list", "\"params\":{}"),
            Self::Call | Self::Session | Self::ToModern => ("echo", BODY),
            Self::Sse => ("stream", BODY),
            Self::Argument => ("echo", LONG_BODY),
            Self::Result => ("big", BODY),
        };
        sender.call(tool, "", length)
    }
}

/// Who sends, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// `Host`.
    pub host: &'a str,
    /// Path of the endpoint.
    pub path: &'a str,
    /// The caller's bearer token.
    pub token: &'a str,
    /// `Mcp-Session-Id`, if there is a session.
    pub session: Option<&'a str>,
    /// The `requestState` of the answer that asked for something, if there was one.
    pub state: Option<&'a str>,
}

impl Sender<'_> {
    /// The first message of a session.
    #[must_use]
    pub fn initialize(&self) -> Request {
        self.post(
            "initialize",
            "\"params\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},\
             \"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}",
        )
    }

    /// A GET stream.
    #[must_use]
    pub fn listen(&self) -> Vec<u8> {
        let mut bytes = self.head("GET", "text/event-stream", "MCP-Protocol-Version: 2025-06-18\r\n");
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    fn call(&self, tool: &str, meta: &str, length: usize) -> Request {
        let text = |text: &str| {
            format!("\"params\":{{\"name\":\"{tool}\",{meta}\"arguments\":{{\"text\":\"{text}\"}}}}")
        };
        let bare = Message::new("tools/call", &text("")).bytes.len();
        self.post("tools/call", &text(&"x".repeat(length.saturating_sub(bare))))
    }

    fn post(&self, method: &str, rest: &str) -> Request {
        self.message("MCP-Protocol-Version: 2025-06-18\r\n", &Message::new(method, rest))
    }

    /// `tools/list` as revision 2026-07-28 has it.
    pub(crate) fn list_modern(&self) -> Request {
        let message = Message::new("tools/list", &format!("\"params\":{{{META}}}"));
        self.message("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n", &message)
    }

    /// A `tools/call` of 1 KiB as revision 2026-07-28 has it.
    pub(crate) fn post_modern(&self, tool: &str) -> Request {
        let retry = self.state.map(|state| {
            format!("\"requestState\":\"{state}\",\"inputResponses\":{{\"go\":{{\"action\":\"accept\"}}}},")
        });
        let meta = format!("{META},{}", retry.unwrap_or_default());
        let legacy = self.call(tool, &meta, BODY);
        let body = legacy.bytes[legacy.id_at - ID_OFFSET..].to_vec();
        let headers =
            format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n");
        self.message(&headers, &Message { bytes: body })
    }

    fn message(&self, headers: &str, message: &Message) -> Request {
        let mut bytes = self.head("POST", "application/json, text/event-stream", headers);
        // Writing to a Vec cannot fail.
        let _ = write!(
            bytes,
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            message.bytes.len()
        );
        let id_at = bytes.len() + ID_OFFSET;
        bytes.extend_from_slice(&message.bytes);
        Request { bytes, id_at, next: FIRST_ID }
    }

    fn head(&self, method: &str, accept: &str, extra: &str) -> Vec<u8> {
        let Self { host, path, token, session, .. } = self;
        let session = session.map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: narthex-bench\r\nAccept: {accept}\r\n\
             Authorization: Bearer {token}\r\n{session}{extra}"
        )
        .into_bytes()
    }
}

/// What a request of 2026-07-28 has in `params`.
const META: &str = "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
    \"io.modelcontextprotocol/clientCapabilities\":{\"elicitation\":{}},\
    \"io.modelcontextprotocol/clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}";
const BODY_FRONT: &str = "{\"jsonrpc\":\"2.0\",\"id\":";
const ID_OFFSET: usize = BODY_FRONT.len();

/// A JSON-RPC request's body.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(method: &str, rest: &str) -> Self {
        Self { bytes: format!("{BODY_FRONT}{FIRST_ID},\"method\":\"{method}\",{rest}}}").into_bytes() }
    }
}

/// A request's bytes, in which the id is written anew each time.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
    id_at: usize,
    next: u64,
}

impl Request {
    /// The bytes with an id that this request has not had yet, and the id.
    pub fn stamped(&mut self) -> (&[u8], [u8; 10]) {
        let mut id = *b"0000000000";
        let mut rest = self.next;
        for digit in id.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        self.next += 1;
        self.bytes[self.id_at..self.id_at + id.len()].copy_from_slice(&id);
        (&self.bytes, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    const SENDER: Sender<'static> =
        Sender { host: "127.0.0.1:1", path: "/mcp", token: "t", session: Some("s"), state: None };

    fn split(bytes: &[u8]) -> (String, serde_json::Value) {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }

    #[test]
    fn every_request_is_json_rpc_with_the_id_it_says() {
        for workload in Workload::value_variants() {
            let mut request = workload.request(&SENDER);
            for _ in 0..2 {
                let (bytes, id) = request.stamped();
                let (_, body) = split(bytes);
                assert_eq!(body["id"].to_string().as_bytes(), id, "{workload:?}");
                assert_eq!(body["jsonrpc"], "2.0");
            }
        }
    }

    #[test]
    fn bodies_have_the_length_that_their_title_says() {
        let retry = Sender { state: Some("0123456789"), ..SENDER };
        for (workload, length, sender) in [
            (Workload::Call, BODY, SENDER),
            (Workload::Modern, BODY, SENDER),
            (Workload::Retry, BODY, retry),
            (Workload::Argument, LONG_BODY, SENDER),
        ] {
            let mut request = workload.request(&sender);
            let (head, body) = split(request.stamped().0);
            assert!(head.contains(&format!("Content-Length: {length}")), "{head}");
            assert_eq!(body["method"], "tools/call");
        }
    }

    #[test]
    fn a_2026_request_says_the_same_in_headers_and_body() {
        let (head, body) = split(Workload::Modern.request(&SENDER).stamped().0);
        assert!(head.contains("Mcp-Method: tools/call\r\nMcp-Name: echo"), "{head}");
        assert_eq!(body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    }
    #[test]
    fn a_retry_gives_back_the_state_it_got() {
        let sender = Sender { state: Some("abc"), ..SENDER };
        let (head, body) = split(Workload::Retry.request(&sender).stamped().0);
        assert!(head.contains("Mcp-Name: ask"), "{head}");
        assert_eq!(body["params"]["requestState"], "abc");
        assert_eq!(body["params"]["inputResponses"]["go"]["action"], "accept");
    }
}
