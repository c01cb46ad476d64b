//! Which proofs have been used.

use super::{DpopError, Target};
use ahash::RandomState;
use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_store::{Key, Vault};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Thumbprint;

/// Shards of the memory; a power of two.
const SHARDS: usize = 64;
/// How much of a proof's digest is kept, bytes.
const KEPT: usize = 12;
/// Shards that one sweep looks at.
const SWEPT: usize = 8;

/// Which proof it is: the digest of its key, its URL and `jti` (RFC 9449 §11.1), so that nobody can use up the
/// `jti` of another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProofId([u8; 32]);

impl ProofId {
    pub(super) fn new(key: &Thumbprint, target: &Target, jti: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(key.as_bytes());
        // No URL has a line feed, so no two of them and a `jti` read the same.
        context.update(target.as_str().as_bytes());
        context.update(b"\n");
        context.update(jti.as_bytes());
        let mut id = [0; 32];
        id.copy_from_slice(context.finish().as_ref());
        Self(id)
    }
}

/// Base64url without padding.
impl fmt::Display for ProofId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// Remembers proofs until they are good no more.
#[async_trait]
pub trait Replay: fmt::Debug + Send + Sync {
    /// Remembers `proof` until `until`; whether this is its first use. Of many at once that ask about one
    /// proof, exactly one is told `true`.
    ///
    /// # Errors
    /// [`DpopError::Full`] or [`DpopError::Unavailable`]: it cannot be told, so the proof is not to be accepted.
    async fn first_use(&self, proof: &ProofId, until: SystemTime, now: SystemTime)
    -> Result<bool, DpopError>;
}

// === impl Seen ===

/// The proofs that this process has seen: bounded, in shards. When there is no room it accepts no more,
/// rather than to forget one that could come again.
pub struct Seen {
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    capacity: AtomicUsize,
    next_sweep: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    /// Until when, in seconds since the epoch.
    until: HashMap<[u8; KEPT], u32, RandomState>,
    swept: u32,
}

impl Seen {
    /// Room for about `capacity` proofs.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            capacity: AtomicUsize::new(capacity),
            next_sweep: AtomicUsize::new(0),
        }
    }

    /// Changes how many there is room for. None is forgotten.
    pub fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().until.len()).sum()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets outdated proofs in some of the shards, others each time. To be called every few seconds.
    pub fn sweep(&self, now: SystemTime) {
        let first = self.next_sweep.fetch_add(SWEPT, Ordering::Relaxed);
        for at in first..first.wrapping_add(SWEPT) {
            if let Some(shard) = self.shards.get(at % SHARDS) {
                shard.lock().sweep(seconds(now));
            }
        }
    }

    /// As [`Replay::first_use`], at once.
    ///
    /// # Errors
    /// [`DpopError::Full`].
    pub fn note(&self, proof: &ProofId, until: SystemTime, now: SystemTime) -> Result<bool, DpopError> {
        let (id, _) = proof.0.split_first_chunk::<KEPT>().ok_or(DpopError::Full)?;
        let room = self.capacity.load(Ordering::Relaxed).div_ceil(SHARDS);
        let now = seconds(now);
        let at = usize::try_from(self.hasher.hash_one(id) >> 48).unwrap_or(0) % SHARDS;
        let mut shard = self.shards.get(at).ok_or(DpopError::Full)?.lock();
        if shard.until.get(id).is_some_and(|until| now < *until) {
            return Ok(false);
        }
        if shard.until.len() >= room {
            // Once a second at most: a full shard must not cost a walk for every proof.
            if shard.swept < now {
                shard.sweep(now);
            }
            if shard.until.len() >= room {
                return Err(DpopError::Full);
            }
        }
        // To the end of the second: never a moment too short.
        shard.until.insert(*id, seconds(until).saturating_add(1));
        Ok(true)
    }
}

impl Shard {
    fn sweep(&mut self, now: u32) {
        let before = self.until.len();
        self.until.retain(|_, until| now < *until);
        self.swept = now;
        if before > 1024 && self.until.len() < before / 8 {
            self.until.shrink_to_fit();
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[async_trait]
impl Replay for Seen {
    async fn first_use(
        &self,
        proof: &ProofId,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<bool, DpopError> {
        self.note(proof, until, now)
    }
}

// === impl SeenByAll ===

/// The proofs that any replica has seen: first asked is this process's memory, then the vault that all share.
#[derive(Debug)]
pub struct SeenByAll {
    here: Arc<Seen>,
    vault: Vault,
}

impl SeenByAll {
    /// With this memory and that vault.
    #[must_use]
    pub fn new(here: Arc<Seen>, vault: Vault) -> Self {
        Self { here, vault }
    }
}

#[async_trait]
impl Replay for SeenByAll {
    async fn first_use(
        &self,
        proof: &ProofId,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<bool, DpopError> {
        if !self.here.note(proof, until, now)? {
            return Ok(false);
        }
        let key = Key::new("dpop", &[&proof.to_string()]);
        // A second more: the store's clock is another.
        let ttl = until.duration_since(now).unwrap_or_default() + Duration::from_secs(1);
        self.vault.put_if_absent(&key, &[1], ttl).await.map_err(|error| {
            tracing::warn!(%error, "the store cannot say whether a proof has been used before");
            DpopError::Unavailable
        })
    }
}

fn seconds(at: SystemTime) -> u32 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{later, now};
    use narthex_store::{Capacity, KeyRing, Memory};
    use proptest::prelude::*;

    fn target(url: &str) -> Target {
        Target::new(url).unwrap()
    }

    fn id(number: usize) -> ProofId {
        ProofId::new(&Thumbprint::of(b"key"), &target("https://gw.example/a"), &number.to_string())
    }

    #[test]
    fn a_proof_is_new_once_until_it_is_good_no_more() {
        let seen = Seen::new(100);
        assert_eq!(seen.note(&id(1), later(60), now()), Ok(true));
        assert_eq!(seen.note(&id(1), later(60), now()), Ok(false));
        assert_eq!(seen.note(&id(1), later(60), later(60)), Ok(false), "to the end of its last second");
        assert_eq!(seen.note(&id(2), later(60), now()), Ok(true));
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn the_same_jti_of_another_key_or_for_another_url_is_another_proof() {
        let seen = Seen::new(100);
        for (key, url, is_new) in [
            ("mallory", "https://gw.example/a", true),
            ("alice", "https://gw.example/a", true),
            ("alice", "https://gw.example/b", true),
            ("alice", "https://gw.example/a", false),
        ] {
            let id = ProofId::new(&Thumbprint::of(key.as_bytes()), &target(url), "jti");
            assert_eq!(seen.note(&id, later(60), now()), Ok(is_new), "{key} {url}");
        }
    }

    #[test]
    fn a_full_memory_forgets_none_and_accepts_none_until_some_are_outdated() {
        let seen = Seen::new(SHARDS * 32);
        let accepted = (0..10_000).filter(|n| seen.note(&id(*n), later(60), now()) == Ok(true)).count();
        assert_eq!((accepted, seen.len()), (SHARDS * 32, SHARDS * 32));
        let known = (0..10_000).filter(|n| seen.note(&id(*n), later(60), later(30)) == Ok(false)).count();
        assert_eq!(known, accepted, "each of them is still known");
        assert!((0..100).all(|n| seen.note(&id(20_000 + n), later(200), later(62)).is_ok()));
    }

    #[test]
    fn outdated_proofs_are_swept_away_and_their_room_given_back() {
        let seen = Seen::new(1_000_000);
        (0..100_000).for_each(|n| assert_eq!(seen.note(&id(n), later(60), now()), Ok(true)));
        (0..SHARDS / SWEPT).for_each(|_| seen.sweep(later(62)));
        assert!(seen.is_empty());
        let room: usize = seen.shards.iter().map(|shard| shard.lock().until.capacity()).sum();
        assert!(room < 10_000, "{room}");
    }

    #[test]
    fn of_many_at_once_one_is_the_first() {
        let seen = Seen::new(1000);
        let first = std::thread::scope(|scope| {
            let ask = || (0..200).filter(|n| seen.note(&id(*n), later(60), now()) == Ok(true)).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(first, 200);
    }

    #[tokio::test]
    async fn what_one_replica_has_seen_the_other_knows() {
        let capacity = Capacity { entries: 100.try_into().unwrap(), bytes: 1 << 16 };
        let clock = std::time::Instant::now();
        let store = Arc::new(Memory::new(capacity, Arc::new(move || clock)));
        let vault = Vault::new(store, KeyRing::new(vec![[7; 32]]));
        let replica = || SeenByAll::new(Arc::new(Seen::new(100)), vault.clone());
        let (one, other) = (replica(), replica());
        assert_eq!(one.first_use(&id(1), later(60), now()).await, Ok(true));
        assert_eq!(other.first_use(&id(1), later(60), now()).await, Ok(false));
        assert_eq!(one.first_use(&id(1), later(60), now()).await, Ok(false));
        assert_eq!(other.first_use(&id(2), later(60), now()).await, Ok(true));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_proof_is_twice_new_within_its_time(uses in prop::collection::vec((0usize..20, 0u64..100), 1..200)) {
            let seen = Seen::new(100_000);
            let mut known = HashMap::new();
            let mut clock = 0;
            for (proof, wait) in uses {
                clock += wait;
                let is_new = seen.note(&id(proof), later(clock + 60), later(clock)).unwrap();
                if known.get(&proof).is_some_and(|until| clock <= *until) {
                    prop_assert!(!is_new);
                } else if known.get(&proof).is_none_or(|until| clock > *until + 1) {
                    prop_assert!(is_new);
                }
                if is_new {
                    known.insert(proof, clock + 60);
                }
            }
        }
    }
}
