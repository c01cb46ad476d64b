//! Logins (OpenID Connect, the authorization code flow): at once, as whoever it was told.

use super::endpoints::Outcome;
use super::keys::{Alg, url64};
use super::token::TokenCall;
use super::{MockIdp, State};
use aws_lc_rs::digest::{SHA256, digest};
use http::request::Parts;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the provider says of who logs in.
#[derive(Clone, Debug, Default)]
pub struct LoginScript {
    /// Claims in ID tokens in the place of, or, where null, without, the good ones.
    pub claims: Value,
    /// An ID token in the place of the good one.
    pub id_token: Option<String>,
    /// What userinfo says; `sub` as in the ID token unless it says another.
    pub userinfo: Value,
    /// The parameters with which browsers come back, in place of (or, where null, without) the good ones.
    pub answer: Value,
}

/// A browser that was sent here, by the code that it went back with.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    query: HashMap<String, String>,
}

impl MockIdp {
    /// From now on logins are as told.
    pub fn log_in_as(&self, script: LoginScript) {
        *self.state.script.lock() = script;
    }

    /// Good claims of an ID token for `client` and `nonce`.
    #[must_use]
    pub fn id_claims(&self, client: &str, nonce: &str) -> Value {
        id_claims(&self.state, client, nonce)
    }
}

/// Sends the browser back with a code (RFC 6749 §4.1.2); the URL.
pub(super) fn authorize(state: &State, head: &Parts) -> Option<String> {
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned();
    let query: HashMap<String, String> = query.collect();
    let code = state.unique("login-code-canary");
    let back = query.get("redirect_uri")?.clone();
    let mut answer = Map::new();
    answer.insert("code".to_owned(), code.clone().into());
    answer.insert("state".to_owned(), query.get("state")?.clone().into());
    change(&mut answer, &state.script.lock().answer);
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &answer {
        form.append_pair(name, value.as_str()?);
    }
    state.visits.lock().insert(code, Visit { query });
    Some(format!("{back}?{}", form.finish()))
}

/// RFC 6749 §4.1.3 with PKCE: a code is good once, for its redirect URI and its verifier.
pub(super) fn redeem(state: &State, call: &TokenCall) -> Outcome {
    let refused = (400, json!({"error": "invalid_grant"}));
    let visit = call.form("code").and_then(|code| state.visits.lock().remove(code));
    let (Some(Visit { query }), Some(verifier)) = (visit, call.form("code_verifier")) else { return refused };
    let challenge = url64(digest(&SHA256, verifier.as_bytes()).as_ref());
    let same = |name: &str, value: Option<&str>| query.get(name).map(String::as_str) == value;
    if !same("code_challenge", Some(&challenge))
        || !same("code_challenge_method", Some("S256"))
        || !same("redirect_uri", call.form("redirect_uri"))
        || !same("client_id", call.client.as_deref())
    {
        return refused;
    }
    let script = state.script.lock().clone();
    let nonce = query.get("nonce").map(String::as_str).unwrap_or_default();
    let access_token = state.unique("login-token-canary");
    let mut claims = id_claims(state, call.client.as_deref().unwrap_or_default(), nonce);
    let hash = digest(&SHA256, access_token.as_bytes());
    claims["at_hash"] = url64(&hash.as_ref()[..16]).into();
    if let Some(members) = claims.as_object_mut() {
        change(members, &script.claims);
    }
    *state.subject.lock() = claims["sub"].clone();
    let keys = state.keys.lock().clone();
    let sign = || {
        super::Jws::new(Alg::RS256, &keys.kid(Alg::RS256), &claims).header(json!({"typ": "JWT"})).sign(&keys)
    };
    let id_token = script.id_token.unwrap_or_else(sign);
    (
        200,
        json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token}),
    )
}

/// OpenID Connect Core §5.3.
pub(super) fn userinfo(state: &State, head: &Parts) -> Outcome {
    let bearer = head.headers.get("authorization").and_then(|value| value.to_str().ok());
    if !bearer.is_some_and(|value| value.starts_with("Bearer login-token-canary")) {
        return (401, json!({"error": "invalid_token"}));
    }
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), state.subject.lock().clone());
    change(&mut claims, &state.script.lock().userinfo);
    (200, Value::Object(claims))
}

fn id_claims(state: &State, client: &str, nonce: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    json!({
        "iss": state.issuer, "sub": "alice", "aud": client, "nonce": nonce, "iat": now, "exp": now + 300,
        "name": "Alice Example", "email": "alice@example.com", "org_id": "acme", "groups": ["staff"],
    })
}

fn change(members: &mut Map<String, Value>, changed: &Value) {
    for (name, value) in changed.as_object().into_iter().flatten() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
}
