//! The credentials of one upstream, and of all.

use crate::asserted::Asserted;
use crate::authorization_code::{Consented, Directory};
use crate::build::Builder;
use crate::consent::Changed;
use crate::credential::{Origin, UpstreamCredential};
use crate::error::{BuildError, BuildProblem, CredentialError, Reason};
use crate::obtain::{Need, Obtained};
use crate::secret::Secrets;
use crate::signing::SigningKeys;
use crate::subject::SubjectTokens;
use crate::values::Values;
use narthex_config::model::{Config, Credential, Upstream, UpstreamId};
use narthex_identity::Caller;
use narthex_store::Vault;
use narthex_telemetry::Events;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::broadcast;
use url::Url;

/// What the gateway presents to each of its upstreams.
#[derive(Debug)]
pub struct Credentials {
    sources: HashMap<UpstreamId, Arc<CredentialSource>>,
    vault: Option<Vault>,
}

/// Where one upstream's credentials come from.
pub struct CredentialSource {
    pub(crate) definition: Definition,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// The same for every call, without end.
    Fixed(UpstreamCredential),
    /// From a token endpoint.
    Obtained(Arc<Obtained>),
    /// Signed by the gateway itself.
    Asserted(Arc<Asserted>),
    /// What each user consented to.
    Consented(Arc<Consented>),
}

/// All that a source is made from. While it stays the same, a source outlives reloads.
#[derive(Eq, PartialEq)]
pub(crate) struct Definition {
    pub(crate) credential: Credential,
    pub(crate) values: Values,
    pub(crate) origin: Origin,
    /// The upstream's, or the first of them; of a child process there is none.
    pub(crate) url: Option<Url>,
    pub(crate) allow_link_local: bool,
    /// Plain `http` is accepted inside the operator's network.
    pub(crate) insecure: bool,
    /// The gateway's own name, in what it signs and where users come back to.
    pub(crate) public_url: String,
    /// Of an upstream that users connect: who users are.
    pub(crate) directory: Option<Arc<Directory>>,
}

/// What credentials are made with, besides the configuration. The same over all reloads.
#[derive(Clone, Default)]
pub struct Context {
    /// Signs what the gateway asserts; needed if any upstream's credential is signed by the gateway.
    pub signing_keys: Option<SigningKeys>,
    /// Knows the ID tokens of callers, for identity assertions.
    pub subject_tokens: Option<Arc<dyn SubjectTokens>>,
    /// Keeps what users connect; needed if they connect anything.
    pub vault: Option<Vault>,
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
        context: &Context,
    ) -> Result<Self, BuildError> {
        let builder = Builder::new(events, context).with_directory(Directory::of(config));
        let public_url = &config.server.public_url.url;
        Self::build_with(secrets, &config.upstreams, public_url, previous, builder)
    }

    pub(crate) fn build_with(
        secrets: &Secrets,
        upstreams: &BTreeMap<UpstreamId, Upstream>,
        public_url: &str,
        previous: Option<&Self>,
        mut builder: Builder<'_>,
    ) -> Result<Self, BuildError> {
        let mut sources = HashMap::with_capacity(upstreams.len());
        for (id, upstream) in upstreams {
            let failed = |problem| BuildError::new(id, problem);
            let directory = builder.directory(upstream);
            let definition =
                Definition::read(secrets, id, upstream, public_url, directory).map_err(failed)?;
            let kept = previous.and_then(|p| p.sources.get(id)).filter(|s| s.definition == definition);
            let source = match kept {
                Some(source) => Arc::clone(source),
                None => Arc::new(builder.source(id, definition).map_err(failed)?),
            };
            sources.insert(id.clone(), source);
        }
        Ok(Self { sources, vault: builder.vault() })
    }

    /// Where users' connections are kept.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
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
            Kind::Asserted(asserted) => asserted.ready(Need { caller, subject_token, now }).ok(),
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
            Kind::Asserted(asserted) => asserted.ready(Need { caller, subject_token, now }),
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
            Kind::Fixed(_) | Kind::Asserted(_) => Err(Reason::NotRenewable.into()),
            Kind::Obtained(obtained) => obtained.renew(rejected, Need { caller, subject_token, now }).await,
            Kind::Consented(consented) => consented.renew(rejected, caller, now).await,
        }
    }

    /// Whether it is worth calling [`renew`](Self::renew) after a 401.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        matches!(self.kind, Kind::Obtained(_) | Kind::Consented(_))
    }

    /// The users' connections, if that is what it is.
    pub(crate) fn consented(&self) -> Option<&Arc<Consented>> {
        match &self.kind {
            Kind::Fixed(_) | Kind::Obtained(_) | Kind::Asserted(_) => None,
            Kind::Consented(consented) => Some(consented),
        }
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
            Kind::Fixed(_) | Kind::Obtained(_) | Kind::Asserted(_) => Reason::NotRenewable.into(),
            Kind::Consented(consented) => consented.step_up(caller, challenge, now).await,
        }
    }

    /// Tells whenever a user of this process connects this upstream or ends a connection to it; `None`:
    /// nobody ever does. Who falls behind is told so, and had better ask again.
    #[must_use]
    pub fn changed(&self) -> Option<broadcast::Receiver<Changed>> {
        match &self.kind {
            Kind::Fixed(_) | Kind::Obtained(_) | Kind::Asserted(_) => None,
            Kind::Consented(consented) => Some(consented.changed()),
        }
    }

    /// Whether calls need the caller's own token, to be exchanged: not to be used on `auth: none` routes.
    #[must_use]
    pub fn needs_subject_token(&self) -> bool {
        self.definition.credential.needs_subject_token()
    }

    /// Whether each caller is presented with a credential of its own.
    #[must_use]
    pub fn is_per_caller(&self) -> bool {
        match &self.kind {
            Kind::Fixed(_) => false,
            Kind::Obtained(obtained) => obtained.is_per_caller(),
            Kind::Asserted(_) | Kind::Consented(_) => true,
        }
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = match &self.definition.credential {
            Credential::None => "none",
            Credential::Header { .. } => "header",
            Credential::Basic { .. } => "basic",
            Credential::ClientCredentials(_) => "client_credentials",
            Credential::TokenExchange(_) => "token_exchange",
            Credential::IdJag(_) => "id_jag",
            Credential::OnBehalfOf(_) => "on_behalf_of",
            Credential::JwtBearer(_) => "jwt_bearer",
            Credential::Assertion(_) => "assertion",
            Credential::AwsSigV4(_) => "aws_sigv4",
            Credential::AuthorizationCode(_) => "authorization_code",
            Credential::Env(_) => "env",
        };
        f.debug_struct("CredentialSource").field("strategy", &strategy).finish_non_exhaustive()
    }
}

// === impl Definition ===

impl Definition {
    fn read(
        secrets: &Secrets,
        id: &UpstreamId,
        upstream: &Upstream,
        public_url: &str,
        directory: Option<Arc<Directory>>,
    ) -> Result<Self, BuildProblem> {
        Ok(Self {
            credential: upstream.credential.clone(),
            values: Values::read(secrets, &upstream.credential)?,
            origin: Origin::of(id, &upstream.transport),
            url: upstream.transport.endpoints().map(|endpoints| endpoints.first.clone()),
            allow_link_local: upstream.allow_link_local,
            insecure: upstream.insecure,
            public_url: public_url.to_owned(),
            directory,
        })
    }
}
