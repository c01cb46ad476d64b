//! Servers that want each user's own consent, with real authorization servers: users connect them in a browser, and
//! the gateway calls with what they consented to.

use super::human::Human;
use super::providers::Provider;
use super::stage::{login, yaml};
use narthex_testkit::{GatewayProcess, RawResponse, free_port, mcp};
use narthex_tests::{Peer, installed, node, run};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// A company whose server has an authorization server of its own.
pub(crate) struct Stage {
    gateway: GatewayProcess,
    _server: Peer,
    _idp: Peer,
    _upstream_as: Peer,
}

impl Stage {
    /// People are at `provider`; the server trusts `upstream_as`, at which the gateway is known as `client` says
    /// (keys of `authorization_code`).
    pub(crate) async fn of(provider: Provider, upstream_as: Provider, client: &str) -> Self {
        let (idp_port, as_port, server_port) = (free_port(), free_port(), free_port());
        let resource = format!("http://127.0.0.1:{server_port}/mcp");
        let gateway = GatewayProcess::start(|place| {
            let secret = place.file("upstream-secret", upstream_as.client().1);
            let client = client.replace("SECRET", &secret.display().to_string());
            let upstream = format!(
                "    url: {resource}\n    credential:\n      authorization_code: {{ title: The Notes{client} }}\n"
            );
            let registration = "    dynamic_registration: {}\n";
            yaml(place, &login(place, provider, idp_port), registration, &upstream)
        })
        .await;
        let public_url = gateway.place().public_url();
        let idp = provider.start(idp_port, &[format!("{public_url}/login/callback/corp")], &[]).await;
        let callback = format!("{public_url}/connect/callback");
        let upstream_as_peer = upstream_as.start(as_port, &[callback], std::slice::from_ref(&resource)).await;
        let mut command = Command::new(node());
        command.arg(installed("oauth/protected_server.mjs")).args(["--port", &server_port.to_string()]);
        command.args(["--issuer", &upstream_as.issuer(as_port)]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Peer::at(server_port, command).await;
        Self { gateway, _server: server, _idp: idp, _upstream_as: upstream_as_peer }
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.origin())
    }

    /// Where the gateway is for its users.
    pub(crate) fn origin(&self) -> String {
        self.gateway.place().public_url()
    }

    /// The page of what a user connected.
    pub(crate) fn connections(&self) -> String {
        format!("{}/connections", self.origin())
    }

    /// Registers a client that users are sent back to at `redirect`, and begins there.
    pub(crate) async fn authorization_url(&self, redirect: &str) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "-H", "content-type: application/json", "-d"]);
        command.arg(
            json!({"client_name": "Curl", "redirect_uris": [redirect], "token_endpoint_auth_method": "none"})
                .to_string(),
        );
        command.arg(format!("{}/oauth/register", self.origin()));
        let client: Value = serde_json::from_str(&run(command).await).unwrap();
        let id = client["client_id"].as_str().unwrap_or_else(|| panic!("{client}"));
        format!(
            "{}/oauth/authorize?response_type=code&client_id={id}&redirect_uri={redirect}&scope=mcp:read&state=s&resource={}&\
             code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
            self.origin(),
            self.url(),
        )
    }

    /// A token of the gateway for who logs in as `human`.
    pub(crate) async fn token(&self, human: &Human) -> String {
        let mut command = Command::new(node());
        command.arg(installed("oauth/token.mjs")).args(["--resource", &self.url()]);
        command.env("HUMAN", Value::from(human.command()).to_string());
        let tokens: Value = serde_json::from_str(&run(command).await).unwrap();
        tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
    }

    /// Calls a tool as a client of 2026-07-28 that can show its user a URL.
    async fn call(&self, token: &str, tool: &str) -> Value {
        let mut request: Value = serde_json::from_str(&mcp::stateless_request(
            1,
            "tools/call",
            json!({"name": tool, "arguments": {}}),
        ))
        .unwrap();
        request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({"elicitation": {"url": {}}});
        let headers = mcp::stateless_headers("tools/call", Some(tool));
        let request = mcp::post("/mcp", Some(token), &headers, &request.to_string());
        let answer: RawResponse = mcp::exchange(self.gateway.address(), &request).await.unwrap();
        answer.rpc()
    }

    /// Calls a tool; the URL that its user has to go to.
    pub(crate) async fn asks(&self, token: &str, tool: &str) -> String {
        let answer = self.call(token, tool).await;
        let asked = answer["result"]["inputRequests"].as_object().and_then(|asked| asked.values().next());
        let url = asked.and_then(|asked| asked["params"]["url"].as_str());
        url.unwrap_or_else(|| panic!("nobody is asked: {answer:#}\n{}", self.gateway.output())).to_owned()
    }

    /// Calls a tool; what it says.
    pub(crate) async fn says(&self, token: &str, tool: &str) -> String {
        let answer = self.call(token, tool).await;
        let text = answer["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text: {answer:#}\n{}", self.gateway.output())).to_owned()
    }
}

#[tokio::test]
async fn a_user_connects_a_server_whose_authorization_server_registers_the_gateway() {
    let stage = Stage::of(Provider::OidcProvider, Provider::OidcProvider, "").await;
    let alice = Human::without_browser();
    let token = stage.token(&alice).await;
    let link = stage.asks(&token, "whoami").await;
    let visit = alice.goes_to(&link).await;
    assert!(visit.pages.last().is_some_and(|page| page.text.contains("onnected")), "{visit:#?}");
    assert_eq!(stage.says(&token, "whoami").await, "alice (mcp:read)");
}

#[tokio::test]
async fn each_user_calls_with_what_they_connected_themselves() {
    let stage = Stage::of(Provider::OidcProvider, Provider::OidcProvider, "").await;
    let (alice, bob) = (Human::without_browser(), Human::without_browser().named("bob"));
    let (of_alice, of_bob) = (stage.token(&alice).await, stage.token(&bob).await);
    let link = stage.asks(&of_alice, "whoami").await;
    // A link is of no use to anybody else.
    let visit = bob.goes_to(&link).await;
    assert!(
        !visit.pages.iter().any(|page| page.url.contains("/interaction/") && page.text.contains("mcp")),
        "{visit:#?}"
    );
    stage.asks(&of_alice, "whoami").await;
    alice.goes_to(&link).await;
    assert_eq!(stage.says(&of_alice, "whoami").await, "alice (mcp:read)");
    let link = stage.asks(&of_bob, "whoami").await;
    bob.goes_to(&link).await;
    assert_eq!(stage.says(&of_bob, "whoami").await, "bob (mcp:read)");
    assert_eq!(stage.says(&of_alice, "whoami").await, "alice (mcp:read)");
    // What takes more than was consented to is asked for.
    let link = stage.asks(&of_alice, "write").await;
    alice.goes_to(&link).await;
    assert_eq!(stage.says(&of_alice, "write").await, "alice (mcp:read mcp:write)");
}
