//! The provider's token and userinfo endpoints.

use super::discovery::Metadata;
use super::{Provider, error_code};
use crate::login::Problem;
use http::{HeaderValue, StatusCode};
use narthex_config::model::Preset;
use narthex_identity::client_auth::credentials;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// What the token endpoint gave.
pub(super) struct Tokens {
    pub(super) id_token: Zeroizing<String>,
    pub(super) access_token: Option<Zeroizing<String>>,
}

/// A code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5).
pub(super) async fn exchange(
    provider: &Provider,
    metadata: &Metadata,
    code: &str,
    verifier: &str,
    now: SystemTime,
) -> Result<Tokens, Problem> {
    #[derive(Deserialize)]
    struct Answer {
        id_token: Option<String>,
        access_token: Option<String>,
    }
    let client =
        credentials(&provider.config.client, audience(provider, metadata), &*provider.parts.secrets, now)
            .map_err(Problem::Provider)?;
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", provider.redirect_uri.as_str()),
        ("code_verifier", verifier),
    ];
    form.extend(client.form.iter().map(|(name, value)| (*name, value.as_str())));
    let answer = provider.parts.egress.post_form(&metadata.token_endpoint, &form, client.authorization).await;
    let answer = answer.map_err(|error| Problem::Provider(format!("token endpoint: {error}")))?;
    if answer.status != StatusCode::OK {
        return Err(Problem::Provider(refusal(answer.status, &answer.body)));
    }
    let bad = |what: &str| Problem::Provider(format!("token endpoint: {what}"));
    let tokens: Answer = serde_json::from_slice(&answer.body).map_err(|_| bad("no JSON object"))?;
    Ok(Tokens {
        id_token: tokens.id_token.map(Zeroizing::new).ok_or_else(|| bad("no ID token"))?,
        access_token: tokens.access_token.map(Zeroizing::new),
    })
}

/// Adds the claims of the userinfo endpoint that the ID token does not have (OpenID Connect Core §5.3).
pub(super) async fn add_userinfo(
    provider: &Provider,
    metadata: &Metadata,
    tokens: &Tokens,
    claims: &mut Map<String, Value>,
) -> Result<(), Problem> {
    let bad = |what: &str| Problem::Provider(format!("userinfo endpoint: {what}"));
    let url = metadata.userinfo_endpoint.as_ref().ok_or_else(|| bad("there is none"))?;
    let token = tokens.access_token.as_ref().ok_or_else(|| bad("no access token to ask it with"))?;
    let bearer = Zeroizing::new(format!("Bearer {}", **token));
    let bearer = HeaderValue::from_str(&bearer).map_err(|_| bad("the access token is no header value"))?;
    let answer = provider.parts.egress.get_authorized(url, "application/json", bearer).await;
    let answer = answer.map_err(|error| bad(&error.to_string()))?;
    if answer.status != StatusCode::OK {
        return Err(bad(&format!("status {}", answer.status.as_u16())));
    }
    let more: Map<String, Value> = serde_json::from_slice(&answer.body)
        .map_err(|_| bad("no JSON object (a signed answer is not read)"))?;
    // §5.3.2: otherwise it may be about somebody else.
    if more.get("sub").and_then(Value::as_str).is_none() || more.get("sub") != claims.get("sub") {
        return Err(bad("it is about somebody else"));
    }
    for (name, value) in more {
        claims.entry(name).or_insert(value);
    }
    Ok(())
}

/// Whom an assertion that authenticates the gateway is for: the issuer, but for products that want the
/// endpoint.
fn audience<'a>(provider: &'a Provider, metadata: &'a Metadata) -> &'a str {
    match provider.config.preset {
        Preset::Entra | Preset::Okta => metadata.token_endpoint.as_str(),
        _ => &provider.config.issuer,
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let code = body.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str).unwrap_or_default();
    format!("token endpoint: status {} {}", status.as_u16(), error_code(code))
}
