//! The `Mcp-*` headers: of 2026-07-28 they must be what the body says, of older revisions they are
//! nothing at all.

use super::stage::{Failures, Stage, whole};
use narthex_testkit::mcp;
use serde_json::{Value, json};

type Headers = Vec<(&'static str, &'static str)>;

/// The headers of a good call of echo, with `name` in the place of the same one, or, where empty, without.
fn headers(name: &'static str, value: &'static str) -> Headers {
    let mut headers = mcp::stateless_headers("tools/call", Some("echo"));
    headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    if !value.is_empty() {
        headers.push((name, value));
    }
    headers
}

fn call(id: impl Into<Value>, tool: &str) -> String {
    mcp::stateless_request(id, "tools/call", json!({"name": tool, "arguments": {}}))
}

#[tokio::test]
async fn every_difference_between_header_and_body_is_refused_with_the_id() {
    let stage = Stage::start().await;
    let cases: Vec<(&str, Headers)> = vec![
        ("no version", headers("MCP-Protocol-Version", "")),
        ("no method", headers("Mcp-Method", "")),
        ("no name", headers("Mcp-Name", "")),
        ("an older version", headers("MCP-Protocol-Version", "2025-11-25")),
        ("a version with a letter more", headers("MCP-Protocol-Version", "2026-07-28x")),
        ("another method", headers("Mcp-Method", "tools/list")),
        ("the method in capitals", headers("Mcp-Method", "TOOLS/CALL")),
        ("the method twice in one", headers("Mcp-Method", "tools/call, tools/call")),
        ("another name", headers("Mcp-Name", "add")),
        ("the name in capitals", headers("Mcp-Name", "ECHO")),
        ("the name with a letter more", headers("Mcp-Name", "echo2")),
        ("the name in quotes", headers("Mcp-Name", "\"echo\"")),
        ("the name in percent encoding", headers("Mcp-Name", "%65cho")),
        ("another name in base64", headers("Mcp-Name", "=?base64?YWRk?=")),
        ("base64 without its padding", headers("Mcp-Name", "=?base64?ZWNobw?=")),
        ("base64 with stray bits", headers("Mcp-Name", "=?base64?ZWNobx==?=")),
        ("base64 with white space", headers("Mcp-Name", "=?base64?ZWNo bw==?=")),
        ("base64 that is no UTF-8", headers("Mcp-Name", "=?base64?/w==?=")),
        ("base64 in capitals", headers("Mcp-Name", "=?BASE64?ZWNobw==?=")),
        ("base64 of the URL alphabet", headers("Mcp-Name", "=?base64?_-8=?=")),
        ("base64 twice", headers("Mcp-Name", "=?base64?PT9iYXNlNjQ/WldOb2J3PT0/PQ==?=")),
        ("base64 left open", headers("Mcp-Name", "=?base64?ZWNobw==")),
        ("an empty base64", headers("Mcp-Name", "=?base64??=")),
        ("a name beyond ASCII", headers("Mcp-Name", "échо")),
    ];
    let mut failures = Failures::default();
    for (name, headers) in cases {
        let answer = stage.post(&stage.token(), &headers, &call("an id", "echo")).await;
        let body = answer.json();
        let right = answer.status == 400 && body["error"]["code"] == -32020 && body["id"] == "an id";
        failures.unless(right, name, || whole(&answer));
    }
    assert_eq!(stage.upstream.count(), 0);
    stage.assert_alive().await;
}

#[tokio::test]
async fn a_tool_that_the_header_hides_is_decided_on_by_the_body() {
    let stage = Stage::start().await;
    // The header names a tool that is allowed, the body one that is not.
    for tool in ["add", "whoami", "create_issue"] {
        let answer = stage.post(&stage.token(), &headers("", ""), &call(1, tool)).await;
        assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(-32020)), "{tool}");
    }
    let older = mcp::tools_call("add", json!({}));
    let answer = stage.post(&stage.token(), &[("Mcp-Method", "ping"), ("Mcp-Name", "echo")], &older).await;
    assert_eq!(answer.status, 403, "older revisions: {}", answer.text());
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn equal_headers_pass_plain_and_in_base64_and_are_written_anew() {
    let stage = Stage::start().await;
    let mut failures = Failures::default();
    for (name, tool, header, sent) in [
        ("plain", "echo", "echo", "echo"),
        ("in base64 without need", "echo", "=?base64?ZWNobw==?=", "echo"),
        ("beyond ASCII", "écho", "=?base64?w6ljaG8=?=", "=?base64?w6ljaG8=?="),
        (
            "what looks encoded",
            "=?base64?YQ==?=",
            "=?base64?PT9iYXNlNjQ/WVE9PT89?=",
            "=?base64?PT9iYXNlNjQ/WVE9PT89?=",
        ),
        ("a space at its end", "echo ", "=?base64?ZWNobyA=?=", "=?base64?ZWNobyA=?="),
    ] {
        stage.upstream.forget();
        let mut headers = mcp::stateless_headers("tools/call", Some(header));
        headers.push(("Mcp-Param-Region", "eu"));
        let answer = stage.post(&stage.token(), &headers, &call(1, tool)).await;
        failures.unless(answer.status == 200, name, || whole(&answer));
        let Some(request) = stage.upstream.requests().pop() else { continue };
        let got = ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-region"]
            .map(|field| request.headers.all(field).collect::<Vec<_>>().join("|"));
        failures.unless(got == [mcp::STATELESS, "tools/call", sent, "eu"], name, || format!("{got:?}"));
    }
}

#[tokio::test]
async fn headers_that_older_revisions_do_not_know_are_not_read_and_not_sent() {
    let stage = Stage::start().await;
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let headers = [
            ("MCP-Protocol-Version", revision),
            ("Mcp-Method", "tools/list"),
            ("Mcp-Name", "=?base64?!!!?="),
            ("Mcp-Param-Region", "eu"),
        ];
        let answer = stage.post(&stage.token(), &headers, &mcp::tools_call("echo", json!({}))).await;
        assert_eq!(answer.status, 200, "{revision}: {}", answer.text());
        let request = stage.upstream.requests().pop().unwrap();
        assert_eq!(request.header("mcp-protocol-version"), Some(revision));
        for field in ["mcp-method", "mcp-name", "mcp-param-region"] {
            assert_eq!(request.header(field), None, "{revision}");
        }
    }
}

#[tokio::test]
async fn versions_that_nobody_speaks_are_refused() {
    let stage = Stage::start().await;
    let mut failures = Failures::default();
    for version in ["2024-11-05", "2099-01-01", "latest", "2025-11-25, 2025-06-18", "*"] {
        let answer = stage
            .post(&stage.token(), &[("MCP-Protocol-Version", version)], &mcp::tools_call("echo", json!({})))
            .await;
        let right =
            answer.status == 400 && answer.json()["error"]["code"] == -32600 && answer.json()["id"] == 1;
        failures.unless(right, version, || whole(&answer));
    }
    let verbs = ["GET", "DELETE"];
    for verb in verbs {
        let bytes =
            mcp::bodiless(verb, "/mcp", Some(&stage.token()), &[("MCP-Protocol-Version", mcp::STATELESS)]);
        let answer = stage.send(&bytes).await;
        failures.unless(answer.status == 405, verb, || whole(&answer));
    }
    let bare = mcp::tools_call("echo", json!({}));
    let answer = stage.post(&stage.token(), &headers("", ""), &bare).await;
    let right = answer.status == 400 && answer.json()["error"]["code"] == -32602;
    failures.unless(right, "2026-07-28 without _meta", || whole(&answer));
    assert_eq!(stage.upstream.count(), 0);
}
