//! Obtained credentials: kept, renewed, and asked for once for all who wait for the same one.

use crate::credential::{Origin, UpstreamCredential};
use crate::endpoint::Endpoint;
use crate::error::{BuildProblem, CredentialError, Reason};
use crate::key::{BuildKeyHasher, Key, Keys};
use crate::lifetime;
use crate::secret::Secret;
use crate::store::{CAPACITY, Outcome, Store};
use dashmap::{DashMap, Entry};
use narthex_identity::Caller;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// A credential that replaced a refused one is not replaced again for this long: an upstream that
/// refuses everything costs its authorization server one call in this time, not one for each request.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// One upstream's obtained credentials.
pub(crate) struct Obtained {
    endpoint: Endpoint,
    origin: Origin,
    keys: Keys,
    store: Store,
    flights: DashMap<Key, Flight, BuildKeyHasher>,
}

/// A call under way; its outcome comes to all who hold one.
type Flight = watch::Receiver<Option<Outcome>>;

/// Who needs a credential, and when.
#[derive(Clone, Copy)]
pub(crate) struct Need<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) subject_token: Option<&'a str>,
    pub(crate) now: SystemTime,
}

/// One call to be made, owning all that it needs: it goes on when the one who asked goes away.
struct Call {
    key: Key,
    subject_token: Option<Secret>,
    caller_expires: Option<SystemTime>,
    now: SystemTime,
    renewed: Option<SystemTime>,
}

/// What there is for one who needs a credential that is not kept.
enum Boarding {
    /// An outcome, after all.
    Known(Outcome),
    /// A call to wait for.
    Flight(Flight),
}

/// Ends a flight, however it ends.
struct Landing<'a>(&'a Obtained, Key);

// === impl Obtained ===

impl Obtained {
    pub(crate) fn new(endpoint: Endpoint, origin: Origin) -> Result<Self, BuildProblem> {
        let store = if endpoint.grant.is_per_caller() { Store::many(CAPACITY) } else { Store::one() };
        Ok(Self { endpoint, origin, keys: Keys::random()?, store, flights: DashMap::default() })
    }

    /// A credential that is there already.
    pub(crate) fn ready(&self, need: Need<'_>) -> Option<UpstreamCredential> {
        self.store.credential(self.key(need).ok()?, need.now)
    }

    /// A credential that is there already, or that the token endpoint gives.
    pub(crate) async fn obtain(self: &Arc<Self>, need: Need<'_>) -> Outcome {
        let key = self.key(need)?;
        self.fly(key, need, None).await
    }

    /// Another credential than `rejected`, which the upstream refused.
    pub(crate) async fn renew(self: &Arc<Self>, rejected: &UpstreamCredential, need: Need<'_>) -> Outcome {
        let just_renewed = |at| need.now.duration_since(at).map_or(true, |age| age < RENEWAL_PAUSE);
        if rejected.renewed().is_some_and(just_renewed) {
            return Err(CredentialError::with_detail(Reason::NotRenewable, "refused although just renewed"));
        }
        let key = self.key(need)?;
        self.store.remove(key, rejected);
        self.fly(key, need, Some(need.now)).await
    }

    fn key(&self, need: Need<'_>) -> Result<Key, CredentialError> {
        if !self.endpoint.grant.is_per_caller() {
            return Ok(Key::EVERYONE);
        }
        let token = need.subject_token.filter(|token| !token.is_empty()).ok_or(Reason::NoSubjectToken)?;
        Ok(self.keys.of(need.caller, token))
    }

    async fn fly(self: &Arc<Self>, key: Key, need: Need<'_>, renewed: Option<SystemTime>) -> Outcome {
        let mut flight = match self.board(key, need, renewed) {
            Boarding::Known(outcome) => return outcome,
            Boarding::Flight(flight) => flight,
        };
        let landed = flight.wait_for(Option::is_some).await;
        let outcome = landed.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| {
            Err(CredentialError::with_detail(Reason::ExchangeUnreachable, "the call was abandoned"))
        })
    }

    /// Joins the flight for the key, or starts one.
    fn board(self: &Arc<Self>, key: Key, need: Need<'_>, renewed: Option<SystemTime>) -> Boarding {
        if let Some(outcome) = self.store.outcome(key, need.now) {
            return Boarding::Known(outcome);
        }
        match self.flights.entry(key) {
            Entry::Occupied(flight) => Boarding::Flight(flight.get().clone()),
            Entry::Vacant(place) => {
                // One may have landed in between; outcomes are kept before their flight is removed.
                if let Some(outcome) = self.store.outcome(key, need.now) {
                    return Boarding::Known(outcome);
                }
                let (sender, flight) = watch::channel(None);
                place.insert(flight.clone());
                tokio::spawn(Arc::clone(self).run(self.call(key, need, renewed), sender));
                Boarding::Flight(flight)
            }
        }
    }

    /// A call for `need`. Of a call for the gateway's own token, the caller is no part.
    fn call(&self, key: Key, need: Need<'_>, renewed: Option<SystemTime>) -> Call {
        let per_caller = self.endpoint.grant.is_per_caller();
        Call {
            key,
            subject_token: need.subject_token.filter(|_| per_caller).map(Secret::from),
            caller_expires: need.caller.expires.filter(|_| per_caller),
            now: need.now,
            renewed,
        }
    }

    async fn run(self: Arc<Self>, call: Call, sender: watch::Sender<Option<Outcome>>) {
        let landing = Landing(&self, call.key);
        let started = Instant::now();
        let outcome = self.ask(&call).await;
        let landed = call.now + if outcome.is_ok() { Duration::ZERO } else { started.elapsed() };
        self.store.keep(call.key, outcome.clone(), landed);
        drop(landing);
        sender.send_replace(Some(outcome));
    }

    async fn ask(&self, call: &Call) -> Outcome {
        let subject_token = call.subject_token.as_ref().map(Secret::expose);
        let issued = self.endpoint.ask(subject_token, call.now).await?;
        let until = lifetime::usable_until(call.now, issued.expires_in, call.caller_expires);
        UpstreamCredential::bearer(self.origin.clone(), issued.token.expose_secret(), until, call.renewed)
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.flights.remove(&self.1);
    }
}
