//! The stage of every test here: an identity provider, some upstreams, and a gateway that makes one server of
//! them.

use super::client::Client;
use super::peer::Peer;
use narthex_testkit::{GatewayProcess, Launch, MockIdp, Place};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// The upstreams' credential.
pub(crate) const KEY: &str = "federation-upstream-key-5c1e";

/// How the gateway is set up.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Lines of each upstream, indented by four; `{idp}` and `{dir}` are put in.
    pub(crate) upstream: String,
    /// Lines of the route, indented by four.
    pub(crate) route: String,
    /// Further routes, indented by two; `alone` is one that callers may use.
    pub(crate) routes: String,
    /// Lines of the tenant `globex`, indented by four.
    pub(crate) globex: String,
    /// Further upstreams, indented by two, and their names.
    pub(crate) more: String,
    pub(crate) names: Vec<&'static str>,
    /// Lines of `catalogue:` of each upstream, each after a comma.
    pub(crate) catalogue: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            upstream: "    credential: { header: { name: x-api-key, value: { file: \"{dir}/key\" } } }\n"
                .to_owned(),
            route: String::new(),
            routes: String::new(),
            globex: String::new(),
            more: String::new(),
            names: Vec::new(),
            catalogue: "",
        }
    }
}

impl Setup {
    /// With these lines of the route.
    pub(crate) fn route(lines: &[&str]) -> Self {
        Self { route: indented(4, lines), ..Self::default() }
    }

    /// With these lines for each upstream.
    pub(crate) fn upstream(mut self, lines: &[&str]) -> Self {
        self.upstream = indented(4, lines);
        self
    }

    /// With these lines of the tenant `globex`.
    pub(crate) fn globex(mut self, lines: &[&str]) -> Self {
        self.globex = indented(4, lines);
        self
    }

    /// With another upstream, last in order.
    pub(crate) fn with(mut self, name: &'static str, lines: &[&str]) -> Self {
        writeln!(self.more, "  {name}:").unwrap();
        self.more.push_str(&indented(4, lines));
        self.names.push(name);
        self
    }

    /// With these settings of every catalogue.
    pub(crate) fn catalogue(mut self, settings: &'static str) -> Self {
        self.catalogue = settings;
        self
    }

    /// The whole file.
    pub(crate) fn yaml(&self, place: &Place, idp: &MockIdp, peers: &[&Peer]) -> String {
        let _ = (place.file("key", KEY), place.file("client-secret", MockIdp::CLIENT.1));
        let mut names: Vec<_> = peers.iter().map(|peer| peer.id).collect();
        names.extend(&self.names);
        let upstreams = names.join(", ");
        let mut yaml = place.server_yaml("  threads: 2\n");
        write!(yaml, "auth:\n  issuers:\n    - {}", idp.issuer_yaml(6)).unwrap();
        let alone = if self.routes.is_empty() { "" } else { ", alone" };
        write!(
            yaml,
            "tenants:\n  acme: {{ routes: [main, other{alone}] }}\n  globex:\n    routes: [main, other{alone}]\n{}",
            self.globex
        )
        .unwrap();
        yaml.push_str("upstreams:\n");
        let settings =
            self.upstream.replace("{idp}", idp.issuer()).replace("{dir}", &place.dir().display().to_string());
        for peer in peers {
            let (id, url) = (peer.id, peer.upstream.url("/mcp"));
            write!(
                yaml,
                "  {id}:\n    url: {url}\n    timeout: 5s\n    breaker: {{ failures: 1000, cooldown: 1s }}\n    \
                 catalogue: {{ timeout: 1s{} }}\n{settings}",
                self.catalogue
            )
            .unwrap();
        }
        yaml.push_str(&self.more);
        write!(yaml, "routes:\n  main:\n    path: /mcp\n    upstreams: [{upstreams}]\n{}", self.route)
            .unwrap();
        writeln!(yaml, "  other: {{ path: /other, upstreams: [{upstreams}] }}").unwrap();
        yaml.push_str(&self.routes);
        yaml
    }

    /// Starts a gateway before these.
    pub(crate) async fn start(&self, peers: &[&Peer]) -> Stage {
        let idp = MockIdp::start().await;
        let launch = Launch::new(|place: &Place| self.yaml(place, &idp, peers)).env("RUST_LOG", "debug");
        let gateway = launch.start().await.unwrap_or_else(|failure| panic!("{failure}"));
        Stage { idp, gateway }
    }
}

fn indented(by: usize, lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

/// All but the upstreams, running. Dropping it ends it.
pub(crate) struct Stage {
    pub(crate) idp: MockIdp,
    pub(crate) gateway: GatewayProcess,
}

impl Stage {
    /// The usual setup before these.
    pub(crate) async fn start(peers: &[&Peer]) -> Self {
        Setup::default().start(peers).await
    }

    /// Puts another setup in use.
    pub(crate) async fn reload(&self, setup: &Setup, peers: &[&Peer]) {
        let yaml = setup.yaml(self.gateway.place(), &self.idp, peers);
        assert!(self.gateway.reload(&yaml).await, "{}", self.gateway.output());
    }

    /// A token for a route with these claims in the place of alice's of acme.
    pub(crate) fn token(&self, path: &str, claims: Value) -> String {
        self.idp.token_with(&format!("{}{path}", self.gateway.place().public_url()), claims)
    }

    /// Alice, of 2026-07-28.
    pub(crate) fn modern(&self) -> Client {
        Client::modern(self, "/mcp", json!({}))
    }

    /// Alice, of 2025-11-25.
    pub(crate) async fn legacy(&self) -> Client {
        Client::legacy(self, "/mcp", json!({})).await
    }

    /// Alice twice: of 2026-07-28, and of 2025-11-25.
    pub(crate) async fn both(&self) -> [Client; 2] {
        [self.modern(), self.legacy().await]
    }

    /// Another caller twice.
    pub(crate) async fn both_as(&self, path: &str, claims: Value) -> [Client; 2] {
        [Client::modern(self, path, claims.clone()), Client::legacy(self, path, claims).await]
    }
}

/// Two upstreams: `new` of 2026-07-28, and `old` of 2025-11-25, with a tool `echo` each, and one of its own.
pub(crate) async fn mixed() -> (Peer, Peer) {
    (Peer::modern("new").await.tools(&["echo", "add"]), Peer::legacy("old").await.tools(&["echo", "whoami"]))
}

/// Runs `attempt` until it gives something, for at most 20 s.
pub(crate) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if let Some(found) = attempt().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: not within 20 s")
}
