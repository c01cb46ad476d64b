//! What becomes of an upstream's answer: status, framing, size.

use super::stage::{is_modern, setup, tool_call_with};
use narthex_testkit::{Answer, UpstreamRequest, mcp};
use serde_json::{Value, json};

/// A name, what the upstream answers, then status and JSON-RPC code for a client with sessions and one
/// without; code 0 is a result, 1 the upstream's own error.
type Case = (&'static str, fn(&UpstreamRequest) -> Answer, (u16, i64), (u16, i64));

const CANARY: &str = "upstream-canary";

fn own_error(request: &UpstreamRequest, status: u16) -> Answer {
    let error = json!({"code": 1, "message": "no"});
    Answer::json(status, json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error}))
}

fn page(status: u16) -> Answer {
    Answer::full(status, "text/html", format!("<h1>{CANARY}</h1>")).header("X-Powered-By", CANARY)
}

const INTERNAL: i64 = -32603;

const CASES: &[Case] = &[
    ("200 JSON", |r| Answer::text(r, "hi"), (200, 0), (200, 0)),
    ("200 with an error in it", |r| own_error(r, 200), (200, 1), (200, 1)),
    (
        "200 SSE",
        |r| Answer::sse_events(&[json!({"jsonrpc":"2.0","id":r.json()["id"],"result":{}})]),
        (200, 0),
        (200, 0),
    ),
    ("200 HTML", |_| page(200), (200, INTERNAL), (502, INTERNAL)),
    ("200 of no type", |_| Answer::status(200), (200, INTERNAL), (502, INTERNAL)),
    ("202 to a request", |_| Answer::status(202), (200, INTERNAL), (502, INTERNAL)),
    ("204 to a request", |_| Answer::no_content(), (200, INTERNAL), (502, INTERNAL)),
    ("206 JSON", |r| own_error(r, 206), (200, INTERNAL), (502, INTERNAL)),
    ("301", |_| page(301).header("Location", "http://upstream-canary/"), (200, INTERNAL), (502, INTERNAL)),
    ("302", |_| page(302).header("Location", "http://upstream-canary/"), (200, INTERNAL), (502, INTERNAL)),
    ("307", |_| page(307).header("Location", "/upstream-canary"), (200, INTERNAL), (502, INTERNAL)),
    ("400 JSON", |r| own_error(r, 400), (400, 1), (400, 1)),
    ("400 HTML", |_| page(400), (400, INTERNAL), (400, INTERNAL)),
    (
        "401",
        |_| page(401).header("WWW-Authenticate", "Bearer realm=upstream-canary"),
        (200, INTERNAL),
        (502, INTERNAL),
    ),
    ("403", |_| page(403), (200, INTERNAL), (502, INTERNAL)),
    ("404 JSON", |r| own_error(r, 404), (404, 1), (404, 1)),
    ("404 HTML", |_| page(404), (404, INTERNAL), (404, INTERNAL)),
    ("404 empty", |_| Answer::status(404), (404, INTERNAL), (404, INTERNAL)),
    ("405 JSON", |r| own_error(r, 405), (200, INTERNAL), (502, INTERNAL)),
    ("406 HTML", |_| page(406), (200, INTERNAL), (502, INTERNAL)),
    ("409 JSON", |r| own_error(r, 409), (409, 1), (409, 1)),
    ("409 HTML", |_| page(409), (409, INTERNAL), (409, INTERNAL)),
    ("422 JSON", |r| own_error(r, 422), (422, 1), (422, 1)),
    ("422 HTML", |_| page(422), (422, INTERNAL), (422, INTERNAL)),
    ("429 JSON", |r| own_error(r, 429).header("Retry-After", "7"), (429, 1), (429, 1)),
    ("429 HTML", |_| page(429).header("Retry-After", "7"), (429, INTERNAL), (429, INTERNAL)),
    ("500 JSON", |r| own_error(r, 500), (200, INTERNAL), (502, INTERNAL)),
    ("500 HTML", |_| page(500), (200, INTERNAL), (502, INTERNAL)),
    ("502 HTML", |_| page(502), (200, INTERNAL), (502, INTERNAL)),
    ("503 empty", |_| Answer::status(503), (200, INTERNAL), (502, INTERNAL)),
    ("504 JSON", |r| own_error(r, 504), (200, INTERNAL), (502, INTERNAL)),
    ("599", |_| page(599), (200, INTERNAL), (502, INTERNAL)),
];

#[tokio::test]
async fn every_answer_becomes_what_its_client_understands_and_carries_the_id() {
    let stage = setup().main("    breaker: { failures: 1000, cooldown: 1s }\n").start().await;
    for (name, upstream_says, legacy, modern) in CASES {
        for revision in ["2025-03-26", "2025-06-18", "2025-11-25", mcp::STATELESS] {
            let (status, code) = if is_modern(revision) { *modern } else { *legacy };
            stage.upstream.always(upstream_says);
            let sent = tool_call_with(revision, "/main", &stage.token, "echo", "id-1".into(), &[]);
            let answer = stage.exchange(&sent).await;
            let case = format!("{name}, {revision}: {} {}", answer.status, answer.text());
            let rpc = answer.rpc();
            let got = if rpc.get("result").is_some() { Some(0) } else { rpc["error"]["code"].as_i64() };
            assert_eq!((answer.status, got), (status, Some(code)), "{case}");
            assert_eq!(rpc["id"], "id-1", "{case}");
            assert!(!answer.text().contains(CANARY), "{case}");
            assert!(!format!("{:?}", answer.headers).contains(CANARY), "{case}");
        }
    }
}

#[tokio::test]
async fn an_upstreams_wait_is_told_to_the_client() {
    let stage = setup().start().await;
    for answer in [Answer::status(429), Answer::json(429, json!({"jsonrpc": "2.0", "id": 1, "error": {}}))] {
        stage.upstream.next(answer.header("Retry-After", "7"));
        let answer = stage.call(mcp::STATELESS).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_error_carries_the_id_as_it_was_written() {
    let stage = setup().main("    breaker: { failures: 1000, cooldown: 1s }\n").start().await;
    stage.upstream.always(|_| Answer::status(500));
    let ids = ["1", "0", "-7", "9007199254740993", r#""1""#, r#""""#, r#""q\"uo\\te""#, r#""\u00e9é""#];
    for id in ids {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#);
        let answer = stage.post(&[], &body).await;
        let (status, text) = (answer.status, answer.text());
        assert_eq!(status, 200, "{id}: {text}");
        assert!(
            text.contains(&format!(r#""id":{id},"#)) || text.contains(&format!(r#""id":{id}}}"#)),
            "{id}: {text}"
        );
    }
}

#[tokio::test]
async fn an_answer_comes_whole_however_it_is_framed() {
    let stage = setup().start().await;
    let text =
        |id: &Value| json!({"jsonrpc": "2.0", "id": id, "result": {"n": "x".repeat(70_000)}}).to_string();
    let expected = text(&1.into());
    let length = expected.len().to_string();
    let full = || Answer::full(200, "application/json", expected.clone());
    let raw_chunked = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x};ext=1\r\n{expected}\r\n0\r\nTrailer: 1\r\n\r\n",
        expected.len()
    );
    let cases: Vec<(&str, Answer, Option<&str>)> = vec![
        ("with a length", full(), Some(&length)),
        ("after 100 and 103", full().after_informational(103), Some(&length)),
        ("and then a close", full().then_close(), Some(&length)),
        ("chunked with an extension and a trailer", Answer::raw(raw_chunked), None),
        ("until close", Answer::until_close(200, "application/json", expected.clone()), None),
    ];
    for (name, answer, length) in cases {
        stage.upstream.next(answer);
        let mut client = stage.connect().await;
        for again in 0..2 {
            client
                .send(tool_call_with(mcp::STATEFUL, "/main", &stage.token, "echo", 1.into(), &[]))
                .await
                .unwrap();
            let answer = client.response().await.unwrap();
            assert_eq!(answer.status, 200, "{name}, {again}");
            if again == 0 {
                assert_eq!(answer.text(), expected, "{name}");
                assert_eq!(answer.header("content-length"), length, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_reaches_the_upstream_with_a_length_however_it_was_framed() {
    let stage = setup().start().await;
    let body = mcp::tools_call("echo", json!({"text": "x".repeat(100_000)}));
    let mut sent = format!(
        "POST /main HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        stage.token
    );
    for part in body.as_bytes().chunks(7001) {
        sent.push_str(&format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part)));
    }
    sent.push_str("0\r\n\r\n");
    assert_eq!(stage.exchange(sent.as_bytes()).await.status, 200);
    let got = stage.upstream.requests().pop().unwrap();
    assert_eq!(got.header("content-length"), Some(body.len().to_string().as_str()));
    assert_eq!((got.header("transfer-encoding"), &*got.body), (None, body.as_bytes()));
}

#[tokio::test]
async fn sixty_four_mebibytes_stream_through_in_flat_memory() {
    const SIZE: u64 = 64 << 20;
    const SPARE: u64 = 16 << 20;
    const LOOK: u64 = 1 << 20;
    let stage = setup().start().await;
    assert_eq!(stage.call(mcp::STATELESS).await.status, 200);
    let before = stage.gateway.resident_bytes().unwrap();
    for revision in [mcp::STATEFUL, mcp::STATELESS] {
        stage.upstream.always(|request| Answer::giant(request, SIZE));
        let mut client = stage.connect().await;
        client.send(tool_call_with(revision, "/main", &stage.token, "echo", 1.into(), &[])).await.unwrap();
        let head = client.response_head().await.unwrap();
        let length: u64 = head.header("content-length").unwrap().parse().unwrap();
        let (mut got, mut peak, mut next_look) = (0, 0, 0);
        while let Some(chunk) = client.chunk().await.unwrap() {
            got += chunk.len() as u64;
            if got >= next_look {
                peak = peak.max(stage.gateway.resident_bytes().unwrap());
                next_look = got + LOOK;
            }
        }
        assert!(length > SIZE && got == length, "{revision}: {got} of {length}");
        let grown = peak.saturating_sub(before);
        assert!(grown < SPARE, "{revision}: memory grew by {} KiB", grown >> 10);
    }
}
