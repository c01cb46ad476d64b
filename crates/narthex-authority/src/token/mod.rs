//! `/oauth/token`: grants for tokens (RFC 6749 §3.2).

pub(crate) mod access;
mod assertion;
mod binding;
pub(crate) mod code;
pub(crate) mod grant;
mod introspect;
mod refresh;
mod revoke;
pub(crate) mod revoked;

pub(crate) use assertion::Provider;
pub(crate) use grant::new_family;

use crate::authority::Authority;
use crate::client::Client;
use crate::error::{Code, OAuthError, invalid_grant, invalid_request};
use crate::http::FORM;
use crate::login::User;
use crate::params::Params;
use crate::secret::seconds;
use crate::{Request, Response, reply};
use access::{AccessToken, Binding, Says};
use code::Shown;
use grant::Grant;
use http::StatusCode;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) const CODE: &str = "authorization_code";
pub(crate) const REFRESH: &str = "refresh_token";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long a code that was used is remembered: as long as what was made of it may be good, and a bit.
const REMEMBER_CODE: Duration = Duration::from_secs(3600);

/// RFC 6749 §5.1.
#[derive(Serialize)]
struct Tokens<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
}

/// A request of a client that is known, with what else is known of it.
pub(crate) struct Asking<'r> {
    pub(crate) client: Arc<Client>,
    pub(crate) params: &'r Params,
    /// What the tokens will be bound to.
    pub(crate) binding: Option<Binding>,
    pub(crate) now: SystemTime,
}

impl Authority {
    /// Answers a request for tokens.
    pub(crate) async fn token(&self, request: &Request, now: SystemTime) -> Result<Response, OAuthError> {
        let params = form(request)?;
        let client = self.authenticate(request, &params, now).await?;
        let grant = params.get("grant_type").ok_or_else(|| invalid_request("The grant_type is missing."))?;
        let bound = self.binding(&client, request, now).await?;
        let asking = Asking { client, params: &params, binding: bound.to, now };
        let mut response = match grant {
            CODE => self.by_code(&asking).await,
            REFRESH => self.by_refresh(&asking).await,
            JWT_BEARER => self.by_assertion(&asking).await,
            _ => Err(OAuthError::new(Code::UnsupportedGrantType, "This grant_type is not known.")),
        }?;
        // The grant has been used: whatever becomes of the note, the client gets what was made of it.
        if let Some(dynamic) = &self.clients.dynamic
            && let Err(error) = dynamic.touch(&asking.client.id, now).await
        {
            self.log(&error, request);
        }
        reply::give_nonce(&mut response, bound.nonce.as_deref());
        Ok(response)
    }

    /// RFC 6749 §4.1.3, RFC 7636 §4.6.
    async fn by_code(&self, asking: &Asking<'_>) -> Result<Response, OAuthError> {
        let Asking { client, params, binding, now } = asking;
        let text = params.get("code").ok_or_else(|| invalid_request("The code is missing."))?;
        let redirect =
            params.get("redirect_uri").ok_or_else(|| invalid_request("The redirect_uri is missing."))?;
        let verifier =
            params.get("code_verifier").ok_or_else(|| invalid_request("The code_verifier is missing."))?;
        let id = AccessToken::new_id()?;
        let expires = seconds(*now) + self.settings.access_token_lifetime.as_secs();
        let shown = code::show(&self.lasting.vault, text, (id.clone(), expires), REMEMBER_CODE).await?;
        let code = match shown {
            Shown::Fresh(code) => code,
            Shown::Again(used) => {
                // RFC 6749 §4.1.2: it is in two hands, and nobody knows whose tokens those are.
                self.end_family(&used.family, *now).await?;
                self.take_back(&[used.token], *now).await?;
                return Err(invalid_grant("a code for the second time"));
            }
        };
        code.check(&client.id, redirect, verifier, *now)?;
        code.check_key(binding.as_ref())?;
        self.check_resource(params, &code.resource)?;
        let (user, scopes) = self.still(&code.user, client, &code.resource, &code.scopes)?;
        let code = *code;
        let issued = Issue { user: &user, client: &client.id, resource: &code.resource, scopes: &scopes };
        let token = self.sign(&issued, binding.as_ref(), id, *now)?;
        let mut refresh = None;
        if code.refresh {
            let user = code.user.clone();
            // A client that proves who it is may change its key (RFC 9449 §5, RFC 8705 §4).
            let refresh_binding = if client.is_confidential() { None } else { binding.clone() };
            let mut grant =
                Grant::new(&client.id, user, &code.resource, code.scopes.clone(), refresh_binding, *now)?;
            grant.remember((token.id.clone(), token.expires), *now);
            let life = self.settings.refresh_token;
            if !grant.keep(&self.lasting.vault, &code.family, None, life, *now).await? {
                return Err(invalid_grant("a code that was shown twice at the same moment"));
            }
            refresh = Some(grant.token(&code.family));
        }
        let (subject, resource, scope) = (&code.user.subject, &code.resource, scopes.join(" "));
        tracing::info!(client = client.id, subject, resource, scope, "a client was given tokens");
        Ok(self.tokens(&token, refresh.as_deref(), &scopes, asking))
    }

    /// Who `user` is, and what of `scopes` they still may have for `resource`, by the configuration of now.
    fn still(
        &self,
        user: &User,
        client: &Client,
        resource: &str,
        scopes: &[String],
    ) -> Result<(User, Vec<String>), OAuthError> {
        let user = self.login.as_ref().and_then(|login| login.still(user));
        let user = user.ok_or_else(|| invalid_grant("nobody logs in like this any more"))?;
        let found = self.resources.find(resource).filter(|found| self.resources.may_use(&user.tenant, found));
        if found.is_none() {
            return Err(invalid_grant("the user may not use the resource any more"));
        }
        let had: BTreeSet<_> = scopes.iter().map(|scope| scope.as_str().into()).collect();
        let has = client.limit(self.granted(&had, &user));
        if has.is_empty() && !had.is_empty() {
            return Err(invalid_grant("the user may have none of the scopes any more"));
        }
        Ok((user, has.iter().map(|scope| scope.as_str().to_owned()).collect()))
    }

    /// `resource` of a token request, if there is one, is that of the grant (RFC 8707 §2.2).
    fn check_resource(&self, params: &Params, granted: &str) -> Result<(), OAuthError> {
        let bad = || OAuthError::new(Code::InvalidTarget, "The grant is for another resource.");
        if params.is_repeated("resource") {
            return Err(bad());
        }
        match params.get("resource") {
            None => Ok(()),
            Some(name) if self.resources.find(name).is_some_and(|found| found.id == granted) => Ok(()),
            Some(_) => Err(bad()),
        }
    }

    fn sign(
        &self,
        issue: &Issue<'_>,
        binding: Option<&Binding>,
        id: String,
        now: SystemTime,
    ) -> Result<AccessToken, OAuthError> {
        self.check_demands(issue.resource, binding, now)?;
        let scope = issue.scopes.join(" ");
        let says = Says {
            issuer: &self.issuer,
            user: issue.user,
            client: issue.client,
            resource: issue.resource,
            scope: &scope,
            binding,
            lifetime: self.settings.access_token_lifetime,
        };
        let key = self.lasting.keys.signer(now)?;
        AccessToken::sign(&key, &says, id, now)
    }

    fn tokens(
        &self,
        token: &AccessToken,
        refresh: Option<&str>,
        scopes: &[String],
        asking: &Asking<'_>,
    ) -> Response {
        let body = Tokens {
            access_token: &token.text,
            token_type: if matches!(asking.binding, Some(Binding::Key(_))) { "DPoP" } else { "Bearer" },
            expires_in: token.expires.saturating_sub(seconds(asking.now)),
            refresh_token: refresh,
            scope: &scopes.join(" "),
        };
        reply::json(StatusCode::OK, &body)
    }

    /// Ends a family of refresh tokens, and what access tokens it has. These first: as long as the family is
    /// there, whoever was told that it failed can have it ended again.
    pub(crate) async fn end_family(&self, family: &str, now: SystemTime) -> Result<(), OAuthError> {
        let vault = &self.lasting.vault;
        if let Some((_, grant)) = grant::find(vault, family).await? {
            self.take_back(&grant.issued, now).await?;
        }
        match grant::end(vault, family).await? {
            // What was issued meanwhile.
            Some(grant) => self.take_back(&grant.issued, now).await,
            None => Ok(()),
        }
    }

    /// Takes access tokens back.
    pub(crate) async fn take_back(
        &self,
        tokens: &[(String, u64)],
        now: SystemTime,
    ) -> Result<(), OAuthError> {
        if self.lasting.revoked.add(tokens, now).await? {
            self.lasting.publish(&self.issuer);
        }
        Ok(())
    }
}

/// What a token is issued for.
struct Issue<'a> {
    user: &'a User,
    client: &'a str,
    resource: &'a str,
    scopes: &'a [String],
}

/// The form in a body, each parameter once but for `resource`.
pub(crate) fn form(request: &Request) -> Result<Params, OAuthError> {
    if !request.is_of(FORM) {
        return Err(invalid_request("The body has to be application/x-www-form-urlencoded."));
    }
    let params = Params::parse(&request.body).map_err(|_| invalid_request("The request is too long."))?;
    if params.has_repeated() && !params.is_repeated("resource") {
        return Err(invalid_request("A parameter is there twice."));
    }
    Ok(params)
}

#[cfg(test)]
mod tests;
