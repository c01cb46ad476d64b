//! Enterprise-managed authorization: the caller's identity provider asserts who the caller is to the upstream's
//! authorization server (draft-ietf-oauth-identity-assertion-authz-grant; MCP extension
//! "enterprise-managed-authorization").

use super::{Asking, Form, JWT_BEARER, TOKEN_EXCHANGE};
use crate::answer::{self, ACCESS_TOKEN, Expected, ID_JAG, Issued};
use crate::error::{CredentialError, Reason};
use crate::secret::Secret;
use crate::subject::SubjectTokens;
use crate::token_client::{Located, TokenClient};
use secrecy::ExposeSecret;
use std::sync::Arc;

/// `urn:ietf:params:oauth:token-type:id_token` (RFC 8693 §3).
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// Both legs.
pub(crate) struct IdJag {
    pub(crate) identity_provider: TokenClient,
    pub(crate) subject: Subject,
    /// The upstream's authorization server.
    pub(crate) server: TokenClient,
    /// Its issuer; `None`: what is found.
    pub(crate) audience: Option<String>,
    /// `None`: what is found.
    pub(crate) resource: Option<String>,
    /// What the resource is where nothing is to be found.
    pub(crate) upstream: String,
    pub(crate) scope: Option<String>,
}

/// Whom and what the tokens are for.
struct Target<'a> {
    server: Located<'a>,
    audience: String,
    resource: String,
}

/// What is exchanged for the assertion.
pub(crate) enum Subject {
    /// The token that the caller came with.
    AccessToken,
    /// The ID token of its login, if anybody keeps those.
    IdToken(Option<Arc<dyn SubjectTokens>>),
}

impl IdJag {
    pub(super) async fn ask(&self, asking: Asking<'_>) -> Result<Issued, CredentialError> {
        let target = self.target(asking).await.map_err(|e| e.at("authorization server"))?;
        let assertion = self.assertion(&target, asking).await.map_err(|e| e.at("identity provider"))?;
        self.token(&target, &assertion, asking).await.map_err(|e| e.at("authorization server"))
    }

    async fn target(&self, asking: Asking<'_>) -> Result<Target<'_>, CredentialError> {
        let server = self.server.locate(asking.now).await?;
        let found = server.found();
        let audience = self.audience.clone().or_else(|| Some(found?.server.issuer.clone()));
        let resource = self.resource.clone().or_else(|| Some(found?.resource.clone()));
        Ok(Target {
            audience: audience.ok_or(Reason::DiscoveryFailed)?,
            resource: resource.unwrap_or_else(|| self.upstream.clone()),
            server,
        })
    }

    /// The first leg: the assertion, for the authorization server alone.
    async fn assertion(&self, target: &Target<'_>, asking: Asking<'_>) -> Result<Issued, CredentialError> {
        let kept;
        let (subject, subject_type) = match &self.subject {
            Subject::AccessToken => (asking.subject()?, ACCESS_TOKEN),
            Subject::IdToken(tokens) => {
                kept = id_token(tokens.as_deref(), asking).await?;
                (kept.expose(), ID_TOKEN)
            }
        };
        let mut form = Form::of(TOKEN_EXCHANGE);
        form.add("requested_token_type", ID_JAG);
        form.add("audience", &target.audience);
        form.add("resource", &target.resource);
        form.add_if("scope", self.scope.as_deref());
        form.add("subject_token", subject);
        form.add("subject_token_type", subject_type);
        let provider = self.identity_provider.locate(asking.now).await?;
        let answer = provider.post(form, asking.now).await?;
        answer::read(answer, Expected::IdJag, &[subject])
    }

    /// The second leg: the access token.
    async fn token(
        &self,
        target: &Target<'_>,
        assertion: &Issued,
        asking: Asking<'_>,
    ) -> Result<Issued, CredentialError> {
        let assertion = assertion.token.expose_secret();
        let mut form = Form::of(JWT_BEARER);
        form.add("assertion", assertion);
        form.add("resource", &target.resource);
        form.add_if("scope", self.scope.as_deref());
        let answer = target.server.post(form, asking.now).await?;
        let inbound = asking.subject_token.unwrap_or(assertion);
        answer::read(answer, Expected::AccessToken, &[assertion, inbound])
    }
}

async fn id_token(tokens: Option<&dyn SubjectTokens>, asking: Asking<'_>) -> Result<Secret, CredentialError> {
    let (Some(tokens), Some(caller)) = (tokens, asking.caller) else {
        return Err(CredentialError::with_detail(Reason::NoSubjectToken, "nobody keeps ID tokens"));
    };
    let found = tokens.id_token(caller, asking.now).await;
    found.ok_or_else(|| CredentialError::with_detail(Reason::NoSubjectToken, "no ID token of this caller"))
}
