//! Obtained credentials: kept, renewed, and asked for once for all who wait for the same one.

use crate::credential::{Origin, UpstreamCredential};
use crate::endpoint::Endpoint;
use crate::error::{BuildProblem, CredentialError, Reason};
use crate::grant::{Asking, Given};
use crate::key::{BuildKeyHasher, Key, Keys};
use crate::lifetime;
use crate::secret::Secret;
use crate::sigv4::{AwsCredentials, SigV4};
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
    /// How keys of AWS are used, if it is those that are obtained.
    signs: Option<Signs>,
    keys: Keys,
    store: Store,
    flights: DashMap<Key, Flight, BuildKeyHasher>,
}

/// For what requests are signed with obtained keys.
pub(crate) struct Signs {
    pub(crate) region: Box<str>,
    pub(crate) service: Box<str>,
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
    /// `None`: it is for the gateway itself.
    caller: Option<Caller>,
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
        Ok(Self { endpoint, origin, signs: None, keys: Keys::random()?, store, flights: DashMap::default() })
    }

    /// One whose keys sign requests.
    pub(crate) fn signing(endpoint: Endpoint, origin: Origin, signs: Signs) -> Result<Self, BuildProblem> {
        Ok(Self { signs: Some(signs), ..Self::new(endpoint, origin)? })
    }

    /// Whether each caller gets one of its own.
    pub(crate) fn is_per_caller(&self) -> bool {
        self.endpoint.grant.is_per_caller()
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

    /// Has the gateway's own credential obtained anew the next time, if it is this one.
    pub(crate) fn forget(&self, refused: &UpstreamCredential) {
        self.store.remove(Key::EVERYONE, refused);
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
            caller: per_caller.then(|| need.caller.clone()),
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
        let asking = Asking { caller: call.caller.as_ref(), subject_token, now: call.now };
        let caller_expires = call.caller.as_ref().and_then(|caller| caller.expires);
        match self.endpoint.ask(asking).await? {
            Given::Token(issued) => {
                let until = lifetime::usable_until(call.now, issued.expires_in, caller_expires);
                let token = issued.token.expose_secret();
                UpstreamCredential::bearer(self.origin.clone(), token, until, call.renewed)
            }
            Given::Aws(keys, expires_in) => {
                let until = lifetime::usable_until(call.now, expires_in, caller_expires);
                self.signer(keys, until, call.renewed)
            }
        }
    }

    fn signer(&self, keys: AwsCredentials, until: SystemTime, renewed: Option<SystemTime>) -> Outcome {
        let signs = self.signs.as_ref().ok_or(Reason::BadTokenResponse)?;
        let signer = Arc::new(SigV4::new(keys, &signs.region, &signs.service));
        Ok(UpstreamCredential::sigv4(self.origin.clone(), signer, Some(until), renewed))
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.flights.remove(&self.1);
    }
}
