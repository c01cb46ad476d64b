//! The token endpoint.

use super::endpoints::Outcome;
use super::{MockIdp, State};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::request::Parts;
use serde_json::{Value, json};
use std::borrow::Cow;

/// `grant_type` of a token exchange (RFC 8693 §2.1).
pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// One call of the token endpoint.
#[derive(Clone, Debug, Default)]
pub struct TokenCall {
    /// The form, in order.
    pub form: Vec<(String, String)>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// How the client authenticated: `client_secret_basic`, `client_secret_post`, `private_key_jwt`,
    /// or `none`.
    pub client_auth: &'static str,
    /// The client that it says it is.
    pub client: Option<String>,
    /// The secret that it showed.
    secret: Option<String>,
    /// The token that it was given; `None` if it was refused.
    pub issued: Option<String>,
}

impl TokenCall {
    /// The first value of a form field.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<&str> {
        let field = self.form.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }

    /// Every value of a form field.
    pub fn form_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.form.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The claims of the client assertion (RFC 7523 §2.2), unverified.
    #[must_use]
    pub fn assertion_claims(&self) -> Option<Value> {
        let payload = self.form("client_assertion")?.split('.').nth(1)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    pub(super) fn read(head: &Parts, body: &[u8]) -> Self {
        let form = form_urlencoded::parse(body).into_owned().collect();
        let authorization = head.headers.get("authorization").and_then(|value| value.to_str().ok());
        let mut call = Self { form, authorization: authorization.map(str::to_owned), ..Self::default() };
        call.identify();
        call
    }

    /// Whether it is [`MockIdp::CLIENT`], by exactly one method. The signature of an assertion is not
    /// looked at; its `sub` and its `aud` are.
    pub(super) fn is_authenticated(&self) -> bool {
        if self.client.as_deref() != Some(MockIdp::CLIENT.0) {
            return false;
        }
        match self.client_auth {
            "private_key_jwt" => self.assertion_claims().is_some_and(|claims| !claims["aud"].is_null()),
            _ => self.secret.as_deref() == Some(MockIdp::CLIENT.1),
        }
    }

    fn identify(&mut self) {
        let basic = self.authorization.as_deref().and_then(read_basic);
        let form = |name| self.form(name).map(str::to_owned);
        let (method, client, secret) = if let Some((id, secret)) = basic {
            ("client_secret_basic", Some(id), Some(secret))
        } else if self.form("client_assertion_type") == Some(ASSERTION) {
            let claims = self.assertion_claims().unwrap_or_default();
            ("private_key_jwt", claims["sub"].as_str().map(str::to_owned), None)
        } else if self.form("client_secret").is_some() {
            ("client_secret_post", form("client_id"), form("client_secret"))
        } else {
            ("none", form("client_id"), None)
        };
        (self.client_auth, self.client, self.secret) = (method, client, secret);
    }
}

/// RFC 6749 §4.4 and RFC 8693 §2.
pub(super) fn issue(state: &State, mut call: TokenCall) -> Outcome {
    let outcome = if call.is_authenticated() { grant(state, &call) } else { invalid_client() };
    call.issued = outcome.1["access_token"].as_str().map(str::to_owned);
    state.calls.lock().push(call);
    outcome
}

/// RFC 6749 §5.2.
pub(super) fn invalid_client() -> Outcome {
    (401, json!({"error": "invalid_client"}))
}

fn grant(state: &State, call: &TokenCall) -> Outcome {
    let expires_in = state.expires_in.lock().as_secs();
    match call.form("grant_type") {
        Some("authorization_code") => super::login::redeem(state, call),
        Some("client_credentials") => {
            let token = state.unique("client-token-canary");
            (200, json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}))
        }
        Some(EXCHANGE) => match (call.form("subject_token"), call.form("subject_token_type")) {
            (Some(_), Some(kind)) if kind.starts_with("urn:ietf:params:oauth:token-type:") => {
                let token = state.unique("exchanged-token-canary");
                let kind = "urn:ietf:params:oauth:token-type:access_token";
                (
                    200,
                    json!({
                        "access_token": token, "issued_token_type": kind, "token_type": "Bearer",
                        "expires_in": expires_in,
                    }),
                )
            }
            _ => (400, json!({"error": "invalid_request"})),
        },
        _ => (400, json!({"error": "unsupported_grant_type"})),
    }
}

/// Id and secret, each form-urlencoded before they were joined (RFC 6749 §2.3.1).
pub(crate) fn read_basic(authorization: &str) -> Option<(String, String)> {
    let decoded = BASE64_STANDARD.decode(authorization.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}

fn form_decode(text: &str) -> String {
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(name, _)| name).map(Cow::into_owned).unwrap_or_default()
}
