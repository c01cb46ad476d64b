//! What is asked of token endpoints.

mod actor;
mod id_jag;
mod jwt_bearer;
mod sts;

pub(crate) use actor::Actor;
pub(crate) use id_jag::{IdJag, Subject};
pub(crate) use jwt_bearer::JwtBearer;
pub(crate) use sts::WebIdentity;

use crate::answer::{self, Expected, Issued};
use crate::discovery::Found;
use crate::error::{CredentialError, Reason};
use crate::sigv4::AwsCredentials;
use crate::token_client::TokenClient;
use narthex_config::model::{ScopeName, Wanted as Configured};
use narthex_identity::Caller;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// `grant_type` of RFC 8693.
pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// `grant_type` of RFC 7523.
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// One way to a token, with the parameters that are the same every time.
pub(crate) enum Grant {
    /// RFC 6749 §4.4: a token for the gateway itself.
    ClientCredentials { at: TokenClient, wanted: Wanted },
    /// RFC 8693: a token for the caller, in exchange for the caller's own.
    TokenExchange(Box<Exchange>),
    /// A token for the caller, for what its identity provider asserts.
    IdJag(Box<IdJag>),
    /// Microsoft Entra ID's on-behalf-of.
    OnBehalfOf { at: TokenClient, wanted: Wanted },
    /// RFC 7523: a token for what the gateway asserts.
    JwtBearer(Box<JwtBearer>),
    /// Temporary keys of AWS for the gateway itself.
    WebIdentity(Box<WebIdentity>),
}

/// An exchange.
pub(crate) struct Exchange {
    pub(crate) at: TokenClient,
    pub(crate) wanted: Wanted,
    pub(crate) subject_token_type: String,
    pub(crate) requested_token_type: Option<String>,
    pub(crate) actor: Option<Actor>,
}

/// For whom a token is wanted, and when.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// `None`: for the gateway itself.
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) subject_token: Option<&'a str>,
    pub(crate) now: SystemTime,
}

/// What was given.
pub(crate) enum Given {
    Token(Issued),
    Aws(AwsCredentials, Option<Duration>),
}

/// What the token is to be good for.
#[derive(Debug)]
pub(crate) struct Wanted {
    scope: Option<String>,
    resource: Vec<String>,
    audience: Vec<String>,
}

/// Parameters of a form. The values are zeroed when it is dropped.
#[derive(Default)]
pub(crate) struct Form(Vec<(&'static str, Zeroizing<String>)>);

// === impl Grant ===

impl Grant {
    /// Whether each caller gets a token of its own.
    pub(crate) fn is_per_caller(&self) -> bool {
        match self {
            Self::ClientCredentials { .. } | Self::WebIdentity(_) => false,
            Self::TokenExchange(_) | Self::IdJag(_) | Self::OnBehalfOf { .. } => true,
            Self::JwtBearer(bearer) => bearer.is_per_caller(),
        }
    }

    /// Asks.
    pub(crate) async fn ask(&self, asking: Asking<'_>) -> Result<Given, CredentialError> {
        let issued = match self {
            Self::ClientCredentials { at, wanted } => client_credentials(at, wanted, asking.now).await?,
            Self::TokenExchange(exchange) => exchange.ask(asking).await?,
            Self::IdJag(id_jag) => id_jag.ask(asking).await?,
            Self::OnBehalfOf { at, wanted } => on_behalf_of(at, wanted, asking).await?,
            Self::JwtBearer(bearer) => bearer.ask(asking).await?,
            Self::WebIdentity(identity) => {
                let (keys, lifetime) = identity.ask(asking.now).await?;
                return Ok(Given::Aws(keys, lifetime));
            }
        };
        Ok(Given::Token(issued))
    }
}

async fn client_credentials(
    at: &TokenClient,
    wanted: &Wanted,
    now: SystemTime,
) -> Result<Issued, CredentialError> {
    let at = at.locate(now).await?;
    let mut form = Form::of("client_credentials");
    match at.found() {
        Some(found) => wanted.at(found).add_to(&mut form),
        None => wanted.add_to(&mut form),
    }
    answer::read(at.post(form, now).await?, Expected::AccessToken, &[])
}

/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow>
async fn on_behalf_of(
    at: &TokenClient,
    wanted: &Wanted,
    asking: Asking<'_>,
) -> Result<Issued, CredentialError> {
    let subject = asking.subject()?;
    let mut form = Form::of(JWT_BEARER);
    form.add("assertion", subject);
    form.add("requested_token_use", "on_behalf_of");
    wanted.add_to(&mut form);
    let at = at.locate(asking.now).await?;
    answer::read(at.post(form, asking.now).await?, Expected::AccessToken, &[subject])
}

impl Exchange {
    async fn ask(&self, asking: Asking<'_>) -> Result<Issued, CredentialError> {
        let subject = asking.subject()?;
        let at = self.at.locate(asking.now).await?;
        let mut form = Form::of(TOKEN_EXCHANGE);
        form.add("subject_token", subject);
        form.add("subject_token_type", &self.subject_token_type);
        form.add_if("requested_token_type", self.requested_token_type.as_deref());
        self.wanted.add_to(&mut form);
        let Some(actor) = &self.actor else {
            return self.read(at.post(form, asking.now).await?, &[subject]);
        };
        let token = actor.token(asking.now).await?;
        form.add("actor_token", token.as_str());
        form.add("actor_token_type", actor.token_type());
        let issued = self.read(at.post(form, asking.now).await?, &[subject, token.as_str()]);
        if issued.as_ref().is_err_and(|error| error.kind() == Reason::ExchangeRefused) {
            // It may be the actor's token that was refused.
            actor.forget(&token);
        }
        issued
    }

    fn read(
        &self,
        answer: narthex_upstreams::egress::Answer,
        sent: &[&str],
    ) -> Result<Issued, CredentialError> {
        answer::read(answer, Expected::Exchanged(self.requested_token_type.as_deref()), sent)
    }
}

impl<'a> Asking<'a> {
    /// The caller's own token.
    fn subject(&self) -> Result<&'a str, CredentialError> {
        self.subject_token.filter(|token| !token.is_empty()).ok_or_else(|| Reason::NoSubjectToken.into())
    }
}

// === impl Wanted ===

impl Wanted {
    pub(crate) fn new(configured: &Configured) -> Self {
        let Configured { scopes, resource, audience } = configured;
        Self { resource: resource.clone(), audience: audience.clone(), ..Self::scopes(scopes) }
    }

    pub(crate) fn scopes(scopes: &[ScopeName]) -> Self {
        let scope = scopes.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(" ");
        let scope = Some(scope).filter(|scope| !scope.is_empty());
        Self { scope, resource: Vec::new(), audience: Vec::new() }
    }

    /// With what was found of an upstream, in the place of what is not configured.
    fn at(&self, found: &Found) -> Self {
        let scopes = if found.challenged.is_empty() { &found.supported } else { &found.challenged };
        let scope = Some(scopes.join(" ")).filter(|scope| !scope.is_empty());
        let resource = vec![found.resource.clone()];
        Self {
            scope: self.scope.clone().or(scope),
            resource: if self.resource.is_empty() { resource } else { self.resource.clone() },
            audience: self.audience.clone(),
        }
    }

    /// `scope`, if there is one.
    pub(crate) fn scope(self) -> Option<String> {
        self.scope
    }

    /// `audience` and `resource` may come several times (RFC 8693 §2.1, RFC 8707 §2).
    fn add_to(&self, form: &mut Form) {
        self.audience.iter().for_each(|audience| form.add("audience", audience));
        self.resource.iter().for_each(|resource| form.add("resource", resource));
        form.add_if("scope", self.scope.as_deref());
    }
}

// === impl Form ===

impl Form {
    pub(crate) fn of(grant_type: &str) -> Self {
        let mut form = Self::default();
        form.add("grant_type", grant_type);
        form
    }

    pub(crate) fn add(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Zeroizing::new(value.to_owned())));
    }

    pub(crate) fn add_if(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// As pairs, in the order in which they were added.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}
