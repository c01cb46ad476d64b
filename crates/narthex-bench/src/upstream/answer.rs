//! The prepared answers.

use super::{Ask, Call};
use std::io::Write as _;

/// Length of a tool's result body, bytes, about.
const RESULT: usize = 1 << 10;
/// Length of the big tool's result text, bytes.
const BIG: usize = 1 << 20;
/// A list from that length on, bytes, is written from where it is; copied, it is one write with its head.
const LONG: usize = 64 << 10;

/// Session id given out by `initialize`. There is one, and it is not looked at: sessions are kept by
/// the proxy under test or by nobody.
const SESSION: &str = "bench-session-0000000000000000";

/// What follows the id in each kind of JSON answer, made once.
pub(super) struct Answers {
    tool: Vec<u8>,
    big: Vec<u8>,
    list: Vec<u8>,
}

/// How the bytes of an answer are written: each part with a write of its own.
pub(super) enum Parts {
    /// All of the output in one.
    Whole,
    /// The output, then the tail of the big result.
    Big,
    /// The output, then the tail of the list.
    List,
    /// The output, cut after each event as a server that flushes does.
    Events([usize; 2]),
}

impl Answers {
    pub(super) fn new(tools: usize) -> Self {
        Self { tool: text_result(RESULT - 90), big: text_result(BIG), list: list(tools) }
    }

    /// Writes the answer's head and, but for the big result, its body to `output`.
    pub(super) fn write(&self, ask: Ask<'_>, output: &mut Vec<u8>) -> Parts {
        match ask {
            Ask::Request { id, call } => return self.answer(id, call, output),
            Ask::Notification => status(output, "202 Accepted"),
            Ask::Delete => status(output, "200 OK"),
            Ask::Listen => output.extend_from_slice(STREAM_HEAD),
            Ask::Unknown => status(output, "405 Method Not Allowed"),
        }
        Parts::Whole
    }

    fn answer(&self, id: &[u8], call: Call, output: &mut Vec<u8>) -> Parts {
        match call {
            Call::Tool => json(output, id, &self.tool),
            Call::List if self.list.len() >= LONG => {
                head(output, id.len() + self.list.len(), "");
                body(output, id, b"");
                return Parts::List;
            }
            Call::List => json(output, id, &self.list),
            Call::Ping => json(output, id, b",\"result\":{}}"),
            Call::Discover => json(output, id, DISCOVERED),
            Call::Ask => json(output, id, ASKED),
            Call::Other => {
                json(output, id, b",\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}")
            }
            Call::Initialize => {
                head(output, id.len() + INITIALIZED.len(), &format!("Mcp-Session-Id: {SESSION}\r\n"));
                body(output, id, INITIALIZED);
            }
            Call::Big => {
                head(output, id.len() + self.big.len(), "");
                body(output, id, b"");
                return Parts::Big;
            }
            Call::Stream => return Parts::Events(self.events(id, output)),
        }
        Parts::Whole
    }

    /// Two progress notifications and the response, each a chunk of its own.
    fn events(&self, id: &[u8], output: &mut Vec<u8>) -> [usize; 2] {
        output.extend_from_slice(STREAM_HEAD);
        let mut cuts = [0; 2];
        for (step, cut) in cuts.iter_mut().enumerate() {
            let event = format!(
                "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\
                 \"params\":{{\"progressToken\":1,\"progress\":{step},\"total\":2}}}}\n\n"
            );
            chunk(output, &[event.as_bytes()]);
            *cut = output.len();
        }
        chunk(output, &[b"event: message\ndata: ", FRONT, id, &self.tool, b"\n\n"]);
        output.extend_from_slice(b"0\r\n\r\n");
        cuts
    }
}

impl Parts {
    /// The slices to write, in order; empty ones are at the end.
    pub(super) fn of<'a>(&self, output: &'a [u8], answers: &'a Answers) -> [&'a [u8]; 3] {
        match *self {
            Self::Whole => [output, b"", b""],
            Self::Big => [output, &answers.big, b""],
            Self::List => [output, &answers.list, b""],
            Self::Events([first, second]) => [&output[..first], &output[first..second], &output[second..]],
        }
    }
}

const FRONT: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":";
const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
const INITIALIZED: &[u8] =
    b",\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},\
    \"serverInfo\":{\"name\":\"bench-upstream\",\"version\":\"1\"}}}";
const DISCOVERED: &[u8] = b",\"result\":{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\",\
    \"2025-11-25\",\"2025-06-18\"],\"capabilities\":{\"tools\":{}},\"ttlMs\":3600000,\"cacheScope\":\"public\",\
    \"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"bench-upstream\",\"version\":\"1\"}}}}";
/// The state is as long as a server's own sealed one may be.
const ASKED: &[u8] = b",\"result\":{\"resultType\":\"input_required\",\"inputRequests\":{\"go\":{\
    \"method\":\"elicitation/create\",\"params\":{\"message\":\"Go on?\",\"requestedSchema\":{\
    \"type\":\"object\",\"properties\":{}}}}},\"requestState\":\
    \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}}";

fn json(output: &mut Vec<u8>, id: &[u8], rest: &[u8]) {
    head(output, id.len() + rest.len(), "");
    body(output, id, rest);
}

/// `length` counts what follows [`FRONT`].
fn head(output: &mut Vec<u8>, length: usize, extra: &str) {
    let length = FRONT.len() + length;
    // Writing to a Vec cannot fail.
    let _ = write!(
        output,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{extra}Content-Length: {length}\r\n\r\n"
    );
}

fn body(output: &mut Vec<u8>, id: &[u8], rest: &[u8]) {
    output.extend_from_slice(FRONT);
    output.extend_from_slice(id);
    output.extend_from_slice(rest);
}

fn status(output: &mut Vec<u8>, status: &str) {
    let _ = write!(output, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
}

fn chunk(output: &mut Vec<u8>, parts: &[&[u8]]) {
    let _ = write!(output, "{:x}\r\n", parts.iter().map(|part| part.len()).sum::<usize>());
    for part in parts {
        output.extend_from_slice(part);
    }
    output.extend_from_slice(b"\r\n");
}

fn text_result(length: usize) -> Vec<u8> {
    let text = "m".repeat(length);
    format!(",\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}],\"isError\":false}}}}")
        .into_bytes()
}

/// A list that is right in every revision: older clients ignore the caching fields.
fn list(tools: usize) -> Vec<u8> {
    let tools: Vec<String> = (0..tools)
        .map(|n| {
            format!(
                "{{\"name\":\"tool_{n:03}\",\"description\":\"Tool number {n}: does one thing with one text.\",\
                 \"inputSchema\":{{\"type\":\"object\",\"properties\":{{\"text\":{{\"type\":\"string\"}}}},\
                 \"required\":[\"text\"]}}}}"
            )
        })
        .collect();
    let tools = tools.join(",");
    format!(",\"result\":{{\"resultType\":\"complete\",\"ttlMs\":60000,\"cacheScope\":\"public\",\"tools\":[{tools}]}}}}")
        .into_bytes()
}
