//! One issuer's signing keys: held, refreshed in the background, refetched when a token names one
//! that is not there.

mod discovery;
mod jwk;

#[cfg(test)]
mod tests;

pub use jwk::jws_algorithm;
pub(crate) use jwk::{ED25519, Fitting, Key, KeySet, algorithm_name, is_name_of};

use crate::object::Object;
use arc_swap::ArcSwap;
use discovery::FetchError;
use narthex_config::model::KeySource;
use narthex_telemetry::Events;
use narthex_upstreams::egress::Egress;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Age at which keys are refreshed in the background.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// Least time between refetches because of an unknown key, whatever the tokens.
const MIN_REFETCH: Duration = Duration::from_secs(30);
/// Time after a failure before the next try, while there are no keys at all.
const RETRY_EMPTY: Duration = Duration::from_secs(5);
/// Time after a failure before the next try, while older keys serve.
const RETRY_STALE: Duration = Duration::from_secs(60);

/// The keys of one issuer. Reading them takes no lock.
#[derive(Debug)]
pub(crate) struct KeyStore {
    issuer: Arc<str>,
    source: KeySource,
    held: ArcSwap<Held>,
    /// [`Held::generation`] of `held`, for whom it is all that matters.
    generation: AtomicU64,
    times: Mutex<Times>,
    /// Held while fetching, so that there is one fetch at a time.
    flight: Arc<tokio::sync::Mutex<()>>,
    egress: Egress,
    events: Events,
    /// `jti` of tokens that were taken back; only those of the gateway's own authority can be.
    revoked: ArcSwap<HashSet<String>>,
}

/// What is known of an issuer's keys at one moment.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Counts every change and every successful fetch.
    version: u64,
    /// Counts the changes that took a key away: what it had verified before is to be forgotten.
    pub(crate) generation: u64,
    pub(crate) state: State,
}

/// Whether there are keys.
#[derive(Clone, Debug, Default)]
pub(crate) enum State {
    /// They have not been fetched yet.
    #[default]
    Unknown,
    /// The issuer says that it has none.
    NotPublished,
    /// These.
    Keys(KeySet),
}

#[derive(Debug, Default)]
struct Times {
    /// The last successful fetch.
    fetched: Option<SystemTime>,
    /// The last fetch that failed, if it was the last one.
    failed: Option<SystemTime>,
    /// The last fetch because of an unknown key.
    forced: Option<SystemTime>,
}

impl Held {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

impl KeyStore {
    /// A store for keys that are fetched; there are none yet.
    pub(crate) fn remote(issuer: &str, source: KeySource, egress: Egress, events: Events) -> Self {
        Self::new(issuer, source, Held::default(), egress, events)
    }

    /// A store of keys that are at hand, from a file or from memory.
    pub(crate) fn local(
        issuer: &str,
        source: KeySource,
        keys: KeySet,
        egress: Egress,
        events: Events,
    ) -> Self {
        let held = Held { version: 1, generation: 0, state: State::Keys(keys) };
        Self::new(issuer, source, held, egress, events)
    }

    fn new(issuer: &str, source: KeySource, held: Held, egress: Egress, events: Events) -> Self {
        Self {
            issuer: issuer.into(),
            source,
            held: ArcSwap::from_pointee(held),
            generation: AtomicU64::new(0),
            times: Mutex::default(),
            flight: Arc::default(),
            egress,
            events,
            revoked: ArcSwap::default(),
        }
    }

    /// What is known now.
    pub(crate) fn held(&self) -> Arc<Held> {
        self.held.load_full()
    }

    /// Tokens verified under an earlier generation are to be verified again.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether this store would fetch from the same place for the same issuer.
    pub(crate) fn is_for(&self, issuer: &str, source: &KeySource) -> bool {
        &*self.issuer == issuer && self.source == *source
    }

    /// Fetches the keys anew because those of version `seen` are not enough, unless somebody else did
    /// since, or it was done too recently. Many callers at once share one fetch, which goes on even
    /// if all of them go away.
    pub(crate) async fn refetch(self: &Arc<Self>, seen: u64, now: SystemTime) {
        if self.is_local() {
            return;
        }
        let flight = Arc::clone(&self.flight).lock_owned().await;
        if self.held().version != seen || !self.times.lock().start_forced(now) {
            return;
        }
        let this = Arc::clone(self);
        let fetching = tokio::spawn(async move {
            this.fetch(now).await;
            drop(flight);
        });
        // An error means that the runtime is going down, and with it whoever waits here.
        let _ = fetching.await;
    }

    /// Whether the background refresh should [`refresh`](Self::refresh) now.
    pub(crate) fn is_due(&self, now: SystemTime) -> bool {
        !self.is_local() && self.times.lock().is_due(now, self.has_keys())
    }

    /// Fetches the keys anew, after whoever is doing so already.
    pub(crate) async fn refresh(&self, now: SystemTime) {
        let _flight = self.flight.lock().await;
        if self.is_due(now) {
            self.fetch(now).await;
        }
    }

    /// Takes keys that whoever owns them hands over; whether they are new.
    pub(crate) fn hand_over(&self, keys: KeySet) -> bool {
        if matches!(&self.held().state, State::Keys(held) if *held == keys) {
            return false;
        }
        self.install(State::Keys(keys));
        true
    }

    /// Takes the `jti` of tokens that are good no more. If there are new ones among them, everything that was
    /// verified so far is verified again.
    pub(crate) fn revoke(&self, revoked: HashSet<String>) {
        let held = self.held.load_full();
        let taken_back = !revoked.is_subset(&self.revoked.load());
        self.revoked.store(Arc::new(revoked));
        if taken_back {
            let (version, generation) = (held.version + 1, held.generation + 1);
            self.held.store(Arc::new(Held { version, generation, state: held.state.clone() }));
            self.generation.store(generation, Ordering::Release);
        }
    }

    /// Whether the token with these claims was taken back.
    pub(crate) fn has_revoked(&self, claims: &Object<'_>) -> bool {
        let revoked = self.revoked.load();
        let id = || claims.get::<String>("jti").ok().flatten();
        !revoked.is_empty() && id().is_none_or(|id| revoked.contains(&id))
    }

    /// Whether there is at least one key.
    pub(crate) fn has_keys(&self) -> bool {
        matches!(&self.held().state, State::Keys(keys) if keys.len() > 0)
    }

    fn is_local(&self) -> bool {
        matches!(self.source, KeySource::File(_) | KeySource::Inline(_) | KeySource::Own)
    }

    async fn fetch(&self, now: SystemTime) {
        let result = discovery::fetch(&self.egress, &self.issuer, &self.source).await;
        let published = match result {
            Ok(keys) => State::Keys(keys),
            // Keys that were published once are served on: their metadata may be gone by mistake.
            Err(FetchError::NotPublished) if !self.has_keys() => State::NotPublished,
            Err(error) => {
                self.events.jwks_refreshed(&self.issuer, false);
                let stale = self.has_keys();
                tracing::warn!(issuer = &*self.issuer, %error, stale, "signing keys not fetched");
                self.times.lock().failed = Some(now);
                return;
            }
        };
        self.events.jwks_refreshed(&self.issuer, true);
        self.times.lock().succeeded(now);
        self.install(published);
    }

    fn install(&self, state: State) {
        let old = self.held.load_full();
        let taken_away = match (&old.state, &state) {
            (State::Keys(old), State::Keys(new)) => !new.includes(old),
            _ => false,
        };
        if let State::Keys(keys) = &state {
            tracing::debug!(issuer = &*self.issuer, keys = keys.len(), taken_away, "signing keys fetched");
        }
        let generation = old.generation + u64::from(taken_away);
        self.held.store(Arc::new(Held { version: old.version + 1, generation, state }));
        self.generation.store(generation, Ordering::Release);
    }
}

impl Times {
    fn start_forced(&mut self, now: SystemTime) -> bool {
        let may = passed(self.forced, MIN_REFETCH, now) && passed(self.failed, RETRY_EMPTY, now);
        if may {
            self.forced = Some(now);
        }
        may
    }

    fn succeeded(&mut self, now: SystemTime) {
        self.fetched = Some(now);
        self.failed = None;
    }

    fn is_due(&self, now: SystemTime, has_keys: bool) -> bool {
        let retry = if has_keys { RETRY_STALE } else { RETRY_EMPTY };
        passed(self.failed, retry, now) && passed(self.fetched, MAX_AGE, now)
    }
}

/// Whether at least `time` has passed since `then`. A clock that was set back counts as so.
fn passed(then: Option<SystemTime>, time: Duration, now: SystemTime) -> bool {
    then.is_none_or(|then| now.duration_since(then).map_or(true, |since| since >= time))
}
