//! Sessions at the server, which the client knows nothing of.

use super::stage::{Client, Stage, everything, fault, fed, whole};
use narthex_testkit::Answer;
use serde_json::{Value, json};
use std::collections::HashSet;

fn opened(stage: &Stage) -> usize {
    stage.server.upstream().requests_for("initialize").len()
}

/// The sessions that calls were made in.
fn used(stage: &Stage) -> HashSet<String> {
    let calls = stage.server.upstream().requests_for("tools/call");
    calls.iter().map(|r| r.header("mcp-session-id").expect("a session").to_owned()).collect()
}

fn call() -> Value {
    json!({"name": "echo", "arguments": {}})
}

#[tokio::test]
async fn one_caller_with_one_set_of_capabilities_has_one_session() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    for _ in 0..3 {
        alice.result("tools/call", call()).await;
    }
    // The same declaration, written in another order.
    let reordered = json!({"roots": {}, "sampling": {}, "elicitation": {"url": {}, "form": {}}});
    alice.able(reordered).result("tools/call", call()).await;
    assert_eq!((opened(&stage), used(&stage).len()), (1, 1));
    let call = stage.server.upstream().requests_for("tools/call").remove(0);
    assert_eq!(call.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(call.header("mcp-method"), None, "headers of the other revision");
    let initialized = stage.server.upstream().requests_for("notifications/initialized");
    assert_eq!(initialized.len(), 1);
}

#[tokio::test]
async fn callers_routes_and_capability_sets_never_share_a_session() {
    let stage = Stage::start().await;
    let of = |path, claims| Client::new(&stage.gateway, &stage.idp, path, claims);
    let clients = [
        stage.alice(),
        stage.client("bob"),
        of("/mcp", json!({"org_id": "globex"})),
        of("/other", json!({})),
        stage.alice().able(json!({})),
        stage.alice().able(json!({"sampling": {}})),
        stage.alice().able(json!({"sampling": {"tools": {}}})),
    ];
    for (n, client) in clients.iter().enumerate() {
        client.result("tools/call", call()).await;
        client.result("tools/call", call()).await;
        assert_eq!((opened(&stage), used(&stage).len()), (n + 1, n + 1), "client {n}");
    }
    stage.gateway.wait_for_metric("narthex_bridge_sessions{side=\"upstream\"}", |n| n == 7.0).await;
}

#[tokio::test]
async fn requests_that_come_at_once_open_one_session() {
    let stage = Stage::start().await;
    let (alice, bob) = (stage.alice(), stage.client("bob"));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let client = if n % 2 == 0 { alice.clone() } else { bob.clone() };
        tasks.spawn(async move { client.result("tools/call", call()).await });
    }
    assert_eq!(tasks.join_all().await.len(), 20);
    assert_eq!((opened(&stage), used(&stage).len()), (2, 2));
    assert_eq!(stage.server.upstream().requests_for("server/discover").len(), 1, "one question of its era");
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 20);
}

#[tokio::test]
async fn a_session_that_the_server_has_lost_is_opened_anew_and_the_call_made_once() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    alice.result("tools/call", call()).await;
    stage.server.forget_sessions();
    stage.server.upstream().forget();
    let result = alice.result("tools/call", call()).await;
    assert_eq!(result["content"][0]["text"], "echo {}");
    let sessions: Vec<_> = stage
        .server
        .upstream()
        .requests_for("tools/call")
        .iter()
        .map(|r| r.header("mcp-session-id").unwrap_or_default().to_owned())
        .collect();
    // Refused with 404 in the first, which is to say not looked at; made in the second.
    assert_eq!(sessions, ["legacy-session-canary-1", "legacy-session-canary-2"]);
    assert_eq!(opened(&stage), 1);
    alice.result("tools/call", call()).await;
    assert_eq!(opened(&stage), 1, "the new one stays");
}

#[tokio::test]
async fn many_calls_that_find_their_session_lost_open_one_new_one() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    alice.result("tools/call", call()).await;
    stage.server.forget_sessions();
    stage.server.upstream().forget();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let alice = alice.clone();
        tasks.spawn(async move { alice.result("tools/call", call()).await });
    }
    assert_eq!(tasks.join_all().await.len(), 10);
    assert_eq!(opened(&stage), 1, "{:?}", stage.server.said());
}

#[tokio::test]
async fn a_server_that_loses_every_session_is_not_asked_forever() {
    let stage = Stage::start().await;
    stage
        .server
        .rule(|request| (request.rpc_method().as_deref() == Some("tools/call")).then(|| Answer::status(404)));
    let answer = stage.alice().ask("tools/call", fed()).await;
    assert_eq!(fault(&answer), (502, json!(-32603)), "{}", whole(&answer));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 2);
}

#[tokio::test]
async fn a_404_that_answers_the_call_itself_is_its_answer() {
    // The tool may have run: such a server means another thing by the status than the end of a session.
    let stage = Stage::start().await;
    stage.server.rule(|request| {
        let message = request.json();
        let error =
            json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32603, "message": "gone"}});
        (message["method"] == "tools/call").then(|| Answer::json(404, error))
    });
    let answer = stage.alice().ask("tools/call", fed()).await;
    assert_eq!(fault(&answer), (200, json!(-32603)), "{}", whole(&answer));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn a_call_that_failed_in_any_other_way_is_not_made_again() {
    for status in [500, 502, 503, 429, 403] {
        let stage = Stage::start().await;
        stage.server.rule(move |request| {
            (request.rpc_method().as_deref() == Some("tools/call")).then(|| Answer::status(status))
        });
        let answer = stage.alice().ask("tools/call", fed()).await;
        assert_eq!(answer.status, 502, "{status}: {}", whole(&answer));
        assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1, "{status}");
    }
    for answer in [Answer::close, Answer::reset] {
        let stage = Stage::start().await;
        // On a connection that was used before, where a retry would be tempting.
        stage.alice().result("prompts/list", json!({})).await;
        stage
            .server
            .rule(move |request| (request.rpc_method().as_deref() == Some("tools/call")).then(answer));
        assert_eq!(stage.alice().ask("tools/call", fed()).await.status, 502);
        assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
    }
}

#[tokio::test]
async fn idle_sessions_are_ended_at_the_server() {
    let stage = Stage::limited("    session_idle: 1s\n").await;
    stage.alice().result("tools/call", call()).await;
    stage.server.upstream().wait_until(|| stage.server.said().contains(&"DELETE".to_owned())).await;
    assert!(stage.server.sessions().is_empty());
    stage.gateway.wait_for_metric("narthex_bridge_sessions{side=\"upstream\"}", |n| n == 0.0).await;
    stage.alice().result("tools/call", call()).await;
    assert_eq!(opened(&stage), 2);
}

#[tokio::test]
async fn a_session_with_a_call_under_way_is_not_idle() {
    let stage = Stage::limited("    session_idle: 1s\n").await;
    let (call, coming) = stage.alice().feed(&stage, fed()).await;
    // Bob's session comes and goes meanwhile.
    stage.client("bob").result("tools/call", json!({"name": "echo"})).await;
    stage.server.upstream().wait_until(|| stage.server.said().contains(&"DELETE".to_owned())).await;
    call.text("late");
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("late"));
}

#[tokio::test]
async fn a_callers_sessions_are_bounded_and_the_idlest_makes_room() {
    let stage = Stage::limited("    sessions_per_caller: 2\n").await;
    let able = |n: u8| stage.alice().able(json!({"sampling": {}, "experimental": {format!("x{n}"): {}}}));
    let (call, coming) = able(0).feed(&stage, fed()).await;
    for n in 1..5 {
        able(n).result("prompts/list", json!({})).await;
    }
    stage.server.upstream().wait_until(|| stage.server.sessions().len() == 2).await;
    let (second, other) = able(9).feed(&stage, fed()).await;
    let refused = able(10).ask("prompts/list", json!({})).await;
    assert_eq!(refused.status, 429, "{}", whole(&refused));
    assert!(refused.header("retry-after").is_some());
    stage.client("bob").able(everything()).result("prompts/list", json!({})).await;
    for (call, coming) in [(call, coming), (second, other)] {
        call.text("undisturbed");
        assert_eq!(coming.whole().await.tool_text().as_deref(), Some("undisturbed"));
    }
}

#[tokio::test]
async fn a_server_without_session_ids_is_as_good() {
    let stage = Stage::start().await;
    let plain = narthex_testkit::RecordingUpstream::start().await;
    plain.always(|request| match request.rpc_method().as_deref() {
        Some("server/discover") => Answer::status(400),
        Some("initialize") => Answer::result(
            request,
            json!({"protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}),
        ),
        _ => Answer::mcp(request),
    });
    let gateway = super::stage::gateway(&stage.idp, &plain.url("/mcp"), super::stage::Setup::default()).await;
    let alice = Client::new(&gateway, &stage.idp, "/mcp", json!({}));
    assert_eq!(alice.result("tools/call", call()).await["content"][0]["text"], "echo {}");
    let sent = plain.requests_for("tools/call").remove(0);
    assert_eq!(sent.header("mcp-protocol-version"), Some("2025-06-18"), "the one that was settled on");
    assert_eq!(sent.header("mcp-session-id"), None);
}
