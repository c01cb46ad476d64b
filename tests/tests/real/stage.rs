//! A gateway in front of a real server, for tokens of a real issuer.

use super::peers::{Idp, JWT, Peer, Tokens};
use narthex_testkit::{GatewayProcess, Place, RawResponse, mcp};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The credential that the gateway has for the upstream.
pub(crate) const KEY: &str = "real-upstream-key-8c1f";

/// An identity provider and a gateway with one route, `/mcp`: `mcp:read` for anything on it,
/// `mcp:write` in addition for calling a tool, limits on both.
pub(crate) struct Stage {
    pub(crate) idp: Idp,
    pub(crate) gateway: GatewayProcess,
}

impl Stage {
    /// In front of the MCP server at `upstream`.
    pub(crate) async fn before(upstream: &str) -> Self {
        Self::with(JWT, upstream).await
    }

    /// In front of a server that was started just now.
    pub(crate) async fn before_peer(upstream: &Peer) -> Self {
        Self::before(&upstream.url("/mcp")).await
    }

    /// With an issuer that makes its tokens so.
    pub(crate) async fn with(tokens: Tokens, upstream: &str) -> Self {
        let idp = Idp::start(tokens).await;
        let gateway = GatewayProcess::start(|place| yaml(place, &idp, tokens, upstream)).await;
        Self { idp, gateway }
    }

    /// The URL of the route, which is the resource that tokens must be for.
    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.gateway.place().public_url())
    }

    /// A token of alice, of tenant acme, for the route and all that is on it.
    pub(crate) async fn token(&self) -> String {
        self.idp.token(&self.url(), "mcp:read mcp:write", "alice").await
    }

    /// Calls a tool as a client of 2026-07-28 does.
    pub(crate) async fn call(&self, token: &str, tool: &str, arguments: Value) -> RawResponse {
        let body = mcp::stateless_request(1, "tools/call", json!({"name": tool, "arguments": arguments}));
        let headers = mcp::stateless_headers("tools/call", Some(tool));
        let request = mcp::post("/mcp", Some(token), &headers, &body);
        mcp::exchange(self.gateway.address(), &request).await.unwrap()
    }

    /// The line of the access log for an answer.
    pub(crate) async fn logged(&self, answer: &RawResponse) -> Value {
        let id = answer.header("x-request-id").unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            let log = self.gateway.stdout();
            if let Some(line) = log.lines().find(|line| line.contains(id) && line.ends_with('}')) {
                return serde_json::from_str(line).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{id} was not logged:\n{}", self.gateway.output());
    }
}

fn yaml(place: &Place, idp: &Idp, tokens: Tokens, upstream: &str) -> String {
    let (issuer, alg) = (idp.issuer(), tokens.alg);
    let introspection = if tokens.format == "opaque" {
        let secret = place.file("idp-secret", "narthex-secret");
        let secret = secret.display();
        format!(
            "      introspection:\n        url: {issuer}/token/introspection\n        \
             client: {{ id: narthex, secret: {{ file: {secret} }} }}\n"
        )
    } else {
        String::new()
    };
    let key = place.file("upstream-key", KEY);
    format!(
        "{server}auth:\n  issuers:\n    - issuer: {issuer}\n      algorithms: [{alg}]\n      \
         tenant: {{ claim: org_id }}\n{introspection}\
         tenants:\n  acme:\n    routes: [real]\n    limits: {{ requests: 6000/1m, burst: 600, concurrent: 64 }}\n  \
         globex: {{}}\n\
         upstreams:\n  real:\n    url: {upstream}\n    \
         credential: {{ header: {{ name: x-api-key, value: {{ file: {key} }} }} }}\n\
         routes:\n  real:\n    path: /mcp\n    upstream: real\n    scopes: [mcp:read]\n    tools:\n      \
         - match: [\"*\"]\n        scopes: [mcp:write]\n        \
         limits: {{ requests: 6000/1m, burst: 600, per: subject }}\n",
        server = place.server_yaml(""),
        key = key.display(),
    )
}
