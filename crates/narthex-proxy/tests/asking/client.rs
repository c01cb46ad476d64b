//! A client of any revision.

use super::stage::Stage;
use narthex_testkit::{RawClient, RawResponse, mcp};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// A client that can have its user open a page.
pub(crate) fn pages() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}})
}

/// A client that can show its user forms, but no pages.
pub(crate) fn forms() -> Value {
    json!({"elicitation": {"form": {}}})
}

/// A client: of 2026-07-28 if it has no session.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) session: Option<(String, String)>,
    pub(crate) capabilities: Value,
}

impl Client {
    /// Of 2026-07-28.
    pub(crate) fn modern(stage: &Stage, sub: &str, capabilities: Value) -> Self {
        Self {
            address: stage.address,
            path: "/mcp".to_owned(),
            token: stage.token("/mcp", sub),
            session: None,
            capabilities,
        }
    }

    /// Of an older revision, with a session.
    pub(crate) async fn legacy(stage: &Stage, sub: &str, revision: &str, capabilities: Value) -> Self {
        let mut client = Self::modern(stage, sub, capabilities);
        let info = json!({"name": "old", "version": "1"});
        let params =
            json!({"protocolVersion": revision, "capabilities": client.capabilities, "clientInfo": info});
        let bytes =
            mcp::post(&client.path, Some(&client.token), &[], &mcp::request("init", "initialize", params));
        let answer = mcp::exchange(client.address, &bytes).await.expect("an answer");
        assert_eq!(answer.json()["result"]["protocolVersion"], revision, "{}", answer.text());
        let session = answer.header("mcp-session-id").expect("a session").to_owned();
        client.session = Some((session, revision.to_owned()));
        let told = mcp::notification("notifications/initialized", json!({}));
        let told = mcp::exchange(client.address, &client.stateful(&told)).await.expect("an answer");
        assert_eq!(told.status, 202, "{}", told.text());
        client
    }

    fn fields(&self) -> Vec<(&str, &str)> {
        let Some((session, revision)) = &self.session else { return Vec::new() };
        let mut fields = vec![("Mcp-Session-Id", session.as_str())];
        if revision != "2025-03-26" {
            fields.push(("MCP-Protocol-Version", revision));
        }
        fields
    }

    fn stateful(&self, body: &str) -> Vec<u8> {
        mcp::post(&self.path, Some(&self.token), &self.fields(), body)
    }

    /// The bytes of a request.
    pub(crate) fn bytes(&self, method: &str, params: Value) -> Vec<u8> {
        if self.session.is_some() {
            return self.stateful(&mcp::request(5, method, params));
        }
        let name = params["name"].as_str().or_else(|| params["uri"].as_str()).map(str::to_owned);
        let headers = mcp::stateless_headers(method, name.as_deref());
        let body = mcp::stateless_request_by(5, method, params, self.capabilities.clone());
        mcp::post(&self.path, Some(&self.token), &headers, &body)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> RawResponse {
        mcp::exchange(self.address, &self.bytes(method, params)).await.expect("an answer")
    }

    /// The same, of a tool.
    pub(crate) async fn call(&self, name: &str) -> RawResponse {
        self.ask("tools/call", json!({"name": name, "arguments": {}})).await
    }

    /// What a tool that can be called says.
    pub(crate) async fn said(&self, name: &str) -> String {
        text(&self.call(name).await)
    }

    /// The names of a list.
    pub(crate) async fn names(&self, method: &str) -> Vec<String> {
        let answer = self.ask(method, json!({})).await;
        let result = answer.rpc()["result"].clone();
        assert!(result["_meta"]["dev.narthex/degraded"].is_null(), "{result}");
        let items = ["tools", "prompts", "resources"].iter().find_map(|member| result[*member].as_array());
        let items = items.unwrap_or_else(|| panic!("{}", answer.text()));
        items.iter().map(|item| item["uri"].as_str().unwrap_or_else(|| name(item)).to_owned()).collect()
    }

    /// The names of its tools.
    pub(crate) async fn tools(&self) -> Vec<String> {
        self.names("tools/list").await
    }

    /// Begins to listen for what changes.
    pub(crate) async fn listen(&self) -> Listening {
        let mut wire = RawClient::connect(self.address).await.expect("a connection");
        if self.session.is_some() {
            let mut fields = self.fields();
            fields.push(("Accept", "text/event-stream"));
            wire.send(mcp::bodiless("GET", &self.path, Some(&self.token), &fields)).await.expect("sent");
        } else {
            let wanted =
                json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true});
            let params = json!({"notifications": wanted});
            wire.send(self.bytes("subscriptions/listen", params)).await.expect("sent");
        }
        let head = wire.response_head().await.expect("a header");
        assert_eq!(head.status, 200);
        let mut listening = Listening { wire };
        if self.session.is_none() {
            let first = listening.next().await;
            assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
        }
        listening
    }
}

/// A stream of notifications.
pub(crate) struct Listening {
    wire: RawClient,
}

impl Listening {
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let event = self.wire.sse_event().await.expect("a stream").expect("an event");
            if !event.data.is_empty() {
                return event.json();
            }
        }
    }

    /// Waits for a notification of that method.
    pub(crate) async fn hears(&mut self, method: &str) -> Value {
        let heard = async {
            loop {
                let event = self.next().await;
                if event["method"] == method {
                    return event;
                }
            }
        };
        timeout(Duration::from_secs(20), heard).await.unwrap_or_else(|_| panic!("no {method} within 20 s"))
    }

    /// What comes within a time.
    pub(crate) async fn within(&mut self, time: Duration) -> Vec<Value> {
        let mut all = Vec::new();
        let until = tokio::time::Instant::now() + time;
        while let Ok(event) = tokio::time::timeout_at(until, self.next()).await {
            all.push(event);
        }
        all
    }
}

fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_else(|| panic!("{item}"))
}

/// The text of a tool's result.
pub(crate) fn text(answer: &RawResponse) -> String {
    answer.tool_text().unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()))
}

/// The question of an answer that asks to connect: the elicitation's `params`.
pub(crate) fn question(answer: &RawResponse) -> Value {
    let result = &answer.rpc()["result"];
    assert_eq!(result["resultType"], "input_required", "{}", answer.text());
    let ask = &result["inputRequests"]["connect"];
    assert_eq!(ask["method"], "elicitation/create", "{}", answer.text());
    assert!(result["requestState"].is_string(), "{}", answer.text());
    ask["params"].clone()
}

/// `params` again, with an answer to what was asked.
pub(crate) fn retry(mut params: Value, asked: &RawResponse, action: &str) -> Value {
    params["requestState"] = asked.rpc()["result"]["requestState"].clone();
    params["inputResponses"] = json!({"connect": {"action": action}});
    params
}

/// The link in a text.
pub(crate) fn link(text: &str) -> String {
    let link = text.split_whitespace().find(|word| word.starts_with("http") && word.contains("/connect/"));
    link.unwrap_or_else(|| panic!("no link: {text}")).to_owned()
}

/// `params` of a call.
pub(crate) fn call(name: &str) -> Value {
    json!({"name": name, "arguments": {}})
}
