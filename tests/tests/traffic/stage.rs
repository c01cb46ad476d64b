//! The stage of every test here: an identity provider, a recording upstream, the gateway between.

use narthex_testkit::{
    GatewayProcess, Launch, MockIdp, Place, RawClient, RawResponse, RecordingUpstream, mcp,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The revisions with sessions.
pub(crate) const LEGACY: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// Every revision.
pub(crate) const ALL: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", mcp::STATELESS];

/// A configuration: the usual one, where nothing else is said. In all texts `{dir}` stands for the
/// gateway's directory and `{idp}` for the issuer.
#[derive(Clone)]
pub(crate) struct Setup {
    server: String,
    auth: String,
    issuer: String,
    tenants: String,
    main: String,
    upstreams: String,
    routes: String,
    files: Vec<(String, String)>,
}

/// One identity provider, one route `/main` to one upstream, the tenants `acme` and `globex`.
pub(crate) fn setup() -> Setup {
    Setup {
        server: String::new(),
        auth: String::new(),
        issuer: "issuer: {idp}\n      tenant: { claim: org_id }\n".to_owned(),
        tenants: "  acme: { routes: [main] }\n  globex: { routes: [main] }\n".to_owned(),
        main: String::new(),
        upstreams: String::new(),
        routes: "  main: { path: /main, upstream: main }\n".to_owned(),
        files: vec![("client-secret".to_owned(), MockIdp::CLIENT.1.to_owned())],
    }
}

impl Setup {
    /// More lines of `server:`, indented by two.
    pub(crate) fn server(mut self, lines: &str) -> Self {
        self.server.push_str(lines);
        self
    }

    /// More lines of `auth:`, indented by two.
    pub(crate) fn auth(mut self, lines: &str) -> Self {
        self.auth.push_str(lines);
        self
    }

    /// Another entry of `auth.issuers`, its lines but the first indented by six.
    pub(crate) fn issuer(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.issuer);
        self
    }

    /// Other tenants, their lines indented by two.
    pub(crate) fn tenants(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.tenants);
        self
    }

    /// Lines of the upstream `main` besides its `url`, indented by four.
    pub(crate) fn main(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.main);
        self
    }

    /// More upstreams, their lines indented by two.
    pub(crate) fn upstreams(mut self, lines: &str) -> Self {
        self.upstreams.push_str(lines);
        self
    }

    /// Other routes, their lines indented by two.
    pub(crate) fn routes(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.routes);
        self
    }

    /// A file in the gateway's directory.
    pub(crate) fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// Starts everything.
    pub(crate) async fn start(self) -> Stage {
        self.start_with(RecordingUpstream::start().await).await
    }

    /// Starts everything, with this upstream as `main`.
    pub(crate) async fn start_with(self, upstream: RecordingUpstream) -> Stage {
        self.start_with_idp(upstream, MockIdp::start().await).await
    }

    /// Starts the gateway, with these.
    pub(crate) async fn start_with_idp(self, upstream: RecordingUpstream, idp: MockIdp) -> Stage {
        let url = upstream.url("/mcp");
        let launch = Launch::new(|place: &Place| self.yaml(place, idp.issuer(), &url));
        let gateway = launch.start().await.unwrap_or_else(|failure| panic!("{failure}"));
        let token = idp.token(&format!("{}/main", gateway.place().public_url()));
        Stage { idp, upstream, gateway, token }
    }

    /// The text of the configuration.
    pub(crate) fn yaml(&self, place: &Place, issuer: &str, url: &str) -> String {
        for (name, content) in &self.files {
            let _ = place.file(name, content);
        }
        let threads = if self.server.contains("threads:") { "" } else { "  threads: 1\n" };
        let server = place.server_yaml(&format!("{threads}{}", self.server));
        // What is said is not asked, and the answers of a test are for what it asks.
        let said = self.main.contains("protocol:");
        let protocol = if said { "" } else { "    protocol: [2025-11-25, 2026-07-28]\n" };
        let text = format!(
            "{server}auth:\n  issuers:\n    - {}{}tenants:\n{}upstreams:\n  main:\n    url: {url}\n{protocol}{}{}routes:\n{}",
            self.issuer, self.auth, self.tenants, self.main, self.upstreams, self.routes
        );
        text.replace("{dir}", &place.dir().display().to_string()).replace("{idp}", issuer)
    }
}

/// All of it, running. Dropping it ends it.
pub(crate) struct Stage {
    pub(crate) idp: MockIdp,
    pub(crate) upstream: RecordingUpstream,
    pub(crate) gateway: GatewayProcess,
    /// A good token of `alice` of `acme` for the route `main`.
    pub(crate) token: String,
}

impl Stage {
    /// A good token for a route, with these claims in the place of the usual ones.
    pub(crate) fn token_for(&self, route: &str, claims: Value) -> String {
        self.idp.token_with(&format!("{}/{route}", self.gateway.place().public_url()), claims)
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> RawClient {
        RawClient::connect(self.gateway.address()).await.expect("the gateway listens")
    }

    /// Sends bytes on a connection of its own and reads the whole answer.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> RawResponse {
        mcp::exchange(self.gateway.address(), bytes).await.expect("an answer")
    }

    /// Posts `body` to `/main` as `alice`.
    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: &str) -> RawResponse {
        self.exchange(&mcp::post("/main", Some(&self.token), headers, body)).await
    }

    /// A call of the tool `echo` on `/main` by revision, as `alice`.
    pub(crate) async fn call(&self, revision: &str) -> RawResponse {
        self.exchange(&tool_call(revision, "/main", &self.token, "echo")).await
    }

    /// A call of the tool `echo` by the last revision with sessions, with any token, on any path.
    pub(crate) async fn call_as(&self, path: &str, token: &str) -> RawResponse {
        self.exchange(&tool_call(mcp::STATEFUL, path, token, "echo")).await
    }

    /// Puts another configuration to use.
    pub(crate) async fn reload(&self, setup: &Setup) -> bool {
        let yaml = setup.yaml(self.gateway.place(), self.idp.issuer(), &self.upstream.url("/mcp"));
        self.gateway.reload(&yaml).await
    }

    /// The access log line of the request with this id.
    pub(crate) async fn log_line(&self, request_id: &str) -> Value {
        let needle = format!("\"request_id\":\"{request_id}\"");
        self.gateway.wait_for_output(&needle, 1).await;
        let out = self.gateway.stdout();
        let line = out.lines().find(|line| line.contains(&needle)).expect("just seen");
        serde_json::from_str(line).expect("a line of JSON")
    }
}

/// The header fields that go with a request of this revision.
pub(crate) fn headers<'a>(
    revision: &'a str,
    method: &'a str,
    name: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    match revision {
        // The first has no such field.
        "2025-03-26" => Vec::new(),
        mcp::STATELESS => mcp::stateless_headers(method, name),
        _ => vec![("MCP-Protocol-Version", revision)],
    }
}

/// A request of this revision.
pub(crate) fn body(revision: &str, id: impl Into<Value>, method: &str, params: Value) -> String {
    match revision {
        mcp::STATELESS => mcp::stateless_request(id, method, params),
        _ => mcp::request(id, method, params),
    }
}

/// The bytes of a call of `tool` with id 1 by this revision.
pub(crate) fn tool_call(revision: &str, path: &str, token: &str, tool: &str) -> Vec<u8> {
    tool_call_with(revision, path, token, tool, 1.into(), &[])
}

/// The same with any id and more header fields.
pub(crate) fn tool_call_with(
    revision: &str,
    path: &str,
    token: &str,
    tool: &str,
    id: Value,
    more: &[(&str, &str)],
) -> Vec<u8> {
    let body = body(revision, id, "tools/call", json!({"name": tool, "arguments": {"text": "hi"}}));
    let mut fields = headers(revision, "tools/call", Some(tool));
    fields.extend(more);
    mcp::post(path, Some(token), &fields, &body)
}

/// Whether a revision is 2026-07-28.
pub(crate) fn is_modern(revision: &str) -> bool {
    revision == mcp::STATELESS
}

/// Runs `attempt` until it gives something, for at most 20 s.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, attempt: impl Fn() -> F) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if let Some(found) = attempt().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 20 s")
}
