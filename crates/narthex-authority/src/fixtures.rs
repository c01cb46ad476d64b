//! What the tests stand on: a vault in memory, a configuration, a user, an authority.

use crate::authority::{Authority, AuthorityParts};
use crate::login::User;
use crate::{Request, Response};
use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, HeaderValue, Method};
use async_trait::async_trait;
use bytes::Bytes;
use narthex_config::Config;
use narthex_config::model::{SecretRef, TenantId};
use narthex_identity::SecretSource;
use narthex_identity::dpop::Nonces;
use narthex_store::{Capacity, Condition, Error as StoreError, Key, KeyRing, Memory, Store, Vault};
use narthex_telemetry::Events;
use secrecy::SecretString;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) const ISSUER: &str = "https://gw.example";
pub(crate) const DOCS: &str = "https://gw.example/docs";
/// The secret of every client that has one.
pub(crate) const SECRET: &str = "a-secret-of-the-client";

pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn vault() -> Vault {
    Vault::new(Arc::new(memory()), KeyRing::new(vec![[7; 32]]))
}

fn memory() -> Memory {
    let capacity = Capacity { entries: 100_000.try_into().unwrap(), bytes: 64 << 20 };
    Memory::new(capacity, Arc::new(Instant::now))
}

/// A store that does only so many more calls that change something.
#[derive(Debug)]
pub(crate) struct Failing {
    store: Memory,
    left: AtomicUsize,
}

impl Failing {
    /// With a vault on it.
    pub(crate) fn new() -> (Arc<Self>, Vault) {
        let store = Arc::new(Self { store: memory(), left: AtomicUsize::new(usize::MAX) });
        let vault = Vault::new(Arc::clone(&store) as Arc<dyn Store>, KeyRing::new(vec![[7; 32]]));
        (store, vault)
    }

    /// From now on, `left` more.
    pub(crate) fn fail_after(&self, left: usize) {
        self.left.store(left, Ordering::SeqCst);
    }

    fn change(&self) -> Result<(), StoreError> {
        let took = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        took.map(drop).map_err(|_| StoreError::Unavailable("the test says so".into()))
    }
}

#[async_trait]
impl Store for Failing {
    async fn read(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, StoreError> {
        self.store.read(key, former).await
    }

    async fn withdraw(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, StoreError> {
        self.change()?;
        self.store.withdraw(key, former).await
    }

    async fn write(
        &self,
        key: &Key,
        former: &[Key],
        value: Bytes,
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, StoreError> {
        self.change()?;
        self.store.write(key, former, value, ttl, condition).await
    }
}

/// Two tenants, two routes that want tokens and one that does not, and an authority that says `keys`.
pub(crate) fn config(keys: &str) -> Config {
    let login = "    login: { providers: { corp: { issuer: https://idp.example, client: { id: narthex, secret: { env: S } }, \
                 claims: { tenant: { claim: org } } } } }";
    let text = config_text(ISSUER, &format!("{login}\n{keys}"));
    narthex_config::parse(Path::new("gateway.yaml"), &text).unwrap_or_else(|found| panic!("{found}"))
}

fn config_text(public_url: &str, keys: &str) -> String {
    format!(
        r"
server: {{ public_url: {public_url} }}
auth:
  scope_hierarchy: {{ mcp:write: [mcp:read] }}
  authority:
    grants:
      - {{ scopes: [mcp:read] }}
      - {{ tenants: [acme], groups: [staff], scopes: [mcp:write] }}
    clients:
      web: {{ redirect_uris: [https://app.example/cb] }}
      other: {{ redirect_uris: [https://other.example/cb] }}
      native: {{ redirect_uris: [http://127.0.0.1/cb] }}
      limited: {{ redirect_uris: [https://limited.example/cb], scopes: [mcp:read] }}
      agent: {{ secret: {{ env: S }}, assertions: true }}
      probe: {{ secret: {{ env: S }}, introspection: true }}
{keys}
tenants:
  acme: {{ routes: [docs, tools] }}
  globex: {{ routes: [docs] }}
upstreams: {{ u: {{ url: http://127.0.0.1:9001/mcp }} }}
routes:
  docs: {{ path: /docs, upstream: u, scopes: [mcp:read] }}
  tools: {{ path: /tools, upstream: u }}
  open: {{ path: /open, upstream: u, auth: none, tenant: acme }}
"
    )
}

pub(crate) struct Secrets;

impl SecretSource for Secrets {
    fn read(&self, _: &SecretRef) -> Result<SecretString, String> {
        Ok(SECRET.to_owned().into())
    }
}

pub(crate) fn events() -> Events {
    Events::register(&prometheus::Registry::new()).unwrap()
}

pub(crate) fn nonces() -> Arc<Nonces> {
    Arc::new(Nonces::new(&[[7; 32]]))
}

pub(crate) fn build(config: &Config, vault: Vault) -> Authority {
    let parts = AuthorityParts {
        previous: None,
        vault,
        secrets: Arc::new(Secrets),
        events: events(),
        connections: None,
        nonces: nonces(),
    };
    Authority::build(config, &parts).unwrap().unwrap()
}

/// An authority with keys.
pub(crate) async fn authority(keys: &str) -> Authority {
    let authority = build(&config(keys), vault());
    authority.refresh(now()).await;
    authority
}

pub(crate) fn user() -> User {
    User {
        tenant: TenantId::from("acme"),
        subject: "corp|ann".to_owned(),
        provider: "corp".to_owned(),
        provider_issuer: "https://idp.example".to_owned(),
        provider_subject: "ann".to_owned(),
        name: "Ann".to_owned(),
        groups: vec!["staff".to_owned()],
        authenticated_at: now(),
    }
}

pub(crate) fn get(path: &str) -> Request {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (path, None),
    };
    Request {
        method: Method::GET,
        path: path.to_owned(),
        query,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        peer: None,
        client_certificate: None,
        request_id: "req-1".to_owned(),
    }
}

pub(crate) fn post(path: &str, form: &[(&str, &str)]) -> Request {
    let mut request = get(path);
    request.method = Method::POST;
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(CONTENT_TYPE, kind);
    request.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into();
    request
}

pub(crate) fn post_json(path: &str, json: &Value) -> Request {
    let mut request = get(path);
    request.method = Method::POST;
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = json.to_string().into();
    request
}

pub(crate) fn json(response: &Response) -> Value {
    serde_json::from_slice(response.body()).unwrap_or_default()
}

/// What became of a request, as metrics have it.
pub(crate) fn result(response: &Response) -> &'static str {
    response.extensions().get::<crate::Outcome>().unwrap().result
}

/// One browser, with its cookies.
#[derive(Default)]
pub(crate) struct Visitor {
    cookies: Vec<(String, String)>,
}

impl Visitor {
    /// Sends a request with the cookies, and keeps those that come back.
    pub(crate) async fn send(
        &mut self,
        authority: &Authority,
        mut request: Request,
        now: SystemTime,
    ) -> Response {
        let line: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !line.is_empty() {
            request.headers.insert(::http::header::COOKIE, HeaderValue::from_str(&line.join("; ")).unwrap());
        }
        let response = authority.answer(request, now).await;
        for set in response.headers().get_all(::http::header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        response
    }

    pub(crate) async fn get(&mut self, authority: &Authority, path: &str) -> Response {
        self.send(authority, get(path), now()).await
    }

    /// Posts the form of a page of consent.
    pub(crate) async fn decide(
        &mut self,
        authority: &Authority,
        page: &Response,
        decision: &str,
    ) -> Response {
        let (csrf, request) = (hidden(page, "csrf"), hidden(page, "request"));
        let form = [("csrf", csrf.as_str()), ("request", &request), ("decision", decision)];
        self.send(authority, post("/oauth/consent", &form), now()).await
    }

    /// Logs in as the development user `user`, on the page that asks who it is, and goes on from there.
    pub(crate) async fn log_in(&mut self, authority: &Authority, page: &Response, user: &str) -> Response {
        let (csrf, return_to) = (hidden(page, "csrf"), hidden(page, "return_to"));
        let form = [("csrf", csrf.as_str()), ("return_to", &return_to), ("user", user)];
        let page = self.send(authority, post("/login", &form), now()).await;
        let next = onward(&page).unwrap_or_else(|| panic!("{}", text(&page)));
        self.get(authority, &next).await
    }

    /// Goes the whole way of a browser in which nobody is logged in: the answer to the client.
    pub(crate) async fn approve(&mut self, authority: &Authority, query: &str, user: &str) -> url::Url {
        let page = self.get(authority, &format!("/oauth/authorize?{query}")).await;
        let page = self.decide(authority, &page, "approve").await;
        let back = self.log_in(authority, &page, user).await;
        location(&back).unwrap_or_else(|| panic!("{}", text(&back)))
    }
}

/// An authority at loopback, where development users log in: `ann` and `bob` of acme (ann is staff), `gus` of
/// globex.
pub(crate) fn local_config(keys: &str) -> Config {
    let login = "    login: { users: [{ name: ann, tenant: acme, groups: [staff] }, { name: bob, tenant: acme }, \
                 { name: gus, tenant: globex }] }";
    let text = config_text("http://localhost:8080", &format!("{login}\n{keys}"));
    narthex_config::parse(Path::new("gateway.yaml"), &text).unwrap_or_else(|found| panic!("{found}"))
}

pub(crate) async fn local_authority(keys: &str) -> Authority {
    let authority = build(&local_config(keys), vault());
    authority.refresh(now()).await;
    authority
}

pub(crate) fn text(response: &Response) -> String {
    String::from_utf8_lossy(response.body()).into_owned()
}

/// The value of a hidden field.
pub(crate) fn hidden(page: &Response, name: &str) -> String {
    let html = text(page);
    let field = html.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let value =
        field.and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("no {name} in {html}"));
    value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Where a page goes on to by itself.
pub(crate) fn onward(page: &Response) -> Option<String> {
    let html = text(page);
    let url = html.split("content=\"0; url=").nth(1)?.split('"').next()?;
    Some(url.replace("&amp;", "&"))
}

/// Where an answer sends the browser, be it a redirect or a page that goes on.
pub(crate) fn location(response: &Response) -> Option<url::Url> {
    let header =
        response.headers().get(::http::header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
    header.or_else(|| onward(response)).and_then(|url| url.parse().ok())
}

/// A parameter of a URL's query.
pub(crate) fn param(url: &url::Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// A verifier and its challenge.
pub(crate) fn pkce() -> (String, String) {
    let verifier = "v".repeat(43);
    let challenge = crate::secret::sha256(verifier.as_bytes());
    (verifier, challenge)
}

/// The query of a good request, with `changes` made: a parameter with an empty value is left out.
pub(crate) fn query(changes: &[(&str, &str)]) -> String {
    let (_, challenge) = pkce();
    let mut params = vec![
        ("response_type", "code"),
        ("client_id", "web"),
        ("redirect_uri", "https://app.example/cb"),
        ("state", "the-state"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("resource", "http://localhost:8080/docs"),
        ("scope", "mcp:read"),
    ];
    for (name, value) in changes {
        params.retain(|(known, _)| known != name);
        if !value.is_empty() {
            params.push((name, value));
        }
    }
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}
