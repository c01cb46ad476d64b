//! What every test here needs: an identity provider, an upstream, a gateway between them, and a client's key.

use narthex_testkit::{
    Endpoint, GatewayProcess, Launch, MockIdp, Place, ProofKey, RawResponse, RecordingUpstream, mcp,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a gateway differs from the usual one. `{dir}` stands for its directory.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// `server.public_url`, if it is not that of the gateway's place: replicas have one.
    pub(crate) public_url: Option<&'static str>,
    /// More lines of `server:`, indented by two.
    pub(crate) server: String,
    /// More lines of `auth:`, indented by two. `{idp}` stands for the issuer.
    pub(crate) auth: String,
    /// More lines of the issuer, indented by six.
    pub(crate) issuer: String,
    /// The value of `auth.dpop`.
    pub(crate) dpop: String,
    /// More routes, their lines indented by two.
    pub(crate) routes: String,
    /// More sections.
    pub(crate) more: String,
    pub(crate) files: Vec<(&'static str, String)>,
}

/// The routes `/free`, which demands no binding, `/keyed` (`dpop`) and `/either` (`any`).
pub(crate) struct Stage {
    pub(crate) idp: Arc<MockIdp>,
    pub(crate) upstream: Arc<RecordingUpstream>,
    pub(crate) gateway: GatewayProcess,
    pub(crate) key: ProofKey,
    public_url: String,
}

impl Setup {
    pub(crate) async fn start(&self) -> Stage {
        self.between(Arc::new(MockIdp::start().await), Arc::new(RecordingUpstream::start().await)).await
    }

    pub(crate) async fn between(&self, idp: Arc<MockIdp>, upstream: Arc<RecordingUpstream>) -> Stage {
        let launch = Launch::new(|place: &Place| self.yaml(place, &idp, &upstream));
        let gateway = launch.start().await.unwrap_or_else(|failure| panic!("{failure}"));
        let public_url = self.public_url.map_or_else(|| gateway.place().public_url(), str::to_owned);
        Stage { idp, upstream, gateway, key: ProofKey::new(), public_url }
    }

    fn yaml(&self, place: &Place, idp: &MockIdp, upstream: &RecordingUpstream) -> String {
        for (name, content) in &self.files {
            let _ = place.file(name, content);
        }
        let Self { server, dpop, routes, more, .. } = self;
        let seal = place.file("seal", "07".repeat(32));
        let server = place.server_yaml(&format!(
            "  threads: 1\n  seal_keys: [{{ file: {} }}]\n  allowed_origins: [https://app.example.com]\n{server}",
            seal.display()
        ));
        let text = format!(
            "{server}auth:\n  dpop: {{ {dpop} }}\n{auth}  issuers:\n    - {issuer}{issuer_more}\
             tenants: {{ acme: {{ routes: [free, keyed, either, certified] }} }}\n\
             upstreams:\n  main: {{ url: {url}, protocol: 2025-11-25 }}\n\
             routes:\n  free: {{ path: /free, upstream: main, scopes: [mcp:read] }}\n  \
             keyed: {{ path: /keyed, upstream: main, auth: {{ sender_constrained: dpop }}, scopes: [mcp:read] }}\n  \
             either: {{ path: /either, upstream: main, auth: {{ sender_constrained: any }} }}\n{routes}{more}",
            auth = self.auth.replace("{idp}", idp.issuer()),
            issuer = idp.issuer_yaml(6),
            issuer_more = self.issuer.replace("{introspect}", &idp.url(Endpoint::Introspection)),
            url = upstream.url("/mcp"),
        );
        let text = text.replace("{dir}", &place.dir().display().to_string());
        let public_url = self.public_url.map_or_else(|| place.public_url(), str::to_owned);
        let text = text.replace(
            &format!("public_url: {}\n", place.public_url()),
            &format!("public_url: {public_url}\n"),
        );
        if text.contains("certified:") { text } else { text.replace(", certified]", "]") }
    }
}

/// The body of every call here.
pub(crate) fn echo() -> String {
    mcp::tools_call("echo", json!({"text": "hi"}))
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// A token for the route at `path`, bound to what `cnf` says.
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub(crate) fn token(&self, path: &str, cnf: Value) -> String {
        self.idp.token_with(&self.url(path), json!({"cnf": cnf}))
    }

    /// A token for the route at `path`, bound to the client's key.
    pub(crate) fn keyed_token(&self, path: &str) -> String {
        self.token(path, json!({"jkt": self.key.thumbprint()}))
    }

    /// Sends `bytes` on a connection of its own and reads the whole answer.
    pub(crate) async fn send(&self, bytes: &[u8]) -> RawResponse {
        mcp::exchange(self.gateway.address(), bytes).await.expect("an answer")
    }

    /// Calls the tool `echo` with this `Authorization` and these proofs.
    pub(crate) async fn call_with(&self, path: &str, authorization: &str, proofs: &[&str]) -> RawResponse {
        self.send(&post(path, authorization, proofs, &echo())).await
    }

    /// The same with a proof of the client's key as it should be.
    pub(crate) async fn call(&self, path: &str, token: &str) -> RawResponse {
        let proof = self.key.proof("POST", &self.url(path), Some(token));
        self.call_with(path, &format!("DPoP {token}"), &[&proof]).await
    }

    /// Why the request with this id was refused, as the access log has it.
    pub(crate) async fn reason(&self, answer: &RawResponse) -> String {
        let id = answer.header("x-request-id").expect("an id");
        let line = self.log_line(id).await;
        assert_eq!((&line["decision"], &line["security"]), (&json!("deny"), &json!(true)), "{line}");
        line["reason"].as_str().expect("a reason").to_owned()
    }

    pub(crate) async fn log_line(&self, request_id: &str) -> Value {
        let needle = format!("\"request_id\":\"{request_id}\"");
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            let out = self.gateway.stdout();
            let line = out.lines().find(|line| line.contains(&needle) && line.contains("\"decision\""));
            if let Some(line) = line {
                return serde_json::from_str(line).expect("log lines are JSON");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no log line for {request_id}:\n{}", self.gateway.output());
    }
}

/// The bytes of a POST with this `Authorization` and these proofs.
pub(crate) fn post(path: &str, authorization: &str, proofs: &[&str], body: &str) -> Vec<u8> {
    let mut headers = vec![("Authorization", authorization), ("MCP-Protocol-Version", mcp::STATEFUL)];
    headers.extend(proofs.iter().map(|proof| ("DPoP", *proof)));
    mcp::post(path, None, &headers, body)
}

/// Everything of an answer, for messages.
pub(crate) fn whole(answer: &RawResponse) -> String {
    let fields: Vec<_> = answer.headers.0.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{} {}\n{}", answer.status, fields.join("\n"), answer.text())
}
