//! The gateway in front of servers, with everything on.

use crate::Relay;
use narthex_testkit::{GatewayProcess, MockIdp, Place};
use serde_json::json;
use std::fmt::Write;

/// An identity provider, a gateway with one route for each server or for all, and a relay that shows tokens for
/// clients that have none. On every route: `mcp:read` for anything, `mcp:write` in addition for calling
/// a tool, limits for the tenant and for each subject, `Origin` and the `Mcp-*` headers checked, and a
/// credential of the gateway's own for the server.
pub struct Front {
    /// Issues the tokens.
    pub idp: MockIdp,
    /// The gateway.
    pub gateway: GatewayProcess,
    relay: Relay,
}

impl Front {
    /// The credential that the gateway has for every server.
    pub const KEY: &'static str = "front-upstream-key-3b7e";

    /// In front of the server at `upstream`; the route is `/mcp`.
    pub async fn of(upstream: &str) -> Self {
        Self::of_all(&[("mcp", upstream)]).await
    }

    /// In front of servers, each a name and a URL; their routes are `/NAME`.
    pub async fn of_all(servers: &[(&str, &str)]) -> Self {
        let servers: Vec<_> = servers.iter().map(|(name, url)| (*name, *url, "auto")).collect();
        Self::speaking(&servers).await
    }

    /// [`Front::of_all`], for servers of which it is known what they speak: `protocol:` for each.
    pub async fn speaking(servers: &[(&str, &str, &str)]) -> Self {
        let routes: Vec<_> =
            servers.iter().map(|(name, ..)| ((*name).to_owned(), format!("upstream: {name}"))).collect();
        Self::with(servers, &routes, credential).await
    }

    /// In front of the server at `upstream`, which wants tokens of its own authorization server: for a client of
    /// this id, with a secret (`secret`) or a private key (`private_key`, PEM, of ES256).
    pub async fn signed_in(upstream: &str, id: &str, how: &str, secret: &str) -> Self {
        let routes = [("mcp".to_owned(), "upstream: mcp".to_owned())];
        let credential = |place: &Place| {
            let file = place.file("client-credential", secret);
            let algorithm = if how == "private_key" { ", algorithm: ES256" } else { "" };
            let client = format!("id: {id}, {how}: {{ file: {} }}{algorithm}", file.display());
            format!("client_credentials: {{ client: {{ {client} }} }}")
        };
        Self::with(&[("mcp", upstream, "auto")], &routes, credential).await
    }

    /// In front of servers that are one on the route `/mcp`: its `upstreams:` in this order, each with its URL and
    /// its `protocol:`, and its `names:`. A list of JSON in the place of the URL is a `command:`.
    pub async fn merging(servers: &[(&str, &str, &str)], names: &str) -> Self {
        let order: Vec<_> = servers.iter().map(|(name, ..)| *name).collect();
        let target = format!("upstreams: [{}]\n    names: {names}", order.join(", "));
        Self::with(servers, &[("mcp".to_owned(), target)], credential).await
    }

    async fn with(
        servers: &[(&str, &str, &str)],
        routes: &[(String, String)],
        credential: impl Fn(&Place) -> String,
    ) -> Self {
        let (idp, mut relay) = (MockIdp::start().await, Relay::bind().await);
        let yaml = |place: &Place| yaml(place, &idp, &relay, servers, routes, &credential(place));
        let gateway = GatewayProcess::start(yaml).await;
        let public_url = gateway.place().public_url();
        let paths = routes.iter().map(|(name, _)| format!("/{name}"));
        let tokens = paths.map(|path| (path.clone(), token(&idp, &format!("{public_url}{path}"))));
        relay.start(gateway.address(), tokens.collect());
        Self { idp, gateway, relay }
    }

    /// The route `name` for clients that have no token: through the relay, at `localhost`.
    #[must_use]
    pub fn relayed(&self, name: &str) -> String {
        format!("{}/{name}", self.relay.origin())
    }

    /// The route `name` itself, which is the resource that tokens must be for.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.gateway.place().public_url())
    }

    /// A token of alice, of acme, for the route `name` and all that is on it.
    #[must_use]
    pub fn token(&self, name: &str) -> String {
        token(&self.idp, &self.url(name))
    }
}

/// A header with [`Front::KEY`].
fn credential(place: &Place) -> String {
    let key = place.file("upstream-key", Front::KEY);
    format!("header: {{ name: x-api-key, value: {{ file: {} }} }}", key.display())
}

fn token(idp: &MockIdp, resource: &str) -> String {
    idp.token_with(resource, json!({"scope": "mcp:read mcp:write"}))
}

fn yaml(
    place: &Place,
    idp: &MockIdp,
    relay: &Relay,
    servers: &[(&str, &str, &str)],
    routes: &[(String, String)],
    credential: &str,
) -> String {
    let names: Vec<_> = routes.iter().map(|(name, _)| name.as_str()).collect();
    let server = place.server_yaml(&format!("  allowed_origins: [\"{}\"]\n", relay.origin()));
    let (mut upstreams, mut all_routes) = (String::new(), String::new());
    for (name, url, protocol) in servers {
        if url.starts_with('[') {
            let _ = write!(upstreams, "  {name}:\n    command: {url}\n    protocol: {protocol}\n");
            continue;
        }
        let _ = write!(
            upstreams,
            "  {name}:\n    url: {url}\n    protocol: {protocol}\n    credential: {{ {credential} }}\n"
        );
    }
    for (name, target) in routes {
        let _ = write!(
            all_routes,
            "  {name}:\n    path: /{name}\n    {target}\n    scopes: [mcp:read]\n    tools:\n      \
             - match: [\"*\"]\n        scopes: [mcp:write]\n        \
             limits: {{ requests: 6000/1m, burst: 600, per: subject }}\n"
        );
    }
    format!(
        "{server}auth:\n  issuers:\n    - {issuer}tenants:\n  acme:\n    routes: [{names}]\n    \
         limits: {{ requests: 60000/1m, burst: 6000, concurrent: 64 }}\nupstreams:\n{upstreams}routes:\n{all_routes}",
        issuer = idp.issuer_yaml(6),
        names = names.join(", "),
    )
}
