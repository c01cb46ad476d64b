//! What comes before a call's result: progress, log messages, and streams that end early.

use super::stage::{Stage, answers, fed, form, retry, state, whole};
use narthex_testkit::{Answer, SseEvent};
use serde_json::{Value, json};

fn with_meta(mut params: Value, key: &str, value: Value) -> Value {
    params["_meta"][key] = value;
    params
}

const LEVEL: &str = "io.modelcontextprotocol/logLevel";

#[tokio::test]
async fn progress_comes_by_the_clients_token_and_goes_up_by_another() {
    let stage = Stage::start().await;
    for token in [json!("mine"), json!(42)] {
        let params = with_meta(fed(), "progressToken", token.clone());
        let (call, mut coming) = stage.alice().feed(&stage, params).await;
        let theirs = call.request.json()["params"]["_meta"]["progressToken"].clone();
        assert!(theirs.is_string() && theirs != token, "{theirs}");
        call.notify("notifications/progress", json!({"progressToken": "somebody-elses", "progress": 9}));
        call.notify("notifications/progress", json!({"progressToken": token, "progress": 8}));
        call.progress(json!(1));
        coming.stream().await;
        let first = coming.event().await;
        assert_eq!(first["params"], json!({"progressToken": token, "progress": 1}), "{first}");
        call.text("done");
        assert_eq!(coming.event().await["result"]["resultType"], "complete");
    }
    let (call, coming) = stage.alice().feed(&stage, fed()).await;
    assert!(call.request.json()["params"].get("_meta").is_none(), "not asked for, not asked of the server");
    call.progress(json!(1));
    call.text("done");
    let answer = coming.whole().await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", whole(&answer));
}

#[tokio::test]
async fn progress_after_a_question_comes_by_the_retrys_token() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, mut coming) = alice.feed(&stage, with_meta(fed(), "progressToken", json!("first"))).await;
    call.progress(json!(1));
    coming.stream().await;
    assert_eq!(coming.event().await["params"]["progressToken"], "first");
    call.ask("a", "elicitation/create", form());
    let asked = coming.event().await;
    let state = asked["result"]["requestState"].as_str().unwrap().to_owned();
    let key = asked["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let again = retry(&state, json!({key: {"action": "decline"}}));
    let mut coming = alice.send("tools/call", with_meta(again, "progressToken", json!("second"))).await;
    stage.server.hears(|m| m["id"] == "a").await;
    call.progress(json!(2));
    coming.stream().await;
    assert_eq!(coming.event().await["params"], json!({"progressToken": "second", "progress": 2}));
    call.text("done");
    assert_eq!(coming.event().await["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn log_messages_come_only_where_they_are_wanted_and_only_from_that_level_on() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let log = |level: &str| json!({"level": level, "data": level, "_meta": {"own/key": 1}});
    let (call, mut coming) = alice.feed(&stage, with_meta(fed(), LEVEL, json!("warning"))).await;
    let set = stage.server.upstream().requests_for("logging/setLevel").remove(0).json();
    assert_eq!(set["params"], json!({"level": "warning"}));
    assert!(call.request.json()["params"].get("_meta").is_none(), "the level goes up in its own way only");
    for level in ["debug", "info", "notice", "no-level", "warning", "emergency"] {
        call.notify("notifications/message", log(level));
    }
    coming.stream().await;
    for level in ["warning", "emergency"] {
        assert_eq!(coming.event().await["params"], log(level));
    }
    call.text("done");
    assert!(coming.event().await.get("result").is_some());
    let (call, coming) = alice.feed(&stage, fed()).await;
    call.notify("notifications/message", log("emergency"));
    call.text("done");
    let silent = coming.whole().await;
    assert!(!silent.text().contains("emergency"), "{}", whole(&silent));
    let wrong = alice.ask("tools/call", with_meta(fed(), LEVEL, json!("loud"))).await;
    assert_eq!(super::stage::fault(&wrong), (400, json!(-32602)));
}

#[tokio::test]
async fn one_sessions_level_is_low_enough_for_all_its_calls() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    for level in ["error", "info", "warning", "debug"] {
        alice.result("prompts/list", with_meta(json!({}), LEVEL, json!(level))).await;
    }
    let set = stage.server.upstream().requests_for("logging/setLevel");
    let levels: Vec<_> = set.iter().map(|r| r.json()["params"]["level"].clone()).collect();
    assert_eq!(levels, ["error", "info", "debug"], "never raised again");
}

#[tokio::test]
async fn notifications_come_before_the_result_in_order() {
    let stage = Stage::start().await;
    stage.server.rule(|request| {
        let token = &request.json()["params"]["_meta"]["progressToken"];
        let progress = |n: u8| {
            json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": token, "progress": n}})
        };
        let result = json!({"content": [{"type": "text", "text": "last"}]});
        let result = json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result});
        (request.rpc_method().as_deref() == Some("tools/call"))
            .then(|| Answer::sse_events(&[progress(1), progress(2), progress(3), result]))
    });
    let answer = stage.alice().ask("tools/call", with_meta(fed(), "progressToken", json!(1))).await;
    let messages: Vec<_> = answer.events().iter().map(SseEvent::json).collect();
    let progress: Vec<_> = messages[..3].iter().map(|m| m["params"]["progress"].clone()).collect();
    assert_eq!((messages.len(), progress), (4, vec![json!(1), json!(2), json!(3)]), "{}", whole(&answer));
    assert_eq!(messages[3]["result"]["content"][0]["text"], "last");
}

#[tokio::test]
async fn a_ping_of_the_servers_is_answered_and_not_shown() {
    let stage = Stage::start().await;
    let (call, coming) = stage.alice().feed(&stage, fed()).await;
    call.ask("are-you-there", "ping", json!({}));
    let pong = stage.server.hears(|m| m["id"] == "are-you-there").await;
    assert_eq!(pong["result"], json!({}));
    call.text("done");
    assert_eq!(coming.whole().await.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_stream_that_the_server_ends_early_is_taken_up_after_its_last_event() {
    let stage = Stage::start().await;
    let (call, coming) = stage.alice().feed(&stage, fed()).await;
    call.feed.raw("id: prime-1\nretry: 10\ndata:\n\n");
    let id = call.request.json()["id"].clone();
    drop(call);
    let again = stage.server.opened().await;
    assert_eq!(again.request.method, "GET");
    assert_eq!(again.request.header("last-event-id"), Some("prime-1"));
    assert!(again.request.header("mcp-session-id").is_some());
    // Broken off this time, behind another event.
    again.feed.event_with_id("next-2", json!({"jsonrpc": "2.0", "method": "notifications/own"}).to_string());
    again.cut();
    let last = stage.server.opened().await;
    assert_eq!(last.request.header("last-event-id"), Some("next-2"));
    last.say(json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": "there"}]}}));
    let answer = coming.whole().await;
    assert_eq!(answer.tool_text().as_deref(), Some("there"), "{}", whole(&answer));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn a_question_before_a_stream_ends_early_is_still_put_and_answered() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (call, coming) = alice.feed(&stage, fed()).await;
    let id = call.request.json()["id"].clone();
    call.feed.raw("id: one\nretry: 10\ndata:\n\n");
    call.ask("a", "roots/list", json!({}));
    drop(call);
    let first = coming.whole().await;
    let again = retry(&state(&first), answers(&first, &json!({"roots": []})));
    let coming = alice.send("tools/call", again).await;
    let resumed = stage.server.opened().await;
    assert_eq!(resumed.request.header("last-event-id"), Some("one"));
    assert_eq!(stage.server.hears(|m| m["id"] == "a").await["result"], json!({"roots": []}));
    resumed.say(json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": "ok"}]}}));
    assert_eq!(coming.whole().await.tool_text().as_deref(), Some("ok"));
}
