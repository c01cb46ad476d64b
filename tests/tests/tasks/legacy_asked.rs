//! What a task of 2026-07-28 asks a client of 2025-11-25 for, while that waits for its result.

use super::modern_server::{Job, task};
use super::stage::{RELATED, THEIRS, filled, form, question, response, text};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

/// A task that asks `message` under `key`.
fn asking(key: &str, message: &str) -> Value {
    let ask = json!({"method": "elicitation/create", "params": form(message)});
    task("input_required", json!({"inputRequests": {key: ask}}))
}

/// Answers the server's request `id`.
async fn reply(server: &Job, id: &Value, kind: &str, what: Value) {
    let body = json!({"jsonrpc": "2.0", "id": id, kind: what}).to_string();
    let answer = server.stage.exchange(&server.bytes(&body)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
}

#[tokio::test]
async fn whoever_waits_for_the_result_is_asked_and_the_answer_is_brought() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    server.finds([asking("k-1", "who?")]);
    server.finds_after_update(task("completed", json!({"result": text("hello ann", false)})));
    let mut client = server.begin_to_ask("tasks/result", json!({"taskId": id})).await;
    assert_eq!(client.response_head().await.unwrap().header("content-type"), Some("text/event-stream"));
    let asked = question(&mut client).await;
    let mut expected = form("who?");
    expected["_meta"] = json!({RELATED: {"taskId": id}});
    assert_eq!((&asked["method"], &asked["params"]), (&json!("elicitation/create"), &expected));
    reply(&server, &asked["id"], "result", filled("ann")).await;

    let result = response(&mut client).await["result"].clone();
    assert_eq!(
        (&result["content"][0]["text"], &result["_meta"][RELATED]),
        (&json!("hello ann"), &json!({"taskId": id}))
    );
    let updates = server.stage.upstream.requests_for("tasks/update");
    assert_eq!((updates.len(), updates[0].header("mcp-name")), (1, Some(THEIRS)));
    assert_eq!(updates[0].json()["params"]["inputResponses"], json!({"k-1": filled("ann")}));
}

#[tokio::test]
async fn a_question_is_asked_once_however_long_the_server_repeats_it() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    server.finds([
        asking("k-1", "who?"),
        asking("k-1", "who?"),
        asking("k-1", "who?"),
        asking("k-2", "where?"),
        task("completed", json!({"result": text("ok", false)})),
    ]);
    let mut client = server.begin_to_ask("tasks/result", json!({"taskId": id})).await;
    client.response_head().await.unwrap();
    for (message, name) in [("who?", "ann"), ("where?", "here")] {
        let asked = question(&mut client).await;
        assert_eq!(asked["params"]["message"], message);
        reply(&server, &asked["id"], "result", filled(name)).await;
    }
    assert_eq!(response(&mut client).await["result"]["content"][0]["text"], "ok");
    let brought: Vec<Value> = server
        .stage
        .upstream
        .requests_for("tasks/update")
        .iter()
        .map(|update| update.json()["params"]["inputResponses"].clone())
        .collect();
    assert_eq!(brought, [json!({"k-1": filled("ann")}), json!({"k-2": filled("here")})]);
}

#[tokio::test]
async fn a_client_that_refuses_a_form_has_cancelled_it() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    server.finds([asking("k-1", "who?")]);
    server.finds_after_update(task("completed", json!({"result": text("nobody", false)})));
    let mut client = server.begin_to_ask("tasks/result", json!({"taskId": id})).await;
    client.response_head().await.unwrap();
    let asked = question(&mut client).await;
    reply(&server, &asked["id"], "error", json!({"code": -32601, "message": "no"})).await;
    assert_eq!(response(&mut client).await["result"]["content"][0]["text"], "nobody");
    let update = server.stage.upstream.requests_for("tasks/update")[0].json();
    assert_eq!(update["params"]["inputResponses"], json!({"k-1": {"action": "cancel"}}));
}

#[tokio::test]
async fn what_the_client_does_not_offer_is_not_asked_of_it() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    let ask = json!({"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}});
    server.finds([task("input_required", json!({"inputRequests": {"k": ask}}))]);
    let answer = server.about("tasks/result", &id).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert_eq!(server.stage.count("tasks/update"), 0);
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_told_so() {
    let server = "  limits: { suspend_timeout: 1s }\n";
    let server = Job::start_with(mcp::STATEFUL, &[super::stage::EXTENSION], server).await;
    let id = server.begin("job").await;
    server.finds([asking("k-1", "who?")]);
    let mut client = server.begin_to_ask("tasks/result", json!({"taskId": id})).await;
    client.response_head().await.unwrap();
    let asked = question(&mut client).await;
    let taken_back = question(&mut client).await;
    assert_eq!(
        (&taken_back["method"], &taken_back["params"]["requestId"]),
        (&json!("notifications/cancelled"), &asked["id"])
    );
    assert_eq!(response(&mut client).await["error"]["code"], -32603);
}

#[tokio::test]
async fn a_server_that_fails_after_a_question_fails_the_request_on_its_stream() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    server.finds([asking("k-1", "who?")]);
    let mut client = server.begin_to_ask("tasks/result", json!({"taskId": id})).await;
    client.response_head().await.unwrap();
    let asked = question(&mut client).await;
    server.stage.upstream.always(|request| match request.rpc_method() {
        Some(method) if method.starts_with("tasks/") => Answer::status(500),
        _ => Answer::mcp(request),
    });
    reply(&server, &asked["id"], "result", filled("ann")).await;
    let failed = response(&mut client).await;
    assert_eq!((&failed["id"], &failed["error"]["code"]), (&json!(7), &json!(-32603)));
    assert_eq!(client.sse_event().await.unwrap(), None, "the stream ends in good order");
}

#[tokio::test]
async fn a_client_that_gives_up_waiting_leaves_the_task_alone() {
    let server = Job::start().await;
    let id = server.begin("job").await;
    server.finds([asking("k-1", "who?")]);
    let mut client = server.begin_to_ask("tasks/result", json!({"taskId": id})).await;
    client.response_head().await.unwrap();
    question(&mut client).await;
    let cancelled = mcp::notification("notifications/cancelled", json!({"requestId": 7}));
    assert_eq!(server.stage.exchange(&server.bytes(&cancelled)).await.status, 202);
    assert_eq!(client.sse_event().await.unwrap(), None, "no response to what was cancelled");
    assert_eq!(server.stage.count("tasks/cancel"), 0, "tasks are cancelled by a request of their own");

    // Whoever waits next is asked again.
    let mut client = server.begin_to_ask("tasks/result", json!({"taskId": id})).await;
    client.response_head().await.unwrap();
    assert_eq!(question(&mut client).await["params"]["message"], "who?");
}
