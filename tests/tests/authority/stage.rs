//! What every test here needs: a gateway with development users, and an upstream behind it.

use narthex_testkit::visitor::{Visitor, destination, encode, hidden, parameter};
use narthex_testkit::{GatewayProcess, Launch, Place, RawResponse, RecordingUpstream, mcp};
use serde_json::Value;
use std::sync::Arc;

/// A verifier and its S256 challenge (RFC 7636 appendix B).
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// The redirect URI of `web`.
pub(crate) const CALLBACK: &str = "https://app.example/cb";
/// The secret of `probe`.
pub(crate) const SECRET: &str = "a-client-secret-canary-8c1f";

pub(crate) struct Stage {
    pub(crate) upstream: Arc<RecordingUpstream>,
    pub(crate) gateway: GatewayProcess,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With these lines (indented by four spaces) under `auth.authority`.
    pub(crate) async fn with(keys: &str) -> Self {
        let upstream = Arc::new(RecordingUpstream::start().await);
        let gateway = match Launch::new(|place: &Place| yaml(place, &upstream, keys)).start().await {
            Ok(gateway) => gateway,
            Err(failure) => panic!("{failure}"),
        };
        Self { upstream, gateway }
    }

    pub(crate) fn issuer(&self) -> String {
        self.gateway.place().public_url()
    }

    pub(crate) fn resource(&self) -> String {
        format!("{}/mcp", self.issuer())
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(self.gateway.address(), self.issuer().trim_start_matches("http://"))
    }

    /// The path of a good request of `web`, with `changes`: an empty value leaves a parameter out.
    pub(crate) fn authorize(&self, changes: &[(&str, &str)]) -> String {
        let resource = self.resource();
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", "web"),
            ("redirect_uri", CALLBACK),
            ("state", "the-state-canary-31d0"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", resource.as_str()),
            ("scope", "mcp:read mcp:write"),
        ];
        for (name, value) in changes {
            params.retain(|(known, _)| known != name);
            if !value.is_empty() {
                params.push((name, value));
            }
        }
        format!("/oauth/authorize?{}", encode(&params))
    }

    /// Approves what a page asks, or not.
    pub(crate) async fn decide(visitor: &mut Visitor, page: &RawResponse, decision: &str) -> RawResponse {
        let (csrf, request) = (hidden(page, "csrf").unwrap(), hidden(page, "request").unwrap());
        let form = [("csrf", csrf.as_str()), ("request", &request), ("decision", decision)];
        visitor.post("/oauth/consent", &form).await.unwrap()
    }

    /// Logs in as a development user on the page that asks, and goes on from there.
    pub(crate) async fn log_in(visitor: &mut Visitor, page: &RawResponse, user: &str) -> RawResponse {
        let (csrf, back) = (hidden(page, "csrf").unwrap(), hidden(page, "return_to").unwrap());
        let form = [("csrf", csrf.as_str()), ("return_to", &back), ("user", user)];
        let page = visitor.post("/login", &form).await.unwrap();
        let next = destination(&page).unwrap_or_else(|| panic!("{}", page.text()));
        visitor.get(&next).await.unwrap()
    }

    /// The whole way of a browser in which nobody is logged in: the URL that the client is sent.
    pub(crate) async fn approve(&self, visitor: &mut Visitor, path: &str, user: &str) -> String {
        let page = visitor.get(path).await.unwrap();
        let login = Self::decide(visitor, &page, "approve").await;
        let back = Self::log_in(visitor, &login, user).await;
        destination(&back).unwrap_or_else(|| panic!("{} {}", back.status, back.text()))
    }

    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> RawResponse {
        self.visitor().post("/oauth/token", form).await.unwrap()
    }

    pub(crate) async fn redeem(&self, code: &str) -> RawResponse {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("client_id", "web"),
            ("code_verifier", VERIFIER),
        ];
        self.token(&form).await
    }

    /// Tokens of a user who approved all.
    pub(crate) async fn tokens(&self, user: &str) -> Value {
        let back = self.approve(&mut self.visitor(), &self.authorize(&[]), user).await;
        let answer = self.redeem(&parameter(&back, "code").unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, token: &str, path: &str) -> RawResponse {
        let body = mcp::tools_call("echo", serde_json::json!({"text": "hi"}));
        let headers = [("MCP-Protocol-Version", mcp::STATEFUL)];
        let request = mcp::post(path, Some(token), &headers, &body);
        mcp::exchange(self.gateway.address(), &request).await.unwrap()
    }
}

/// The error of an answer of the token endpoint.
pub(crate) fn error(answer: &RawResponse) -> String {
    answer.json()["error"].as_str().unwrap_or_default().to_owned()
}

fn yaml(place: &Place, upstream: &RecordingUpstream, keys: &str) -> String {
    let server = place.server_yaml("");
    let secret = place.file("client-secret", SECRET);
    format!(
        "{server}
auth:
  leeway: 0s
  scope_hierarchy: {{ mcp:write: [mcp:read] }}
  authority:
    clients:
      web: {{ name: Web App, redirect_uris: [{CALLBACK}] }}
      other: {{ redirect_uris: [https://other.example/cb] }}
      native: {{ redirect_uris: [http://127.0.0.1/cb] }}
      probe: {{ secret: {{ file: {secret} }}, introspection: true }}
    grants:
      - {{ scopes: [mcp:read] }}
      - {{ tenants: [acme], groups: [staff], scopes: [mcp:write] }}
    login:
      users:
        - {{ name: ann, tenant: acme, groups: [staff] }}
        - {{ name: bob, tenant: acme }}
        - {{ name: gus, tenant: globex }}
{keys}
tenants:
  acme: {{ routes: [main, other] }}
  globex: {{ routes: [other] }}
upstreams:
  main: {{ url: {url} }}
routes:
  main: {{ path: /mcp, upstream: main, scopes: [mcp:read] }}
  other: {{ path: /other, upstream: main }}
",
        url = upstream.url("/mcp"),
        secret = secret.display(),
    )
}
