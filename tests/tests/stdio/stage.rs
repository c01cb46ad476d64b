//! What every test here needs: an identity provider, and a gateway before a child process.

use narthex_testkit::{GatewayProcess, Launch, MockIdp, Place, RawResponse, mcp};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// What the child gets as its credential.
pub(crate) const TOKEN: &str = "child-credential-5d2e";

/// An identity provider and a gateway. Dropping it ends it.
pub(crate) struct Stage {
    pub(crate) idp: MockIdp,
    pub(crate) gateway: GatewayProcess,
}

/// How the upstream is set up.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup<'a> {
    /// Arguments of the child, each after a comma.
    pub(crate) arguments: &'a str,
    /// Lines of the upstream besides the usual, indented by four.
    pub(crate) upstream: &'a str,
}

/// One child for each caller.
pub(crate) const PER_CALLER: &str = "    instances: per_caller\n";

impl Stage {
    pub(crate) async fn start(setup: Setup<'_>) -> Self {
        let idp = MockIdp::start().await;
        let launch =
            Launch::new(|place: &Place| yaml(place, &idp, setup)).env("GATEWAY_SECRET", "of-the-gateway");
        let gateway = launch.start().await.unwrap_or_else(|failure| panic!("{failure}"));
        Self { idp, gateway }
    }

    /// Puts another setup in use.
    pub(crate) async fn reload(&self, setup: Setup<'_>) {
        assert!(self.gateway.reload(&yaml(self.gateway.place(), &self.idp, setup)).await);
    }

    /// Puts a configuration without the child in use.
    pub(crate) async fn remove(&self) {
        let place = self.gateway.place();
        let yaml = yaml(place, &self.idp, Setup::default());
        let (before, rest) = yaml.split_once("upstreams:\n").unwrap();
        let routes = rest.split_once("routes:\n").unwrap().1;
        let elsewhere =
            format!("{before}upstreams:\n  main: {{ url: http://127.0.0.1:1/mcp }}\nroutes:\n{routes}");
        assert!(self.gateway.reload(&elsewhere).await);
    }

    pub(crate) fn client(&self, subject: &str) -> Client {
        let audience = format!("{}/mcp", self.gateway.place().public_url());
        let token = self.idp.token_with(&audience, json!({"sub": subject}));
        Client { address: self.gateway.address(), token, able: json!({"elicitation": {"form": {}}}) }
    }

    pub(crate) fn alice(&self) -> Client {
        self.client("alice")
    }

    /// The value of a sample that has the upstream's label, 0 if there is none.
    pub(crate) async fn count(&self, name: &str, labels: &str) -> f64 {
        let sample = format!("{name}{{{labels}upstream=\"main\"}}");
        self.gateway.metric(&sample).await.unwrap_or_default()
    }

    /// Waits until one child has ended for that reason.
    pub(crate) async fn exited(&self, reason: &str) {
        let sample = format!("narthex_child_exits_total{{reason=\"{reason}\",upstream=\"main\"}}");
        self.gateway.wait_for_metric(&sample, |exits| exits == 1.0).await;
    }
}

fn yaml(place: &Place, idp: &MockIdp, setup: Setup<'_>) -> String {
    let token = place.file("token", TOKEN);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stdio/child.py");
    format!(
        "{server}auth:\n  issuers:\n    - {issuer}tenants:\n  acme: {{ routes: [main] }}\n\
         upstreams:\n  main:\n    command: [python3, {script}{arguments}]\n{timeout}    \
         max_concurrent: 4000\n    breaker: {{ failures: 1000, cooldown: 1s }}\n    \
         credential: {{ env: {{ TOKEN: {{ file: {token} }} }} }}\n{upstream}\
         routes:\n  main: {{ path: /mcp, upstream: main, scopes: [mcp:read] }}\n",
        server = place.server_yaml(""),
        issuer = idp.issuer_yaml(6),
        script = script.display(),
        arguments = setup.arguments,
        timeout = if setup.upstream.contains("    timeout:") { "" } else { "    timeout: 5s\n" },
        token = token.display(),
        upstream = setup.upstream,
    )
}

/// A client of 2026-07-28, with a token of its own.
#[derive(Clone)]
pub(crate) struct Client {
    address: std::net::SocketAddr,
    pub(crate) token: String,
    able: Value,
}

impl Client {
    /// The same client, declaring this.
    pub(crate) fn able(&self, able: Value) -> Self {
        Self { able, ..self.clone() }
    }

    pub(crate) fn bytes(&self, method: &str, params: Value) -> Vec<u8> {
        let name = params["name"].as_str().map(str::to_owned);
        let headers = mcp::stateless_headers(method, name.as_deref());
        let body = mcp::stateless_request_by(5, method, params, self.able.clone());
        mcp::post("/mcp", Some(&self.token), &headers, &body)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> RawResponse {
        mcp::exchange(self.address, &self.bytes(method, params)).await.expect("an answer")
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> RawResponse {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Calls a tool; the text of its result.
    pub(crate) async fn text(&self, tool: &str, arguments: Value) -> String {
        let answer = self.call(tool, arguments).await;
        answer.tool_text().unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()))
    }

    /// The same, read as JSON.
    pub(crate) async fn value(&self, tool: &str) -> Value {
        serde_json::from_str(&self.text(tool, json!({})).await).unwrap()
    }

    /// The process id of the child that answers.
    pub(crate) async fn pid(&self) -> u32 {
        self.text("pid", json!({})).await.parse().unwrap()
    }
}

/// Whether a process is there, and has not ended.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits until none of these processes is there.
pub(crate) async fn gone(pids: &[u32], within: Duration) {
    let end = Instant::now() + within;
    while pids.iter().any(|pid| lives(*pid)) {
        assert!(Instant::now() < end, "still there: {pids:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
