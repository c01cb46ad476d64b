//! The credentials of one upstream, and of all.

use crate::authorization_code::Consented;
use crate::client_auth::ClientAuth;
use crate::consent::Changed;
use crate::credential::{Origin, UpstreamCredential};
use crate::endpoint::{CALL_TIMEOUT, Endpoint, MAX_CALLS};
use crate::error::{BuildError, BuildProblem, CredentialError, Reason};
use crate::fixed;
use crate::grant::Grant;
use crate::obtain::{Need, Obtained};
use crate::secret::{Secret, Secrets};
use narthex_config::model::{
    Config, Credential, OAuthClient, SecretRef, TokenExchange, Upstream, UpstreamId,
};
use narthex_identity::Caller;
use narthex_telemetry::Events;
use narthex_upstreams::egress::{Egress, EgressError};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{Semaphore, broadcast};
use url::Url;

/// What the gateway presents to each of its upstreams.
#[derive(Debug)]
pub struct Credentials {
    sources: HashMap<UpstreamId, Arc<CredentialSource>>,
}

/// Where one upstream's credentials come from.
pub struct CredentialSource {
    definition: Definition,
    kind: Kind,
}

enum Kind {
    /// The same for every call, without end.
    Fixed(UpstreamCredential),
    /// From a token endpoint.
    Obtained(Arc<Obtained>),
    /// What each user consented to.
    Consented(Arc<Consented>),
}

/// All that a source is made from. While it stays the same, a source outlives reloads.
#[derive(Eq, PartialEq)]
struct Definition {
    credential: Credential,
    /// The value as read, so that a changed one takes effect at once.
    secret: Option<Secret>,
    /// Those of `env:`, by name.
    environment: Box<[(String, Secret)]>,
    origin: Origin,
    allow_link_local: bool,
}

/// Makes sources.
struct Builder<'a> {
    events: &'a Events,
    /// One client for each answer to "may it call link-local addresses?", made when first needed.
    egress: [Option<Egress>; 2],
}

// === impl Credentials ===

impl Credentials {
    /// Reads every secret and sets up every upstream's credential. Sources of `previous` whose
    /// definition and secret are the same are taken over with all that they have obtained.
    ///
    /// # Errors
    /// A secret cannot be read or used; the error names the upstream and the reference.
    pub fn build(
        config: &Config,
        secrets: &Secrets,
        previous: Option<&Self>,
        events: &Events,
    ) -> Result<Self, BuildError> {
        Self::build_with(secrets, &config.upstreams, previous, events)
    }

    pub(crate) fn build_with(
        secrets: &Secrets,
        upstreams: &BTreeMap<UpstreamId, Upstream>,
        previous: Option<&Self>,
        events: &Events,
    ) -> Result<Self, BuildError> {
        let mut builder = Builder { events, egress: [None, None] };
        let mut sources = HashMap::with_capacity(upstreams.len());
        for (id, upstream) in upstreams {
            let failed = |problem| BuildError::new(id, problem);
            let definition = Definition::read(secrets, id, upstream).map_err(failed)?;
            let kept = previous.and_then(|p| p.sources.get(id)).filter(|s| s.definition == definition);
            let source = match kept {
                Some(source) => Arc::clone(source),
                None => Arc::new(builder.source(id, definition).map_err(failed)?),
            };
            sources.insert(id.clone(), source);
        }
        Ok(Self { sources })
    }

    /// The source for an upstream; `None`: there is no such upstream.
    #[must_use]
    pub fn upstream(&self, id: &UpstreamId) -> Option<Arc<CredentialSource>> {
        self.sources.get(id).cloned()
    }
}

// === impl CredentialSource ===

impl CredentialSource {
    /// A credential that is there without asking anybody: a fixed one, or one obtained before.
    ///
    /// `subject_token` is the caller's inbound token, if the call came with one.
    #[must_use]
    pub fn ready(
        &self,
        caller: &Caller,
        subject_token: Option<&str>,
        now: SystemTime,
    ) -> Option<UpstreamCredential> {
        match &self.kind {
            Kind::Fixed(credential) => Some(credential.clone()),
            Kind::Obtained(obtained) => obtained.ready(Need { caller, subject_token, now }),
            Kind::Consented(consented) => consented.ready(caller, now),
        }
    }

    /// A credential, asked for at the token endpoint if there is none. Callers that need the same one
    /// at the same time share one request, which goes on even if they all go away.
    ///
    /// # Errors
    /// See [`Reason`]. A failure is remembered for a second.
    pub async fn obtain(
        &self,
        caller: &Caller,
        subject_token: Option<&str>,
        now: SystemTime,
    ) -> Result<UpstreamCredential, CredentialError> {
        match &self.kind {
            Kind::Fixed(credential) => Ok(credential.clone()),
            Kind::Obtained(obtained) => obtained.obtain(Need { caller, subject_token, now }).await,
            Kind::Consented(consented) => consented.obtain(caller, now).await,
        }
    }

    /// Another credential after the upstream answered 401 to `rejected`, which is forgotten; a newer
    /// one that is there already is returned instead of asking again.
    ///
    /// # Errors
    /// `not_renewable` for a fixed credential, and for one that was itself renewed less than 10 s ago;
    /// otherwise as for [`obtain`](Self::obtain).
    pub async fn renew(
        &self,
        rejected: &UpstreamCredential,
        caller: &Caller,
        subject_token: Option<&str>,
        now: SystemTime,
    ) -> Result<UpstreamCredential, CredentialError> {
        match &self.kind {
            Kind::Fixed(_) => Err(Reason::NotRenewable.into()),
            Kind::Obtained(obtained) => obtained.renew(rejected, Need { caller, subject_token, now }).await,
            Kind::Consented(consented) => consented.renew(rejected, caller, now).await,
        }
    }

    /// Whether it is worth calling [`renew`](Self::renew) after a 401.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        matches!(self.kind, Kind::Obtained(_) | Kind::Consented(_))
    }

    /// Whether each user must consent at the upstream's own authorization server first.
    #[must_use]
    pub fn wants_consent(&self) -> bool {
        matches!(self.kind, Kind::Consented(_))
    }

    /// What is to be said after the upstream's 403 with `error="insufficient_scope"`: that the user must
    /// consent to more, which is what is held already and what `challenge` (the value of the upstream's
    /// `WWW-Authenticate`) asks for.
    ///
    /// The reason is `consent_required`, or `scope_not_granted` where asking again would be in vain.
    pub async fn step_up(&self, caller: &Caller, challenge: &str, now: SystemTime) -> CredentialError {
        match &self.kind {
            Kind::Fixed(_) | Kind::Obtained(_) => Reason::NotRenewable.into(),
            Kind::Consented(consented) => consented.step_up(caller, challenge, now).await,
        }
    }

    /// Tells whenever a user of this process connects this upstream or ends a connection to it; `None`:
    /// nobody ever does. Who falls behind is told so, and had better ask again.
    #[must_use]
    pub fn changed(&self) -> Option<broadcast::Receiver<Changed>> {
        match &self.kind {
            Kind::Fixed(_) | Kind::Obtained(_) => None,
            Kind::Consented(consented) => Some(consented.changed()),
        }
    }

    /// Whether calls need the caller's own token, to be exchanged: not to be used on `auth: none` routes.
    #[must_use]
    pub fn needs_subject_token(&self) -> bool {
        matches!(self.definition.credential, Credential::TokenExchange(_))
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = match &self.definition.credential {
            Credential::None => "none",
            Credential::Header { .. } => "header",
            Credential::Basic { .. } => "basic",
            Credential::ClientCredentials { .. } => "client_credentials",
            Credential::TokenExchange(_) => "token_exchange",
            Credential::AuthorizationCode(_) => "authorization_code",
            Credential::Env(_) => "env",
        };
        f.debug_struct("CredentialSource").field("strategy", &strategy).finish_non_exhaustive()
    }
}

// === impl Definition ===

impl Definition {
    fn read(secrets: &Secrets, id: &UpstreamId, upstream: &Upstream) -> Result<Self, BuildProblem> {
        let secret = match secret_of(&upstream.credential) {
            None => None,
            Some((reference, true)) => Some(secrets.text(reference)?),
            Some((reference, false)) => Some(secrets.line(reference)?),
        };
        Ok(Self {
            credential: upstream.credential.clone(),
            secret,
            environment: environment(secrets, &upstream.credential)?,
            origin: Origin::of(id, &upstream.transport),
            allow_link_local: upstream.allow_link_local,
        })
    }
}

/// The secrets of `env:`. They may have several lines.
fn environment(secrets: &Secrets, credential: &Credential) -> Result<Box<[(String, Secret)]>, BuildProblem> {
    let Credential::Env(variables) = credential else { return Ok(Box::default()) };
    variables.iter().map(|(name, secret)| Ok((name.clone(), secrets.text(secret)?))).collect()
}

/// The one secret that a credential refers to, and whether it may have several lines.
fn secret_of(credential: &Credential) -> Option<(&SecretRef, bool)> {
    match credential {
        Credential::None | Credential::Env(_) => None,
        Credential::Header { value: secret, .. } | Credential::Basic { password: secret, .. } => {
            Some((secret, false))
        }
        Credential::ClientCredentials { client, .. }
        | Credential::TokenExchange(TokenExchange { client, .. }) => ClientAuth::secret(client),
        Credential::AuthorizationCode(consent) => ClientAuth::secret(consent.client.as_ref()?),
    }
}

// === impl Builder ===

impl Builder<'_> {
    fn source(&mut self, id: &UpstreamId, definition: Definition) -> Result<CredentialSource, BuildProblem> {
        let secret = || definition.secret.as_ref().ok_or(BuildProblem::Header("the secret was not read"));
        let header = match &definition.credential {
            Credential::None => None,
            Credential::Env(_) => {
                let (origin, environment) = (definition.origin.clone(), definition.environment.clone());
                let credential = UpstreamCredential::environment(origin, environment);
                return Ok(CredentialSource { definition, kind: Kind::Fixed(credential) });
            }
            Credential::Header { name, .. } => Some(fixed::header(name, secret()?)?),
            Credential::Basic { username, .. } => Some(fixed::basic(username, secret()?)?),
            Credential::AuthorizationCode(_) => {
                let consented = Consented::new(id.clone());
                return Ok(CredentialSource { definition, kind: Kind::Consented(Arc::new(consented)) });
            }
            Credential::ClientCredentials { token_url, client, .. }
            | Credential::TokenExchange(TokenExchange { token_url, client, .. }) => {
                let obtained = self.obtained(id, &definition, token_url, client)?;
                return Ok(CredentialSource { definition, kind: Kind::Obtained(Arc::new(obtained)) });
            }
        };
        let credential = UpstreamCredential::fixed(definition.origin.clone(), header);
        Ok(CredentialSource { definition, kind: Kind::Fixed(credential) })
    }

    fn obtained(
        &mut self,
        id: &UpstreamId,
        definition: &Definition,
        token_url: &Url,
        client: &OAuthClient,
    ) -> Result<Obtained, BuildProblem> {
        let endpoint = Endpoint {
            upstream: id.clone(),
            url: token_url.clone(),
            client: ClientAuth::new(client, token_url, definition.secret.as_ref())?,
            grant: Grant::of(&definition.credential).ok_or(BuildProblem::Header("not a grant"))?,
            egress: self.egress(definition.allow_link_local)?,
            events: self.events.clone(),
            turns: Semaphore::new(MAX_CALLS),
        };
        Obtained::new(endpoint, definition.origin.clone())
    }

    fn egress(&mut self, allow_link_local: bool) -> Result<Egress, EgressError> {
        let made = &mut self.egress[usize::from(allow_link_local)];
        if let Some(egress) = made {
            return Ok(egress.clone());
        }
        Ok(made.insert(Egress::new(CALL_TIMEOUT, allow_link_local)?).clone())
    }
}
