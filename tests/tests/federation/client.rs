//! A client of either era.

use super::stage::Stage;
use narthex_testkit::{RawClient, RawResponse, SseEvent, mcp};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// All that a client can be asked for.
pub(crate) fn everything() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}})
}

/// A client: of 2026-07-28 if it has no session, else of 2025-11-25.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) session: Option<String>,
    pub(crate) capabilities: Value,
}

impl Client {
    /// Of 2026-07-28.
    pub(crate) fn modern(stage: &Stage, path: &str, claims: Value) -> Self {
        let token = stage.token(path, claims);
        let path = path.to_owned();
        Self { address: stage.gateway.address(), path, token, session: None, capabilities: everything() }
    }

    /// Of 2025-11-25, with a session.
    pub(crate) async fn legacy(stage: &Stage, path: &str, claims: Value) -> Self {
        let mut client = Self::modern(stage, path, claims);
        let answer = client.initialize().await;
        assert_eq!(answer.status, 200, "{}", whole(&answer));
        client.session = answer.header("mcp-session-id").map(str::to_owned);
        assert!(client.session.is_some(), "{}", whole(&answer));
        let told = client.post(&mcp::notification("notifications/initialized", json!({}))).await;
        assert_eq!(told.status, 202, "{}", whole(&told));
        client
    }

    /// The answer to an `initialize`.
    pub(crate) async fn initialize(&self) -> RawResponse {
        let info = json!({"name": "old-client", "version": "1"});
        let params =
            json!({"protocolVersion": mcp::STATEFUL, "capabilities": self.capabilities, "clientInfo": info});
        let bytes =
            mcp::post(&self.path, Some(&self.token), &[], &mcp::request("init", "initialize", params));
        mcp::exchange(self.address, &bytes).await.expect("an answer")
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.session.is_none()
    }

    /// The same client, declaring this: of 2026-07-28 only, as sessions keep what they were opened with.
    pub(crate) fn able(&self, capabilities: Value) -> Self {
        Self { capabilities, ..self.clone() }
    }

    /// The bytes of a request with id 5.
    pub(crate) fn bytes(&self, method: &str, params: Value, more: &[(&str, &str)]) -> Vec<u8> {
        self.bytes_with_id(&json!(5), method, params, more)
    }

    /// The bytes of a request.
    pub(crate) fn bytes_with_id(
        &self,
        id: &Value,
        method: &str,
        params: Value,
        more: &[(&str, &str)],
    ) -> Vec<u8> {
        match &self.session {
            None => {
                let name = params["name"].as_str().or_else(|| params["uri"].as_str());
                let name = name.or_else(|| params["taskId"].as_str()).map(header_value);
                let mut headers = mcp::stateless_headers(method, name.as_deref());
                headers.extend(more);
                let body = mcp::stateless_request_by(id.clone(), method, params, self.capabilities.clone());
                mcp::post(&self.path, Some(&self.token), &headers, &body)
            }
            Some(session) => self.stateful(session, &mcp::request(id.clone(), method, params), more),
        }
    }

    fn stateful(&self, session: &str, body: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let mut headers = vec![("Mcp-Session-Id", session), ("MCP-Protocol-Version", mcp::STATEFUL)];
        headers.extend(more);
        mcp::post(&self.path, Some(&self.token), &headers, body)
    }

    /// Posts a message of a session's as it is.
    pub(crate) async fn post(&self, body: &str) -> RawResponse {
        let session = self.session.clone().expect("a session");
        mcp::exchange(self.address, &self.stateful(&session, body, &[])).await.expect("an answer")
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> RawResponse {
        self.ask_with(&[], method, params).await
    }

    /// The same with more header fields.
    pub(crate) async fn ask_with(&self, more: &[(&str, &str)], method: &str, params: Value) -> RawResponse {
        let bytes = self.bytes(method, params, more);
        mcp::exchange(self.address, &bytes).await.expect("an answer")
    }

    /// The result of a request.
    pub(crate) async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        let result = answer.rpc()["result"].clone();
        assert!(answer.status == 200 && result.is_object(), "{method}: {}", whole(&answer));
        result
    }

    /// Status and error code of a request that fails.
    pub(crate) async fn fault(&self, method: &str, params: Value) -> (u16, Value) {
        fault(&self.ask(method, params).await)
    }

    /// The text that a tool answers with.
    pub(crate) async fn call(&self, name: &str, arguments: Value) -> String {
        let result = self.result("tools/call", json!({"name": name, "arguments": arguments})).await;
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned()
    }

    /// Status and error code of a call that fails.
    pub(crate) async fn call_fault(&self, name: &str) -> (u16, Value) {
        self.fault("tools/call", json!({"name": name, "arguments": {}})).await
    }

    /// The names (or URIs) of a list, all pages of it.
    pub(crate) async fn names(&self, method: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut params = json!({});
        for _ in 0..1000 {
            let page = self.result(method, params.clone()).await;
            all.extend(items(&page).iter().map(name_of));
            match page.get("nextCursor") {
                Some(cursor) => params["cursor"] = cursor.clone(),
                None => return all,
            }
        }
        panic!("pages without end")
    }

    /// The names of its tools.
    pub(crate) async fn tools(&self) -> Vec<String> {
        self.names("tools/list").await
    }

    /// Sends a request and leaves the answer to come.
    pub(crate) async fn send(&self, method: &str, params: Value) -> Coming {
        self.send_with_id(&json!(5), method, params).await
    }

    /// The same with that id.
    pub(crate) async fn send_with_id(&self, id: &Value, method: &str, params: Value) -> Coming {
        let mut client = RawClient::connect(self.address).await.expect("the gateway listens");
        client.send(self.bytes_with_id(id, method, params, &[])).await.expect("it reads");
        Coming(client)
    }

    /// Listens: for changes of all lists, and of these resources. Only once it does is anything returned.
    pub(crate) async fn listen(&self, uris: &[&str]) -> Coming {
        let mut coming = match &self.session {
            None => {
                let mut wanted = json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true});
                if !uris.is_empty() {
                    wanted["resourceSubscriptions"] = json!(uris);
                }
                self.send("subscriptions/listen", json!({"notifications": wanted})).await
            }
            Some(session) => {
                for uri in uris {
                    self.result("resources/subscribe", json!({"uri": uri})).await;
                }
                let headers = [
                    ("Mcp-Session-Id", session.as_str()),
                    ("MCP-Protocol-Version", mcp::STATEFUL),
                    ("Accept", "text/event-stream"),
                ];
                let mut client = RawClient::connect(self.address).await.expect("the gateway listens");
                let get = mcp::bodiless("GET", &self.path, Some(&self.token), &headers);
                client.send(get).await.expect("it reads");
                Coming(client)
            }
        };
        coming.stream().await;
        coming
    }
}

/// An answer that is still coming.
pub(crate) struct Coming(pub(crate) RawClient);

impl Coming {
    /// All of it.
    pub(crate) async fn whole(mut self) -> RawResponse {
        self.0.response().await.expect("an answer")
    }

    /// The header of an answer that is a stream.
    pub(crate) async fn stream(&mut self) -> RawResponse {
        let head = self.0.response_head().await.expect("an answer");
        assert_eq!(head.header("content-type"), Some("text/event-stream"), "{}", whole(&head));
        head
    }

    /// The next message of a stream.
    pub(crate) async fn event(&mut self) -> Value {
        timeout(RawClient::PATIENCE, self.next()).await.expect("nothing comes")
    }

    async fn next(&mut self) -> Value {
        loop {
            let event = self.0.sse_event().await.expect("an event").expect("the stream has ended");
            // Older clients are given one without data first, to come back with.
            if !event.data.is_empty() {
                return SseEvent::json(&event);
            }
        }
    }

    /// The next message with that method.
    pub(crate) async fn notified(&mut self, method: &str) -> Value {
        loop {
            let event = self.event().await;
            if event["method"] == method {
                return event;
            }
        }
    }

    /// The messages that come within that time.
    pub(crate) async fn within(&mut self, time: Duration) -> Vec<Value> {
        let mut all = Vec::new();
        let until = tokio::time::Instant::now() + time;
        while let Ok(event) = tokio::time::timeout_at(until, self.event()).await {
            all.push(event);
        }
        all
    }

    /// The response, whatever notifications come before.
    pub(crate) async fn response(&mut self) -> Value {
        loop {
            let event = self.event().await;
            if event.get("result").is_some() || event.get("error").is_some() {
                return event;
            }
        }
    }
}

/// The items of a page, of whatever list.
pub(crate) fn items(page: &Value) -> Vec<Value> {
    let members = ["tools", "prompts", "resources", "resourceTemplates"];
    let items = members.iter().find_map(|member| page[*member].as_array());
    items.unwrap_or_else(|| panic!("no list: {page}")).clone()
}

/// What tells an item from others.
pub(crate) fn name_of(item: &Value) -> String {
    let members = ["uri", "uriTemplate", "name"];
    members.iter().find_map(|member| item[*member].as_str()).unwrap_or_else(|| panic!("{item}")).to_owned()
}

/// Status and JSON-RPC error code.
pub(crate) fn fault(answer: &RawResponse) -> (u16, Value) {
    (answer.status, answer.rpc()["error"]["code"].clone())
}

/// An answer's start line, header and body as one text.
pub(crate) fn whole(answer: &RawResponse) -> String {
    format!("{} {:?} {}", answer.status, answer.headers, answer.text())
}

/// A name as the value of a header field: in base64 where it is no plain text.
pub(crate) fn header_value(name: &str) -> String {
    narthex_mcp::headers::encode_value(name).into_owned()
}
