//! Sessions of real servers: progress, notifications, and the end.

use super::peers::{Peer, npm_server, python_server};
use super::stage::Stage;
use narthex_testkit::{RawClient, RawResponse, SseEvent, mcp};
use serde_json::{Value, json};

#[tokio::test]
async fn a_session_with_the_npm_server_lives_until_it_is_deleted() {
    // It says 400 of a session that it does not know, where the specification says 404.
    lives_until_deleted(&npm_server().await, "echo", json!({"message": "hi"}), 400).await;
}

#[tokio::test]
async fn a_session_with_the_python_server_lives_until_it_is_deleted() {
    lives_until_deleted(&python_server().await, "test_simple_text", json!({}), 404).await;
}

async fn lives_until_deleted(server: &Peer, tool: &str, arguments: Value, gone: u16) {
    let stage = Stage::before_peer(server).await;
    let session = Session::open(&stage).await;
    let call = mcp::tools_call(tool, arguments);
    for _ in 0..2 {
        let answer = session.post(&call).await;
        assert!(answer.status == 200 && answer.tool_text().is_some(), "{}", answer.text());
    }
    let strangers = stage.idp.machine_token(&stage.url()).await;
    let stranger = Session { token: strangers, ..session.clone() };
    assert_eq!(stranger.post(&call).await.status, 404);
    assert_eq!(session.bodiless("DELETE").await.status, 204);
    assert_eq!(session.post(&call).await.status, gone);
}

#[tokio::test]
async fn progress_of_a_call_comes_before_its_result() {
    let server = npm_server().await;
    let stage = Stage::before_peer(&server).await;
    let session = Session::open(&stage).await;
    let params = json!({
        "name": "trigger-long-running-operation", "arguments": {"duration": 0.3, "steps": 3},
        "_meta": {"progressToken": "p"},
    });
    let answer = session.post(&mcp::request(7, "tools/call", params)).await;
    let messages: Vec<_> = answer.events().iter().map(SseEvent::json).filter(|m| !m.is_null()).collect();
    let progress = messages.iter().filter(|m| m["method"] == "notifications/progress").count();
    assert_eq!(progress, 3, "{messages:?}");
    let last = messages.last().unwrap();
    assert!(last["id"] == 7 && last["result"].is_object(), "{last}");
}

#[tokio::test]
async fn a_get_stream_brings_what_the_server_has_to_say() {
    let server = npm_server().await;
    let stage = Stage::before_peer(&server).await;
    let session = Session::open(&stage).await;
    let mut stream = RawClient::connect(stage.gateway.address()).await.unwrap();
    stream.send(session.bodiless_bytes("GET")).await.unwrap();
    let opened = stream.response_head().await.unwrap();
    assert_eq!((opened.status, opened.header("content-type")), (200, Some("text/event-stream")));
    let level = mcp::request(1, "logging/setLevel", json!({"level": "debug"}));
    assert_eq!(session.post(&level).await.status, 200);
    let logging = mcp::tools_call("toggle-simulated-logging", json!({}));
    assert_eq!(session.post(&logging).await.status, 200);
    loop {
        let event = stream.sse_event().await.unwrap().expect("the stream ended");
        if event.json()["method"] == "notifications/message" {
            return;
        }
    }
}

/// A session of alice, through the gateway.
#[derive(Clone)]
struct Session<'a> {
    stage: &'a Stage,
    token: String,
    id: String,
}

impl<'a> Session<'a> {
    async fn open(stage: &'a Stage) -> Self {
        let token = stage.token().await;
        let opened = mcp::open_session(stage.gateway.address(), "/mcp", Some(&token), mcp::STATEFUL).await;
        Self { stage, token, id: opened.unwrap() }
    }

    fn headers(&self) -> [(&str, &str); 2] {
        [("Mcp-Session-Id", &self.id), ("MCP-Protocol-Version", mcp::STATEFUL)]
    }

    async fn post(&self, body: &str) -> RawResponse {
        self.send(&mcp::post("/mcp", Some(&self.token), &self.headers(), body)).await
    }

    async fn bodiless(&self, method: &str) -> RawResponse {
        self.send(&self.bodiless_bytes(method)).await
    }

    fn bodiless_bytes(&self, method: &str) -> Vec<u8> {
        let mut headers = self.headers().to_vec();
        headers.push(("Accept", "application/json, text/event-stream"));
        mcp::bodiless(method, "/mcp", Some(&self.token), &headers)
    }

    async fn send(&self, bytes: &[u8]) -> RawResponse {
        mcp::exchange(self.stage.gateway.address(), bytes).await.unwrap()
    }
}
