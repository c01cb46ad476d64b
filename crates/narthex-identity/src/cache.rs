//! Tokens that were verified lately: the way that almost every request takes.
//!
//! A fixed number of shards, each a slab with a hash index beside it, so that a hit is one hash, one
//! read lock of its shard, one comparison of the whole token and one reference count. Full shards make
//! room by the clock algorithm (second chance). Token bytes are zeroised when they leave.

use crate::jwt::claims::Verified;
use crate::{Presented, TokenError};
use ahash::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Shards of one cache; a power of two.
const SHARDS: usize = 64;
/// How much of a token's end is hashed, bytes: the signature, different for every token. What is compared
/// is the whole token; should many end alike, they share a shard, whose size bounds the search.
const HASHED: usize = 64;
/// Slots that making room looks at before it takes one that was used lately.
const LOOKS: usize = 8;

/// What was found out about a token.
pub(crate) type Outcome = Result<Verified, TokenError>;

/// One token and what was found out about it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Who found it out: the id of a configured issuer.
    pub(crate) issuer: u64,
    /// The generation of the issuer's keys at that time.
    pub(crate) generation: u64,
    pub(crate) outcome: Outcome,
    /// When it is to be found out again.
    pub(crate) until: SystemTime,
}

/// A bounded map from tokens to entries.
pub(crate) struct TokenCache {
    hasher: RandomState,
    shards: Box<[RwLock<Shard>]>,
    capacity: usize,
    next_sweep: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    index: HashTable<usize>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    hand: usize,
}

struct Slot {
    token: Zeroizing<Box<[u8]>>,
    entry: Entry,
    used: AtomicBool,
}

impl TokenCache {
    /// A cache for about `capacity` tokens (rounded up to a multiple of 64).
    pub(crate) fn new(capacity: usize) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { hasher: RandomState::new(), shards, capacity, next_sweep: AtomicUsize::new(0) }
    }

    /// What [`new`](Self::new) was given.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// A token that was verified, if it is here, not outdated, and `is_current(issuer, generation)`.
    pub(crate) fn get(
        &self,
        token: &str,
        resource: &str,
        now: SystemTime,
        is_current: impl Fn(u64, u64) -> bool,
    ) -> Option<Result<Presented, TokenError>> {
        let hash = hash_of(token.as_bytes(), &self.hasher);
        let shard = self.shard(hash).read();
        let slot = shard.find(hash, token.as_bytes())?;
        let entry = &slot.entry;
        if now >= entry.until || !is_current(entry.issuer, entry.generation) {
            return None;
        }
        // Written only once a turn of the hand: the line stays shared between cores.
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(match &entry.outcome {
            Ok(verified) => verified.for_resource(resource),
            Err(error) => Err(*error),
        })
    }

    /// Remembers a token, in place of another one if need be.
    pub(crate) fn insert(&self, token: &str, entry: Entry, now: SystemTime) {
        let room = self.capacity.div_ceil(SHARDS);
        if room == 0 {
            return;
        }
        let hash = hash_of(token.as_bytes(), &self.hasher);
        let mut shard = self.shard(hash).write();
        shard.remove(hash, token.as_bytes());
        if shard.index.len() >= room {
            shard.make_room(&self.hasher, now);
        }
        shard.insert(hash, Slot::new(token, entry), &self.hasher);
    }

    /// Forgets outdated tokens in one of the shards, another one each time.
    pub(crate) fn sweep(&self, now: SystemTime) {
        let at = self.next_sweep.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut shard = self.shards[at].write();
        for slot in 0..shard.slots.len() {
            if shard.slots[slot].as_ref().is_some_and(|slot| now >= slot.entry.until) {
                shard.evict(slot, &self.hasher);
            }
        }
    }

    /// The high bits choose the shard; the index within it uses the others.
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        let at = usize::try_from(hash >> 48).unwrap_or(0) % SHARDS;
        &self.shards[at]
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().index.len()).sum()
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Slot {
    fn new(token: &str, entry: Entry) -> Self {
        Self { token: Zeroizing::new(token.as_bytes().into()), entry, used: AtomicBool::new(false) }
    }
}

impl Shard {
    fn find(&self, hash: u64, token: &[u8]) -> Option<&Slot> {
        let at = self.index.find(hash, |at| self.holds(*at, token))?;
        self.slots[*at].as_ref()
    }

    fn holds(&self, at: usize, token: &[u8]) -> bool {
        self.slots[at].as_ref().is_some_and(|slot| **slot.token == *token)
    }

    fn insert(&mut self, hash: u64, slot: Slot, hasher: &RandomState) {
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = Some(slot);
                at
            }
            None => {
                self.slots.push(Some(slot));
                self.slots.len() - 1
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |at| hash_of_slot(&slots[*at], hasher));
    }

    fn remove(&mut self, hash: u64, token: &[u8]) {
        let slots = &mut self.slots;
        let holds = |at: &usize| slots[*at].as_ref().is_some_and(|slot| **slot.token == *token);
        if let Ok(found) = self.index.find_entry(hash, holds) {
            let (at, _) = found.remove();
            self.slots[at] = None;
            self.free.push(at);
        }
    }

    fn evict(&mut self, at: usize, hasher: &RandomState) {
        let hash = hash_of_slot(&self.slots[at], hasher);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == at) {
            found.remove();
        }
        self.slots[at] = None;
        self.free.push(at);
    }

    /// Evicts the next token that is outdated or was not used since the hand last passed it; after a
    /// few that were, the one under the hand.
    fn make_room(&mut self, hasher: &RandomState, now: SystemTime) {
        for look in 0..self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(slot) = &self.slots[self.hand] else { continue };
            let spared = slot.used.swap(false, Ordering::Relaxed) && now < slot.entry.until;
            if !spared || look >= LOOKS {
                return self.evict(self.hand, hasher);
            }
        }
        if let Some(at) = self.slots.iter().position(Option::is_some) {
            self.evict(at, hasher);
        }
    }
}

fn hash_of(token: &[u8], hasher: &RandomState) -> u64 {
    hasher.hash_one(&token[token.len().saturating_sub(HASHED)..])
}

fn hash_of_slot(slot: &Option<Slot>, hasher: &RandomState) -> u64 {
    slot.as_ref().map_or(0, |slot| hash_of(&slot.token, hasher))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Caller;
    use narthex_config::model::TenantId;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    const RESOURCE: &str = "https://gw.example/a";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn entry(until: u64) -> Entry {
        let caller = Arc::new(Caller::anonymous(TenantId::from("acme")));
        let verified =
            Verified { caller, binding: None, audience: [RESOURCE.into()].into(), until: at(until) };
        Entry { issuer: 1, generation: 0, outcome: Ok(verified), until: at(until) }
    }

    fn get(cache: &TokenCache, token: &str, now: u64) -> Option<Result<Presented, TokenError>> {
        cache.get(token, RESOURCE, at(now), |_, _| true)
    }

    #[test]
    fn a_token_is_found_until_it_expires() {
        let cache = TokenCache::new(100);
        cache.insert("abc", entry(10), at(0));
        assert!(get(&cache, "abc", 9).unwrap().is_ok());
        assert!(get(&cache, "abc", 10).is_none());
        assert!(get(&cache, "abd", 0).is_none());
    }

    #[test]
    fn the_audience_is_compared_at_every_hit() {
        let cache = TokenCache::new(100);
        cache.insert("abc", entry(10), at(0));
        let elsewhere = cache.get("abc", "https://gw.example/b", at(0), |_, _| true);
        assert_eq!(elsewhere, Some(Err(TokenError::WrongAudience)));
    }

    #[test]
    fn a_token_of_an_issuer_or_keys_no_longer_current_is_not_found() {
        let cache = TokenCache::new(100);
        cache.insert("abc", entry(10), at(0));
        assert!(
            cache.get("abc", RESOURCE, at(0), |issuer, generation| (issuer, generation) == (1, 0)).is_some()
        );
        assert!(cache.get("abc", RESOURCE, at(0), |_, generation| generation == 1).is_none());
    }

    #[test]
    fn outdated_tokens_are_swept_away() {
        let cache = TokenCache::new(1000);
        for i in 0..200 {
            cache.insert(&format!("t{i}"), entry(10 + i % 2 * 100), at(0));
        }
        for _ in 0..SHARDS {
            cache.sweep(at(50));
        }
        assert_eq!(cache.len(), 100);
    }

    #[test]
    fn a_token_in_use_outlives_a_flood_of_others() {
        let cache = TokenCache::new(SHARDS * 4);
        cache.insert("mine", entry(10), at(0));
        for i in 0..10_000 {
            assert!(get(&cache, "mine", 1).is_some(), "after {i}");
            cache.insert(&format!("t{i}"), entry(10), at(0));
        }
    }

    #[test]
    fn tokens_that_end_alike_are_told_apart() {
        let cache = TokenCache::new(SHARDS * 8);
        let end = "x".repeat(2 * HASHED);
        cache.insert(&format!("a{end}"), entry(10), at(0));
        cache.insert(&format!("b{end}"), entry(20), at(0));
        assert!(get(&cache, &format!("a{end}"), 15).is_none());
        assert!(get(&cache, &format!("b{end}"), 15).is_some());
        assert!(get(&cache, &format!("c{end}"), 15).is_none());
    }

    #[test]
    fn a_cache_of_no_size_holds_nothing() {
        let cache = TokenCache::new(0);
        cache.insert("abc", entry(10), at(0));
        assert_eq!(cache.len(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_bounded_and_never_mixes_tokens_up(
            ops in prop::collection::vec((0u64..600, 1u64..40, 0u64..40), 1..800),
        ) {
            let cache = TokenCache::new(SHARDS * 2);
            for (token, until, now) in ops {
                let name = format!("t{token}");
                let mut entry = entry(until);
                entry.issuer = token;
                cache.insert(&name, entry, at(now));
                prop_assert!(cache.len() <= SHARDS * 2);
                let found = cache.get(&name, RESOURCE, at(now), |issuer, _| issuer == token);
                prop_assert_eq!(found.is_some(), now < until);
            }
        }
    }
}
