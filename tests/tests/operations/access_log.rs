//! The access log: what docs/metrics.md says, a line for each request, none lost.

use super::repository::{quoted, read, table};
use super::stage::{Config, PATIENCE, Stage, call_with_id, has_id};
use narthex_testkit::{RawClient, Signal, mcp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// The fields of every line.
const ALWAYS: [&str; 10] = [
    "ts",
    "request_id",
    "remote",
    "method",
    "path",
    "status",
    "decision",
    "bytes_in",
    "bytes_out",
    "duration_ms",
];

fn documented() -> BTreeSet<String> {
    let rows = table(&read("docs/metrics.md"), "The access log");
    rows.iter().flat_map(|cells| quoted(&cells[0])).collect()
}

fn assert_documented(line: &Value, documented: &BTreeSet<String>) {
    let fields = line.as_object().unwrap();
    for field in fields.keys() {
        assert!(documented.contains(field), "{field} is not documented: {line}");
    }
    for field in ALWAYS {
        assert!(fields.contains_key(field), "{field} is missing: {line}");
    }
    let ts = line["ts"].as_str().unwrap();
    assert!(ts.len() == 24 && ts.ends_with('Z') && ts.as_bytes()[10] == b'T', "{line}");
    assert!(fields.get("security").is_none_or(|security| *security == true), "{line}");
    assert!(line["duration_ms"].is_number() && line["status"].is_u64(), "{line}");
}

/// A request, and what its line must say.
struct Case {
    name: &'static str,
    request: Vec<u8>,
    says: Value,
    lacks: &'static [&'static str],
}

fn case(name: &'static str, request: Vec<u8>, says: Value, lacks: &'static [&'static str]) -> Case {
    Case { name, request, says, lacks }
}

fn cases(stage: &Stage) -> Vec<Case> {
    let (token, call) = (stage.token(), mcp::tools_call("echo", json!({"text": "body-canary"})));
    let post =
        |token: Option<&str>, headers: &[(&str, &str)], body: &str| mcp::post("/tools", token, headers, body);
    let allow = json!({
        "tenant": "acme", "subject": "alice", "client": "agent-1", "method": "POST", "path": "/tools", "route": "tools",
        "mcp_method": "tools/call", "tool": "echo", "upstream": "main", "status": 200, "decision": "allow",
        "remote": "127.0.0.1", "bytes_in": call.len(), "trace_id": "0af7651916cd43dd8448eb211c80319c",
    });
    let deny = |status: u16, reason: &str| json!({"status": status, "decision": "deny", "reason": reason, "security": true});
    let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let other = stage.token_with(json!({"org_id": "globex", "scope": "mcp:none"}));
    let unknown = stage.token_with(json!({"org_id": "umbrella"}));
    let expired = stage.token_with(json!({"exp": 1_000_000_000}));
    let elsewhere = stage.idp.token(&stage.resource("/elsewhere"));
    vec![
        case("allowed", post(Some(&token), &[parent], &call), allow, &["reason", "security"]),
        case(
            "no token",
            post(None, &[], &call),
            deny(401, "missing"),
            &["tenant", "subject", "upstream", "upstream_ms"],
        ),
        case("expired", post(Some(&expired), &[], &call), deny(401, "expired"), &["subject"]),
        case(
            "for another route",
            post(Some(&elsewhere), &[], &call),
            deny(401, "wrong_audience"),
            &["subject"],
        ),
        case("no scope", post(Some(&other), &[], &call), deny(403, "insufficient_scope"), &["upstream"]),
        case("unknown tenant", post(Some(&unknown), &[], &call), deny(403, "unknown_tenant"), &["upstream"]),
        case(
            "hidden tool",
            post(Some(&token), &[], &mcp::tools_call("add", json!({}))),
            deny(200, "tool_denied"),
            &["upstream"],
        ),
        case(
            "limited",
            post(Some(&token), &[], &mcp::tools_call("whoami", json!({}))),
            deny(429, "rate_limited"),
            &["upstream"],
        ),
        case(
            "origin",
            post(Some(&token), &[("Origin", "https://evil.example")], &call),
            deny(403, "origin_not_allowed"),
            &["tenant"],
        ),
        case(
            "query",
            mcp::bodiless("GET", "/tools?access_token=query-canary", None, &[]),
            deny(400, "token_in_query"),
            &[],
        ),
        case(
            "no JSON",
            post(Some(&token), &[], "body-canary"),
            json!({"status": 400, "decision": "deny"}),
            &["security", "upstream"],
        ),
        case(
            "no route",
            mcp::bodiless("GET", "/nowhere?q=query-canary", None, &[]),
            json!({"status": 404, "path": "/nowhere", "reason": "no_route"}),
            &["route", "security"],
        ),
        case(
            "GET without a session",
            mcp::bodiless("GET", "/tools", Some(&token), &[("Accept", "text/event-stream")]),
            json!({"status": 405, "method": "GET", "decision": "deny"}),
            &["mcp_method", "tool"],
        ),
        case(
            "another HTTP method",
            mcp::bodiless("BREW", "/tools", Some(&token), &[]),
            json!({"status": 405, "method": "other"}),
            &[],
        ),
    ]
}

#[tokio::test]
async fn every_kind_of_request_has_its_line_with_the_id_of_its_answer() {
    let route = "    tools:\n      - match: [add]\n        deny: true\n      - match: [whoami]\n        limits: { requests: 1/1h }\n";
    let stage = Stage::with(&Config { route: route.to_owned(), ..Config::new() }).await;
    let whoami = mcp::tools_call("whoami", json!({}));
    assert_eq!(
        mcp::call(stage.gateway.address(), "/tools", Some(&stage.token()), &whoami).await.unwrap().status,
        200
    );
    let documented = documented();
    let mut failures = Vec::new();
    for Case { name, request, says, lacks } in cases(&stage) {
        let answer = mcp::exchange(stage.gateway.address(), &request).await.unwrap();
        let id = answer.header("x-request-id").unwrap_or_else(|| panic!("{name}: no id"));
        let line = stage.wait_for_lines(1, has_id(id)).await.remove(0);
        assert_documented(&line, &documented);
        let wrong = says.as_object().unwrap().iter().find(|(field, value)| line[field.as_str()] != **value);
        if line["status"] != answer.status
            || wrong.is_some()
            || lacks.iter().any(|field| line.get(field).is_some())
        {
            failures.push(format!("{name}: {} {says} without {lacks:?}, not {line}", answer.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let log = stage.gateway.output();
    for canary in ["body-canary", "query-canary", "eyJ"] {
        assert!(!log.contains(canary), "{canary} is in:\n{log}");
    }
}

#[tokio::test]
async fn what_is_not_even_http_has_a_line_too() {
    let stage = Stage::new().await;
    let mut client = stage.connect().await;
    client.send("\u{1b}[31m not http canary\r\n\r\n").await.unwrap();
    let lines = stage.wait_for_lines(1, |line| line["reason"] == "unreadable_request").await;
    assert_documented(&lines[0], &documented());
    assert_eq!((&lines[0]["security"], &lines[0]["status"]), (&json!(true), &json!(400)));
    assert!(!stage.gateway.output().contains("canary"), "{}", stage.gateway.output());
}

async fn burst(address: SocketAddr, token: String, client: usize, calls: usize) -> Vec<(String, String)> {
    let mut connection = RawClient::connect(address).await.unwrap();
    let mut ids = Vec::new();
    for call in 0..calls {
        let id = format!("burst-{client}-{call}");
        connection.send(call_with_id("/tools", &token, &id, "echo")).await.unwrap();
        let answer = connection.response().await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        ids.push((id, answer.header("x-request-id").unwrap().to_owned()));
    }
    ids
}

/// The end comes right after the last answer: what has not been written by then must be written still.
#[tokio::test]
async fn no_line_of_two_thousand_quick_requests_is_lost() {
    const CLIENTS: usize = 16;
    const CALLS: usize = 125;
    let mut stage = Stage::new().await;
    let bursts = (0..CLIENTS).map(|client| burst(stage.gateway.address(), stage.token(), client, CALLS));
    let bursts: Vec<_> = bursts.map(tokio::spawn).collect();
    let mut sent = BTreeMap::new();
    for burst in bursts {
        sent.extend(burst.await.unwrap());
    }
    let dropped = stage.gateway.metric("narthex_access_log_dropped_total").await;
    stage.gateway.signal(Signal::SIGTERM);
    assert!(stage.gateway.wait_for_exit(PATIENCE).await.is_some_and(|status| status.success()));
    let lines = stage.wait_for_lines(sent.len(), |_| true).await;
    assert_eq!((sent.len(), lines.len(), dropped), (CLIENTS * CALLS, CLIENTS * CALLS, Some(0.0)));
    let mut found: Vec<_> = lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert!(found.iter().copied().eq(sent.keys().map(String::as_str)), "each id is there once");
    assert!(sent.iter().all(|(given, answered)| given == answered), "an id of the client's is taken over");
}
