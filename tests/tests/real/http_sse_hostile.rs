//! A server of HTTP+SSE, the transport of 2024-11-05, that misbehaves.

use super::http_sse::Stage;
use narthex_testkit::{Answer, RawClient, RawResponse, RecordingUpstream, SseFeed, UpstreamRequest};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A server whose streams the test feeds. It takes every message with 202.
struct Server {
    upstream: RecordingUpstream,
    streams: UnboundedReceiver<SseFeed>,
}

impl Server {
    async fn start() -> Self {
        let upstream = RecordingUpstream::start().await;
        let (sender, streams) = unbounded_channel();
        upstream.always(move |request| {
            if request.method != "GET" {
                return Answer::status(202);
            }
            let (answer, feed) = Answer::sse();
            sender.send(feed).unwrap();
            answer
        });
        Self { upstream, streams }
    }

    /// The next stream, with its first event sent.
    async fn stream(&mut self, endpoint: &str) -> SseFeed {
        let feed = self.streams.recv().await.unwrap();
        feed.raw(format!("event: endpoint\ndata: {endpoint}\n\n"));
        feed
    }

    /// The request with this method, once it has come.
    async fn asked(&self, method: &str) -> UpstreamRequest {
        self.upstream.wait_until(|| !self.upstream.requests_for(method).is_empty()).await;
        self.upstream.requests_for(method).remove(0)
    }

    /// A stream on which a session is open, and `tools/list` answered.
    async fn session(&mut self) -> SseFeed {
        let feed = self.stream("/messages?session=s-1").await;
        let result = json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
            "serverInfo": {"name": "s", "version": "1"}});
        answer(&feed, &self.asked("initialize").await, &result);
        answer(&feed, &self.asked("tools/list").await, &json!({"tools": []}));
        feed
    }
}

fn answer(feed: &SseFeed, request: &UpstreamRequest, result: &Value) {
    feed.event(json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}).to_string());
}

async fn call(stage: &Stage) -> RawClient {
    let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
    client.send(stage.modern("tools/call", json!({"name": "t", "arguments": {}}))).await.unwrap();
    client
}

fn is_failure(answer: &RawResponse) -> bool {
    answer.status == 502 && answer.rpc()["error"]["code"] == -32603
}

#[tokio::test]
async fn an_endpoint_at_another_origin_is_refused_and_never_spoken_to() {
    let other = RecordingUpstream::start().await;
    let port = other.address().port();
    let own = |server: &Server| server.upstream.address();
    let endpoints: [&dyn Fn(&Server) -> String; 6] = [
        &|_| other.url("/messages"),
        &|_| format!("//127.0.0.1:{port}/messages"),
        &|server| format!("http://localhost:{}/messages", own(server).port()),
        &|_| format!("http://127.0.0.1@localhost:{port}/"),
        &|server| format!("https://{}/messages", own(server)),
        &|_| "file:///etc/passwd".to_owned(),
    ];
    for endpoint in endpoints {
        // A server for each: one that keeps failing is left alone for a while.
        let mut server = Server::start().await;
        let stage = Stage::before(&server.upstream.url("/sse")).await;
        let endpoint = endpoint(&server);
        let mut client = call(&stage).await;
        let mut feed = server.stream(&endpoint).await;
        let answer = client.response().await.unwrap();
        assert!(is_failure(&answer), "{endpoint}: {} {}", answer.status, answer.text());
        feed.gone().await;
        assert_eq!(server.upstream.requests_for("initialize").len(), 0);
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_stream_that_names_no_endpoint_is_refused() {
    let mut server = Server::start().await;
    let stage = Stage::before(&server.upstream.url("/sse")).await;
    let firsts: [&str; 3] = [
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n\n",
        "event: message\ndata: trash\n\n",
        "event: endpoint\n",
    ];
    for first in firsts {
        let mut client = call(&stage).await;
        let feed = server.streams.recv().await.unwrap();
        feed.raw(first.to_owned());
        drop(feed);
        let answer = client.response().await.unwrap();
        assert!(is_failure(&answer), "{first}: {} {}", answer.status, answer.text());
    }
    server.upstream.always(|_| Answer::status(404));
    let answer = call(&stage).await.response().await.unwrap();
    assert!(is_failure(&answer), "no stream: {}", answer.text());
    assert!(server.upstream.requests_for("initialize").is_empty());
}

#[tokio::test]
async fn a_stream_that_dies_in_mid_call_is_an_error_of_the_call_and_the_next_opens_another() {
    let mut server = Server::start().await;
    let stage = Stage::before(&server.upstream.url("/sse")).await;
    let mut client = call(&stage).await;
    let feed = server.session().await;
    let sent = server.asked("tools/call").await;
    assert_eq!(sent.path, "/messages?session=s-1");
    feed.cut();
    let broken = client.response().await.unwrap();
    assert!(is_failure(&broken), "{} {}", broken.status, broken.text());
    assert_eq!(server.upstream.requests_for("tools/call").len(), 1, "it is not made again");
    server.upstream.forget();
    let mut client = call(&stage).await;
    let feed = server.session().await;
    answer(&feed, &server.asked("tools/call").await, &json!({"content": [{"type": "text", "text": "anew"}]}));
    assert_eq!(client.response().await.unwrap().tool_text().as_deref(), Some("anew"));
}

#[tokio::test]
async fn a_stream_that_dies_while_a_call_waits_is_an_error_for_who_comes_back() {
    let mut server = Server::start().await;
    let stage = Stage::before(&server.upstream.url("/sse")).await;
    let mut client = call(&stage).await;
    let feed = server.session().await;
    server.asked("tools/call").await;
    let form = json!({"message": "sure?", "requestedSchema": {"type": "object", "properties": {}}});
    feed.event(narthex_testkit::mcp::request("e", "elicitation/create", form));
    let asked = client.response().await.unwrap();
    let state = asked.rpc()["result"]["requestState"].clone();
    assert!(state.is_string(), "{}", asked.text());
    feed.cut();
    let again = json!({"name": "t", "arguments": {}, "requestState": state,
        "inputResponses": {"ask-1": {"action": "decline"}}});
    let answer = stage.ask("tools/call", again).await;
    assert!(is_failure(&answer), "{} {}", answer.status, answer.text());
    assert_eq!(server.upstream.requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn trash_on_the_stream_ends_it_and_what_belongs_to_no_call_is_shown_to_nobody() {
    let mut server = Server::start().await;
    let stage = Stage::before(&server.upstream.url("/sse")).await;
    let mut client = call(&stage).await;
    let feed = server.session().await;
    let sent = server.asked("tools/call").await;
    feed.event(json!({"jsonrpc": "2.0", "id": "nobodys", "result": {"stolen": true}}).to_string());
    feed.event(json!({"jsonrpc": "2.0", "id": 5, "result": {"stolen": true}}).to_string());
    feed.raw("event: other\ndata: stolen\n\n: comment\n\n");
    answer(&feed, &sent, &json!({"content": [{"type": "text", "text": "mine"}]}));
    assert_eq!(client.response().await.unwrap().tool_text().as_deref(), Some("mine"));
    server.upstream.forget();
    let mut client = call(&stage).await;
    server.asked("tools/call").await;
    feed.event("trash");
    let broken = client.response().await.unwrap();
    assert!(is_failure(&broken), "{} {}", broken.status, broken.text());
}

#[tokio::test]
async fn leaving_a_call_tells_the_server_that_it_is_cancelled() {
    let mut server = Server::start().await;
    let stage = Stage::before(&server.upstream.url("/sse")).await;
    let client = call(&stage).await;
    let _feed = server.session().await;
    let sent = server.asked("tools/call").await;
    drop(client);
    let told = server.asked("notifications/cancelled").await;
    assert_eq!(told.json()["params"]["requestId"], sent.json()["id"]);
    assert_eq!(told.path, "/messages?session=s-1");
    assert!(!server.upstream.seen(&stage.token));
}
