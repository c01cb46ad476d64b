//! `/oauth/introspect` (RFC 7662): what a token is, told to clients that may know.

use super::grant::{self, Presented, Standing};
use crate::authority::Authority;
use crate::client::auth;
use crate::error::{Code, OAuthError, invalid_request};
use crate::secret::seconds;
use crate::{Request, Response, reply};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::time::SystemTime;

impl Authority {
    /// Answers a question about a token.
    pub(crate) async fn introspect(
        &self,
        request: &Request,
        now: SystemTime,
    ) -> Result<Response, OAuthError> {
        let params = super::form(request)?;
        let client = self.authenticate(request, &params, now).await?;
        if !client.introspection || !client.is_confidential() {
            return Ok(auth::forbidden());
        }
        let token = params.get("token").ok_or_else(|| invalid_request("The token is missing."))?;
        let known = match Presented::parse(token) {
            Some(presented) => self.refresh_claims(&presented, now).await?,
            None => {
                self.ready()?;
                self.claims(token, now)
            }
        };
        let mut said = known.unwrap_or_default();
        said.insert("active".to_owned(), json!(!said.is_empty()));
        Ok(reply::json(StatusCode::OK, &said))
    }

    /// Whether there are keys to tell tokens of ours by: without, nothing can be said of any.
    pub(super) fn ready(&self) -> Result<(), OAuthError> {
        let none = || OAuthError::new(Code::TemporarilyUnavailable, "The server is not ready yet.");
        self.lasting.keys.ring().map(drop).ok_or_else(none)
    }

    /// The claims of an access token of ours that is good now.
    pub(crate) fn claims(&self, token: &str, now: SystemTime) -> Option<Map<String, Value>> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let header: Map<String, Value> = serde_json::from_slice(&decode(header)?).ok()?;
        if header.get("typ").and_then(Value::as_str) != Some("at+jwt") {
            return None;
        }
        let ring = self.lasting.keys.ring()?;
        let key = ring.find(header.get("kid").and_then(Value::as_str)?)?;
        if !key.verifies(message.as_bytes(), &decode(signature)?) {
            return None;
        }
        let mut claims: Map<String, Value> = serde_json::from_slice(&decode(payload)?).ok()?;
        let is_ours = claims.get("iss").and_then(Value::as_str) == Some(&self.issuer);
        let lives = claims.get("exp").and_then(Value::as_u64).is_some_and(|end| seconds(now) < end);
        let id = claims.get("jti").and_then(Value::as_str)?;
        if !is_ours || !lives || self.lasting.revoked.contains(id) {
            return None;
        }
        // RFC 9449 §6.2.
        let has_key = claims.get("cnf").is_some_and(|cnf| cnf.get("jkt").is_some());
        claims.insert("token_type".to_owned(), json!(if has_key { "DPoP" } else { "Bearer" }));
        Some(claims)
    }

    async fn refresh_claims(
        &self,
        presented: &Presented,
        now: SystemTime,
    ) -> Result<Option<Map<String, Value>>, OAuthError> {
        let Some((_, grant)) = grant::find(&self.lasting.vault, &presented.family).await? else {
            return Ok(None);
        };
        if grant.standing(presented, self.settings.refresh_token, now) != Standing::Current {
            return Ok(None);
        }
        let said = json!({
            "iss": self.issuer,
            "sub": grant.user.subject,
            "client_id": grant.client,
            "aud": grant.resource,
            "scope": grant.scopes.join(" "),
            "tenant": grant.user.tenant.as_str(),
            "iat": grant.created,
        });
        Ok(said.as_object().cloned())
    }
}
