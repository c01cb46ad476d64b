//! The header fields that have a way through, and those made anew.

use super::stage::{ALL, LEGACY, setup, tool_call_with};
use narthex_testkit::mcp;
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_well_formed_request_id_is_taken_over_returned_and_sent_on() {
    let stage = setup().start().await;
    let given = [
        ("well-formed", "req-1.2:3_x", true),
        ("with a space", "a b", false),
        ("with a quote", "a\"b", false),
        ("too long", "0123456789012345678901234567890123456789012345678901234567890123456789", false),
    ];
    for (name, id, taken) in given {
        let fields = [("X-Request-Id", id)];
        let sent = tool_call_with(mcp::STATEFUL, "/main", &stage.token, "echo", 1.into(), &fields);
        let answer = stage.exchange(&sent).await;
        let returned = answer.header("x-request-id").unwrap();
        assert_eq!(returned == id, taken, "{name}: {returned}");
        let got = stage.upstream.requests().pop().unwrap();
        assert_eq!(got.header("x-request-id"), Some(returned), "{name}");
        assert_eq!(stage.log_line(returned).await["status"], 200, "{name}");
    }
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let stage = setup().start().await;
    let mut seen = BTreeSet::new();
    for token in [&stage.token, "bad", &stage.token, ""] {
        let answer = stage.call_as("/main", token).await;
        assert!(seen.insert(answer.header("x-request-id").unwrap().to_owned()));
    }
}

/// A name, the fields sent, and the `traceparent` and `tracestate` that go upstream.
type Trace =
    (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>, Option<&'static str>);

#[tokio::test]
async fn a_trace_goes_on_upstream_if_it_is_well_formed() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let stage = setup().start().await;
    let cases: [Trace; 4] = [
        ("parent and state", &[("traceparent", PARENT), ("tracestate", "a=b")], Some(PARENT), Some("a=b")),
        ("parent", &[("traceparent", PARENT)], Some(PARENT), None),
        ("state alone", &[("tracestate", "a=b")], None, None),
        ("no parent", &[("traceparent", "00-zz-01"), ("tracestate", "a=b")], None, None),
    ];
    for (name, fields, parent, state) in cases {
        for revision in [mcp::STATEFUL, mcp::STATELESS] {
            stage.exchange(&tool_call_with(revision, "/main", &stage.token, "echo", 1.into(), fields)).await;
            let got = stage.upstream.requests().pop().unwrap();
            assert_eq!((got.header("traceparent"), got.header("tracestate")), (parent, state), "{name}");
        }
    }
}

#[tokio::test]
async fn modern_mcp_fields_are_written_anew_from_the_body() {
    let stage = setup().start().await;
    // The client encodes what needs no encoding, and shouts; upstream it is the plain form.
    let body = mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
    let fields = [
        ("MCP-PROTOCOL-VERSION", mcp::STATELESS),
        ("MCP-METHOD", "tools/call"),
        ("MCP-NAME", "=?base64?ZWNobw==?="),
        ("Mcp-Param-Region", "eu-west"),
        ("mcp-param-Shard", "=?base64?w6k=?="),
        ("Mcp-Session-Id", "made-up"),
        ("Last-Event-ID", "made-up"),
        ("Mcp-Other", "made-up"),
    ];
    let answer = stage.post(&fields, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let got = stage.upstream.requests().pop().unwrap();
    assert_eq!(got.header("mcp-method"), Some("tools/call"));
    assert_eq!(got.header("mcp-name"), Some("echo"));
    assert_eq!(got.header("mcp-param-region"), Some("eu-west"));
    assert_eq!(got.header("mcp-param-shard"), Some("=?base64?w6k=?="));
    assert!(!stage.upstream.seen("made-up"));

    // A name that no header can carry is encoded.
    let body = mcp::stateless_request(1, "tools/call", json!({"name": "écho", "arguments": {}}));
    let fields = mcp::stateless_headers("tools/call", Some("=?base64?w6ljaG8=?="));
    assert_eq!(stage.post(&fields, &body).await.status, 200);
    let got = stage.upstream.requests().pop().unwrap();
    assert_eq!(got.header("mcp-name"), Some("=?base64?w6ljaG8=?="));
}

#[tokio::test]
async fn mcp_fields_mean_nothing_in_a_legacy_request_and_go_nowhere() {
    let stage = setup().start().await;
    for revision in LEGACY {
        let fields = [("Mcp-Method", "made-up"), ("Mcp-Name", "made-up"), ("Mcp-Param-X", "made-up")];
        let sent = tool_call_with(revision, "/main", &stage.token, "echo", 1.into(), &fields);
        assert_eq!(stage.exchange(&sent).await.status, 200, "{revision}");
    }
    assert!(!stage.upstream.seen("made-up"));
}

#[tokio::test]
async fn nothing_else_of_a_requests_header_reaches_the_upstream() {
    const ALLOWED: [&str; 12] = [
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "x-request-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "traceparent",
        "tracestate",
    ];
    let stage = setup().start().await;
    let fields = [
        ("Cookie", "canary-1"),
        ("X-Forwarded-For", "canary-1"),
        ("Forwarded", "for=canary-1"),
        ("User-Agent", "canary-1"),
        ("X-Custom", "canary-1"),
        ("Accept-Language", "canary-1"),
        ("Connection", "X-Custom"),
    ];
    for revision in ALL {
        let sent = tool_call_with(revision, "/main?canary-1=1", &stage.token, "echo", 1.into(), &fields);
        assert_eq!(stage.exchange(&sent).await.status, 200, "{revision}");
        for name in stage.upstream.requests().pop().unwrap().headers.names() {
            assert!(ALLOWED.contains(&name.as_str()), "{revision}: {name}");
        }
    }
    assert!(!stage.upstream.seen("canary-1"));
    assert!(!stage.upstream.seen(&stage.token));
}
