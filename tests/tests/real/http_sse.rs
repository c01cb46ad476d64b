//! A server of HTTP+SSE, the transport of 2024-11-05, as others made it, for clients of every revision.

use super::visitors::VISITORS;
use narthex_testkit::{GatewayProcess, MockIdp, RawClient, RawResponse, SseEvent, mcp};
use narthex_tests::{Peer, servers};
use serde_json::{Value, json};

/// An identity provider and a gateway before a server of HTTP+SSE.
pub(crate) struct Stage {
    pub(crate) gateway: GatewayProcess,
    pub(crate) token: String,
    _idp: MockIdp,
}

impl Stage {
    /// Before the server whose stream is at `url`.
    pub(crate) async fn before(url: &str) -> Self {
        let idp = MockIdp::start().await;
        let gateway = GatewayProcess::start(|place| {
            format!(
                "{server}auth:\n  issuers:\n    - {issuer}tenants:\n  acme: {{ routes: [sse] }}\n\
                 upstreams:\n  sse:\n    url: {url}\n    protocol: 2024-11-05\n    timeout: 5s\n\
                 routes:\n  sse: {{ path: /mcp, upstream: sse, scopes: [mcp:read] }}\n",
                server = place.server_yaml(""),
                issuer = idp.issuer_yaml(6),
            )
        })
        .await;
        let token = idp.token(&format!("{}/mcp", gateway.place().public_url()));
        Self { gateway, token, _idp: idp }
    }

    async fn real() -> (Self, Peer) {
        let server = servers::http_sse().await;
        (Self::before(&server.url("/sse")).await, server)
    }

    /// The bytes of a request of a client of 2026-07-28 that can be asked for forms.
    pub(crate) fn modern(&self, method: &str, params: Value) -> Vec<u8> {
        let name = params["name"].as_str().map(str::to_owned);
        let headers = mcp::stateless_headers(method, name.as_deref());
        let body = mcp::stateless_request_by(5, method, params, json!({"elicitation": {"form": {}}}));
        mcp::post("/mcp", Some(&self.token), &headers, &body)
    }

    /// The answer to it.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> RawResponse {
        self.send(&self.modern(method, params)).await
    }

    pub(crate) async fn send(&self, bytes: &[u8]) -> RawResponse {
        mcp::exchange(self.gateway.address(), bytes).await.unwrap()
    }
}

#[tokio::test]
async fn every_client_works_with_a_server_of_the_oldest_transport() {
    let (stage, _server) = Stage::real().await;
    let visit = json!({
        "url": format!("{}/mcp", stage.gateway.place().public_url()), "token": stage.token,
        "call": {"name": "greet", "arguments": {"name": "Ann"}}, "elicit": {"name": "ask", "arguments": {}},
        "resource": "test://static-text", "prompt": "simple",
    });
    let mut failures = Vec::new();
    for visitor in &VISITORS {
        let seen = visitor.visit(std::slice::from_ref(&visit)).await.remove(0);
        let right = seen["tools"] == json!(["ask", "greet", "steps"])
            && seen["call"].as_str().is_some_and(|text| text.contains("Hello, Ann!"))
            && seen["elicit"].as_str().is_some_and(|text| text.contains("You said word."))
            && seen["resource"] == "A text of HTTP+SSE."
            && seen["prompt"] == "A prompt of HTTP+SSE.";
        if !right {
            failures.push(format!("{}: {seen}", visitor.name));
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), stage.gateway.output());
}

/// Numbers of the progress in an answer, and the text of its result.
fn steps(answer: &RawResponse) -> (Vec<Value>, Option<String>) {
    let messages: Vec<_> = answer.events().iter().map(SseEvent::json).collect();
    let mine = messages.iter().filter(|m| m["params"]["progressToken"] == "mine");
    (mine.map(|m| m["params"]["progress"].clone()).collect(), answer.tool_text())
}

fn call_for_steps() -> Value {
    json!({"name": "steps", "arguments": {}, "_meta": {"progressToken": "mine"}})
}

#[tokio::test]
async fn progress_comes_before_the_result_in_either_era() {
    let (stage, _server) = Stage::real().await;
    let whole = (vec![json!(1.0), json!(2.0), json!(3.0)], Some("three steps".to_owned()));
    let modern = stage.ask("tools/call", call_for_steps()).await;
    assert_eq!(steps(&modern), whole, "{}", modern.text());
    assert!(!modern.text().contains("almost there"), "log messages were not wanted");
    let (address, token) = (stage.gateway.address(), Some(stage.token.as_str()));
    let session = mcp::open_session(address, "/mcp", token, mcp::STATEFUL).await.unwrap();
    let fields = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let body = mcp::request(7, "tools/call", call_for_steps());
    let legacy = stage.send(&mcp::post("/mcp", token, &fields, &body)).await;
    assert_eq!(steps(&legacy), whole, "{}", legacy.text());
}

#[tokio::test]
async fn a_question_waits_for_its_answer_on_the_same_call() {
    let (stage, _server) = Stage::real().await;
    let call = json!({"name": "ask", "arguments": {}});
    let asked = stage.ask("tools/call", call.clone()).await.rpc();
    let result = &asked["result"];
    assert_eq!(result["inputRequests"]["ask-1"]["params"]["message"], "A word, please", "{asked}");
    let mut again = call;
    again["requestState"] = result["requestState"].clone();
    again["inputResponses"] = json!({"ask-1": {"action": "accept", "content": {"word": "nave"}}});
    let answer = stage.ask("tools/call", again).await;
    assert_eq!(answer.tool_text().as_deref(), Some("You said nave."), "{}", answer.text());
}

#[tokio::test]
async fn calls_of_one_caller_share_the_stream_and_none_gets_anothers_answer() {
    let (stage, _server) = Stage::real().await;
    let mut clients = Vec::new();
    for n in 0..12 {
        let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
        let call = json!({"name": "greet", "arguments": {"name": format!("guest {n}")}});
        client.send(stage.modern("tools/call", call)).await.unwrap();
        clients.push(client);
    }
    for (n, mut client) in clients.into_iter().enumerate() {
        let answer = client.response().await.unwrap();
        assert_eq!(answer.tool_text(), Some(format!("Hello, guest {n}!")), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_for_whoever_calls_it() {
    let (stage, server) = Stage::real().await;
    assert_eq!(stage.ask("tools/list", json!({})).await.status, 200);
    server.signal("KILL");
    let gone = stage.ask("tools/list", json!({})).await;
    assert!((502..=504).contains(&gone.status), "{} {}", gone.status, gone.text());
    assert_eq!(gone.rpc()["error"]["code"], -32603);
}
