//! Who a client is, proven (RFC 6749 §2.3, RFC 7523 §2.2 and §3).

use super::{Client, ClientAuth};
use crate::authority::Authority;
use crate::error::{Code, OAuthError, invalid_request};
use crate::params::Params;
use crate::replay;
use crate::secret::{same, seconds, sha256};
use crate::{Request, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use narthex_identity::{JwtKind, Signer};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest life of an assertion that is taken, from now on.
const LONGEST_LIFE: u64 = 600;
/// How far clocks may differ, seconds.
pub(crate) const SKEW: u64 = 60;

/// What a client has shown.
enum Shown {
    /// Its name only.
    Id(String),
    /// Name and secret, in the header (`true`) or in the body.
    Secret(String, String, bool),
    Assertion {
        id: Option<String>,
        jwt: String,
    },
}

impl Authority {
    /// The client that sent `request`.
    pub(crate) async fn authenticate(
        &self,
        request: &Request,
        params: &Params,
        now: SystemTime,
    ) -> Result<Arc<Client>, OAuthError> {
        let shown = shown(request, params)?;
        let basic = matches!(shown, Shown::Secret(_, _, true));
        let refuse = |detail: &'static str| OAuthError {
            basic,
            ..OAuthError::new(
                Code::InvalidClient,
                "The client is unknown, or has not shown that it is this one.",
            )
            .detail(detail)
        };
        let id = match &shown {
            Shown::Id(id) | Shown::Secret(id, ..) => id.clone(),
            Shown::Assertion { id, jwt } => {
                let named = narthex_identity::claimed_issuer(jwt, JwtKind::ClientAssertion);
                let named = named.ok_or_else(|| refuse("an assertion of nobody"))?;
                if id.as_ref().is_some_and(|id| *id != named) {
                    return Err(refuse("another client's assertion"));
                }
                named
            }
        };
        let client =
            self.clients.find(&id, request.peer, now).await?.ok_or_else(|| refuse("an unknown client"))?;
        match (&client.auth, shown) {
            (ClientAuth::None, Shown::Id(_)) => {}
            (ClientAuth::Secret(hash), Shown::Secret(_, secret, _)) => {
                if !same(sha256(secret.as_bytes()).as_bytes(), hash.as_bytes()) {
                    return Err(refuse("a wrong secret"));
                }
            }
            (ClientAuth::Keys(signer), Shown::Assertion { jwt, .. }) => {
                self.check_assertion(&client, signer, &jwt, now).await?.map_err(refuse)?;
            }
            _ => return Err(refuse("another way to authenticate than the client's")),
        }
        Ok(client)
    }

    /// RFC 7523 §3. The outer error is the store's.
    async fn check_assertion(
        &self,
        client: &Client,
        signer: &Signer,
        jwt: &str,
        now: SystemTime,
    ) -> Result<Result<(), &'static str>, OAuthError> {
        let Ok(claims) = signer.verify(jwt, JwtKind::ClientAssertion, now).await else {
            return Ok(Err("an assertion that does not verify"));
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(&client.id) || text("sub") != Some(&client.id) {
            return Ok(Err("an assertion about somebody else"));
        }
        if !self.is_audience(claims.get("aud")) {
            return Ok(Err("an assertion for somebody else"));
        }
        let ends = match lifetime(&claims, now) {
            Ok(ends) => ends,
            Err(problem) => return Ok(Err(problem)),
        };
        let Some(id) = text("jti").filter(|id| !id.is_empty() && id.len() <= 512) else {
            return Ok(Err("an assertion without an id"));
        };
        let remember = Duration::from_secs(ends + SKEW - seconds(now).min(ends));
        let first = replay::first_use(&self.lasting.vault, &client.id, id, remember).await?;
        Ok(if first { Ok(()) } else { Err("an assertion for the second time") })
    }

    /// Whether an assertion is for us and nobody else: the issuer, or the token endpoint.
    fn is_audience(&self, audience: Option<&Value>) -> bool {
        let ours = |value: &Value| {
            value.as_str().is_some_and(|name| name == self.issuer || name == self.at("/oauth/token"))
        };
        match audience {
            Some(Value::Array(all)) => !all.is_empty() && all.iter().all(ours),
            Some(one) => ours(one),
            None => false,
        }
    }
}

/// `exp`, which has not passed and is not far away; `iat` and `nbf`, which are not to come.
pub(crate) fn lifetime(claims: &Map<String, Value>, now: SystemTime) -> Result<u64, &'static str> {
    let date = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or("an assertion with a date that is none"),
    };
    let now = seconds(now);
    let ends = date("exp")?.ok_or("an assertion without an end")?;
    if now >= ends.saturating_add(SKEW) {
        return Err("an assertion that has ended");
    }
    if ends > now + LONGEST_LIFE + SKEW {
        return Err("an assertion that lives too long");
    }
    if date("nbf")?.is_some_and(|begins| begins > now + SKEW)
        || date("iat")?.is_some_and(|made| made > now + SKEW)
    {
        return Err("an assertion of the future");
    }
    Ok(ends)
}

/// What the request shows, in one way (RFC 6749 §2.3).
fn shown(request: &Request, params: &Params) -> Result<Shown, OAuthError> {
    let id = params.get("client_id").map(str::to_owned);
    let (secret, assertion) = (params.get("client_secret"), params.get("client_assertion"));
    let mut headers = request.headers.get_all(AUTHORIZATION).iter();
    let header = headers.next();
    let ways =
        usize::from(secret.is_some()) + usize::from(assertion.is_some()) + usize::from(header.is_some());
    if ways > 1 || headers.next().is_some() {
        return Err(invalid_request("A client authenticates in one way."));
    }
    if let Some(header) = header {
        let pair = header.to_str().ok().and_then(basic);
        let (name, secret) = pair.ok_or_else(|| OAuthError {
            basic: true,
            ..OAuthError::new(Code::InvalidClient, "The Authorization header is no HTTP Basic.")
        })?;
        if id.is_some_and(|id| id != name) {
            return Err(invalid_request("Two different client ids."));
        }
        return Ok(Shown::Secret(name, secret, true));
    }
    if let Some(jwt) = assertion {
        if params.get("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(invalid_request("The client_assertion_type is not known."));
        }
        return Ok(Shown::Assertion { id, jwt: jwt.to_owned() });
    }
    let id = id.ok_or_else(|| invalid_request("The client_id is missing."))?;
    Ok(match secret {
        Some(secret) => Shown::Secret(id, secret.to_owned(), false),
        None => Shown::Id(id),
    })
}

/// RFC 6749 §2.3.1: both parts form-encoded before they were joined. An empty secret is none.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |text: &str| {
        let form = format!("v={}", text.replace('&', "%26"));
        url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

/// For whoever asks an endpoint that only certain clients may.
pub(crate) fn forbidden() -> Response {
    OAuthError::new(Code::UnauthorizedClient, "This client may not ask that.").answer()
}
