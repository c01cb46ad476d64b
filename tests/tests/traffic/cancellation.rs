//! A client that goes away: by 2026-07-28 that cancels, by the revisions before it does not.

use super::stage::{LEGACY, Stage, setup, tool_call_with};
use narthex_testkit::{Answer, SseFeed, mcp};
use serde_json::json;

/// Calls with this request id and leaves as soon as the upstream's stream has begun. The gateway has
/// seen the client leave when this returns.
async fn leave_a_stream(stage: &Stage, revision: &str, request_id: &str) -> SseFeed {
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut client = stage.connect().await;
    let id = [("X-Request-Id", request_id)];
    client.send(tool_call_with(revision, "/main", &stage.token, "echo", 1.into(), &id)).await.unwrap();
    feed.event(json!({"first": 1}).to_string());
    client.response_head().await.unwrap();
    client.sse_event().await.unwrap();
    drop(client);
    // The gateway has one thread, which hears of the end of the connection before this request.
    assert_eq!(mcp::get(stage.gateway.address(), "/nowhere", None).await.unwrap().status, 404);
    feed
}

#[tokio::test]
async fn by_2026_07_28_leaving_a_stream_cancels_the_call() {
    let stage = setup().start().await;
    let mut feed = leave_a_stream(&stage, mcp::STATELESS, "leaves-modern").await;
    feed.gone().await;
    assert_eq!(stage.log_line("leaves-modern").await["reason"], "client_gone");
    stage.upstream.wait_for_no_connections().await;
}

#[tokio::test]
async fn by_2026_07_28_leaving_before_the_answer_cancels_the_call() {
    let stage = setup().start().await;
    stage.upstream.next(Answer::hang());
    let mut client = stage.connect().await;
    let id = [("X-Request-Id", "leaves-early")];
    client.send(tool_call_with(mcp::STATELESS, "/main", &stage.token, "echo", 1.into(), &id)).await.unwrap();
    stage.upstream.wait_for(1).await;
    drop(client);
    stage.upstream.wait_for_no_connections().await;
    assert_eq!(stage.log_line("leaves-early").await["reason"], "client_gone");
    assert_eq!(stage.upstream.count(), 1, "it was not sent again");
}

#[tokio::test]
async fn before_2026_07_28_leaving_a_stream_leaves_the_call_to_finish() {
    let stage = setup().start().await;
    for (n, revision) in LEGACY.into_iter().enumerate() {
        let id = format!("leaves-{revision}");
        let feed = leave_a_stream(&stage, revision, &id).await;
        feed.event("x".repeat(100_000));
        feed.event(json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string());
        assert!(!feed.is_gone(), "{revision}");
        drop(feed);
        assert_eq!(stage.log_line(&id).await["reason"], "client_gone", "{revision}");
        // The answer was read to its end: its connection serves the next call.
        assert_eq!(stage.call(revision).await.status, 200, "{revision}");
        assert_eq!((stage.upstream.connections(), stage.upstream.count()), (1, 2 * (n + 1)), "{revision}");
    }
}

#[tokio::test]
async fn before_2026_07_28_leaving_before_the_answer_leaves_the_call_to_finish() {
    let stage = setup().start().await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer.delayed(std::time::Duration::from_millis(300)));
    let mut client = stage.connect().await;
    let id = [("X-Request-Id", "leaves-before")];
    client.send(tool_call_with(mcp::STATEFUL, "/main", &stage.token, "echo", 1.into(), &id)).await.unwrap();
    stage.upstream.wait_for(1).await;
    drop(client);
    feed.event(json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string());
    drop(feed);
    assert_eq!(stage.log_line("leaves-before").await["reason"], "client_gone");
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
    assert_eq!(stage.upstream.connections(), 1);
}

#[tokio::test]
async fn leaving_a_get_stream_closes_it_upstream() {
    let stage = setup().start().await;
    let (address, token) = (stage.gateway.address(), Some(stage.token.as_str()));
    let session = mcp::open_session(address, "/main", token, mcp::STATEFUL).await.unwrap();
    let (answer, mut feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut client = stage.connect().await;
    let fields = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    client.send(mcp::bodiless("GET", "/main", token, &fields)).await.unwrap();
    client.response_head().await.unwrap();
    drop(client);
    feed.gone().await;
}
