//! Finding out which era a server speaks, and finding out again.

use super::client::Client;
use super::stage::{LATEST, LEGACY, Setup, Stage, eventually};
use narthex_testkit::{Answer, ModernOnly, RecordingUpstream, UpstreamOptions, UpstreamRequest, mcp};
use serde_json::{Value, json};
use std::sync::Arc;

/// A server of the revisions with sessions only.
fn legacy_only(request: &UpstreamRequest) -> Answer {
    let stateless = request.header("mcp-protocol-version") == Some(mcp::STATELESS);
    if stateless
        || request.header("mcp-session-id").is_none() && request.rpc_method().as_deref() != Some("initialize")
    {
        return Answer::failure(request, 400, -32000, "Bad Request: no valid session", Value::Null);
    }
    Answer::mcp(request)
}

/// Puts another server in the place of the stage's.
async fn replace(stage: Stage, rule: impl Fn(&UpstreamRequest) -> Answer + Send + Sync + 'static) -> Stage {
    let port = stage.upstream.address().port();
    Arc::into_inner(stage.upstream).expect("the only one").stop().await;
    let upstream = RecordingUpstream::start_with(UpstreamOptions::default().port(port)).await;
    upstream.always(rule);
    Stage { upstream: Arc::new(upstream), ..stage }
}

/// A call of 2026-07-28.
async fn modern_call(stage: &Stage) -> Value {
    let headers = mcp::stateless_headers("tools/call", Some("echo"));
    let body = mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
    let token = stage.token("/mcp", json!({}));
    let bytes = mcp::post("/mcp", Some(&token), &headers, &body);
    mcp::exchange(stage.gateway.address(), &bytes).await.expect("an answer").rpc()
}

/// The methods that the server was asked for, in order.
fn methods(stage: &Stage) -> Vec<String> {
    stage.upstream.requests().iter().filter_map(UpstreamRequest::rpc_method).collect()
}

async fn bridged(stage: &Stage) -> bool {
    stage.gateway.metrics().await.lines().any(|line| line.starts_with("narthex_bridged_requests_total{"))
}

/// Initializes until it is answered, and a call works.
async fn reopened(stage: &Stage) -> Client {
    let client = stage.client("/mcp", stage.token("/mcp", json!({})));
    let client = eventually("a session at the new server", || async {
        let mut client = client.clone();
        let answer = client.initialize(LATEST, json!({})).await;
        (answer.status == 200 && answer.json()["result"].is_object()).then_some(client)
    });
    let client = client.await;
    client.initialized().await;
    assert_eq!(client.call("echo", json!({})).await["result"]["content"][0]["text"], "echo {}");
    client
}

#[tokio::test]
async fn a_server_that_learned_the_newer_revision_and_forgot_the_older_is_found_out() {
    let stage = Stage::start().await;
    stage.upstream.always(legacy_only);
    let old = stage.open(LATEST, json!({})).await;
    assert_eq!(old.call("echo", json!({})).await["result"]["content"][0]["text"], "echo {}");
    assert!(!bridged(&stage).await);
    let server = ModernOnly::default();
    let stage = replace(stage, move |request| server.answer(request)).await;
    reopened(&stage).await;
    assert!(bridged(&stage).await);
    // A session at the server that is gone is over, and the client is told in its own words.
    let answer = old.post(&mcp::request(1, "tools/list", json!({}))).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
}

#[tokio::test]
async fn a_server_that_went_back_to_the_older_revisions_is_found_out() {
    let stage = Stage::start().await;
    stage.open(LATEST, json!({})).await;
    let stage = replace(stage, legacy_only).await;
    let client = reopened(&stage).await;
    assert!(stage.upstream.requests_for("initialize").len() == 1, "{:?}", methods(&stage));
    assert_eq!(client.delete().await.status, 204);
}

#[tokio::test]
async fn a_request_without_a_session_is_told_to_open_one() {
    let stage = Stage::start().await;
    stage.open(LATEST, json!({})).await;
    let client = stage.client("/mcp", stage.token("/mcp", json!({})));
    for method in ["tools/list", "ping", "resources/read"] {
        let answer = client.post(&mcp::request(1, method, json!({"uri": "x:y"}))).await;
        let message = answer.json();
        assert_eq!((answer.status, &message["error"]["code"]), (400, &json!(-32600)), "{message}");
        assert_eq!(message["id"], 1);
    }
}

#[tokio::test]
async fn a_server_of_both_eras_is_passed_through_untouched() {
    let stage = Stage::start().await;
    stage.upstream.always(Answer::mcp);
    for revision in LEGACY {
        stage.upstream.forget();
        let client = stage.open(revision, json!({})).await;
        let body = mcp::request(
            7,
            "tools/call",
            json!({"arguments": {"b": 1.50}, "name": "echo", "_meta": {"x": 1}}),
        );
        let answer = client.post(&body).await;
        assert_eq!(answer.json()["result"]["isError"], false);
        assert_eq!(methods(&stage), ["initialize", "notifications/initialized", "tools/call"], "{revision}");
        let call = stage.upstream.requests_for("tools/call").pop().unwrap();
        assert_eq!(String::from_utf8_lossy(&call.body), body, "the same bytes");
        let session = call.header("mcp-session-id").expect("the server's own id");
        assert!(session.starts_with("upstream-session-") && session != client.session, "{session}");
        assert_eq!(call.header("mcp-method"), None);
        assert_eq!(client.delete().await.status, 204);
        assert_eq!(stage.upstream.requests().last().unwrap().method, "DELETE");
    }
    stage.upstream.forget();
    for _ in 0..3 {
        assert_eq!(modern_call(&stage).await["result"]["content"][0]["text"], "echo {}");
    }
    let discovers = stage.upstream.requests_for("server/discover").len();
    assert!(discovers <= 1, "asked once, not {discovers} times");
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 3);
    assert!(!bridged(&stage).await);
    stage.gateway.wait_for_metric("narthex_bridge_sessions{side=\"client\"}", |open| open == 0.0).await;
}

/// One that takes `initialize` amiss now and then is not taken for a server of the other era.
#[tokio::test]
async fn an_initialize_that_deserves_its_refusal_proves_nothing() {
    let stage = Stage::start().await;
    stage.upstream.always(|request| match request.json() {
        message if message["method"] == "initialize" && !message["params"]["capabilities"].is_object() => {
            Answer::failure(request, 400, -32602, "capabilities are missing", Value::Null)
        }
        _ => Answer::mcp(request),
    });
    let client = stage.client("/mcp", stage.token("/mcp", json!({})));
    for params in [json!({"protocolVersion": LATEST}), json!({})] {
        let answer = client.post(&mcp::request(1, "initialize", params)).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &json!(-32602)),
            "{}",
            answer.text()
        );
    }
    let good = stage.open(LATEST, json!({})).await;
    good.call("echo", json!({})).await;
    assert!(!bridged(&stage).await);
}

#[tokio::test]
async fn a_server_whose_revisions_are_configured_is_asked_nothing() {
    let modern = Setup::upstream("protocol: 2026-07-28").start().await;
    modern.open(LATEST, json!({})).await.call("echo", json!({})).await;
    assert_eq!(
        methods(&modern),
        ["server/discover", "tools/list", "tools/call"],
        "for its account of itself only"
    );
    modern.upstream.forget();
    modern_call(&modern).await;
    assert_eq!(methods(&modern), ["tools/call"]);

    let both = Setup::upstream("protocol: [2025-11-25, 2026-07-28]").start().await;
    both.upstream.always(Answer::mcp);
    both.open(LATEST, json!({})).await.call("echo", json!({})).await;
    modern_call(&both).await;
    assert_eq!(methods(&both), ["initialize", "notifications/initialized", "tools/call", "tools/call"]);
    assert!(!bridged(&both).await);

    let legacy = Setup::upstream("protocol: 2025-06-18").start().await;
    legacy.upstream.always(legacy_only);
    legacy.open("2025-06-18", json!({})).await.call("echo", json!({})).await;
    assert_eq!(methods(&legacy), ["initialize", "notifications/initialized", "tools/call"]);
    assert!(!bridged(&legacy).await);
    assert_eq!(modern_call(&legacy).await["result"]["content"][0]["text"], "echo {}");
    assert_eq!(legacy.upstream.requests_for("server/discover").len(), 0);
}

/// A server that is configured to speak the newer revision only is never offered an older session.
#[tokio::test]
async fn what_is_configured_is_believed_against_the_servers_word() {
    let stage = Setup::upstream("protocol: 2026-07-28").start().await;
    stage.upstream.always(Answer::mcp);
    let client = stage.open(LATEST, json!({})).await;
    client.call("echo", json!({})).await;
    assert_eq!(stage.upstream.requests_for("initialize").len(), 0);
    let sessionless = stage.client("/mcp", stage.token("/mcp", json!({})));
    stage.upstream.forget();
    let answer = sessionless.post(&mcp::tools_call("echo", json!({}))).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}
