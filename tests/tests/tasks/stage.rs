//! The stage of every test here: an identity provider, a scripted server, the gateway between.

use narthex_testkit::{GatewayProcess, MockIdp, Place, RawClient, RawResponse, RecordingUpstream, mcp};
use narthex_testkit::{SseEvent, UpstreamRequest};
use serde_json::{Value, json};

/// The extension's name.
pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// What the scripted servers call their task.
pub(crate) const THEIRS: &str = "upstream-task-canary";
/// `_meta` key of 2025-11-25 for the task that a message belongs to.
pub(crate) const RELATED: &str = "io.modelcontextprotocol/related-task";

/// All of it, running. Dropping it ends it.
pub(crate) struct Stage {
    pub(crate) idp: MockIdp,
    pub(crate) upstream: RecordingUpstream,
    pub(crate) gateway: GatewayProcess,
    /// A good token of `alice` of `acme` for the route `main`.
    pub(crate) token: String,
}

impl Stage {
    /// The routes `/main` and `/other` for the tenants `acme` and `globex`, both to a server of `protocol`.
    pub(crate) async fn start(protocol: &str) -> Self {
        Self::start_with(protocol, "").await
    }

    /// The same with more lines of `server:`, indented by two.
    pub(crate) async fn start_with(protocol: &str, server: &str) -> Self {
        let (idp, upstream) = (MockIdp::start().await, RecordingUpstream::start().await);
        let (issuer, url) = (idp.issuer_yaml(6), upstream.url("/mcp"));
        let gateway = GatewayProcess::start(|place: &Place| {
            let server = place.server_yaml(&format!("  threads: 1\n{server}"));
            format!(
                "{server}auth:\n  issuers:\n    - {issuer}tenants:\n  acme: {{ routes: [main, other] }}\n  \
                 globex: {{ routes: [main, other] }}\nupstreams:\n  main:\n    url: {url}\n    \
                 protocol: \"{protocol}\"\nroutes:\n  main: {{ path: /main, upstream: main }}\n  \
                 other: {{ path: /other, upstream: main }}\n"
            )
        })
        .await;
        let token = idp.token(&format!("{}/main", gateway.place().public_url()));
        Self { idp, upstream, gateway, token }
    }

    /// A good token for a route, with these claims in the place of the usual ones.
    pub(crate) fn token_for(&self, route: &str, claims: Value) -> String {
        self.idp.token_with(&format!("{}/{route}", self.gateway.place().public_url()), claims)
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> RawClient {
        RawClient::connect(self.gateway.address()).await.expect("the gateway listens")
    }

    /// Sends bytes on a connection of its own and reads the whole answer.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> RawResponse {
        mcp::exchange(self.gateway.address(), bytes).await.expect("an answer")
    }

    /// The first message to the server, past or to come, that `wanted` finds something in.
    pub(crate) async fn heard<T>(&self, wanted: impl Fn(&UpstreamRequest) -> Option<T>) -> T {
        loop {
            let requests = self.upstream.requests();
            if let Some(found) = requests.iter().find_map(&wanted) {
                return found;
            }
            self.upstream.wait_for(requests.len() + 1).await;
        }
    }

    /// How many requests for `method` the server had.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.upstream.requests_for(method).len()
    }

    /// How many requests about tasks the server had.
    pub(crate) fn task_requests(&self) -> usize {
        let about_tasks = |r: &UpstreamRequest| r.rpc_method().is_some_and(|m| m.starts_with("tasks/"));
        self.upstream.requests().iter().filter(|request| about_tasks(request)).count()
    }
}

/// The response among a stream's events to come.
pub(crate) async fn response(client: &mut RawClient) -> Value {
    loop {
        let message = client.sse_event().await.unwrap().expect("a response before the end").json();
        if message.get("result").is_some() || message.get("error").is_some() {
            return message;
        }
    }
}

/// The next request among a stream's events.
pub(crate) async fn question(client: &mut RawClient) -> Value {
    let is_request = |event: &SseEvent| event.json()["method"].is_string();
    loop {
        let event = client.sse_event().await.unwrap().expect("a request before the end");
        if is_request(&event) {
            return event.json();
        }
    }
}

/// A form to be filled in.
pub(crate) fn form(message: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!({"mode": "form", "message": message, "requestedSchema": schema})
}

/// A form, filled in.
pub(crate) fn filled(name: &str) -> Value {
    json!({"action": "accept", "content": {"name": name}})
}

/// The result of a tool.
pub(crate) fn text(text: &str, is_error: bool) -> Value {
    json!({"content": [{"type": "text", "text": text}], "isError": is_error})
}
