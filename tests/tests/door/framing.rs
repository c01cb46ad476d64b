//! Requests that two servers could read differently. None may reach the upstream, and nothing that
//! comes after one on its connection may be taken for a request.

use super::stage::{Failures, Stage, whole};
use narthex_testkit::{RawClient, RawResponse, mcp};
use serde_json::json;

/// What must come of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// This status, and the connection is closed: nobody knows where the next request starts.
    Closed(u16),
    /// This status; the next request on the connection may be answered, for its start is clear.
    Answered(u16),
}

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    then: Then,
}

/// Makes requests that are good but for the one thing.
struct Maker {
    token: String,
    body: String,
}

impl Maker {
    /// A good request with these lines in the place of its framing, and this body.
    fn raw(&self, start: &str, framing: &str, body: &str) -> Vec<u8> {
        let token = &self.token;
        format!(
            "{start}\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nAuthorization: Bearer {token}\r\n{framing}\r\n{body}"
        )
        .into_bytes()
    }

    fn framed(&self, framing: &str, body: &str) -> Vec<u8> {
        self.raw(POST, framing, body)
    }

    /// Good but for its start line.
    fn start(&self, start: &str) -> Vec<u8> {
        self.raw(start, &self.length(), &self.body)
    }

    /// Good but for these further header lines.
    fn header(&self, lines: &str) -> Vec<u8> {
        self.raw(POST, &format!("{lines}{}", self.length()), &self.body)
    }

    fn length(&self) -> String {
        format!("Content-Length: {}\r\n", self.body.len())
    }

    fn chunked(&self) -> String {
        format!("{:x}\r\n{}\r\n0\r\n\r\n", self.body.len(), self.body)
    }

    /// A chunked request whose first chunk has this size line.
    fn size(&self, size: &str) -> Vec<u8> {
        self.framed(CHUNKED, &format!("{size}\r\n{}\r\n0\r\n\r\n", self.body))
    }
}

const POST: &str = "POST /mcp HTTP/1.1";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[tokio::test]
async fn no_hostile_framing_reaches_an_upstream() {
    let stage = Stage::with("    header_timeout: 1s\n    body_timeout: 1s\n    idle_timeout: 1s\n").await;
    let maker = Maker { token: stage.token(), body: mcp::tools_call("echo", json!({"a": 1})) };
    let cases = [
        lengths(&maker),
        encodings(&maker),
        chunks(&maker),
        lines(&maker),
        versions(&maker),
        targets(&maker),
        smuggled(&maker),
        blocks(&maker),
    ]
    .concat_cases();
    assert!(cases.len() >= 40, "{} hostile framings", cases.len());
    let mut failures = Failures::default();
    for case in &cases {
        let outcome = play(&stage, case, &maker).await;
        failures.unless(outcome.is_ok(), case.name, || outcome.unwrap_err());
        failures.unless(!stage.upstream.seen("tools/call"), case.name, || "reached the upstream".to_owned());
        stage.upstream.forget();
    }
    // A request that was smuggled in may have been slow: then its record tells.
    assert!(!stage.told_operators().await.contains("\"upstream\":\"main\""));
    stage.assert_alive().await;
}

/// The parser below us takes anything for a chunk extension. So that nobody can make use of another
/// reading of it, the extension ends here, and so does the connection.
#[tokio::test]
async fn a_line_feed_in_a_chunk_extension_hides_no_request() {
    let stage = Stage::start().await;
    let maker = Maker { token: stage.token(), body: mcp::tools_call("echo", json!({"a": 1})) };
    let (n, body) = (maker.body.len(), &maker.body);
    for extension in [";a\nb", ";a\n", "; \n0\n", ";a=\"\n\""] {
        let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
        let chunks = format!("{n:x}{extension}\r\n{body}\r\n0\r\n\r\n");
        let mut bytes = maker.framed(CHUNKED, &chunks);
        bytes.extend(maker.header("X-After: 1\r\n"));
        let _ = client.send(&bytes).await;
        let answer = client.response().await.unwrap();
        if answer.status == 200 {
            let request = stage.upstream.requests().pop().unwrap();
            assert_eq!(
                (&request.body, request.header("transfer-encoding")),
                (&body.clone().into_bytes(), None)
            );
        }
        assert!(client.closed().await.unwrap(), "{extension:?}");
    }
    assert!(stage.upstream.count() <= 4, "{} requests", stage.upstream.count());
}

trait ConcatCases {
    fn concat_cases(self) -> Vec<Case>;
}

impl<const N: usize> ConcatCases for [Vec<Case>; N] {
    fn concat_cases(self) -> Vec<Case> {
        self.into_iter().flatten().collect()
    }
}

/// Sends the case with a good request after it, and looks at what comes back.
async fn play(stage: &Stage, case: &Case, maker: &Maker) -> Result<(), String> {
    let mut client = RawClient::connect(stage.gateway.address()).await.map_err(|error| error.to_string())?;
    let mut bytes = case.bytes.clone();
    if let Then::Closed(_) = case.then {
        bytes.extend(maker.header("X-After: 1\r\n"));
    }
    // A server that has refused already may have closed.
    let _ = client.send(&bytes).await;
    let (Then::Closed(status) | Then::Answered(status)) = case.then;
    let answer = client.response().await.map_err(|error| format!("no answer: {error}"))?;
    if answer.status != status {
        return Err(format!("expected {status}, got {}", whole(&answer)));
    }
    let_nothing_out(&answer)?;
    match case.then {
        Then::Closed(_) if !client.closed().await.map_err(|error| error.to_string())? => {
            Err("the connection stays open".to_owned())
        }
        _ => Ok(()),
    }
}

fn let_nothing_out(answer: &RawResponse) -> Result<(), String> {
    match answer.header("server").or_else(|| answer.header("via")) {
        None => Ok(()),
        Some(server) => Err(format!("says what it is: {server}")),
    }
}

fn closed(name: &'static str, status: u16, bytes: Vec<u8>) -> Case {
    Case { name, bytes, then: Then::Closed(status) }
}

fn answered(name: &'static str, status: u16, bytes: Vec<u8>) -> Case {
    Case { name, bytes, then: Then::Answered(status) }
}

fn lengths(m: &Maker) -> Vec<Case> {
    let n = m.body.len();
    let with = |framing: String| m.framed(&framing, &m.body);
    vec![
        closed(
            "Content-Length twice, equal",
            400,
            with(format!("Content-Length: {n}\r\nContent-Length: {n}\r\n")),
        ),
        closed(
            "Content-Length twice, shorter first",
            400,
            with(format!("Content-Length: 0\r\nContent-Length: {n}\r\n")),
        ),
        closed(
            "Content-Length twice, shorter last",
            400,
            with(format!("Content-Length: {n}\r\nContent-Length: 0\r\n")),
        ),
        closed("Content-Length a list of equals", 400, with(format!("Content-Length: {n}, {n}\r\n"))),
        closed("Content-Length a list", 400, with(format!("Content-Length: {n},0\r\n"))),
        closed("Content-Length with a plus", 400, with(format!("Content-Length: +{n}\r\n"))),
        closed("Content-Length with a minus", 400, with(format!("Content-Length: -{n}\r\n"))),
        closed("Content-Length -0", 400, with("Content-Length: -0\r\n".to_owned())),
        closed("Content-Length with a space inside", 400, with("Content-Length: 1 0\r\n".to_owned())),
        closed("Content-Length in hex", 400, with(format!("Content-Length: 0x{n:x}\r\n"))),
        closed("Content-Length with a fraction", 400, with(format!("Content-Length: {n}.0\r\n"))),
        closed("Content-Length with an exponent", 400, with("Content-Length: 1e2\r\n".to_owned())),
        closed("Content-Length with an underscore", 400, with("Content-Length: 1_0\r\n".to_owned())),
        closed("Content-Length empty", 400, with("Content-Length:\r\n".to_owned())),
        closed("Content-Length in quotes", 400, with(format!("Content-Length: \"{n}\"\r\n"))),
        closed(
            "Content-Length over 64 bits",
            400,
            with("Content-Length: 18446744073709551617\r\n".to_owned()),
        ),
        closed(
            "Content-Length of 21 digits",
            400,
            with("Content-Length: 100000000000000000000\r\n".to_owned()),
        ),
        closed(
            "Content-Length in other digits",
            400,
            with("Content-Length: \u{ff11}\u{ff10}\r\n".to_owned()),
        ),
        closed("Content-Length with an underscore for a dash", 400, with(format!("Content_Length: {n}\r\n"))),
        closed(
            "Content-Length with a space before the colon",
            400,
            with(format!("Content-Length : {n}\r\n")),
        ),
    ]
}

fn encodings(m: &Maker) -> Vec<Case> {
    let n = m.body.len();
    let with = |framing: &str| m.framed(framing, &m.chunked());
    vec![
        closed(
            "Content-Length, then Transfer-Encoding",
            400,
            with(&format!("Content-Length: {n}\r\n{CHUNKED}")),
        ),
        closed(
            "Transfer-Encoding, then Content-Length",
            400,
            with(&format!("{CHUNKED}Content-Length: {n}\r\n")),
        ),
        closed(
            "Transfer-Encoding and Content-Length 0",
            400,
            with(&format!("{CHUNKED}Content-Length: 0\r\n")),
        ),
        closed("Transfer-Encoding twice", 400, with(&format!("{CHUNKED}{CHUNKED}"))),
        closed("Transfer-Encoding chunked, chunked", 400, with("Transfer-Encoding: chunked, chunked\r\n")),
        closed("Transfer-Encoding identity", 400, with("Transfer-Encoding: identity\r\n")),
        closed("Transfer-Encoding identity, chunked", 400, with("Transfer-Encoding: identity, chunked\r\n")),
        closed("Transfer-Encoding gzip, chunked", 400, with("Transfer-Encoding: gzip, chunked\r\n")),
        closed("Transfer-Encoding chunked, identity", 400, with("Transfer-Encoding: chunked, identity\r\n")),
        closed("Transfer-Encoding xchunked", 400, with("Transfer-Encoding: xchunked\r\n")),
        closed("Transfer-Encoding chunked;q=1", 400, with("Transfer-Encoding: chunked;q=1\r\n")),
        closed("Transfer-Encoding in quotes", 400, with("Transfer-Encoding: \"chunked\"\r\n")),
        closed("Transfer-Encoding empty", 400, with("Transfer-Encoding:\r\n")),
        closed("Transfer-Encoding folded", 400, with("Transfer-Encoding:\r\n chunked\r\n")),
        closed("Transfer-Encoding with a vertical tab", 400, with("Transfer-Encoding: \x0bchunked\r\n")),
        closed("Transfer-Encoding with a NUL", 400, with("Transfer-Encoding: chunked\0\r\n")),
        closed(
            "Transfer-Encoding with a space before the colon",
            400,
            with("Transfer-Encoding : chunked\r\n"),
        ),
        closed("Transfer-Encoding with an underscore", 400, with("Transfer_Encoding: chunked\r\n")),
        closed(
            "Transfer-Encoding with an underscore, and a length",
            400,
            m.framed(&format!("Transfer_Encoding: chunked\r\nContent-Length: {n}\r\n"), &m.body),
        ),
    ]
}

fn chunks(m: &Maker) -> Vec<Case> {
    let (n, body) = (m.body.len(), &m.body);
    let with = |body: String| m.framed(CHUNKED, &body);
    vec![
        closed("chunk size negative", 400, m.size(&format!("-{n:x}"))),
        closed("chunk size with a plus", 400, m.size(&format!("+{n:x}"))),
        closed("chunk size with 0x", 400, m.size(&format!("0x{n:x}"))),
        closed("chunk size not hex", 400, m.size("zz")),
        closed("chunk size empty", 400, m.size("")),
        closed("chunk size with a space before", 400, m.size(&format!(" {n:x}"))),
        closed("chunk size with a space inside", 400, m.size("1 0")),
        closed("chunk size over 64 bits", 400, m.size("ffffffffffffffff0")),
        closed("chunk size 2^64 - 1", 400, m.size("ffffffffffffffff")),
        closed("chunk size with an underscore", 400, m.size("1_0")),
        closed("chunk size ended by a bare line feed", 400, with(format!("{n:x}\n{body}\r\n0\r\n\r\n"))),
        closed("chunk ended by a bare line feed", 400, with(format!("{n:x}\r\n{body}\n0\r\n\r\n"))),
        closed("chunk longer than its size", 400, with(format!("{:x}\r\n{body}\r\n0\r\n\r\n", n - 2))),
        closed("chunk shorter than its size", 400, with(format!("{:x}\r\n{body}\r\n0\r\n\r\n", n + 1))),
    ]
}

fn lines(m: &Maker) -> Vec<Case> {
    let bare = |from: &str, to: &str| {
        let text = String::from_utf8(m.header("X-One: 1\r\n")).expect("text");
        text.replacen(from, to, 1).into_bytes()
    };
    vec![
        closed("a header line ended by a bare line feed", 400, bare("X-One: 1\r\n", "X-One: 1\n")),
        closed(
            "all lines ended by bare line feeds",
            400,
            String::from_utf8(m.header("")).unwrap().replace("\r\n", "\n").into_bytes(),
        ),
        closed("a bare carriage return in a value", 400, bare("X-One: 1", "X-One: 1\rX-Two: 2")),
        closed("a folded header line", 400, bare("X-One: 1", "X-One: 1\r\n folded")),
        closed("a header line folded with a tab", 400, bare("X-One: 1", "X-One: 1\r\n\tfolded")),
        closed("the first header line folded", 400, bare("Host: localhost", " X-Zero: 0\r\nHost: localhost")),
        closed("a NUL in a value", 400, bare("X-One: 1", "X-One: \0")),
        closed("a NUL in a name", 400, bare("X-One: 1", "X-\0ne: 1")),
        closed("a header line without a colon", 400, bare("X-One: 1", "X-One 1")),
        closed("a header line without a name", 400, bare("X-One: 1", ": 1")),
        closed("a space before a colon", 400, bare("X-One: 1", "X-One : 1")),
        closed("a space in a name", 400, bare("X-One: 1", "X One: 1")),
        closed("no Host", 400, bare("Host: localhost\r\n", "")),
        closed("Host twice", 400, bare("Host: localhost", "Host: localhost\r\nHost: evil.example.com")),
    ]
}

fn versions(m: &Maker) -> Vec<Case> {
    vec![
        closed("HTTP/1.0", 505, m.start("POST /mcp HTTP/1.0")),
        closed(
            "HTTP/1.0 with keep-alive",
            505,
            m.raw("POST /mcp HTTP/1.0", &format!("Connection: keep-alive\r\n{}", m.length()), &m.body),
        ),
        closed("HTTP/0.9", 400, b"POST /mcp\r\n".to_vec()),
        closed("HTTP/2.0 as text", 400, m.start("POST /mcp HTTP/2.0")),
        closed("HTTP/1.2", 400, m.start("POST /mcp HTTP/1.2")),
        closed("HTTP/1.1x", 400, m.start("POST /mcp HTTP/1.1x")),
        closed("http/1.1 in small letters", 400, m.start("POST /mcp http/1.1")),
        closed("no version", 400, m.start("POST /mcp")),
        closed("a tab in the start line", 400, m.start("POST\t/mcp HTTP/1.1")),
        closed("an empty method", 400, m.start(" /mcp HTTP/1.1")),
        closed(
            "not HTTP at all",
            400,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n".to_vec(),
        ),
    ]
}

fn targets(m: &Maker) -> Vec<Case> {
    vec![
        answered("PUT", 405, m.start("PUT /mcp HTTP/1.1")),
        answered("PATCH", 405, m.start("PATCH /mcp HTTP/1.1")),
        answered("TRACE", 405, m.raw("TRACE /mcp HTTP/1.1", "", "")),
        answered("OPTIONS without an origin", 405, m.raw("OPTIONS /mcp HTTP/1.1", "", "")),
        answered("OPTIONS *", 404, m.raw("OPTIONS * HTTP/1.1", "", "")),
        answered("a method nobody knows", 405, m.start("SMUGGLE /mcp HTTP/1.1")),
        answered("a path with a double slash", 404, m.start("POST //mcp HTTP/1.1")),
        answered("a path with a slash more", 404, m.start("POST /mcp/ HTTP/1.1")),
        answered("a path with dots", 404, m.start("POST /other/../mcp HTTP/1.1")),
        answered("a path in percent encoding", 404, m.start("POST /%6dcp HTTP/1.1")),
        answered("a path that starts with a space", 404, m.start("POST  /mcp HTTP/1.1")),
        answered("a path that ends with a space", 404, m.start("POST /mcp  HTTP/1.1")),
        answered("a path with a space", 404, m.start("POST /mcp /mcp HTTP/1.1")),
        answered("a path in capitals", 404, m.start("POST /MCP HTTP/1.1")),
        answered("a path with a semicolon", 404, m.start("POST /mcp;a=b HTTP/1.1")),
        closed("CONNECT", 400, m.raw("CONNECT evil.example.com:443 HTTP/1.1", "", "")),
        closed("absolute form with another host", 400, m.start("POST http://evil.example.com/mcp HTTP/1.1")),
    ]
}

fn smuggled(m: &Maker) -> Vec<Case> {
    let inner = String::from_utf8(m.header("X-Smuggled: 1\r\n")).expect("text");
    let n = inner.len();
    vec![
        answered("a request as body", 400, m.framed(&format!("Content-Length: {n}\r\n"), &inner)),
        answered("a request in a chunk", 400, m.framed(CHUNKED, &format!("{n:x}\r\n{inner}\r\n0\r\n\r\n"))),
        closed(
            "a request behind CL.TE",
            400,
            m.framed(&format!("Content-Length: {}\r\n{CHUNKED}", n + 5), &format!("0\r\n\r\n{inner}")),
        ),
        closed(
            "a request behind TE.CL",
            400,
            m.framed(&format!("{CHUNKED}Content-Length: 4\r\n"), &format!("{n:x}\r\n{inner}\r\n0\r\n\r\n")),
        ),
        closed("a request behind CL.0", 400, m.framed("Content-Length: 0\r\nContent-Length: 1\r\n", &inner)),
        answered(
            "a body on a GET",
            400,
            m.raw("GET /mcp HTTP/1.1", &format!("Content-Length: {n}\r\n"), &inner),
        ),
        answered(
            "a body on a DELETE",
            400,
            m.raw("DELETE /mcp HTTP/1.1", &format!("Content-Length: {n}\r\n"), &inner),
        ),
        closed("a request in a trailer", 400, m.framed(CHUNKED, &format!("2\r\n{{}}\r\n0\r\nX: {inner}"))),
    ]
}

fn blocks(m: &Maker) -> Vec<Case> {
    let twice = |name: &str| m.header(&format!("{name}: a\r\n{name}: a\r\n"));
    let many: String = (0..300).map(|number| format!("X-{number}: 1\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(33 * 1024));
    let params: String = (0..33).map(|number| format!("Mcp-Param-{number}: 1\r\n")).collect();
    vec![
        closed("a header block over 32 KiB", 431, m.header(&long)),
        closed("over 256 headers", 400, m.header(&many)),
        answered("33 Mcp-Param fields", 400, m.header(&params)),
        answered("Mcp-Session-Id twice", 400, twice("Mcp-Session-Id")),
        answered("Mcp-Method twice", 400, twice("Mcp-Method")),
        answered("Mcp-Name twice", 400, twice("Mcp-Name")),
        answered("MCP-Protocol-Version twice", 400, twice("MCP-Protocol-Version")),
        answered("Mcp-Param twice", 400, twice("Mcp-Param-Region")),
        answered("Last-Event-ID twice", 400, twice("Last-Event-ID")),
        answered("Origin twice", 400, twice("Origin")),
        answered("X-Request-Id twice", 400, twice("X-Request-Id")),
        answered("traceparent twice", 400, twice("traceparent")),
        answered("Content-Type twice", 400, m.header("Content-Type: application/json\r\n")),
        answered("mcp_session_id", 400, m.header("mcp_session_id: a\r\n")),
        answered("Mcp-Session_Id", 400, m.header("Mcp-Session_Id: a\r\n")),
        answered("x_forwarded_for", 400, m.header("x_forwarded_for: 127.0.0.1\r\n")),
        answered("x_api_key", 400, m.header("x_api_key: a\r\n")),
        answered("proxy_authorization", 400, m.header("Proxy_Authorization: a\r\n")),
        answered("an unknown expectation", 417, m.header("Expect: the-unexpected\r\n")),
    ]
}
