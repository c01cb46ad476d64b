//! `/oauth/register`: clients that introduce themselves (RFC 7591).

use super::{Dynamic, RedirectUri, Registration, Source};
use crate::authority::Authority;
use crate::error::{Code, OAuthError};
use crate::secret::{random, same, seconds, sha256};
use crate::{Request, Response, reply};
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Most redirect URIs of one client.
const MOST_REDIRECTS: usize = 16;
/// Longest name that is taken, bytes.
const LONGEST_NAME: usize = 512;

/// What a client says of itself; whatever else it says is not kept.
#[derive(Deserialize)]
struct Asked {
    redirect_uris: Option<Vec<String>>,
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    dpop_bound_access_tokens: Option<bool>,
}

/// RFC 7591 §3.2.1.
#[derive(Serialize)]
struct Registered<'a> {
    client_id: &'a str,
    client_id_issued_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<u64>,
    client_name: &'a str,
    redirect_uris: &'a [String],
    token_endpoint_auth_method: &'a str,
    grant_types: Vec<&'static str>,
    response_types: [&'static str; 1],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dpop_bound_access_tokens: bool,
}

impl Authority {
    /// Answers a registration.
    pub(crate) async fn register(&self, request: &Request, now: SystemTime) -> Result<Response, OAuthError> {
        let Some(dynamic) = &self.clients.dynamic else {
            return Err(invalid("Clients cannot register themselves here."));
        };
        if !self.lasting.registrations(dynamic.rules.rate).take(request.peer) {
            return Err(OAuthError::new(Code::SlowDown, "Too many registrations from this address."));
        }
        check_token(dynamic, request)?;
        if !request.is_of("application/json") {
            return Err(invalid("A registration is application/json."));
        }
        let asked: Asked = serde_json::from_slice(&request.body)
            .map_err(|_| invalid("The registration is no JSON of the form that it should have."))?;
        let redirect_uris = redirect_uris(asked.redirect_uris.unwrap_or_default(), dynamic)?;
        let refresh = grants(asked.grant_types.as_deref(), asked.response_types.as_deref())?;
        let name = asked.client_name.unwrap_or_else(|| String::from("An application without a name"));
        if name.len() > LONGEST_NAME {
            return Err(invalid("The name is too long."));
        }
        let method = asked.token_endpoint_auth_method.unwrap_or_else(|| String::from("client_secret_basic"));
        let secret = match method.as_str() {
            "none" => None,
            "client_secret_basic" | "client_secret_post" => Some(random::<32>()?),
            _ => return Err(invalid("Clients authenticate with a secret, or not at all.")),
        };
        let hash = secret.as_ref().map(|secret| sha256(secret.as_bytes()));
        let (used, dpop) = (seconds(now), asked.dpop_bound_access_tokens.unwrap_or(false));
        let registration = Registration { name, redirect_uris, secret: hash, refresh, dpop, used };
        let id = dynamic.add(&registration, now).await?;
        Ok(reply::json(
            StatusCode::CREATED,
            &Registered {
                client_id: &id,
                client_id_issued_at: seconds(now),
                client_secret: secret.as_deref(),
                client_secret_expires_at: secret.as_ref().map(|_| 0),
                client_name: &registration.name,
                redirect_uris: &registration.redirect_uris,
                token_endpoint_auth_method: &method,
                grant_types: if refresh {
                    vec!["authorization_code", "refresh_token"]
                } else {
                    vec!["authorization_code"]
                },
                response_types: ["code"],
                dpop_bound_access_tokens: registration.dpop,
            },
        ))
    }
}

/// RFC 7591 §3: the initial access token, if one is wanted.
fn check_token(dynamic: &Dynamic, request: &Request) -> Result<(), OAuthError> {
    let Some(wanted) = &dynamic.initial_access_token else { return Ok(()) };
    let shown = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("Bearer").then_some(token)
    });
    let good = shown.is_some_and(|token| same(sha256(token.as_bytes()).as_bytes(), wanted.as_bytes()));
    if good {
        Ok(())
    } else {
        Err(OAuthError::new(Code::InvalidToken, "Registration needs an initial access token."))
    }
}

/// Those of `asked` that a client may have given itself. Programs name whatever any of their versions comes back to,
/// so what is not allowed here is left out (RFC 7591 §2: a server may replace what a client asks for, and its answer
/// says what it registered); what could be read in two ways makes all of it suspect.
fn redirect_uris(asked: Vec<String>, dynamic: &Dynamic) -> Result<Vec<String>, OAuthError> {
    let bad = |description| OAuthError::new(Code::InvalidRedirectUri, description);
    if asked.is_empty() || asked.len() > MOST_REDIRECTS {
        return Err(bad("A client has 1 to 16 redirect URIs."));
    }
    let is_sound = |text: &String| RedirectUri::parse(text, Source::Operator).is_ok();
    if !asked.iter().all(is_sound) {
        return Err(bad("A redirect URI is https, or a loopback address, or of a scheme with a dot."));
    }
    let mut allowed = asked;
    allowed.retain(|text| is_allowed(text, dynamic));
    if allowed.is_empty() {
        return Err(bad("Clients of this host or scheme cannot register themselves."));
    }
    Ok(allowed)
}

fn is_allowed(text: &str, dynamic: &Dynamic) -> bool {
    RedirectUri::parse(text, dynamic.source_of(text)).is_ok_and(|uri| dynamic.allows(&uri))
}

/// Whether refresh tokens are among what is asked for. A client that asks for nothing gets codes and refresh
/// tokens: most do not know that they would have to.
fn grants(grants: Option<&[String]>, responses: Option<&[String]>) -> Result<bool, OAuthError> {
    let known = |grant: &String| ["authorization_code", "refresh_token"].contains(&grant.as_str());
    let has = |grant: &str| grants.is_none_or(|grants| grants.iter().any(|asked| asked == grant));
    if !has("authorization_code") || !grants.is_none_or(|grants| grants.iter().all(known)) {
        return Err(invalid("Clients may have the grants authorization_code and refresh_token."));
    }
    if !responses.is_none_or(|responses| responses.iter().all(|asked| asked == "code")) {
        return Err(invalid("Clients may have the response type code."));
    }
    Ok(has("refresh_token"))
}

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(Code::InvalidClientMetadata, description)
}
