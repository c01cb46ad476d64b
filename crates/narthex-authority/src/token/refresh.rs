//! Refresh tokens for access tokens (RFC 6749 §6, OAuth 2.1 §4.3).

use super::access::AccessToken;
use super::grant::{self, Presented, Standing};
use super::{Asking, Issue};
use crate::Response;
use crate::authority::Authority;
use crate::error::{Code, OAuthError, invalid_grant, invalid_request};
use crate::resources::{OFFLINE, parse_scopes};

/// How often losing against another request with the same token is taken.
const ATTEMPTS: usize = 4;

impl Authority {
    pub(super) async fn by_refresh(&self, asking: &Asking<'_>) -> Result<Response, OAuthError> {
        let text = asking
            .params
            .get("refresh_token")
            .ok_or_else(|| invalid_request("The refresh_token is missing."))?;
        let presented = Presented::parse(text).ok_or_else(|| invalid_grant("no refresh token of ours"))?;
        for _ in 0..ATTEMPTS {
            if let Some(response) = self.try_refresh(asking, &presented).await? {
                return Ok(response);
            }
        }
        Err(OAuthError::new(Code::TemporarilyUnavailable, "Too many requests with one token."))
    }

    /// `None`: somebody else has used a token of the family at the same moment.
    async fn try_refresh(
        &self,
        asking: &Asking<'_>,
        presented: &Presented,
    ) -> Result<Option<Response>, OAuthError> {
        let Asking { client, params, binding, now } = asking;
        let (vault, life) = (&self.lasting.vault, self.settings.refresh_token);
        let found = grant::find(vault, &presented.family).await?;
        let (seen, mut grant) = found.ok_or_else(|| invalid_grant("a grant that has ended"))?;
        let standing = grant.standing(presented, life, *now);
        if standing == Standing::Forged {
            return Err(invalid_grant("a token that was never given"));
        }
        if grant.client != client.id {
            return Err(invalid_grant("another client's token"));
        }
        match standing {
            Standing::Current => grant.rotate(*now),
            Standing::Retry => {}
            Standing::Reused => {
                self.end_family(&presented.family, *now).await?;
                tracing::warn!(
                    client = client.id,
                    subject = grant.user.subject,
                    "a refresh token was used again, its grant is ended"
                );
                return Err(invalid_grant("a token for the second time"));
            }
            Standing::Over | Standing::Forged => {
                self.end_family(&presented.family, *now).await?;
                return Err(invalid_grant("a token that is too old"));
            }
        }
        if grant.binding.is_some() && grant.binding != *binding {
            return Err(invalid_grant("a token that is bound to another key"));
        }
        self.check_resource(params, &grant.resource)?;
        let mut scopes = narrowed(params.get("scope"), &grant.scopes)?;
        let still = self.still(&grant.user, client, &grant.resource, &grant.scopes);
        let Ok((user, still)) = still else {
            self.end_family(&presented.family, *now).await?;
            return Err(invalid_grant("the user may not have this any more"));
        };
        let wanted = scopes.len();
        scopes.retain(|scope| still.contains(scope));
        if scopes.is_empty() && wanted > 0 {
            return Err(OAuthError::new(Code::InvalidScope, "The user may have none of these any more."));
        }
        let issue = Issue { user: &user, client: &client.id, resource: &grant.resource, scopes: &scopes };
        let token = self.sign(&issue, binding.as_ref(), AccessToken::new_id()?, *now)?;
        grant.remember((token.id.clone(), token.expires), *now);
        if !grant.keep(vault, &presented.family, Some(&seen), life, *now).await? {
            return Ok(None);
        }
        let refresh = grant.token(&presented.family);
        Ok(Some(self.tokens(&token, Some(&refresh), &scopes, asking)))
    }
}

/// What of the granted scopes is wanted this time: all, or some (RFC 6749 §6).
fn narrowed(asked: Option<&str>, granted: &[String]) -> Result<Vec<String>, OAuthError> {
    let Some(asked) = asked else { return Ok(granted.to_vec()) };
    let bad = || OAuthError::new(Code::InvalidScope, "The scope goes beyond what was granted.");
    let mut asked = parse_scopes(asked).ok_or_else(bad)?;
    asked.remove(OFFLINE);
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    let known =
        |scope: &narthex_config::model::ScopeName| granted.iter().any(|known| known == scope.as_str());
    if !asked.iter().all(known) {
        return Err(bad());
    }
    Ok(asked.iter().map(|scope| scope.as_str().to_owned()).collect())
}
