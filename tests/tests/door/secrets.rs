//! The other way: what the upstream and the gateway have between them stays between them.

use super::stage::{Failures, Stage, UPSTREAM_SECRET, whole};
use narthex_testkit::{Answer, mcp};
use serde_json::json;

const FIELDS: [&str; 12] = [
    "Set-Cookie",
    "Set-Cookie2",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Server",
    "X-Powered-By",
    "Location",
    "X-Upstream",
    "Access-Control-Allow-Origin",
    "Link",
    "Clear-Site-Data",
    "Strict-Transport-Security",
];
const VALUE: &str = "upstream-header-canary-1b2c";

fn marked(mut answer: Answer) -> Answer {
    for field in FIELDS {
        answer = answer.header(field, VALUE);
    }
    answer
}

#[tokio::test]
async fn the_upstreams_headers_and_refusals_never_reach_a_client() {
    let stage = Stage::start().await;
    let leak = format!(r#"{{"error":"bad key {UPSTREAM_SECRET}"}}"#);
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
    let mut failures = Failures::default();
    for (status, body, older, newer) in [
        (200, &result, 200, 200),
        (301, &leak, 200, 502),
        (302, &leak, 200, 502),
        (307, &leak, 200, 502),
        (401, &leak, 200, 502),
        (403, &leak, 200, 502),
        (407, &leak, 200, 502),
        (500, &leak, 200, 502),
        (503, &leak, 200, 502),
    ] {
        for (era, expected) in [("older", older), ("newer", newer)] {
            let name = format!("{status} to {era}");
            stage.upstream.next(marked(Answer::full(status, "application/json", body.clone())));
            let answer = match era {
                "older" => stage.post(&stage.token(), &[], &mcp::tools_call("echo", json!({}))).await,
                _ => {
                    let headers = mcp::stateless_headers("tools/call", Some("echo"));
                    let body =
                        mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
                    stage.post(&stage.token(), &headers, &body).await
                }
            };
            let text = whole(&answer);
            failures.unless(answer.status == expected, &name, || format!("expected {expected}, got {text}"));
            let clean = !text.contains(VALUE) && !text.contains(UPSTREAM_SECRET);
            failures.unless(clean, &name, || text.clone());
            let explained =
                status == 200 || (answer.json()["error"]["code"] == -32603 && answer.json()["id"] == 1);
            failures.unless(explained, &name, || text.clone());
        }
    }
}

#[tokio::test]
async fn the_upstreams_credential_is_shown_to_the_upstream_alone() {
    let stage = Stage::start().await;
    let mut answers = Vec::new();
    for body in [
        mcp::tools_call("echo", json!({})),
        mcp::initialize(mcp::STATEFUL),
        mcp::tools_call("add", json!({})),
    ] {
        answers.push(whole(&stage.post(&stage.token(), &[], &body).await));
    }
    for answer in [Answer::status(401), Answer::close(), Answer::raw("nonsense\r\n\r\n").then_close()] {
        stage.upstream.next(answer);
        answers.push(whole(&stage.post(&stage.token(), &[], &mcp::tools_call("echo", json!({}))).await));
    }
    let stranger = [("x-api-key", "mine"), ("X-API-KEY", "mine-too")];
    answers.push(whole(&stage.post(&stage.token(), &stranger, &mcp::tools_call("echo", json!({}))).await));
    for request in stage.upstream.requests() {
        assert_eq!(request.headers.all("x-api-key").collect::<Vec<_>>(), [UPSTREAM_SECRET]);
        assert_eq!(request.header("authorization"), None);
    }
    for path in ["/metrics", "/healthz", "/readyz", "/", "/debug", "/config"] {
        answers.push(stage.gateway.admin(path).await.map(|answer| whole(&answer)).unwrap_or_default());
    }
    assert!(!answers.join("\n").contains(UPSTREAM_SECRET));
    assert!(!stage.told_operators().await.contains(UPSTREAM_SECRET));
}

#[tokio::test]
async fn the_request_that_the_upstream_gets_has_only_fields_that_we_chose() {
    let stage = Stage::start().await;
    let headers =
        [("X-Anything", "1"), ("Accept-Language", "de"), ("Accept-Encoding", "br"), ("Range", "bytes=0-")];
    stage.post(&stage.token(), &headers, &mcp::tools_call("echo", json!({}))).await;
    let request = stage.upstream.requests().pop().unwrap();
    let mut names = request.headers.names();
    names.sort();
    let expected = [
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-api-key",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(request.path, "/mcp");
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert_eq!(request.body, mcp::tools_call("echo", json!({})).into_bytes());
}
