//! What the endpoints answer when they work.

use super::login;
use super::server::Endpoint;
use super::token::{self, TokenCall};
use super::{Alg, State};
use http::request::Parts;
use serde_json::{Value, json};

/// Status and JSON body.
pub(super) type Outcome = (u16, Value);

pub(super) fn answer(state: &State, endpoint: Endpoint, head: &Parts, body: &[u8]) -> Outcome {
    let is_get = head.method == http::Method::GET;
    match endpoint {
        Endpoint::OauthMetadata | Endpoint::OidcMetadata if is_get => (200, metadata(state)),
        Endpoint::Jwks if is_get => (200, state.keys.lock().jwks()),
        Endpoint::Token if !is_get => token::issue(state, TokenCall::read(head, body)),
        Endpoint::UserInfo if is_get => login::userinfo(state, head),
        Endpoint::Introspection if !is_get => introspect(state, &TokenCall::read(head, body)),
        _ => (405, Value::Null),
    }
}

fn metadata(state: &State) -> Value {
    let url = |endpoint: Endpoint| format!("{}{}", state.issuer, endpoint.path());
    let mut metadata = json!({
        "issuer": state.issuer,
        "jwks_uri": url(Endpoint::Jwks),
        "token_endpoint": url(Endpoint::Token),
        "introspection_endpoint": url(Endpoint::Introspection),
        "authorization_endpoint": url(Endpoint::Authorize),
        "userinfo_endpoint": url(Endpoint::UserInfo),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": Alg::ALL.map(Alg::name),
        "grant_types_supported": ["authorization_code", "client_credentials", token::EXCHANGE],
        "code_challenge_methods_supported": ["S256"],
    });
    for (name, value) in state.metadata.lock().iter() {
        metadata[name] = value.clone();
    }
    metadata
}

/// RFC 7662 §2.2.
fn introspect(state: &State, call: &TokenCall) -> Outcome {
    if !call.is_authenticated() {
        return token::invalid_client();
    }
    let opaque = state.opaque.lock();
    let Some(claims) = call.form("token").and_then(|token| opaque.get(token)) else {
        return (200, json!({"active": false}));
    };
    let mut answer = claims.clone();
    if answer.get("active").is_none() {
        answer["active"] = true.into();
    }
    (200, answer)
}
