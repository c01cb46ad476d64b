//! `/oauth/revoke` (RFC 7009): a refresh token with all of its family, or an access token before its time.

use super::grant::{self, Presented, Standing};
use crate::authority::Authority;
use crate::error::{Code, OAuthError, invalid_request};
use crate::{Request, Response, reply};
use http::StatusCode;
use serde_json::Value;
use std::time::SystemTime;

impl Authority {
    /// Answers a revocation. A token that is not the client's, or none at all, is none of ours to end and
    /// nothing to tell about.
    pub(crate) async fn revoke(&self, request: &Request, now: SystemTime) -> Result<Response, OAuthError> {
        let params = super::form(request)?;
        let client = self.authenticate(request, &params, now).await?;
        let token = params.get("token").ok_or_else(|| invalid_request("The token is missing."))?;
        if let Some(presented) = Presented::parse(token) {
            if let Some((_, grant)) = grant::find(&self.lasting.vault, &presented.family).await?
                && grant.client == client.id
                && grant.standing(&presented, self.settings.refresh_token, now) != Standing::Forged
            {
                self.end_family(&presented.family, now).await?;
            }
            return Ok(reply::empty(StatusCode::OK));
        }
        self.ready()?;
        if let Some(claims) = self.claims(token, now) {
            let text = |name: &str| claims.get(name).and_then(Value::as_str);
            let expires = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
            if text("client_id") == Some(&client.id)
                && let Some(id) = text("jti")
            {
                self.take_back(&[(id.to_owned(), expires)], now).await?;
            }
        } else if params
            .get("token_type_hint")
            .is_some_and(|hint| !["access_token", "refresh_token"].contains(&hint))
        {
            return Err(OAuthError::new(Code::InvalidRequest, "The token_type_hint is not known."));
        }
        Ok(reply::empty(StatusCode::OK))
    }
}
