//! A client of either era.

use super::server::Era;
use narthex_testkit::{RawClient, RawResponse, mcp};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The client; each of its requests has a connection of its own.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) era: Era,
    address: SocketAddr,
    path: &'static str,
    token: String,
    session: String,
    capabilities: Value,
}

/// All that it can be asked for.
fn everything() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}})
}

impl Client {
    /// One on the route `path`; with a session, where its era has any.
    pub(crate) async fn open(era: Era, address: SocketAddr, path: &'static str, token: String) -> Self {
        let mut client =
            Self { era, address, path, token, session: String::new(), capabilities: everything() };
        if era == Era::Legacy {
            let answer = client.initialize().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.header("mcp-session-id").unwrap_or_default().clone_into(&mut client.session);
            client.exchange("", &mcp::notification("notifications/initialized", json!({})), &[]).await;
        }
        client
    }

    /// The same client, declaring this in each request.
    pub(crate) fn able(&self, capabilities: Value) -> Self {
        Self { capabilities, ..self.clone() }
    }

    /// What the route says of itself.
    pub(crate) async fn account(&self) -> Value {
        match self.era {
            Era::Modern => self.ask("server/discover", json!({})).await["result"].clone(),
            Era::Legacy => self.initialize().await.rpc()["result"].clone(),
        }
    }

    async fn initialize(&self) -> RawResponse {
        let info = json!({"name": "guarded-client", "version": "1"});
        let params =
            json!({"protocolVersion": mcp::STATEFUL, "capabilities": everything(), "clientInfo": info});
        let alone = Self { session: String::new(), ..self.clone() };
        alone.exchange("", &mcp::request(0, "initialize", params), &[]).await
    }

    fn bytes(&self, method: &str, params: &Value, more: &[(&str, &str)]) -> Vec<u8> {
        match self.era {
            Era::Legacy => self.raw(method, &mcp::request(5, method, params.clone()), more),
            Era::Modern => {
                let body = mcp::stateless_request_by(5, method, params.clone(), self.capabilities.clone());
                self.raw_named(method, params, &body, more)
            }
        }
    }

    fn raw(&self, method: &str, body: &str, more: &[(&str, &str)]) -> Vec<u8> {
        self.raw_named(method, &Value::Null, body, more)
    }

    fn raw_named(&self, method: &str, params: &Value, body: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let name = ["name", "uri", "taskId"].iter().find_map(|name| params[*name].as_str());
        let mut headers = match self.era {
            Era::Modern => mcp::stateless_headers(method, name),
            Era::Legacy if self.session.is_empty() => Vec::new(),
            Era::Legacy => {
                vec![("Mcp-Session-Id", self.session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)]
            }
        };
        headers.extend(more);
        mcp::post(self.path, Some(&self.token), &headers, body)
    }

    async fn exchange(&self, method: &str, body: &str, more: &[(&str, &str)]) -> RawResponse {
        mcp::exchange(self.address, &self.raw(method, body, more)).await.expect("an answer")
    }

    /// The whole answer to a request with id 5.
    pub(crate) async fn answer(&self, method: &str, params: Value) -> RawResponse {
        self.answer_with(method, params, &[]).await
    }

    /// The same with more header fields.
    pub(crate) async fn answer_with(
        &self,
        method: &str,
        params: Value,
        more: &[(&str, &str)],
    ) -> RawResponse {
        mcp::exchange(self.address, &self.bytes(method, &params, more)).await.expect("an answer")
    }

    /// The message that answers a request.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        self.answer(method, params).await.rpc()
    }

    /// A call of a tool whose arguments are this JSON text.
    pub(crate) async fn call_with(&self, name: &str, arguments: &str) -> RawResponse {
        let params = json!({"name": name, "arguments": "\u{1}"});
        let body = match self.era {
            Era::Legacy => mcp::request(5, "tools/call", params.clone()),
            Era::Modern => {
                mcp::stateless_request_by(5, "tools/call", params.clone(), self.capabilities.clone())
            }
        };
        let body = body.replace(r#""\u0001""#, arguments);
        mcp::exchange(self.address, &self.raw_named("tools/call", &params, &body, &[]))
            .await
            .expect("an answer")
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, name: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": name, "arguments": arguments})).await
    }

    /// What it is shown of a list.
    pub(crate) async fn list(&self, what: &str) -> Vec<Value> {
        let method = if what == "resourceTemplates" { "resources/templates" } else { what };
        let answer = self.ask(&format!("{method}/list"), json!({})).await;
        let list = answer["result"][what].as_array();
        list.unwrap_or_else(|| panic!("no list: {answer}")).clone()
    }

    /// The names of the tools that it is shown.
    pub(crate) async fn tools(&self) -> Vec<String> {
        let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
        self.list("tools").await.iter().map(name).collect()
    }

    /// Begins to listen for changes of tools.
    pub(crate) async fn listen(&self) -> Ear {
        let mut client = RawClient::connect(self.address).await.expect("a connection");
        if self.era == Era::Modern {
            let wanted = json!({"notifications": {"toolsListChanged": true}});
            client.send(self.bytes("subscriptions/listen", &wanted, &[])).await.expect("sent");
        } else {
            let headers = [
                ("Mcp-Session-Id", self.session.as_str()),
                ("MCP-Protocol-Version", mcp::STATEFUL),
                ("Accept", "text/event-stream"),
            ];
            client.send(mcp::bodiless("GET", self.path, Some(&self.token), &headers)).await.expect("sent");
        }
        let head = client.response_head().await.expect("an answer");
        assert_eq!(head.status, 200);
        let mut ear = Ear(client);
        if self.era == Era::Modern {
            ear.hears("notifications/subscriptions/acknowledged").await;
        }
        ear
    }

    /// Begins to call a tool, and leaves the answer to be read as it comes.
    pub(crate) async fn begin(&self, name: &str) -> Ear {
        let mut client = self.begin_unread(name).await;
        client.response_head().await.expect("an answer");
        Ear(client)
    }

    /// The same, with the header unread.
    pub(crate) async fn begin_unread(&self, name: &str) -> RawClient {
        let mut client = RawClient::connect(self.address).await.expect("a connection");
        let mut params = json!({"name": name, "arguments": {}, "_meta": {"progressToken": "p-1"}});
        if self.era == Era::Modern {
            params["_meta"]["io.modelcontextprotocol/logLevel"] = "debug".into();
        }
        client.send(self.bytes("tools/call", &params, &[])).await.expect("sent");
        client
    }
}

/// A stream of messages to a client.
pub(crate) struct Ear(RawClient);

impl Ear {
    /// The next message.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let event =
                self.0.sse_event().await.expect("a stream that is not cut").expect("one more message");
            if !event.data.is_empty() {
                return event.json();
            }
        }
    }

    /// The next notification by that name; what comes before it is dropped.
    pub(crate) async fn hears(&mut self, method: &str) -> Value {
        loop {
            let message = self.message().await;
            if message["method"] == method {
                return message;
            }
        }
    }
}
