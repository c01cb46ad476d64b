//! An authorization server of an upstream's own, as far as the gateway calls it.

use narthex_testkit::{Answer, RecordingUpstream, UpstreamRequest};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The authorization server. Dropping it ends it.
pub(crate) struct Consents {
    server: RecordingUpstream,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    issued: usize,
    /// What each code is good for: a user, and scopes.
    codes: HashMap<String, (String, String)>,
    /// The same of each refresh token.
    refreshes: HashMap<String, (String, String)>,
    /// Access tokens that are good, whose they are, and for what.
    tokens: HashMap<String, (String, String)>,
    lifetime: u64,
    grants_little: bool,
}

/// What an upstream sees of it.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Mutex<State>>);

impl Consents {
    pub(crate) async fn start() -> Self {
        let (server, state) = (
            RecordingUpstream::start().await,
            Arc::new(Mutex::new(State { lifetime: 3600, ..State::default() })),
        );
        let (issuer, serving) = (server.url(""), Arc::clone(&state));
        server.always(move |request| answer(&issuer, &mut serving.lock().unwrap(), request));
        Self { server, state }
    }

    pub(crate) fn issuer(&self) -> String {
        self.server.url("")
    }

    pub(crate) fn tokens(&self) -> Tokens {
        Tokens(Arc::clone(&self.state))
    }

    /// From now on it grants `read`, whatever is asked for.
    pub(crate) fn grant_little(&self) {
        self.state.lock().unwrap().grants_little = true;
    }

    /// The user `sub` says yes to what the authorization URL asks for: a code.
    pub(crate) fn agree(&self, sub: &str, scopes: &str) -> String {
        let mut state = self.state.lock().unwrap();
        state.issued += 1;
        let scopes = if state.grants_little { "read" } else { scopes };
        let code = format!("code-canary-{}", state.issued);
        state.codes.insert(code.clone(), (sub.to_owned(), scopes.to_owned()));
        code
    }

    /// No access token that was issued so far is good any more.
    pub(crate) fn expire(&self) {
        self.state.lock().unwrap().tokens.clear();
    }

    /// Nor is any refresh token.
    pub(crate) fn forget(&self) {
        self.expire();
        self.state.lock().unwrap().refreshes.clear();
    }

    /// How often the token endpoint was called.
    pub(crate) fn calls(&self) -> usize {
        self.server.requests().iter().filter(|request| request.path == "/token").count()
    }
}

impl Tokens {
    /// Whose the bearer token of a request is, and what it is good for.
    pub(crate) fn of(&self, request: &UpstreamRequest) -> Option<(String, String)> {
        let token = request.header("authorization")?.strip_prefix("Bearer ")?.to_owned();
        self.0.lock().unwrap().tokens.get(&token).cloned()
    }
}

fn answer(issuer: &str, state: &mut State, request: &UpstreamRequest) -> Answer {
    match request.path.as_str() {
        "/.well-known/oauth-authorization-server" => Answer::json(200, metadata(issuer)),
        "/token" => token(state, &String::from_utf8_lossy(&request.body)),
        "/revoke" => Answer::json(200, json!({})),
        _ => Answer::status(404),
    }
}

fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    })
}

fn token(state: &mut State, form: &str) -> Answer {
    let field = |name: &str| {
        let fields = form.split('&').filter_map(|pair| pair.split_once('='));
        fields
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
            .next()
            .unwrap_or_default()
    };
    let held = match field("grant_type").as_str() {
        "authorization_code" => state.codes.remove(&field("code")),
        "refresh_token" => state.refreshes.remove(&field("refresh_token")),
        _ => None,
    };
    let Some((user, scopes)) = held else { return Answer::json(400, json!({"error": "invalid_grant"})) };
    state.issued += 1;
    let (access, refresh) = (format!("at-canary-{}", state.issued), format!("rt-canary-{}", state.issued));
    state.tokens.insert(access.clone(), (user.clone(), scopes.clone()));
    state.refreshes.insert(refresh.clone(), (user, scopes.clone()));
    Answer::json(
        200,
        json!({"access_token": access, "token_type": "Bearer", "expires_in": state.lifetime,
            "refresh_token": refresh, "scope": scopes}),
    )
}
