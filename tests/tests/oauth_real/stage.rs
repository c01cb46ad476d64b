//! A gateway with an authorization server of its own, whose users log in at a real identity provider.

use super::providers::Provider;
use narthex_testkit::{GatewayProcess, Place, free_port};
use narthex_tests::{Peer, servers};

/// A company: its identity provider, the gateway, and a server behind it.
pub(crate) struct Company {
    pub(crate) gateway: GatewayProcess,
    _idp: Peer,
    _server: Peer,
}

impl Company {
    /// With people at `provider`, and the everything server of PyPI's `mcp` at `/mcp`. `more` goes into
    /// `auth.authority`.
    pub(crate) async fn at(provider: Provider, more: &str) -> Self {
        let (server, port) = (servers::python().await, free_port());
        let upstream = format!("    url: {}\n", server.url("/mcp"));
        let gateway =
            GatewayProcess::start(|place| yaml(place, &login(place, provider, port), more, &upstream)).await;
        let redirect = format!("{}/login/callback/corp", gateway.place().public_url());
        let idp = provider.start(port, &[redirect], &[]).await;
        Self { gateway, _idp: idp, _server: server }
    }

    /// The URL of the route.
    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.gateway.place().public_url())
    }
}

/// `login:` with `provider`, which will be at `port`.
pub(crate) fn login(place: &Place, provider: Provider, port: u16) -> String {
    let (id, secret) = provider.client();
    let secret = place.file("login-secret", secret);
    format!(
        "    login:\n      providers:\n        corp:\n          title: The Corporation\n          issuer: {issuer}\n          \
         client: {{ id: {id}, secret: {{ file: {secret} }} }}\n          \
         claims: {{ tenant: {{ claim: org_id }} }}\n",
        issuer = provider.issuer(port),
        secret = secret.display(),
    )
}

/// The configuration: one route, `/mcp`, to `upstream`, whose keys are given (indented by four spaces).
pub(crate) fn yaml(place: &Place, login: &str, more: &str, upstream: &str) -> String {
    format!(
        "{server}auth:\n  authority:\n    grants:\n      - scopes: [mcp:read, mcp:write]\n{more}{login}\
         tenants:\n  acme:\n    routes: [real]\n  globex:\n    routes: [real]\n\
         upstreams:\n  real:\n{upstream}\
         routes:\n  real:\n    path: /mcp\n    upstream: real\n    scopes: [mcp:read]\n",
        server = place.server_yaml(""),
    )
}
