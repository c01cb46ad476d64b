//! What every test here needs: an identity provider, a server with sessions, and a gateway between them.

use narthex_testkit::{
    GatewayProcess, Launch, LegacyServer, MockIdp, Opened, Place, RawClient, RawResponse, SseEvent, mcp,
};
use serde_json::{Value, json};

/// The upstream's credential.
pub(crate) const KEY: &str = "bridge-upstream-key-91f3";

/// All that a client can be asked for.
pub(crate) fn everything() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}})
}

/// All of it, running. Dropping it ends it.
pub(crate) struct Stage {
    pub(crate) idp: MockIdp,
    pub(crate) server: LegacyServer,
    pub(crate) gateway: GatewayProcess,
}

/// How the gateway is set up.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// Lines of `server.limits`, indented by four.
    pub(crate) limits: &'static str,
    /// Lines of the upstream besides the usual, indented by four.
    pub(crate) upstream: &'static str,
    /// More tools that are hidden, each after a comma.
    pub(crate) deny: &'static str,
    /// The file of a seal key, if not one of its own.
    pub(crate) seal_key: Option<&'static str>,
}

impl Stage {
    /// The usual setup.
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// With these lines (indented by four spaces) in `server.limits`.
    pub(crate) async fn limited(limits: &'static str) -> Self {
        Self::with(Setup { limits, ..Setup::default() }).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let (idp, server) = (MockIdp::start().await, LegacyServer::start().await);
        let gateway = gateway(&idp, &server.upstream().url("/mcp"), setup).await;
        Self { idp, server, gateway }
    }

    /// Puts another setup in use; whether it was taken.
    pub(crate) async fn reload(&self, setup: Setup) -> bool {
        let url = self.server.upstream().url("/mcp");
        self.gateway.reload(&yaml(self.gateway.place(), &self.idp, &url, setup)).await
    }

    /// Alice, of acme, who can be asked for everything.
    pub(crate) fn alice(&self) -> Client {
        self.client("alice")
    }

    /// Another subject of the same tenant.
    pub(crate) fn client(&self, subject: &str) -> Client {
        Client::new(&self.gateway, &self.idp, "/mcp", json!({"sub": subject}))
    }
}

/// A gateway before the server at `url`.
pub(crate) async fn gateway(idp: &MockIdp, url: &str, setup: Setup) -> GatewayProcess {
    let launch = Launch::new(|place: &Place| yaml(place, idp, url, setup));
    launch.start().await.unwrap_or_else(|failure| panic!("{failure}"))
}

fn yaml(place: &Place, idp: &MockIdp, url: &str, setup: Setup) -> String {
    let key = place.file("upstream-key", KEY);
    let mut more = String::new();
    if let Some(seal) = setup.seal_key {
        more = format!("  seal_keys: [{{ file: {} }}]\n", place.file("seal", seal).display());
    }
    if !setup.limits.is_empty() {
        more.push_str("  limits:\n");
        more.push_str(setup.limits);
    }
    format!(
        "{server}auth:\n  issuers:\n    - {issuer}tenants:\n  acme: {{ routes: [main, other] }}\n  \
         globex: {{ routes: [main] }}\n\
         upstreams:\n  main:\n    url: {url}\n    timeout: 5s\n    breaker: {{ failures: 1000, cooldown: 1s }}\n    \
         credential: {{ header: {{ name: x-api-key, value: {{ file: {key} }} }} }}\n{upstream}\
         routes:\n  main:\n    path: /mcp\n    upstream: main\n    scopes: [mcp:read]\n    tools:\n      \
         - match: [whoami, \"secret_*\"{deny}]\n        deny: true\n  \
         other: {{ path: /other, upstream: main, scopes: [mcp:read] }}\n",
        server = place.server_yaml(&more),
        issuer = idp.issuer_yaml(6),
        key = key.display(),
        upstream = setup.upstream,
        deny = setup.deny,
    )
}

/// A client of 2026-07-28, with a token of its own.
#[derive(Clone)]
pub(crate) struct Client {
    address: std::net::SocketAddr,
    path: &'static str,
    pub(crate) token: String,
    pub(crate) capabilities: Value,
}

impl Client {
    /// At the route `path` of `gateway`, with these claims in the place of the usual ones.
    pub(crate) fn new(gateway: &GatewayProcess, idp: &MockIdp, path: &'static str, claims: Value) -> Self {
        let token = idp.token_with(&format!("{}{path}", gateway.place().public_url()), claims);
        Self { address: gateway.address(), path, token, capabilities: everything() }
    }

    /// The same client, declaring this.
    pub(crate) fn able(&self, capabilities: Value) -> Self {
        Self { capabilities, ..self.clone() }
    }

    /// The bytes of a request with id 5.
    pub(crate) fn bytes(&self, method: &str, params: Value, more: &[(&str, &str)]) -> Vec<u8> {
        let name = params["name"].as_str().or_else(|| params["uri"].as_str()).map(str::to_owned);
        let mut headers = mcp::stateless_headers(method, name.as_deref());
        headers.extend(more);
        let body = mcp::stateless_request_by(5, method, params, self.capabilities.clone());
        mcp::post(self.path, Some(&self.token), &headers, &body)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> RawResponse {
        let bytes = self.bytes(method, params, &[]);
        mcp::exchange(self.address, &bytes).await.expect("an answer")
    }

    /// The result of a request.
    pub(crate) async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        let result = answer.rpc()["result"].clone();
        assert!(result.is_object(), "{}", whole(&answer));
        result
    }

    /// Sends a request and leaves the answer to come.
    pub(crate) async fn send(&self, method: &str, params: Value) -> Coming {
        let mut client = RawClient::connect(self.address).await.expect("the gateway listens");
        client.send(self.bytes(method, params, &[])).await.expect("it reads");
        Coming(client)
    }

    /// Calls a tool whose stream the test feeds; gives the stream and the answer to come.
    pub(crate) async fn feed(&self, stage: &Stage, params: Value) -> (Opened, Coming) {
        let mut coming = self.send("tools/call", params).await;
        let opened = tokio::select! {
            biased;
            opened = stage.server.opened() => opened,
            early = coming.0.response() => panic!("the server was not called: {early:?}"),
        };
        (opened, coming)
    }

    /// Has a call suspended by an elicitation of the server's; gives its stream and the client's state.
    pub(crate) async fn suspended(&self, stage: &Stage) -> (Opened, String) {
        let (call, coming) = self.feed(stage, fed()).await;
        call.ask("e-1", "elicitation/create", form());
        let answer = coming.whole().await;
        (call, state(&answer))
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
        let event = self.0.sse_event().await.expect("an event");
        event.as_ref().map(SseEvent::json).expect("the stream has ended")
    }
}

/// `params` of a call of the tool whose stream the test feeds.
pub(crate) fn fed() -> Value {
    json!({"name": "fed", "arguments": {"n": 1}})
}

/// The same again, with a state and answers.
pub(crate) fn retry(state: &str, responses: Value) -> Value {
    let mut params = fed();
    params["requestState"] = state.into();
    params["inputResponses"] = responses;
    params
}

/// An elicitation by form.
pub(crate) fn form() -> Value {
    json!({"mode": "form", "message": "sure?", "requestedSchema": {"type": "object", "properties": {}}})
}

/// A client's good answer to an elicitation.
pub(crate) fn accept() -> Value {
    json!({"action": "accept", "content": {}})
}

/// The state of an `input_required` result.
pub(crate) fn state(answer: &RawResponse) -> String {
    let result = &answer.rpc()["result"];
    assert_eq!(result["resultType"], "input_required", "{}", whole(answer));
    result["requestState"].as_str().expect("a state").to_owned()
}

/// What is asked for, with its keys, sorted by them.
pub(crate) fn asked(answer: &RawResponse) -> Vec<(String, Value)> {
    let asked = answer.rpc()["result"]["inputRequests"].clone();
    let asked = asked.as_object().unwrap_or_else(|| panic!("nothing is asked for: {}", whole(answer)));
    asked.iter().map(|(key, ask)| (key.clone(), ask.clone())).collect()
}

/// Answers to everything that is asked for.
pub(crate) fn answers(answer: &RawResponse, result: &Value) -> Value {
    asked(answer).into_iter().map(|(key, _)| (key, result.clone())).collect::<serde_json::Map<_, _>>().into()
}

/// Status and JSON-RPC error code.
pub(crate) fn fault(answer: &RawResponse) -> (u16, Value) {
    (answer.status, answer.rpc()["error"]["code"].clone())
}

/// An answer's start line, header and body as one text.
pub(crate) fn whole(answer: &RawResponse) -> String {
    format!("{} {:?} {}", answer.status, answer.headers, answer.text())
}
