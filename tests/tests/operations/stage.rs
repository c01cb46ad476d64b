//! One gateway with all that it needs around it.

use narthex_testkit::{
    GatewayProcess, Launch, MockIdp, Place, RawClient, RawResponse, RecordingUpstream, mcp,
};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What a test changes in the configuration of a [`Stage`].
#[derive(Clone, Default)]
pub(super) struct Config {
    /// Lines of `server:`, indented by two spaces.
    pub(super) server: String,
    /// Lines of `auth:`, indented by two spaces.
    pub(super) auth: String,
    /// Lines of the issuer, indented by six spaces.
    pub(super) issuer: String,
    /// The value of `limits:` of tenant `acme`.
    pub(super) tenant_limits: String,
    /// Lines of the upstream, indented by four spaces.
    pub(super) upstream: String,
    /// The path of the route.
    pub(super) path: String,
    /// The scopes of the route.
    pub(super) scopes: String,
    /// Lines of the route, indented by four spaces.
    pub(super) route: String,
    /// Further routes, indented by two spaces; tenant `acme` may use those named in `granted`.
    pub(super) routes: String,
    /// Names of further routes that tenant `acme` may use, each with a comma before it.
    pub(super) granted: String,
    /// Further upstreams, indented by two spaces.
    pub(super) upstreams: String,
}

impl Config {
    /// One route at `/tools` for `mcp:read`.
    pub(super) fn new() -> Self {
        Self { path: "/tools".to_owned(), scopes: "mcp:read".to_owned(), ..Self::default() }
    }

    /// The whole file.
    pub(super) fn yaml(&self, place: &Place, idp: &MockIdp, upstream: &RecordingUpstream) -> String {
        let mut yaml = place.server_yaml(&self.server);
        write!(yaml, "auth:\n{}  issuers:\n    - {}{}", self.auth, idp.issuer_yaml(6), self.issuer).unwrap();
        write!(yaml, "tenants:\n  acme:\n    routes: [tools{}]\n", self.granted).unwrap();
        if !self.tenant_limits.is_empty() {
            writeln!(yaml, "    limits: {}", self.tenant_limits).unwrap();
        }
        write!(yaml, "  globex:\n    routes: [tools]\nupstreams:\n{}", self.upstreams).unwrap();
        write!(yaml, "  main:\n    url: {}\n{}", upstream.url("/mcp"), self.upstream).unwrap();
        write!(yaml, "routes:\n{}  tools:\n    path: {}\n    upstream: main\n", self.routes, self.path)
            .unwrap();
        write!(yaml, "    scopes: [{}]\n{}", self.scopes, self.route).unwrap();
        yaml
    }
}

/// An identity provider, an upstream, and a gateway between them.
pub(super) struct Stage {
    pub(super) idp: MockIdp,
    pub(super) upstream: RecordingUpstream,
    pub(super) gateway: GatewayProcess,
}

impl Stage {
    /// With [`Config::new`].
    pub(super) async fn new() -> Self {
        Self::with(&Config::new()).await
    }

    pub(super) async fn with(config: &Config) -> Self {
        let (idp, upstream) = (MockIdp::start().await, RecordingUpstream::start().await);
        let launch = Launch::new(|place: &Place| config.yaml(place, &idp, &upstream));
        let started = launch.start().await;
        let gateway = started.unwrap_or_else(|failure| panic!("{failure}"));
        Self { idp, upstream, gateway }
    }

    /// The text of `config` for this gateway.
    pub(super) fn yaml(&self, config: &Config) -> String {
        config.yaml(self.gateway.place(), &self.idp, &self.upstream)
    }

    /// Has the gateway take up `config`.
    pub(super) async fn reload(&self, config: &Config) {
        assert!(self.gateway.reload(&self.yaml(config)).await, "{}", self.gateway.output());
    }

    /// The resource that tokens for the route at `path` are for.
    pub(super) fn resource(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.place().public_url())
    }

    /// A good token for the route at `/tools`.
    pub(super) fn token(&self) -> String {
        self.idp.token(&self.resource("/tools"))
    }

    /// A token for the route at `/tools` with other claims.
    pub(super) fn token_with(&self, claims: Value) -> String {
        self.idp.token_with(&self.resource("/tools"), claims)
    }

    /// Calls `echo` on the route at `path`, on a connection of its own.
    pub(super) async fn call(&self, path: &str, token: &str) -> RawResponse {
        let body = mcp::tools_call("echo", json!({"text": "hello"}));
        mcp::call(self.gateway.address(), path, Some(token), &body).await.unwrap()
    }

    /// The status of [`Self::call`].
    pub(super) async fn status(&self, path: &str, token: &str) -> u16 {
        self.call(path, token).await.status
    }

    /// A connection to the gateway.
    pub(super) async fn connect(&self) -> RawClient {
        RawClient::connect(self.gateway.address()).await.unwrap()
    }

    /// The lines of the access log so far.
    pub(super) fn access_log(&self) -> Vec<String> {
        self.gateway.stdout().lines().map(str::to_owned).collect()
    }

    /// Waits until the access log has `count` lines that `wanted` wants, and gives them, parsed.
    pub(super) async fn wait_for_lines(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut found = Vec::new();
        let enough = eventually(PATIENCE, async || {
            let output = self.gateway.stdout();
            let whole = output.rsplit_once('\n').map_or("", |(lines, _)| lines);
            let lines = whole
                .lines()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}")));
            found = lines.filter(|line| wanted(line)).collect::<Vec<Value>>();
            found.len() >= count
        });
        let waited = enough.await;
        assert!(waited.is_some(), "{} of {count} lines:\n{}", found.len(), self.gateway.output());
        found
    }
}

/// Whether an access-log line has this request id.
pub(super) fn has_id(id: &str) -> impl Fn(&Value) -> bool + '_ {
    move |line| line["request_id"] == id
}

/// A `tools/call` of `tool` as bytes, with a request id.
pub(super) fn call_with_id(path: &str, token: &str, id: &str, tool: &str) -> Vec<u8> {
    mcp::post(path, Some(token), &[("X-Request-Id", id)], &mcp::tools_call(tool, json!({})))
}

/// Polls until `done`; how long it took, or `None` if it took longer than `patience`.
pub(super) async fn eventually(patience: Duration, mut done: impl AsyncFnMut() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    loop {
        if done().await {
            return Some(begun.elapsed());
        }
        if begun.elapsed() > patience {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How long a test waits for what has to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
