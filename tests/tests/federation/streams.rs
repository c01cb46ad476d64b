//! Progress and cancellation of calls, each to whom it belongs.

use super::client::Client;
use super::peer::Peer;
use super::stage::{Stage, eventually, mixed};
use narthex_testkit::{Answer, SseFeed, UpstreamRequest, mcp};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

type Calls = Arc<Mutex<Vec<(UpstreamRequest, SseFeed)>>>;

/// Has calls of its tools answered by streams that the test feeds.
fn fed(peer: &Peer) -> Calls {
    let calls = Calls::default();
    let begun = Arc::clone(&calls);
    peer.rule("tools/call", move |request| {
        let (answer, feed) = Answer::sse();
        begun.lock().unwrap().push((request.clone(), feed));
        answer
    });
    calls
}

async fn next(calls: &Calls) -> (UpstreamRequest, SseFeed) {
    eventually("a call", async || calls.lock().unwrap().pop()).await
}

fn finish(request: &UpstreamRequest, feed: &SseFeed, modern: bool) {
    let mut result = json!({"content": [{"type": "text", "text": "done"}]});
    if modern {
        result["resultType"] = "complete".into();
    }
    feed.event(json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}).to_string());
}

#[tokio::test]
async fn progress_comes_with_the_clients_own_token_of_whatever_type() {
    let (new, old) = mixed().await;
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        for peer in [&new, &old] {
            let calls = fed(peer);
            for token in [json!("tok"), json!(7), json!("7")] {
                let params = json!({"name": format!("{}__echo", peer.id), "arguments": {}, "_meta": {"progressToken": token}});
                let mut coming = client.send("tools/call", params).await;
                let (request, feed) = next(&calls).await;
                let theirs = request.json()["params"]["_meta"]["progressToken"].clone();
                feed.event(mcp::notification(
                    "notifications/progress",
                    json!({"progressToken": "foreign", "progress": 9}),
                ));
                feed.event(mcp::notification(
                    "notifications/progress",
                    json!({"progressToken": theirs, "progress": 1, "total": 2.50}),
                ));
                coming.stream().await;
                let told = coming.event().await;
                assert_eq!(
                    told["params"],
                    json!({"progressToken": token, "progress": 1, "total": 2.5}),
                    "{}",
                    peer.id
                );
                finish(&request, &feed, peer.id == "new");
                assert_eq!(coming.response().await["result"]["content"][0]["text"], "done");
            }
            // Without a token, nothing is told.
            let coming = client
                .send("tools/call", json!({"name": format!("{}__echo", peer.id), "arguments": {}}))
                .await;
            let (request, feed) = next(&calls).await;
            assert!(request.json()["params"]["_meta"].get("progressToken").is_none());
            finish(&request, &feed, peer.id == "new");
            assert!(!coming.whole().await.text().contains("progress"));
        }
    }
}

#[tokio::test]
async fn what_belongs_to_no_call_does_not_come_on_its_stream() {
    let (new, old) = mixed().await;
    let calls = fed(&new);
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        let mut coming = client.send("tools/call", json!({"name": "new__echo", "arguments": {}})).await;
        let (request, feed) = next(&calls).await;
        let forged =
            json!({"uri": "old://secret", "_meta": {"io.modelcontextprotocol/subscriptionId": "sub-1"}});
        for method in ["resources/updated", "tools/list_changed", "subscriptions/acknowledged", "cancelled"] {
            feed.event(mcp::notification(&format!("notifications/{method}"), forged.clone()));
        }
        let log = json!({"level": "error", "data": "x", "_meta": {"io.modelcontextprotocol/subscriptionId": "sub-1", "mine": 1}});
        feed.event(mcp::notification("notifications/message", log));
        coming.stream().await;
        let told = coming.event().await;
        assert_eq!(told["method"], "notifications/message", "{told}");
        assert_eq!(told["params"]["logger"], "new");
        assert!(!told.to_string().contains("subscriptionId"), "{told}");
        finish(&request, &feed, true);
        coming.response().await;
    }
}

#[tokio::test]
async fn a_modern_client_that_goes_away_cancels() {
    let (new, old) = mixed().await;
    let (modern_calls, legacy_calls) = (fed(&new), fed(&old));
    let stage = Stage::start(&[&new, &old]).await;
    let client = stage.modern();
    let coming = client.send("tools/call", json!({"name": "new__echo", "arguments": {}})).await;
    let (_, mut feed) = next(&modern_calls).await;
    drop(coming);
    feed.gone().await;
    let coming = client.send("tools/call", json!({"name": "old__echo", "arguments": {}})).await;
    let (request, _feed) = next(&legacy_calls).await;
    drop(coming);
    is_cancelled(&old, &request.json()["id"]).await;
}

async fn is_cancelled(peer: &Peer, id: &Value) {
    let cancelled = peer.upstream.wait_for_method("notifications/cancelled", 1).await;
    assert!(cancelled.iter().any(|r| r.json()["params"]["requestId"] == *id), "{id}");
}

#[tokio::test]
async fn an_older_client_cancels_by_saying_so() {
    let (new, old) = mixed().await;
    let (modern_calls, legacy_calls) = (fed(&new), fed(&old));
    let stage = Stage::start(&[&new, &old]).await;
    let client = stage.legacy().await;
    let mut ids = Vec::new();
    for (name, calls) in [("new__echo", &modern_calls), ("old__echo", &legacy_calls)] {
        let id = json!(format!("call-{name}"));
        let coming = client.send_with_id(&id, "tools/call", json!({"name": name, "arguments": {}})).await;
        let (request, feed) = next(calls).await;
        ids.push((id, coming, request, feed));
    }
    cancel(&client, &json!("call-unknown")).await;
    let (id, _coming, _, mut feed) = ids.remove(0);
    cancel(&client, &id).await;
    feed.gone().await;
    assert_eq!(old.count("notifications/cancelled"), 0, "the other goes on");
    let (id, _coming, request, _feed) = ids.remove(0);
    cancel(&client, &id).await;
    is_cancelled(&old, &request.json()["id"]).await;
}

async fn cancel(client: &Client, id: &Value) {
    let told = client.post(&mcp::notification("notifications/cancelled", json!({"requestId": id}))).await;
    assert_eq!(told.status, 202);
}

#[tokio::test]
async fn a_modern_upstream_that_breaks_off_fails_its_call_alone() {
    let (new, old) = mixed().await;
    let calls = fed(&new);
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        let params = json!({"name": "new__echo", "arguments": {}, "_meta": {"progressToken": 1}});
        let mut coming = client.send("tools/call", params).await;
        let (request, feed) = next(&calls).await;
        let theirs = request.json()["params"]["_meta"]["progressToken"].clone();
        feed.event(mcp::notification(
            "notifications/progress",
            json!({"progressToken": theirs, "progress": 1}),
        ));
        coming.stream().await;
        coming.event().await;
        feed.cut();
        let failed = coming.response().await;
        assert_eq!((&failed["id"], &failed["error"]["code"]), (&json!(5), &json!(-32603)), "{failed}");
        assert_eq!(client.call("old__echo", json!({})).await, "old echo {}");
    }
}
