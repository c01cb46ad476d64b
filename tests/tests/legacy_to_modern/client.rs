//! A client of one of the revisions with sessions.

use narthex_testkit::{RawClient, RawResponse, SseEvent, mcp};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A client; each of its requests has a connection of its own.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    path: String,
    pub(crate) token: String,
    pub(crate) revision: String,
    pub(crate) session: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, path: &str, token: String) -> Self {
        let (path, none) = (path.to_owned(), String::new());
        Self { address, path, token, revision: none.clone(), session: none }
    }

    /// The same at another gateway.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// Opens a session, and keeps its id and revision if there is one.
    pub(crate) async fn initialize(&mut self, revision: &str, capabilities: Value) -> RawResponse {
        let info = json!({"name": "old-client", "version": "1.2"});
        let params = json!({"protocolVersion": revision, "capabilities": capabilities, "clientInfo": info});
        let answer = self.post(&mcp::request("init", "initialize", params)).await;
        self.session = answer.header("mcp-session-id").unwrap_or_default().to_owned();
        answer.json()["result"]["protocolVersion"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut self.revision);
        answer
    }

    /// Says that it is initialized.
    pub(crate) async fn initialized(&self) {
        let answer = self.post(&mcp::notification("notifications/initialized", json!({}))).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }

    /// The header fields of its requests.
    fn headers<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut headers = more.to_vec();
        if !self.session.is_empty() {
            headers.push(("Mcp-Session-Id", &self.session));
        }
        // The first of the revisions has no such field.
        if !self.revision.is_empty() && self.revision != "2025-03-26" {
            headers.push(("MCP-Protocol-Version", &self.revision));
        }
        headers
    }

    /// Posts a message and reads the whole answer.
    pub(crate) async fn post(&self, body: &str) -> RawResponse {
        self.post_with(&[], body).await
    }

    /// The same with more header fields.
    pub(crate) async fn post_with(&self, more: &[(&str, &str)], body: &str) -> RawResponse {
        let bytes = mcp::post(&self.path, Some(&self.token), &self.headers(more), body);
        mcp::exchange(self.address, &bytes).await.expect("an answer")
    }

    /// A request with id 7, whose answer is one message.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.post(&mcp::request(7, method, params)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let message = answer.rpc();
        assert_eq!(message["id"], 7, "{message}");
        message
    }

    /// Calls a tool, with id 7.
    pub(crate) async fn call(&self, name: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": name, "arguments": arguments})).await
    }

    /// Posts a message and leaves the answer to be read as it comes.
    pub(crate) async fn begin(&self, body: &str) -> Stream {
        let mut client = RawClient::connect(self.address).await.expect("a connection");
        let bytes = mcp::post(&self.path, Some(&self.token), &self.headers(&[]), body);
        client.send(bytes).await.expect("sent");
        Stream { client, status: 0 }
    }

    /// Begins to call the tool `echo`, with id 7.
    pub(crate) async fn begin_call(&self) -> Stream {
        self.begin(&mcp::request(7, "tools/call", json!({"name": "echo", "arguments": {}}))).await
    }

    /// Opens a GET stream, after an event or from the start.
    pub(crate) async fn listen(&self, last_event_id: Option<&str>) -> Stream {
        let last: Vec<_> = last_event_id.map(|id| ("Last-Event-ID", id)).into_iter().collect();
        let mut headers = self.headers(&last);
        headers.push(("Accept", "text/event-stream"));
        let mut client = RawClient::connect(self.address).await.expect("a connection");
        client.send(mcp::bodiless("GET", &self.path, Some(&self.token), &headers)).await.expect("sent");
        let mut stream = Stream { client, status: 0 };
        stream.head().await;
        stream
    }

    /// Answers a request of the server's.
    pub(crate) async fn respond(&self, id: &Value, result: Value) -> RawResponse {
        self.post(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()).await
    }

    /// Ends the session.
    pub(crate) async fn delete(&self) -> RawResponse {
        let bytes = mcp::bodiless("DELETE", &self.path, Some(&self.token), &self.headers(&[]));
        mcp::exchange(self.address, &bytes).await.expect("an answer")
    }
}

/// An answer that is read as it comes.
pub(crate) struct Stream {
    client: RawClient,
    pub(crate) status: u16,
}

impl Stream {
    /// Reads the header.
    pub(crate) async fn head(&mut self) -> RawResponse {
        let head = self.client.response_head().await.expect("a header");
        self.status = head.status;
        head
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<SseEvent> {
        if self.status == 0 {
            let head = self.head().await;
            let kind = head.header("content-type").unwrap_or_default();
            assert_eq!((head.status, kind), (200, "text/event-stream"), "{:?}", head.headers);
        }
        self.client.sse_event().await.expect("a stream that is not cut")
    }

    /// The next event with data: its message. Events without are there to be resumed from.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let event = self.event().await.expect("a message before the end");
            if !event.data.is_empty() {
                return event.json();
            }
        }
    }

    /// The next message, and the id of its event.
    pub(crate) async fn message_with_id(&mut self) -> (String, Value) {
        loop {
            let event = self.event().await.expect("a message before the end");
            if !event.data.is_empty() {
                return (event.id.clone().expect("an id"), event.json());
            }
        }
    }

    /// The whole answer, if it is no stream.
    pub(crate) async fn whole(&mut self) -> RawResponse {
        self.client.response().await.expect("an answer")
    }

    /// Whether nothing more comes.
    pub(crate) async fn ended(&mut self) -> bool {
        self.event().await.is_none()
    }
}
