//! Batches of 2025-03-26, which no later revision has.

use super::stage::{Stage, completed, everything};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

fn batch(messages: &[String]) -> String {
    format!("[{}]", messages.join(","))
}

fn echo(id: i32) -> String {
    mcp::request(id, "tools/call", json!({"name": "echo", "arguments": {"n": id}}))
}

#[tokio::test]
async fn requests_in_a_batch_are_asked_one_by_one_and_answered_together() {
    let stage = Stage::start().await;
    let client = stage.open("2025-03-26", json!({})).await;
    client.ask("tools/list", json!({})).await;
    stage.upstream.forget();
    let notification = mcp::notification("notifications/roots/list_changed", json!({}));
    let ping = mcp::request("p", "ping", json!({}));
    let answer = client.post(&batch(&[echo(1), notification, ping, echo(2)])).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let answers = answer.json();
    let answers = answers.as_array().expect("an array");
    assert_eq!(answers.len(), 3, "{answers:?}");
    let of = |id: Value| answers.iter().find(|a| a["id"] == id).unwrap_or_else(|| panic!("no {id}"));
    assert_eq!(of(json!(1))["result"]["content"][0]["text"], r#"echo {"n":1}"#);
    assert_eq!(of(json!(2))["result"]["content"][0]["text"], r#"echo {"n":2}"#);
    assert_eq!(of(json!("p"))["result"], json!({}));
    assert_eq!(stage.upstream.count(), 2);
    assert!(stage.upstream.requests().iter().all(|request| request.json().is_object()));
}

#[tokio::test]
async fn a_batch_of_one_is_answered_by_an_array_of_one() {
    let stage = Stage::start().await;
    let client = stage.open("2025-03-26", json!({})).await;
    let answer = client.post(&batch(&[echo(5)])).await.json();
    assert_eq!((answer.as_array().map(Vec::len), &answer[0]["id"]), (Some(1), &json!(5)), "{answer}");
}

#[tokio::test]
async fn an_error_in_a_batch_is_one_answer_of_several() {
    let stage = Stage::start().await;
    let client = stage.open("2025-03-26", json!({})).await;
    client.ask("tools/list", json!({})).await;
    stage.server.next("tools/call", |r| Answer::failure(r, 404, -32601, "no", Value::Null));
    let answer = client.post(&batch(&[echo(1), echo(2)])).await.json();
    assert_eq!(answer[0]["error"]["code"], -32601, "{answer}");
    assert!(answer[1]["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_server_that_fails_amid_a_batch_costs_the_other_answers_nothing() {
    let stage = Stage::start().await;
    let client = stage.open("2025-03-26", json!({})).await;
    client.ask("tools/list", json!({})).await;
    stage.server.next("tools/call", |r| Answer::complete(r, json!({"content": []})));
    stage.server.next("tools/call", |_| Answer::close());
    let answer = client.post(&batch(&[echo(1), echo(2), echo(3)])).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert!(answer[0]["result"].is_object(), "{answer}");
    assert_eq!((&answer[1]["id"], &answer[1]["error"]["code"]), (&json!(2), &json!(-32603)), "{answer}");
    assert!(answer[2]["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_batch_that_needs_a_stream_is_answered_on_one() {
    let stage = Stage::start().await;
    let client = stage.open("2025-03-26", json!({})).await;
    client.ask("tools/list", json!({})).await;
    stage.server.next("tools/call", |r| Answer::complete(r, json!({"content": [], "first": true})));
    stage.server.next("tools/call", |request| {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message",
                          "params": {"level": "error", "data": "x"}});
        Answer::sse_events(&[
            note,
            serde_json::from_str(&completed(&request.json()["id"], "second")).unwrap(),
        ])
    });
    let mut stream = client.begin(&batch(&[echo(1), echo(2)])).await;
    let mut messages = Vec::new();
    while let Some(event) = stream.event().await {
        messages.push(event.json());
    }
    let ids: Vec<_> =
        messages.iter().filter(|m| m.get("result").is_some()).map(|m| m["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(2)], "{messages:?}");
    assert!(messages.iter().any(|m| m["method"] == "notifications/message"), "{messages:?}");
    assert_eq!(messages.len(), 3);
}

#[tokio::test]
async fn a_batch_without_requests_is_accepted() {
    let stage = Stage::start().await;
    let client = stage.open("2025-03-26", everything()).await;
    let count = stage.upstream.count();
    let notification = mcp::notification("notifications/initialized", json!({}));
    let answer = client.post(&batch(&[notification.clone(), notification])).await;
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    let response = json!({"jsonrpc": "2.0", "id": "narthex-9", "result": {}}).to_string();
    let error = json!({"jsonrpc": "2.0", "id": 4, "error": {"code": -1, "message": "no"}}).to_string();
    let answer = client.post(&batch(&[response, error])).await;
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    assert_eq!(stage.upstream.count(), count);
}

#[tokio::test]
async fn answers_to_the_servers_questions_may_come_in_a_batch() {
    let stage = Stage::start().await;
    let client = stage.open("2025-03-26", everything()).await;
    let asks = json!({"a": {"method": "roots/list"}, "b": {"method": "roots/list"}});
    stage.server.next("tools/call", move |r| Answer::input_required(r, asks, Value::Null));
    stage.next_text("done");
    let mut stream = client.begin_call().await;
    let ids = [stream.message().await["id"].clone(), stream.message().await["id"].clone()];
    let answers = ids.map(|id| json!({"jsonrpc": "2.0", "id": id, "result": {"roots": []}}).to_string());
    assert_eq!(client.post(&batch(&answers)).await.status, 202);
    assert_eq!(stream.message().await["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn later_revisions_have_no_batches() {
    let stage = Stage::start().await;
    for revision in ["2025-06-18", "2025-11-25"] {
        let client = stage.open(revision, json!({})).await;
        let count = stage.upstream.count();
        let answer = client.post(&batch(&[echo(1)])).await;
        assert_eq!(answer.status, 400, "{revision}: {}", answer.text());
        assert_eq!(stage.upstream.count(), count);
    }
}
