//! Servers that die, lie, or send what is no message.

use super::stage::{Stage, accept, fault, fed, retry, whole};
use narthex_testkit::Answer;
use serde_json::{Value, json};

fn answered() -> Value {
    json!({"ask-1": accept()})
}

#[tokio::test]
async fn a_server_that_dies_while_a_call_waits_is_a_clear_error_for_who_comes_back() {
    let stage = Stage::start().await;
    let (call, state) = stage.alice().suspended(&stage).await;
    call.cut();
    let answer = stage.alice().ask("tools/call", retry(&state, answered())).await;
    assert_eq!(fault(&answer), (502, json!(-32603)), "{}", whole(&answer));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1, "and nothing is made again");
    let again = stage.alice().ask("tools/call", retry(&state, answered())).await;
    assert_eq!(fault(&again), (400, json!(-32602)), "{}", whole(&again));
    stage.gateway.wait_for_metric("narthex_suspended_calls", |n| n == 0.0).await;
}

#[tokio::test]
async fn a_server_that_restarts_while_a_call_waits_is_a_clear_error_too() {
    let stage = Stage::start().await;
    let (call, state) = stage.alice().suspended(&stage).await;
    call.cut();
    stage.server.forget_sessions();
    let answer = stage.alice().ask("tools/call", retry(&state, answered())).await;
    assert_eq!(fault(&answer), (502, json!(-32603)), "{}", whole(&answer));
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
    let next = stage.alice().result("tools/call", json!({"name": "echo"})).await;
    assert_eq!(next["resultType"], "complete", "the next call finds a new session");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error_of_the_call_and_never_a_second_call() {
    let stage = Stage::start().await;
    let mut params = fed();
    params["_meta"]["progressToken"] = 1.into();
    let (call, mut coming) = stage.alice().feed(&stage, params).await;
    call.progress(json!(1));
    coming.stream().await;
    coming.event().await;
    call.cut();
    let last = coming.event().await;
    assert_eq!((&last["id"], &last["error"]["code"]), (&json!(5), &json!(-32603)), "{last}");
    assert_eq!(stage.server.upstream().requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn what_is_no_message_is_an_error_and_shown_to_nobody() {
    let stage = Stage::start().await;
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        ("no JSON", "canary-trash".to_owned()),
        ("half of it", r#"{"jsonrpc":"2.0","id":1,"result":{"canary-trash":"#.to_owned()),
        ("no version", r#"{"id":1,"result":{"canary-trash":1}}"#.to_owned()),
        (
            "result and error",
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"canary-trash"}}"#.to_owned(),
        ),
        ("a result that is no object", r#"{"jsonrpc":"2.0","id":1,"result":"canary-trash"}"#.to_owned()),
        ("a member twice", r#"{"jsonrpc":"2.0","id":1,"id":2,"result":{"canary-trash":1}}"#.to_owned()),
        ("a code of text", r#"{"jsonrpc":"2.0","id":1,"error":{"code":"canary-trash"}}"#.to_owned()),
        ("an id of an object", r#"{"jsonrpc":"2.0","id":{},"result":{"canary-trash":1}}"#.to_owned()),
        ("a number", "7".to_owned()),
        ("nothing", String::new()),
        ("deep", deep),
        ("bytes that are no text", "\u{0}\u{1}canary-trash".to_owned()),
    ];
    for events in [false, true] {
        for (name, body) in cases.clone() {
            stage.server.rule(move |request| {
                let answer = || match events {
                    true => Answer::full(200, "text/event-stream", format!("data: {body}\n\n")),
                    false => Answer::full(200, "application/json", body.clone()),
                };
                (request.rpc_method().as_deref() == Some("tools/call")).then(answer)
            });
            let answer = stage.alice().ask("tools/call", fed()).await;
            assert_eq!(fault(&answer), (502, json!(-32603)), "{name} {events}: {}", whole(&answer));
            assert!(!answer.text().contains("canary-trash"), "{name}: {}", whole(&answer));
        }
    }
    stage.server.rule(|_| None);
    stage.alice().result("tools/call", json!({"name": "echo"})).await;
}

#[tokio::test]
async fn what_is_no_mcp_at_all_is_an_error() {
    let stage = Stage::start().await;
    let cases: [fn() -> Answer; 5] = [
        || Answer::full(200, "text/html", "<p>sign in</p>"),
        || Answer::status(202),
        || Answer::status(302).header("Location", "https://evil.example/"),
        || Answer::raw("no HTTP\r\n\r\n"),
        || Answer::full(200, "", "{}"),
    ];
    for (n, answer) in cases.into_iter().enumerate() {
        stage
            .server
            .rule(move |request| (request.rpc_method().as_deref() == Some("tools/call")).then(answer));
        let answer = stage.alice().ask("tools/call", fed()).await;
        assert_eq!(fault(&answer), (502, json!(-32603)), "{n}: {}", whole(&answer));
        assert_eq!(answer.header("location"), None);
    }
}

#[tokio::test]
async fn an_answer_to_another_request_is_not_this_ones() {
    let stage = Stage::start().await;
    let (call, coming) = stage.alice().feed(&stage, fed()).await;
    let id = call.request.json()["id"].as_u64().unwrap();
    let other = |id: Value| json!({"jsonrpc": "2.0", "id": id, "result": {"content": [], "stolen": true}});
    call.say(other(json!(id + 1)));
    call.say(other(json!(id.to_string())));
    call.say(other(json!(5)));
    call.text("its own");
    let answer = coming.whole().await;
    assert_eq!(answer.tool_text().as_deref(), Some("its own"), "{}", whole(&answer));
}

#[tokio::test]
async fn a_huge_message_is_an_error_and_a_large_one_is_not() {
    let stage = Stage::start().await;
    for (len, good) in [(4 << 20, true), (17 << 20, false)] {
        stage.server.rule(move |request| {
            (request.rpc_method().as_deref() == Some("tools/call")).then(|| Answer::giant(request, len))
        });
        let answer = stage.alice().ask("tools/call", fed()).await;
        match good {
            true => assert_eq!(answer.tool_text().map(|text| text.len() as u64), Some(len)),
            false => assert_eq!(fault(&answer), (502, json!(-32603)), "{} bytes", answer.body.len()),
        }
    }
    let (call, coming) = stage.client("bob").feed(&stage, json!({"name": "fed"})).await;
    drop(call);
    assert_eq!(coming.whole().await.status, 502);
}

#[tokio::test]
async fn an_event_without_end_is_cut_off() {
    let stage = Stage::start().await;
    let (mut call, coming) = stage.alice().feed(&stage, fed()).await;
    call.feed.raw("data: ");
    for _ in 0..20 {
        call.feed.raw("x".repeat(1 << 20));
    }
    let answer = coming.whole().await;
    assert_eq!(fault(&answer), (502, json!(-32603)), "{}", whole(&answer));
    call.feed.gone().await;
}

#[tokio::test]
async fn a_server_that_opens_no_session_is_a_clear_error() {
    let refusals: [fn() -> Answer; 4] = [
        || Answer::status(500),
        || Answer::json(200, json!({"jsonrpc": "2.0", "id": 0, "error": {"code": -32602, "message": "no"}})),
        || Answer::json(200, json!({"jsonrpc": "2.0", "id": 0, "result": {}})),
        Answer::close,
    ];
    for (n, refusal) in refusals.into_iter().enumerate() {
        let stage = Stage::start().await;
        stage.server.upstream().always(move |request| match request.rpc_method().as_deref() {
            Some("server/discover") => Answer::status(400),
            _ => refusal(),
        });
        let answer = stage.alice().ask("tools/call", fed()).await;
        assert_eq!(fault(&answer), (502, json!(-32603)), "{n}: {}", whole(&answer));
        assert!(stage.server.upstream().requests_for("tools/call").is_empty());
    }
}
