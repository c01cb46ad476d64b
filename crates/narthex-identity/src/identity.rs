//! From a token to what it stands for.
//!
//! What that is, a [`Caller`](crate::Caller), is had from [`Presented`].

use crate::bearer::TOKEN_CAP;
use crate::cache::{Entry, Outcome, TokenCache};
use crate::client_auth::{SecretSource, credentials};
use crate::flights::Flights;
use crate::introspection::{Answer, Asker, NEGATIVE_CACHE};
use crate::issuer::{Issuer, Surroundings};
use crate::jwt::claims::{ClaimRules, Verified};
use crate::jwt::{Form, Unverified};
use crate::keys::KeySet;
use crate::object::Object;
use crate::scopes::Hierarchy;
use crate::{BuildError, Presented, TokenError};
use ahash::RandomState;
use narthex_config::Config;
use narthex_config::model::{Auth, KeySource};
use narthex_telemetry::Events;
use narthex_upstreams::egress::Egress;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Time for one call to an issuer.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for all issuers together to hand out their keys at start.
const PRIME_TIMEOUT: Duration = Duration::from_secs(10);
/// Introspections under way at one time.
const INTROSPECTIONS: usize = 64;
/// Most tokens that are remembered as refused by introspection.
const REFUSED_CAP: usize = 4096;

/// Who may issue tokens, under one configuration, and what was found out about tokens.
///
/// A request asks [`cached`](Self::cached) first, and [`verify`](Self::verify) only if that knows
/// nothing.
pub struct Identity {
    /// In the order of the configuration.
    issuers: Vec<Arc<Issuer>>,
    by_name: HashMap<String, Arc<Issuer>, RandomState>,
    by_id: HashMap<u64, Arc<Issuer>, RandomState>,
    verified: Arc<TokenCache>,
    /// Tokens that introspection refused. Apart, so that a flood of them displaces nobody.
    refused: TokenCache,
    flights: Flights<Outcome>,
    asking: Semaphore,
    asker: Asker,
}

impl Identity {
    /// Everything that `config.auth` says. Keys and verified tokens of issuers that did not change
    /// are taken over from `previous`; keys that must be fetched are not fetched yet
    /// (see [`prime`](Self::prime)).
    ///
    /// # Errors
    /// A local JWK set or a secret cannot be read, or the HTTP client cannot be made.
    pub fn build(
        config: &Config,
        previous: Option<&Self>,
        secrets: Arc<dyn SecretSource>,
        events: Events,
    ) -> Result<Self, BuildError> {
        let auth = &config.auth;
        let egress = match previous {
            Some(previous) => previous.asker.egress.clone(),
            None => Egress::new(CALL_TIMEOUT, false)?,
        };
        let asker = Asker { secrets, egress, events };
        let issuers = build_issuers(auth, previous.map_or(&[], |previous| &previous.issuers), &asker)?;
        let verified = previous
            .map(|previous| &previous.verified)
            .filter(|cache| cache.capacity() == auth.token_cache)
            .map_or_else(|| Arc::new(TokenCache::new(auth.token_cache)), Arc::clone);
        Ok(Self {
            by_name: issuers.iter().map(|i| (i.config.issuer.clone(), Arc::clone(i))).collect(),
            by_id: issuers.iter().map(|i| (i.id, Arc::clone(i))).collect(),
            issuers,
            verified,
            refused: TokenCache::new(REFUSED_CAP),
            flights: Flights::default(),
            asking: Semaphore::new(INTROSPECTIONS),
            asker,
        })
    }

    /// What is known about `token` for the route whose resource identifier is `resource`. `None`:
    /// nothing, ask [`verify`](Self::verify).
    #[must_use]
    pub fn cached(
        &self,
        token: &str,
        resource: &str,
        now: SystemTime,
    ) -> Option<Result<Presented, TokenError>> {
        let is_current = |issuer: u64, generation| {
            self.by_id.get(&issuer).is_some_and(|issuer| issuer.keys.generation() == generation)
        };
        self.verified.get(token, resource, now, is_current).or_else(|| {
            if self.introspects() { self.refused.get(token, resource, now, |_, _| true) } else { None }
        })
    }

    /// Verifies `token` for the route whose resource identifier is `resource`, and remembers it.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn verify(
        &self,
        token: &str,
        resource: &str,
        now: SystemTime,
    ) -> Result<Presented, TokenError> {
        if token.len() > TOKEN_CAP {
            return Err(TokenError::TooLarge);
        }
        let outcome = match Form::of(token) {
            Form::Jws => self.verify_jws(token, now).await,
            Form::Jwe | Form::Opaque if self.introspects() => {
                self.flights.join(token, || self.introspect(token, now)).await
            }
            Form::Jwe => Err(TokenError::Encrypted),
            Form::Opaque => Err(TokenError::MalformedToken),
        };
        outcome?.for_resource(resource)
    }

    /// Takes the keys of the gateway's own authority (those of an issuer whose keys are
    /// [`KeySource::Own`](narthex_config::model::KeySource::Own)), a JWK set, and the `jti` of those of its
    /// tokens that are revoked. Nothing has to be verified again unless a key or a token was taken back.
    ///
    /// # Errors
    /// It is no JWK set, or there is no such issuer.
    pub fn publish(&self, issuer: &str, jwks: &str, revoked: HashSet<String>) -> Result<(), BuildError> {
        let error = |cause| BuildError::KeySet { issuer: issuer.to_owned(), cause };
        let keys = KeySet::parse(jwks.as_bytes()).map_err(error)?;
        let own = self.by_name.get(issuer).filter(|own| own.config.keys == KeySource::Own);
        let own = own.ok_or_else(|| error(String::from("it is not the gateway's own")))?;
        own.keys.hand_over(keys);
        own.keys.revoke(revoked);
        Ok(())
    }

    /// Fetches the keys of all issuers that have none yet, all at once; gives up after 10 s.
    pub async fn prime(&self) {
        let fetching = self.refresh(SystemTime::now());
        if tokio::time::timeout(PRIME_TIMEOUT, fetching).await.is_err() {
            tracing::warn!("not all issuers have handed out their signing keys in time");
        }
    }

    /// Whether the keys of every issuer are there; an issuer that publishes none must at least
    /// answer introspections.
    #[must_use]
    pub fn keys_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.is_ready())
    }

    /// Housekeeping, to be called every few seconds: refreshes keys older than an hour, retries
    /// fetches that failed, forgets expired tokens. Returns when the fetches are done.
    pub async fn refresh_due(&self, now: SystemTime) {
        self.verified.sweep(now);
        self.refused.sweep(now);
        self.refresh(now).await;
    }

    async fn refresh(&self, now: SystemTime) {
        let mut fetches = JoinSet::new();
        for keys in self.issuers.iter().map(|issuer| &issuer.keys).filter(|keys| keys.is_due(now)) {
            let keys = Arc::clone(keys);
            fetches.spawn(async move { keys.refresh(now).await });
        }
        while fetches.join_next().await.is_some() {}
    }

    fn introspects(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.config.introspection.is_some())
    }

    async fn verify_jws(&self, token: &str, now: SystemTime) -> Outcome {
        let unverified = Unverified::parse(token)?;
        let claims = unverified.claims()?;
        let issuer = self.named_by(&claims)?;
        let algorithm = unverified.algorithm(&issuer.config.algorithms)?;
        let generation = issuer.check_signature(&unverified, algorithm, now).await?;
        let verified = issuer.rules.read(&claims, None, now)?;
        if issuer.config.keys == KeySource::Own && issuer.keys.has_revoked(&claims) {
            return Err(TokenError::Inactive);
        }
        self.remember(token, issuer, generation, &verified, now);
        Ok(verified)
    }

    /// The issuer that `iss` names, compared as a string (RFC 7519 §4.1.1).
    fn named_by(&self, claims: &Object<'_>) -> Result<&Issuer, TokenError> {
        match claims.get::<String>("iss") {
            Ok(Some(name)) => self.by_name.get(&name).map(|issuer| &**issuer),
            _ => None,
        }
        .ok_or(TokenError::UnknownIssuer)
    }

    /// Asks the issuers that can be asked, one after the other: an opaque token does not say whose
    /// it is.
    async fn introspect(&self, token: &str, now: SystemTime) -> Outcome {
        let _permit = self.asking.acquire().await;
        let mut error = TokenError::Inactive;
        for issuer in &self.issuers {
            let Some(endpoint) = &issuer.config.introspection else { continue };
            let generation = issuer.keys.generation();
            match self.asker.ask(endpoint, &issuer.rules, token, now).await {
                Answer::Active(verified) => {
                    self.remember(token, issuer, generation, &verified, now);
                    return Ok(verified);
                }
                Answer::Refused(refused) => {
                    error = refused;
                    break;
                }
                Answer::Unavailable(_) => error = TokenError::IntrospectionUnavailable,
                Answer::Inactive => {}
            }
        }
        if error != TokenError::IntrospectionUnavailable {
            let until = now + NEGATIVE_CACHE;
            self.refused.insert(token, Entry { issuer: 0, generation: 0, outcome: Err(error), until }, now);
        }
        Err(error)
    }

    fn remember(&self, token: &str, issuer: &Issuer, generation: u64, verified: &Verified, now: SystemTime) {
        let until = verified.until;
        let entry = Entry { issuer: issuer.id, generation, outcome: Ok(verified.clone()), until };
        self.verified.insert(token, entry, now);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("issuers", &self.issuers.len())
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

fn build_issuers(
    auth: &Auth,
    previous: &[Arc<Issuer>],
    asker: &Asker,
) -> Result<Vec<Arc<Issuer>>, BuildError> {
    let hierarchy = Arc::new(Hierarchy::new(&auth.scope_hierarchy));
    let around = Surroundings { egress: &asker.egress, events: &asker.events, previous };
    let build = |config: &narthex_config::model::Issuer| {
        if let Some(endpoint) = &config.introspection {
            credentials(&endpoint.client, &config.issuer, &*asker.secrets, SystemTime::now())
                .map_err(|cause| BuildError::Client { issuer: config.issuer.clone(), cause })?;
        }
        let rules = ClaimRules {
            issuer: config.issuer.as_str().into(),
            tenant: config.tenant.clone(),
            leeway: auth.leeway,
            hierarchy: Arc::clone(&hierarchy),
        };
        Issuer::build(config, rules, &around)
    };
    auth.issuers.iter().map(build).collect()
}
