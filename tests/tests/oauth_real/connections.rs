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
struct Stage {
    gateway: GatewayProcess,
    server: Peer,
    _idp: Peer,
    _upstream_as: Peer,
}

impl Stage {
    /// People are at `provider`; the server trusts `upstream_as`, at which the gateway is known as `client` says
    /// (keys of `authorization_code`).
    async fn of(provider: Provider, upstream_as: Provider, client: &str) -> Self {
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
        Self { gateway, server, _idp: idp, _upstream_as: upstream_as_peer }
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.gateway.place().public_url())
    }

    /// A token of the gateway for who logs in as `human`.
    async fn token(&self, human: &Human) -> String {
        let mut command = Command::new(node());
        command.arg(installed("oauth/token.mjs")).args(["--resource", &self.url()]);
        command.env("HUMAN", Value::from(human.command()).to_string());
        let tokens: Value = serde_json::from_str(&run(command).await).unwrap();
        tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
    }

    /// Calls a tool as a client of 2026-07-28 that can show its user a URL.
    async fn call(&self, token: &str, tool: &str) -> Value {
        let mut request: Value =
            serde_json::from_str(&mcp::stateless_request(1, "tools/call", json!({"name": tool, "arguments": {}})))
                .unwrap();
        request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({"elicitation": {"url": {}}});
        let headers = mcp::stateless_headers("tools/call", Some(tool));
        let request = mcp::post("/mcp", Some(token), &headers, &request.to_string());
        let answer: RawResponse = mcp::exchange(self.gateway.address(), &request).await.unwrap();
        answer.rpc()
    }

    /// Calls a tool; the URL that its user has to go to.
    async fn asks(&self, token: &str, tool: &str) -> String {
        let answer = self.call(token, tool).await;
        let asked = answer["result"]["inputRequests"].as_object().and_then(|asked| asked.values().next());
        let url = asked.and_then(|asked| asked["params"]["url"].as_str());
        url.unwrap_or_else(|| panic!("nobody is asked: {answer:#}\n{}", self.gateway.output())).to_owned()
    }

    /// Calls a tool; what it says.
    async fn says(&self, token: &str, tool: &str) -> String {
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
