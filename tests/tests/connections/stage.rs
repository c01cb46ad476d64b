//! A gateway with users who log in at it, and an upstream that wants each user's own consent.

use narthex_testkit::visitor::{Visitor, destination, encode, hidden, parameter};
use narthex_testkit::{ConsentingUpstream, GatewayProcess, Place, RawResponse, mcp};
use serde_json::json;

/// A verifier and its S256 challenge (RFC 7636 appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://app.example/cb";

pub(crate) struct Stage {
    pub(crate) github: ConsentingUpstream,
    /// Another one, which may be up to no good.
    pub(crate) other: ConsentingUpstream,
    pub(crate) gateway: GatewayProcess,
}

/// A user with a client that has a token, and a browser in which they are logged in.
pub(crate) struct User {
    pub(crate) token: String,
    pub(crate) browser: Visitor,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With these keys in the credential of `github`.
    pub(crate) async fn with(keys: &str) -> Self {
        let (github, other) = (ConsentingUpstream::start().await, ConsentingUpstream::start().await);
        let (here, there, keys) = (github.url(), other.url(), keys.to_owned());
        let gateway = GatewayProcess::start(move |place| yaml(place, &here, &there, &keys)).await;
        Self { github, other, gateway }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        let url = self.gateway.place().public_url();
        Visitor::new(self.gateway.address(), url.trim_start_matches("http://"))
    }

    pub(crate) async fn user(&self, name: &str) -> User {
        self.user_of(name, "/mcp").await
    }

    /// Logs in, and has a client get a token for the route at `path`.
    pub(crate) async fn user_of(&self, name: &str, path: &str) -> User {
        let mut browser = self.visitor();
        let resource = format!("{}{path}", self.gateway.place().public_url());
        let asked = [
            ("response_type", "code"),
            ("client_id", "web"),
            ("redirect_uri", CALLBACK),
            ("state", "state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", resource.as_str()),
        ];
        let page = browser.get(&format!("/oauth/authorize?{}", encode(&asked))).await.unwrap();
        let (csrf, request) = (hidden(&page, "csrf").unwrap(), hidden(&page, "request").unwrap());
        let form = [("csrf", csrf.as_str()), ("request", &request), ("decision", "approve")];
        let page = browser.post("/oauth/consent", &form).await.unwrap();
        let (csrf, back) = (hidden(&page, "csrf").unwrap(), hidden(&page, "return_to").unwrap());
        let form = [("csrf", csrf.as_str()), ("return_to", &back), ("user", name)];
        let page = browser.post("/login", &form).await.unwrap();
        let page = browser.get(&destination(&page).unwrap()).await.unwrap();
        let code = parameter(&destination(&page).unwrap(), "code").unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("client_id", "web"),
            ("code_verifier", VERIFIER),
        ];
        let issued = self.visitor().post("/oauth/token", &form).await.unwrap();
        let token =
            issued.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", issued.text())).to_owned();
        User { token, browser }
    }

    /// Calls a tool on `route`, as a client of 2025-11-25 that cannot be asked.
    pub(crate) async fn call(&self, user: &User, route: &str) -> RawResponse {
        let session = self.session(user, route).await;
        let headers = [("MCP-Protocol-Version", mcp::STATEFUL), ("Mcp-Session-Id", session.as_str())];
        let headers = if session.is_empty() { &headers[..1] } else { &headers[..] };
        let body = mcp::tools_call("echo", json!({"text": "hi"}));
        let request = mcp::post(route, Some(&user.token), headers, &body);
        mcp::exchange(self.gateway.address(), &request).await.unwrap()
    }

    async fn session(&self, user: &User, route: &str) -> String {
        let request = mcp::post(route, Some(&user.token), &[], &mcp::initialize(mcp::STATEFUL));
        let answer = mcp::exchange(self.gateway.address(), &request).await.unwrap();
        answer.header("mcp-session-id").unwrap_or_default().to_owned()
    }

    /// Whether a call got through to the upstream.
    pub(crate) async fn works(&self, user: &User) -> bool {
        let answer = self.call(user, "/mcp").await;
        let text = answer.text();
        let (done, asked) = (text.contains("\"isError\":false"), text.contains("/connect/"));
        assert!(done != asked, "{} {text}", answer.status);
        done
    }

    /// The link that a call of `user` on `route` is answered with: its path.
    pub(crate) async fn link(&self, user: &User, route: &str) -> String {
        let answer = self.call(user, route).await;
        let text = answer.text();
        let start = text.find("/connect/").unwrap_or_else(|| panic!("no link: {} {text}", answer.status));
        let rest = &text[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"/-_".contains(c)).unwrap_or(rest.len());
        rest[..end].to_owned()
    }

    /// `user` opens the page at `link` and presses the button: where the browser is sent.
    pub(crate) async fn press(&self, user: &mut User, link: &str) -> String {
        let page = user.browser.get(link).await.unwrap();
        let csrf = hidden(&page, "csrf").unwrap_or_else(|| panic!("{} {}", page.status, page.text()));
        let page = user.browser.post(link, &[("csrf", csrf.as_str())]).await.unwrap();
        destination(&page).unwrap_or_else(|| panic!("{} {}", page.status, page.text()))
    }

    /// The browser goes to the upstream's authorization server, which sends it back: the path at the gateway.
    pub(crate) async fn approve(&self, url: &str) -> String {
        let host = url.trim_start_matches("http://").split('/').next().unwrap();
        let mut away = Visitor::new(host.parse().unwrap(), host);
        let back = away.get(url).await.unwrap();
        let location = back.header("location").unwrap_or_else(|| panic!("{}", back.status)).to_owned();
        let public_url = self.gateway.place().public_url();
        location.strip_prefix(&public_url).unwrap_or_else(|| panic!("{location}")).to_owned()
    }

    /// All of it.
    pub(crate) async fn connect(&self, user: &mut User) -> RawResponse {
        let link = self.link(user, "/mcp").await;
        let url = self.press(user, &link).await;
        let back = self.approve(&url).await;
        user.browser.get(&back).await.unwrap()
    }
}

/// `path?query` with one parameter changed.
pub(crate) fn with(path: &str, name: &str, value: &str) -> String {
    let (path, query) = path.split_once('?').unwrap();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut all: Vec<(String, String)> = pairs
        .map(|(name, _)| (name.to_owned(), parameter(&format!("?{query}"), name).unwrap_or_default()))
        .collect();
    all.retain(|(known, _)| known != name);
    let mut pairs: Vec<(&str, &str)> =
        all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if !value.is_empty() {
        pairs.push((name, value));
    }
    format!("{path}?{}", encode(&pairs))
}

/// The form with this action on a page: its CSRF token.
pub(crate) fn token_of(page: &RawResponse, action: &str) -> String {
    let html = page.text();
    let form = html.split(&format!("action=\"{action}\"")).nth(1).unwrap_or_else(|| panic!("{html}"));
    form.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn yaml(place: &Place, github: &str, other: &str, keys: &str) -> String {
    let server = place.server_yaml("");
    format!(
        "{server}
auth:
  leeway: 0s
  authority:
    clients:
      web: {{ name: Web App, redirect_uris: [{CALLBACK}] }}
    login:
      users:
        - {{ name: ann, tenant: acme }}
        - {{ name: bob, tenant: acme }}
        - {{ name: gus, tenant: globex }}
tenants:
  acme: {{ routes: [main, other] }}
  globex: {{ routes: [other] }}
upstreams:
  github: {{ url: {github}, credential: {{ authorization_code: {{ title: GitHub, {keys} }} }} }}
  other: {{ url: {other}, credential: {{ authorization_code: {{}} }} }}
routes:
  main: {{ path: /mcp, upstream: github }}
  other: {{ path: /other, upstream: other }}
"
    )
}
