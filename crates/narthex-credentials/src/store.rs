//! Obtained credentials, kept until shortly before they end; bounded.

use crate::credential::UpstreamCredential;
use crate::error::CredentialError;
use crate::key::{BuildKeyHasher, Key};
use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Most credentials kept for one upstream.
pub(crate) const CAPACITY: usize = 50_000;

/// How long a failure is remembered, so that a crowd of callers does not repeat it at once.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// How often entries that ended are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// When the store is full, one entry in this many makes room: a full pass pays for many insertions.
const EVICT_ONE_IN: u64 = 16;

/// What is known for a key: a credential, or why there is none.
pub(crate) type Outcome = Result<UpstreamCredential, CredentialError>;

/// The outcomes of one source.
pub(crate) enum Store {
    /// The same for all callers: read without any lock.
    One(ArcSwapOption<Entry>),
    /// One for each caller, in shards.
    Many(Shards),
}

pub(crate) struct Shards {
    entries: DashMap<Key, Entry, BuildKeyHasher>,
    capacity: usize,
    /// Seconds since the epoch.
    last_sweep: AtomicU64,
    evictions: AtomicU64,
}

pub(crate) struct Entry {
    outcome: Outcome,
    until: SystemTime,
}

impl Store {
    pub(crate) fn one() -> Self {
        Self::One(ArcSwapOption::empty())
    }

    pub(crate) fn many(capacity: usize) -> Self {
        Self::Many(Shards {
            entries: DashMap::default(),
            capacity,
            last_sweep: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        })
    }

    /// The credential, if there is one that may still be presented.
    pub(crate) fn credential(&self, key: Key, now: SystemTime) -> Option<UpstreamCredential> {
        self.look(key, now, |outcome| outcome.as_ref().ok().cloned())?
    }

    /// The credential, or a failure of the last moment.
    pub(crate) fn outcome(&self, key: Key, now: SystemTime) -> Option<Outcome> {
        self.look(key, now, Clone::clone)
    }

    fn look<T>(&self, key: Key, now: SystemTime, found: impl FnOnce(&Outcome) -> T) -> Option<T> {
        match self {
            Self::One(slot) => slot.load().as_deref().filter(|e| e.is_live(now)).map(|e| found(&e.outcome)),
            Self::Many(shards) => {
                shards.entries.get(&key).filter(|e| e.is_live(now)).map(|e| found(&e.outcome))
            }
        }
    }

    /// Keeps what was learnt at `now`, if it is good for any time at all.
    pub(crate) fn keep(&self, key: Key, outcome: Outcome, now: SystemTime) {
        let until = match &outcome {
            Ok(credential) => credential.usable_until().unwrap_or(now),
            Err(_) => now + FAILURE_KEPT,
        };
        let entry = Entry { outcome, until };
        match self {
            _ if !entry.is_live(now) => {}
            Self::One(slot) => slot.store(Some(Arc::new(entry))),
            Self::Many(shards) => shards.insert(key, entry, now),
        }
    }

    /// Drops whatever is kept for the key.
    pub(crate) fn forget(&self, key: Key) {
        match self {
            Self::One(slot) => slot.store(None),
            Self::Many(shards) => drop(shards.entries.remove(&key)),
        }
    }

    /// Drops exactly this credential; a newer one in its place stays.
    pub(crate) fn remove(&self, key: Key, rejected: &UpstreamCredential) {
        match self {
            Self::One(slot) => {
                let current = slot.load();
                if current.as_deref().is_some_and(|entry| entry.holds(rejected)) {
                    // Changes nothing if somebody has replaced it since.
                    slot.compare_and_swap(&*current, None);
                }
            }
            Self::Many(shards) => {
                shards.entries.remove_if(&key, |_, entry| entry.holds(rejected));
            }
        }
    }
}

impl Shards {
    fn insert(&self, key: Key, entry: Entry, now: SystemTime) {
        self.sweep(now);
        if self.entries.len() >= self.capacity {
            self.entries.retain(|_, entry| entry.is_live(now));
        }
        while self.entries.len() >= self.capacity {
            self.evict();
        }
        self.entries.insert(key, entry);
    }

    /// Forgets what has ended, so that no token stays in memory much longer than it is used.
    fn sweep(&self, now: SystemTime) {
        let now_s = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let last = self.last_sweep.load(Ordering::Relaxed);
        if now_s.abs_diff(last) < SWEEP_EVERY.as_secs() {
            return;
        }
        // Of several that find it due, one does it.
        if self.last_sweep.compare_exchange(last, now_s, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.entries.retain(|_, entry| entry.is_live(now));
        }
    }

    /// Keys are random, so those with given bits are a random sample.
    fn evict(&self) {
        let turn = self.evictions.fetch_add(1, Ordering::Relaxed) % EVICT_ONE_IN;
        self.entries.retain(|key, _| key.bits() % EVICT_ONE_IN != turn);
    }
}

impl Entry {
    fn is_live(&self, now: SystemTime) -> bool {
        now < self.until
    }

    fn holds(&self, credential: &UpstreamCredential) -> bool {
        self.outcome.as_ref().is_ok_and(|held| held.is(credential))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Origin;
    use crate::error::Reason;
    use crate::key::Keys;
    use narthex_config::model::Transport;
    use narthex_identity::Caller;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn credential(until: u64) -> UpstreamCredential {
        let origin = Origin::of(
            &"up".into(),
            &Transport::Http("https://mcp.example.com".parse::<url::Url>().unwrap().into()),
        );
        UpstreamCredential::bearer(origin, "t", at(until), None).unwrap()
    }

    fn keys(count: usize) -> Vec<Key> {
        let (keys, caller) = (Keys::random().unwrap(), Caller::anonymous("acme".into()));
        (0..count).map(|i| keys.of(&caller, &i.to_string())).collect()
    }

    fn len(store: &Store) -> usize {
        match store {
            Store::One(slot) => usize::from(slot.load().is_some()),
            Store::Many(shards) => shards.entries.len(),
        }
    }

    fn both() -> [Store; 2] {
        [Store::one(), Store::many(10)]
    }

    #[test]
    fn a_credential_is_found_until_its_end_and_not_at_it() {
        for store in both() {
            store.keep(Key::EVERYONE, Ok(credential(10)), at(0));
            assert!(store.credential(Key::EVERYONE, at(9)).is_some());
            assert!(store.credential(Key::EVERYONE, at(10)).is_none());
            assert!(store.outcome(Key::EVERYONE, at(10)).is_none());
        }
    }

    #[test]
    fn what_is_over_already_is_not_kept() {
        for store in both() {
            store.keep(Key::EVERYONE, Ok(credential(0)), at(0));
            assert_eq!(len(&store), 0);
        }
    }

    #[test]
    fn a_failure_is_remembered_for_a_second() {
        for store in both() {
            store.keep(Key::EVERYONE, Err(Reason::ExchangeRefused.into()), at(0));
            assert!(store.credential(Key::EVERYONE, at(0)).is_none());
            assert!(matches!(store.outcome(Key::EVERYONE, at(0)), Some(Err(_))));
            assert!(store.outcome(Key::EVERYONE, at(1)).is_none());
        }
    }

    #[test]
    fn only_the_rejected_credential_is_dropped() {
        for store in both() {
            let (old, new) = (credential(10), credential(10));
            store.keep(Key::EVERYONE, Ok(old.clone()), at(0));
            store.keep(Key::EVERYONE, Ok(new.clone()), at(0));
            store.remove(Key::EVERYONE, &old);
            assert!(store.credential(Key::EVERYONE, at(0)).is_some_and(|held| held.is(&new)));
            store.remove(Key::EVERYONE, &new);
            assert!(store.credential(Key::EVERYONE, at(0)).is_none());
        }
    }

    #[test]
    fn the_store_never_holds_more_than_its_capacity() {
        for capacity in [1, 7, 200] {
            let store = Store::many(capacity);
            let keys = keys(2000);
            for key in &keys {
                store.keep(*key, Ok(credential(10)), at(0));
                assert!(len(&store) <= capacity);
                assert!(store.credential(*key, at(0)).is_some());
            }
        }
    }

    #[test]
    fn room_is_made_from_ended_entries_first() {
        let store = Store::many(100);
        let keys = keys(101);
        for (i, key) in keys[..100].iter().enumerate() {
            store.keep(*key, Ok(credential(if i < 50 { 5 } else { 50 })), at(0));
        }
        store.keep(keys[100], Ok(credential(50)), at(5));
        assert!(keys[50..].iter().all(|key| store.credential(*key, at(5)).is_some()));
        assert_eq!(len(&store), 51);
    }

    #[test]
    fn ended_entries_are_forgotten_within_a_minute_of_use() {
        let (store, keys) = (Store::many(100), keys(2));
        store.keep(keys[0], Ok(credential(10)), at(0));
        store.keep(keys[1], Ok(credential(100)), at(61));
        assert_eq!(len(&store), 1);
    }
}
