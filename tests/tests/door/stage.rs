//! What every test here needs: an identity provider, an upstream, and a gateway between them.

use narthex_testkit::{GatewayProcess, Launch, MockIdp, Place, RawResponse, RecordingUpstream, mcp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The upstream's credential. Nobody but the upstream may ever see it.
pub(crate) const UPSTREAM_SECRET: &str = "upstream-credential-canary-5d41402a";

/// An origin that is on the list.
pub(crate) const ORIGIN: &str = "https://app.example.com";

/// A seal key.
pub(crate) const SEAL_KEY: [u8; 32] = [7; 32];

/// An identity provider, an upstream, and a gateway between them.
pub(crate) struct Stage {
    pub(crate) idp: Arc<MockIdp>,
    pub(crate) upstream: Arc<RecordingUpstream>,
    pub(crate) gateway: GatewayProcess,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With these lines (indented by four spaces) in `server.limits`.
    pub(crate) async fn with(limits: &str) -> Self {
        let (idp, upstream) = (MockIdp::start().await, RecordingUpstream::start().await);
        Self::between(Arc::new(idp), Arc::new(upstream), SEAL_KEY, limits).await
    }

    pub(crate) async fn between(
        idp: Arc<MockIdp>,
        upstream: Arc<RecordingUpstream>,
        seal_key: [u8; 32],
        limits: &str,
    ) -> Self {
        let yaml = |place: &Place| yaml(place, &idp, &upstream, seal_key, limits);
        let gateway = match Launch::new(yaml).start().await {
            Ok(gateway) => gateway,
            Err(failure) => panic!("{failure}"),
        };
        Self { idp, upstream, gateway }
    }

    /// The resource id of the route at `path`.
    pub(crate) fn resource(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.place().public_url())
    }

    /// Where the metadata of the route at `path` is.
    pub(crate) fn metadata(&self, path: &str) -> String {
        format!("{}/.well-known/oauth-protected-resource{path}", self.gateway.place().public_url())
    }

    /// A token of alice, of acme, with `mcp:read`, for `/mcp`.
    pub(crate) fn token(&self) -> String {
        self.idp.token(&self.resource("/mcp"))
    }

    /// The same with other claims.
    pub(crate) fn token_with(&self, claims: Value) -> String {
        self.idp.token_with(&self.resource("/mcp"), claims)
    }

    /// Sends `bytes` on a new connection and reads the answer.
    pub(crate) async fn send(&self, bytes: &[u8]) -> RawResponse {
        let answer = mcp::exchange(self.gateway.address(), bytes).await;
        answer.unwrap_or_else(|error| panic!("no answer ({error}) to {}", bytes.escape_ascii()))
    }

    /// Posts to `/mcp`.
    pub(crate) async fn post(&self, token: &str, headers: &[(&str, &str)], body: &str) -> RawResponse {
        self.send(&mcp::post("/mcp", Some(token), headers, body)).await
    }

    /// The line of the access log with this request id.
    pub(crate) async fn log_line(&self, request_id: &str) -> Value {
        let needle = format!("\"request_id\":\"{request_id}\"");
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            let stdout = self.gateway.stdout();
            let line = stdout.lines().find(|line| line.contains(&needle) && line.contains("\"decision\""));
            if let Some(line) = line {
                return serde_json::from_str(line).expect("log lines are JSON");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no log line for {request_id}:\n{}", self.gateway.output());
    }

    /// Everything that the gateway tells operators: what it wrote, and its metrics. Complete up to the
    /// last request answered before.
    pub(crate) async fn told_operators(&self) -> String {
        let bytes = mcp::bodiless("GET", "/told-operators", None, &[("X-Request-Id", "told-operators")]);
        self.send(&bytes).await;
        self.log_line("told-operators").await;
        format!("{}{}", self.gateway.output(), self.gateway.metrics().await)
    }

    /// The gateway still does its work.
    pub(crate) async fn assert_alive(&self) {
        let answer = self.post(&self.token(), &[], &mcp::tools_call("echo", json!({"alive": true}))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.tool_text().as_deref(), Some("echo {\"alive\":true}"));
    }
}

/// All failures of a table, so that one run shows them all.
#[derive(Default)]
pub(crate) struct Failures(Vec<String>);

impl Failures {
    /// Notes a failure of the case `name` unless `right`.
    pub(crate) fn unless(&mut self, right: bool, name: &str, what: impl FnOnce() -> String) {
        if !right {
            self.0.push(format!("{name}: {}", what()));
        }
    }
}

impl Drop for Failures {
    fn drop(&mut self) {
        if !self.0.is_empty() && !std::thread::panicking() {
            panic!("{} failures:\n{}", self.0.len(), self.0.join("\n"));
        }
    }
}

/// An answer's start line, header and body as one text.
pub(crate) fn whole(answer: &RawResponse) -> String {
    format!("{} {:?} {}", answer.status, answer.headers, answer.text())
}

pub(crate) fn yaml(
    place: &Place,
    idp: &MockIdp,
    upstream: &RecordingUpstream,
    seal_key: [u8; 32],
    limits: &str,
) -> String {
    let seal_key: String = seal_key.iter().map(|byte| format!("{byte:02x}")).collect();
    let seal = place.file("seal", seal_key);
    let secret = place.file("upstream-secret", UPSTREAM_SECRET);
    let limits = if limits.is_empty() { String::new() } else { format!("  limits:\n{limits}") };
    let server = place.server_yaml(&format!(
        "  allowed_origins: [\"{ORIGIN}\"]\n  seal_keys: [{{ file: {} }}]\n{limits}",
        seal.display()
    ));
    format!(
        r#"{server}
auth:
  leeway: 0s
  scope_hierarchy:
    mcp:admin: [mcp:write]
    mcp:write: [mcp:read]
  issuers:
    - {issuer}
tenants:
  acme: {{ routes: [main, other, open] }}
  globex: {{ routes: [main, other] }}
  bare: {{}}
upstreams:
  main:
    url: {url}
    credential: {{ header: {{ name: x-api-key, value: {{ file: {secret} }} }} }}
    breaker: {{ failures: 1000, cooldown: 1s }}
routes:
  main:
    path: /mcp
    upstream: main
    scopes: [mcp:read]
    tools:
      - match: [add]
        scopes: [mcp:write]
      - match: ["create_*"]
        scopes: [mcp:write, issues:write]
      - match: [whoami]
        deny: true
  other: {{ path: /other, upstream: main, scopes: [mcp:read] }}
  lonely: {{ path: /lonely, upstream: main, scopes: [mcp:read] }}
  open: {{ path: /open, upstream: main, auth: none, tenant: acme }}
"#,
        issuer = idp.issuer_yaml(6),
        url = upstream.url("/mcp"),
        secret = secret.display(),
    )
}
