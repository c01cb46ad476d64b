//! An MCP server whose users consent at an authorization server of its own.

use super::{Answer, RecordingUpstream, UpstreamRequest};
use crate::idp::s256;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// An MCP server at `/mcp` that wants tokens of its own authorization server, which is on the same port: it
/// registers clients, says yes to every browser, demands PKCE, rotates refresh tokens, and revokes.
pub struct ConsentingUpstream {
    server: RecordingUpstream,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    origin: String,
    /// Path of its issuer, which its metadata is below of.
    issuer: String,
    /// Of the authorization server's metadata, over what is good.
    metadata: Map<String, Value>,
    /// Of the resource's metadata, over what is good.
    resource: Map<String, Value>,
    /// What a call needs beyond a token.
    scope: Option<String>,
    lifetime: Option<u64>,
    /// Answers of the token endpoint in the place of good ones.
    instead: Option<(u16, String, String)>,
    /// `iss` in answers, in the place of the good one.
    iss: Option<String>,
    clients: HashMap<String, Option<String>>,
    codes: HashMap<String, Grant>,
    refresh: HashMap<String, Grant>,
    access: HashMap<String, Grant>,
    count: usize,
}

#[derive(Clone, Default)]
struct Grant {
    client: String,
    redirect_uri: String,
    challenge: String,
    scope: String,
}

impl ConsentingUpstream {
    /// One whose access tokens last an hour.
    pub async fn start() -> Self {
        let server = RecordingUpstream::start().await;
        let state =
            State { origin: server.url(""), issuer: "/as".into(), lifetime: Some(3600), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        server.always(move |request| shared.lock().answer(request));
        Self { server, state }
    }

    /// What it received.
    #[must_use]
    pub fn server(&self) -> &RecordingUpstream {
        &self.server
    }

    /// Its MCP endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url("/mcp")
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        let state = self.state.lock();
        format!("{}{}", state.origin, state.issuer)
    }

    /// From now on its authorization server is another, at this path.
    pub fn move_to(&self, path: &str) {
        self.state.lock().issuer = path.to_owned();
    }

    /// Puts this into its authorization server's metadata.
    pub fn say(&self, name: &str, value: Value) {
        self.state.lock().metadata.insert(name.to_owned(), value);
    }

    /// Puts this into its own metadata.
    pub fn say_of_itself(&self, name: &str, value: Value) {
        self.state.lock().resource.insert(name.to_owned(), value);
    }

    /// Calls need a token with this scope from now on.
    pub fn want_scope(&self, scope: &str) {
        self.state.lock().scope = Some(scope.to_owned());
    }

    /// Access tokens last this many seconds from now on.
    pub fn set_lifetime(&self, seconds: u64) {
        self.state.lock().lifetime = Some(seconds);
    }

    /// What its token endpoint answers instead: status, content type, body. `None`: it works again.
    pub fn answer_tokens(&self, instead: Option<(u16, &str, &str)>) {
        self.state.lock().instead =
            instead.map(|(status, kind, body)| (status, kind.to_owned(), body.to_owned()));
    }

    /// What it says as `iss` when it sends browsers back.
    pub fn call_itself(&self, iss: &str) {
        self.state.lock().iss = Some(iss.to_owned());
    }

    /// Forgets all access tokens, as if they had ended before their time.
    pub fn end_access(&self) {
        self.state.lock().access.clear();
    }

    /// How many refresh tokens are good.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.state.lock().refresh.len()
    }

    /// The requests of its path `path` (without the query).
    #[must_use]
    pub fn requests_at(&self, path: &str) -> Vec<UpstreamRequest> {
        let at = |request: &UpstreamRequest| request.path.split('?').next() == Some(path);
        self.server.requests().into_iter().filter(at).collect()
    }

    /// The Bearer tokens that came with good MCP requests, in order.
    #[must_use]
    pub fn presented(&self) -> Vec<String> {
        let requests = self.requests_at("/mcp");
        requests.iter().filter_map(|request| Some(bearer(request)?.to_owned())).collect()
    }
}

impl State {
    fn answer(&mut self, request: &UpstreamRequest) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let issuer = format!("{}{}", self.origin, self.issuer);
        if path == "/mcp" {
            return self.mcp(request);
        }
        if path == "/.well-known/oauth-protected-resource/mcp" {
            let good =
                json!({ "resource": format!("{}/mcp", self.origin), "authorization_servers": [issuer] });
            return Answer::json(200, over(good, &self.resource));
        }
        if path == format!("/.well-known/oauth-authorization-server{}", self.issuer) {
            return Answer::json(200, over(good_metadata(&issuer), &self.metadata));
        }
        match path.strip_prefix(&self.issuer) {
            Some("/authorize") => self.authorize(&form(query.as_bytes()), &issuer),
            Some("/register") => self.register(request),
            Some("/token") => match self.instead.clone() {
                Some((status, kind, body)) => Answer::full(status, &kind, body),
                None => self.token(request),
            },
            Some("/revoke") => {
                let token = form(&request.body).remove("token").unwrap_or_default();
                self.refresh.remove(&token);
                self.access.remove(&token);
                Answer::status(200)
            }
            _ => Answer::status(404),
        }
    }

    fn mcp(&self, request: &UpstreamRequest) -> Answer {
        let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", self.origin);
        let scope = self.scope.as_ref().map_or_else(String::new, |scope| format!(", scope=\"{scope}\""));
        let Some(grant) = bearer(request).and_then(|token| self.access.get(token)) else {
            let challenge = format!("Bearer resource_metadata=\"{metadata}\"{scope}");
            return Answer::status(401).header("WWW-Authenticate", &challenge);
        };
        let held = |wanted: &String| grant.scope.split(' ').any(|scope| scope == wanted);
        if !self.scope.as_ref().is_none_or(held) {
            let challenge =
                format!("Bearer error=\"insufficient_scope\"{scope}, resource_metadata=\"{metadata}\"");
            return Answer::status(403).header("WWW-Authenticate", &challenge);
        }
        Answer::mcp(request)
    }

    fn authorize(&mut self, asked: &HashMap<String, String>, issuer: &str) -> Answer {
        let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let is_client =
            self.clients.contains_key(&of("client_id")) || of("client_id").starts_with("https://");
        if !is_client || of("code_challenge_method") != "S256" || of("response_type") != "code" {
            return Answer::status(400);
        }
        let code = self.next("code-canary");
        let grant = Grant {
            client: of("client_id"),
            redirect_uri: of("redirect_uri"),
            challenge: of("code_challenge"),
            scope: of("scope"),
        };
        self.codes.insert(code.clone(), grant);
        let iss = self.iss.clone().unwrap_or_else(|| issuer.to_owned());
        let mut answer = form_urlencoded::Serializer::new(String::new());
        answer.extend_pairs([("code", &code), ("state", &of("state")), ("iss", &iss)]);
        Answer::status(302).header("Location", &format!("{}?{}", of("redirect_uri"), answer.finish()))
    }

    fn register(&mut self, request: &UpstreamRequest) -> Answer {
        let (id, secret) = (self.next("client"), self.next("client-secret-canary"));
        self.clients.insert(id.clone(), Some(secret.clone()));
        let method = request.json()["token_endpoint_auth_method"].clone();
        let registered =
            json!({ "client_id": id, "client_secret": secret, "token_endpoint_auth_method": method });
        Answer::json(201, registered)
    }

    fn token(&mut self, request: &UpstreamRequest) -> Answer {
        let asked = form(&request.body);
        let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let refused = |error: &str| Answer::json(400, json!({ "error": error }));
        let Some(client) = self.client(request, &asked) else { return refused("invalid_client") };
        let grant = match of("grant_type").as_str() {
            "authorization_code" => self.codes.remove(&of("code")).filter(|grant| {
                grant.redirect_uri == of("redirect_uri") && grant.challenge == s256(&of("code_verifier"))
            }),
            "refresh_token" => self.refresh.remove(&of("refresh_token")),
            _ => return refused("unsupported_grant_type"),
        };
        let Some(grant) = grant.filter(|grant| grant.client == client) else {
            return refused("invalid_grant");
        };
        let (access, refresh) = (self.next("access-canary"), self.next("refresh-canary"));
        let scope = grant.scope.clone();
        self.access.insert(access.clone(), grant.clone());
        self.refresh.insert(refresh.clone(), grant);
        let mut issued = json!({ "access_token": access, "token_type": "Bearer", "refresh_token": refresh });
        issued["expires_in"] = json!(self.lifetime);
        if !scope.is_empty() {
            issued["scope"] = scope.into();
        }
        Answer::json(200, issued)
    }

    /// The client, if it shows its secret.
    fn client(&self, request: &UpstreamRequest, asked: &HashMap<String, String>) -> Option<String> {
        let (id, secret) = match request.header("authorization") {
            Some(value) => {
                let (id, secret) = crate::idp::basic(value)?;
                (id, Some(secret))
            }
            None => (asked.get("client_id")?.clone(), asked.get("client_secret").cloned()),
        };
        (id.starts_with("https://") || self.clients.get(&id)? == &secret).then_some(id)
    }

    /// Its tokens are told apart by what they are, and are found in no other text.
    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{:04}", self.count)
    }
}

fn good_metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn over(mut good: Value, changes: &Map<String, Value>) -> Value {
    for (name, value) in changes {
        good[name] = value.clone();
    }
    good
}

fn bearer(request: &UpstreamRequest) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

fn form(text: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}
