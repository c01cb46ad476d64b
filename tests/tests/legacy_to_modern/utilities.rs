//! What surrounds calls: ping, log messages, progress, cancellation.

use super::stage::{LATEST, LEGACY, Stage, completed};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

#[tokio::test]
async fn a_ping_is_answered_here() {
    let stage = Stage::start().await;
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        let count = stage.upstream.count();
        assert_eq!(client.ask("ping", json!({})).await, json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
        assert_eq!(stage.upstream.count(), count, "{revision}");
    }
}

#[tokio::test]
async fn notifications_are_accepted_and_end_here() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let count = stage.upstream.count();
    for method in ["initialized", "roots/list_changed", "cancelled", "progress", "elicitation/complete", "x"]
    {
        let answer = client.post(&mcp::notification(&format!("notifications/{method}"), json!({}))).await;
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{method}");
    }
    // So is an answer that nobody waits for.
    assert_eq!(client.respond(&json!("narthex-1"), json!({})).await.status, 202);
    assert_eq!(stage.upstream.count(), count);
}

#[tokio::test]
async fn methods_of_the_newer_revision_and_tasks_are_unknown() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let count = stage.upstream.count();
    for method in ["server/discover", "subscriptions/listen", "tasks/get", "tasks/list", "tasks/result"] {
        let answer = client.ask(method, json!({"taskId": "1"})).await;
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
    }
    assert_eq!(stage.upstream.count(), count);
}

/// The level that the last call asked the server for.
fn level(stage: &Stage) -> Value {
    let call = stage.upstream.requests_for("tools/call").pop().expect("a call");
    call.json()["params"]["_meta"]["io.modelcontextprotocol/logLevel"].clone()
}

/// Makes a call that logs at every level; the levels that the client hears of.
async fn logged(stage: &Stage, client: &super::client::Client) -> Vec<String> {
    const LEVELS: [&str; 8] =
        ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
    stage.server.next("tools/call", |request| {
        let mut messages: Vec<_> = LEVELS
            .map(|level| {
                let meta = json!({"io.modelcontextprotocol/subscriptionId": 9, "kept": true});
                let params = json!({"level": level, "logger": "l", "data": {"n": 1}, "_meta": meta});
                json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
            })
            .into();
        messages.push(serde_json::from_str(&completed(&request.json()["id"], "done")).unwrap());
        Answer::sse_events(&messages)
    });
    let mut stream = client.begin_call().await;
    let mut levels = Vec::new();
    loop {
        let message = stream.message().await;
        if message["method"].is_null() {
            assert_eq!(message["result"]["content"][0]["text"], "done", "{message}");
            return levels;
        }
        let params = &message["params"];
        assert_eq!((&params["data"]["n"], &params["_meta"]), (&json!(1), &json!({"kept": true})));
        levels.push(params["level"].as_str().unwrap().to_owned());
    }
}

#[tokio::test]
async fn log_messages_come_from_info_on_until_the_client_sets_a_level() {
    let stage = Stage::start().await;
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        let other = stage.open(revision, json!({})).await;
        let from_info = ["info", "notice", "warning", "error", "critical", "alert", "emergency"];
        assert_eq!(logged(&stage, &client).await, from_info, "{revision}");
        assert_eq!(level(&stage), "info");
        for (set, count) in [("error", 4), ("debug", 8), ("emergency", 1)] {
            let answer = client.ask("logging/setLevel", json!({"level": set})).await;
            assert_eq!(answer["result"], json!({}));
            assert_eq!(logged(&stage, &client).await.len(), count, "{revision} {set}");
            assert_eq!(level(&stage), set);
            client.call("echo", json!({})).await;
            assert_eq!(level(&stage), set, "kept");
        }
        other.call("echo", json!({})).await;
        assert_eq!(level(&stage), "info", "of the other session");
    }
    assert_eq!(stage.upstream.requests_for("logging/setLevel").len(), 0);
}

#[tokio::test]
async fn a_level_that_there_is_not_is_refused_and_changes_nothing() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    client.ask("logging/setLevel", json!({"level": "alert"})).await;
    for params in [json!({"level": "loud"}), json!({"level": 3}), json!({})] {
        assert_eq!(client.ask("logging/setLevel", params).await["error"]["code"], -32602);
    }
    client.call("echo", json!({})).await;
    assert_eq!(level(&stage), "alert");
}

#[tokio::test]
async fn progress_comes_under_the_clients_own_token() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    for token in [json!("abc"), json!(17), json!("p")] {
        let feed = stage.next_stream();
        stage.upstream.forget();
        let params = json!({"name": "echo", "arguments": {}, "_meta": {"progressToken": token}});
        let mut stream = client.begin(&mcp::request(7, "tools/call", params)).await;
        let call = stage.upstream.wait_for_method("tools/call", 1).await.pop().unwrap().json();
        let theirs = &call["params"]["_meta"]["progressToken"];
        assert!(theirs.is_string() && (*theirs != token || token == "p"), "{theirs}");
        let progress = |token: &Value, done: i32| {
            let params = json!({"progressToken": token, "progress": done, "total": 3, "message": "m"});
            feed.event(
                json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).to_string(),
            );
        };
        progress(&json!("somebody-elses"), 9);
        progress(theirs, 1);
        let message = stream.message().await;
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(
            message["params"],
            json!({"progressToken": token, "progress": 1, "total": 3, "message": "m"})
        );
        progress(theirs, 2);
        assert_eq!(stream.message().await["params"]["progress"], 2);
        feed.event(completed(&call["id"], "done"));
        assert_eq!(stream.message().await["result"]["content"][0]["text"], "done");
        drop(feed);
        assert!(stream.ended().await);
    }
}

#[tokio::test]
async fn a_call_without_a_token_hears_of_no_progress() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let feed = stage.next_stream();
    let mut answer = client.begin_call().await;
    let call = stage.upstream.wait_for_method("tools/call", 1).await.pop().unwrap().json();
    assert!(call["params"]["_meta"].get("progressToken").is_none());
    let params = json!({"progressToken": "p", "progress": 1});
    feed.event(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).to_string());
    feed.event(completed(&call["id"], "done"));
    drop(feed);
    assert_eq!(answer.whole().await.json()["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn cancelling_a_call_closes_the_servers_stream() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let cancelled = |id: Value| mcp::notification("notifications/cancelled", json!({"requestId": id}));
    let mut feed = stage.next_stream();
    let mut stream = client.begin_call().await;
    feed.event(
        json!({"jsonrpc": "2.0", "method": "notifications/message",
                      "params": {"level": "error", "data": 1}})
        .to_string(),
    );
    assert_eq!(stream.message().await["params"]["level"], "error");
    // Neither another request, nor the like-named one of another session.
    let other = stage.open(LATEST, json!({})).await;
    assert_eq!(client.post(&cancelled(json!("7"))).await.status, 202);
    assert_eq!(other.post(&cancelled(json!(7))).await.status, 202);
    client.ask("ping", json!({})).await;
    assert!(!feed.is_gone());
    assert_eq!(client.post(&cancelled(json!(7))).await.status, 202);
    feed.gone().await;
    assert!(stream.ended().await, "without an answer");
    client.ask("ping", json!({})).await;
}

#[tokio::test]
async fn a_call_can_be_cancelled_before_its_server_says_anything() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    client.ask("tools/list", json!({})).await;
    stage.server.next("tools/call", |_| Answer::hang());
    let mut answer = client.begin_call().await;
    stage.upstream.wait_for_method("tools/call", 1).await;
    let open = stage.upstream.open_connections();
    let cancelled = mcp::notification("notifications/cancelled", json!({"requestId": 7}));
    assert_eq!(client.post(&cancelled).await.status, 202);
    let whole = answer.whole().await;
    assert!(!whole.text().contains("result") && !whole.text().contains("error"), "{}", whole.text());
    super::stage::eventually("the connection is closed", || async {
        (stage.upstream.open_connections() < open).then_some(())
    })
    .await;
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 1, "it was not sent again");
}
