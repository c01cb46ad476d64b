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
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Thumbprint;

/// Shards of the memory; a power of two.
const SHARDS: usize = 64;
/// How much of a proof's digest is kept, bytes.
const KEPT: usize = 12;
/// Proofs in a shard whose room is not worth giving back.
const SMALL: usize = 64;
/// Shards that one sweep looks at.
const SWEPT: usize = 8;

/// Which proof it is: the digest of its key, its URL and `jti` (RFC 9449 §11.1), so that nobody can use up the
/// `jti` of another; and its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProofId {
    digest: [u8; 32],
    key: Thumbprint,
}

impl ProofId {
    pub(super) fn new(key: &Thumbprint, target: &Target, jti: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(key.as_bytes());
        // No URL has a line feed, so no two of them and a `jti` read the same.
        context.update(target.as_str().as_bytes());
        context.update(b"\n");
        context.update(jti.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self { digest, key: *key }
    }
}

/// Base64url without padding, of the digest.
impl fmt::Display for ProofId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.digest))
    }
}

/// Remembers proofs until they are good no more.
#[async_trait]
pub trait Replay: fmt::Debug + Send + Sync {
    /// Remembers `proof` until `until`; whether this is its first use. Of many at once that ask about one
    /// proof, exactly one is told `true`.
    ///
    /// # Errors
    /// [`DpopError::Full`], [`DpopError::TooMany`] or [`DpopError::Unavailable`]: it cannot be told, so the proof is
    /// not to be accepted.
    async fn first_use(&self, proof: &ProofId, until: SystemTime, now: SystemTime)
    -> Result<bool, DpopError>;
}

// === impl Seen ===

/// The proofs that this process has seen: bounded, in shards. When there is no room it accepts no more,
/// rather than to forget one that could come again.
///
/// No key has more of the room than it leaves free: of what there is room for, one that floods it has half, two have
/// two thirds, and there is always some left for a key that has few.
pub struct Seen {
    hasher: RandomState,
    /// By key, so that what is one key's is in one.
    shards: Box<[Mutex<Shard>]>,
    capacity: AtomicUsize,
    held: AtomicUsize,
    next_sweep: AtomicUsize,
    /// When all shards were swept for want of room, seconds since the epoch.
    swept: AtomicU32,
}

#[derive(Default)]
struct Shard {
    proofs: HashMap<[u8; KEPT], Used, RandomState>,
    /// How many there are of each key.
    keys: HashMap<KeyId, usize, RandomState>,
}

/// The beginning of a thumbprint. Whoever makes keys until one begins as another's harms nobody but who has that.
type KeyId = [u8; 8];

/// A proof that was used.
struct Used {
    /// Until when it is good, in seconds since the epoch.
    until: u32,
    by: KeyId,
}

impl Seen {
    /// Room for about `capacity` proofs.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            capacity: AtomicUsize::new(capacity),
            held: AtomicUsize::new(0),
            next_sweep: AtomicUsize::new(0),
            swept: AtomicU32::new(0),
        }
    }

    /// Changes how many there is room for. None is forgotten.
    pub fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
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
                self.sweep_one(shard, seconds(now));
            }
        }
    }

    /// As [`Replay::first_use`], at once.
    ///
    /// # Errors
    /// [`DpopError::Full`] or [`DpopError::TooMany`].
    pub fn note(&self, proof: &ProofId, until: SystemTime, now: SystemTime) -> Result<bool, DpopError> {
        let (until, now) = (seconds(until), seconds(now));
        match self.try_note(proof, until, now) {
            Err(_) if self.make_room(now) => self.try_note(proof, until, now),
            noted => noted,
        }
    }

    fn try_note(&self, proof: &ProofId, until: u32, now: u32) -> Result<bool, DpopError> {
        let (id, _) = proof.digest.split_first_chunk::<KEPT>().ok_or(DpopError::Full)?;
        let (by, _) = proof.key.as_bytes().split_first_chunk().ok_or(DpopError::Full)?;
        let at = usize::try_from(self.hasher.hash_one(by) >> 48).unwrap_or(0) % SHARDS;
        let mut shard = self.shards.get(at).ok_or(DpopError::Full)?.lock();
        let known = shard.proofs.get(id);
        if known.is_some_and(|used| now < used.until) {
            return Ok(false);
        }
        let is_new = known.is_none();
        if is_new {
            let free = self.capacity.load(Ordering::Relaxed).saturating_sub(self.len());
            let has = shard.keys.get(by).copied().unwrap_or_default();
            if has >= free {
                return Err(if has == 0 { DpopError::Full } else { DpopError::TooMany });
            }
            *shard.keys.entry(*by).or_default() += 1;
            self.held.fetch_add(1, Ordering::Relaxed);
        }
        // To the end of the second: never a moment too short.
        shard.proofs.insert(*id, Used { until: until.saturating_add(1), by: *by });
        Ok(true)
    }

    /// Forgets all outdated proofs, once a second at most: want of room must not cost a walk for every proof. Whether
    /// it did.
    fn make_room(&self, now: u32) -> bool {
        let last = self.swept.load(Ordering::Relaxed);
        let is_due = last != now
            && self.swept.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_due {
            self.shards.iter().for_each(|shard| self.sweep_one(shard, now));
        }
        is_due
    }

    fn sweep_one(&self, shard: &Mutex<Shard>, now: u32) {
        self.held.fetch_sub(shard.lock().sweep(now), Ordering::Relaxed);
    }
}

impl Shard {
    /// Forgets what is outdated; how much that was.
    fn sweep(&mut self, now: u32) -> usize {
        let Self { proofs, keys } = self;
        let before = proofs.len();
        proofs.retain(|_, used| {
            let is_good = now < used.until;
            if !is_good && let Some(has) = keys.get_mut(&used.by) {
                *has = has.saturating_sub(1);
            }
            is_good
        });
        keys.retain(|_, has| *has > 0);
        // How much room there is cannot be asked: places of what was removed may not count.
        if proofs.is_empty() || before > SMALL && proofs.len() < before / 8 {
            proofs.shrink_to_fit();
            keys.shrink_to_fit();
        }
        before - proofs.len()
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
mod tests;
