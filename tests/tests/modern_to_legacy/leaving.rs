//! A client of 2026-07-28 that goes away cancels its call; an older server has to be told so.

use super::stage::{Stage, fed};
use narthex_testkit::{Answer, LegacyServer};
use serde_json::json;

/// The server is told that the one call it was asked for is cancelled.
async fn is_cancelled(server: &LegacyServer) {
    let call = server.upstream().requests_for("tools/call").remove(0);
    let told = server.hears(|m| m["method"] == "notifications/cancelled").await;
    assert_eq!(told["params"]["requestId"], call.json()["id"]);
    let notes = server.upstream().requests_for("notifications/cancelled");
    assert_eq!(notes[0].header("mcp-session-id"), call.header("mcp-session-id"));
}

#[tokio::test]
async fn leaving_a_stream_tells_the_server_that_the_call_is_cancelled() {
    let stage = Stage::start().await;
    let mut params = fed();
    params["_meta"]["progressToken"] = 1.into();
    let (mut call, mut coming) = stage.alice().feed(&stage, params).await;
    call.progress(json!(1));
    coming.stream().await;
    coming.event().await;
    drop(coming);
    is_cancelled(&stage.server).await;
    call.feed.gone().await;
}

#[tokio::test]
async fn leaving_before_anything_came_tells_the_server_too() {
    let stage = Stage::start().await;
    let (mut call, coming) = stage.alice().feed(&stage, fed()).await;
    drop(coming);
    is_cancelled(&stage.server).await;
    call.feed.gone().await;
}

#[tokio::test]
async fn leaving_a_server_that_has_not_even_begun_to_answer_tells_it_too() {
    let stage = Stage::start().await;
    stage.server.rule(|request| (request.rpc_method().as_deref() == Some("tools/call")).then(Answer::hang));
    let coming = stage.alice().send("tools/call", fed()).await;
    stage.server.hears(|m| m["method"] == "tools/call").await;
    drop(coming);
    is_cancelled(&stage.server).await;
}

#[tokio::test]
async fn a_call_that_is_done_is_never_cancelled() {
    let stage = Stage::start().await;
    for _ in 0..3 {
        let (call, coming) = stage.alice().feed(&stage, fed()).await;
        call.text("done");
        assert_eq!(coming.whole().await.tool_text().as_deref(), Some("done"));
    }
    // A session that is ended afterwards says what else was under way.
    stage.alice().result("prompts/list", json!({})).await;
    assert!(stage.server.upstream().requests_for("notifications/cancelled").is_empty());
}
