//! The home of one process.

mod shard;
#[cfg(test)]
mod tests;

use crate::{Condition, Error, Key, LONGEST_TTL, Store};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use shard::Shard;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::iter;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// More than there are threads that meet here, usually.
const SHARDS: usize = 32;

/// How much a [`Memory`] may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capacity {
    /// Values.
    pub entries: NonZeroUsize,
    /// Bytes of keys and values together.
    pub bytes: usize,
}

/// How much a [`Memory`] holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Values, counting those whose time is over until they are noticed.
    pub entries: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
    /// Values that had to go before their time, ever.
    pub evicted: u64,
}

/// A store in memory, gone with the process and known to no other replica.
///
/// When it is full, what would end soonest goes first, except for the value that was just put. So a value
/// may go early, but only to make room for others. Between threads that put at the same moment, what is
/// held may exceed the capacity by what they put, for that moment.
pub struct Memory {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    capacity: Capacity,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    evicted: AtomicU64,
    clock: Clock,
}

// === impl Memory ===

impl Memory {
    /// An empty store that goes by the time of `clock`.
    #[must_use]
    pub fn new(capacity: Capacity, clock: Clock) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            capacity,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            clock,
        }
    }

    /// How much it holds, for metrics.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            entries: self.entries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    fn write_now(
        &self,
        (key, former): (&Key, &[Key]),
        value: &Bytes,
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, Error> {
        let size = size_of(key, value);
        if size > self.capacity.bytes {
            return Err(Error::TooLarge { size, most: self.capacity.bytes });
        }
        let now = (self.clock)();
        let mut held = self.lock(key, former, now);
        let found = held.find(key, former);
        if !condition.holds(found.as_deref()) {
            return Ok(false);
        }
        held.forget(key, former);
        if !ttl.is_zero() {
            // A copy: the bytes may be a slice that keeps a far larger buffer alive.
            held.insert(key, Bytes::copy_from_slice(value), now + ttl.min(LONGEST_TTL));
        }
        drop(held);
        self.make_room(key, now);
        Ok(true)
    }

    /// Forgets what would end soonest until the rest fits. `kept` stays.
    fn make_room(&self, kept: &Key, now: Instant) {
        while self.is_over() {
            let soonest = self.shards.iter().filter_map(|shard| Some((shard.lock().soonest(kept)?, shard)));
            let Some((_, shard)) = soonest.min_by_key(|(end, _)| *end) else { return };
            let mut shard = shard.lock();
            // Somebody else may have made room, or taken it, meanwhile.
            if let Some((key, value, end)) = shard.remove_soonest(kept) {
                self.count_out(&key, &value);
                self.evicted.fetch_add(u64::from(end > now), Ordering::Relaxed);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.entries.load(Ordering::Relaxed) > self.capacity.entries.get()
            || self.bytes.load(Ordering::Relaxed) > self.capacity.bytes
    }

    /// Must be called with the shard of `key` locked, so that nobody counts what is not there yet.
    fn count_out(&self, key: &Key, value: &Bytes) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size_of(key, value), Ordering::Relaxed);
    }

    fn shard_of(&self, key: &Key) -> usize {
        // The remainder is less than the number of shards.
        (self.hasher.hash_one(key) % SHARDS as u64) as usize
    }

    /// Locks the shards of all these keys, in the order of the shards, so that no two wait for each other.
    fn lock(&self, key: &Key, former: &[Key], now: Instant) -> Held<'_> {
        let mut at: Vec<usize> = iter::once(key).chain(former).map(|key| self.shard_of(key)).collect();
        at.sort_unstable();
        at.dedup();
        let mut held = Held { memory: self, shards: Vec::with_capacity(at.len()) };
        for at in at {
            let mut shard = self.shards[at].lock();
            while let Some((key, value)) = shard.remove_ended(now) {
                self.count_out(&key, &value);
            }
            held.shards.push((at, shard));
        }
        held
    }
}

/// Some shards of a [`Memory`], locked, without what has ended.
struct Held<'a> {
    memory: &'a Memory,
    shards: Vec<(usize, MutexGuard<'a, Shard>)>,
}

impl Held<'_> {
    fn shard(&mut self, key: &Key) -> Option<&mut Shard> {
        let wanted = self.memory.shard_of(key);
        self.shards.iter_mut().find(|(at, _)| *at == wanted).map(|(_, shard)| &mut **shard)
    }

    fn find(&mut self, key: &Key, former: &[Key]) -> Option<Bytes> {
        iter::once(key).chain(former).find_map(|key| self.shard(key)?.get(key).cloned())
    }

    fn forget(&mut self, key: &Key, former: &[Key]) {
        for key in iter::once(key).chain(former) {
            if let Some(value) = self.shard(key).and_then(|shard| shard.remove(key)) {
                self.memory.count_out(key, &value);
            }
        }
    }

    /// `key` must not be there.
    fn insert(&mut self, key: &Key, value: Bytes, end: Instant) {
        let (memory, size) = (self.memory, size_of(key, &value));
        if let Some(shard) = self.shard(key) {
            shard.insert(key.clone(), value, end);
            memory.entries.fetch_add(1, Ordering::Relaxed);
            memory.bytes.fetch_add(size, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Store for Memory {
    async fn read(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        Ok(self.lock(key, former, (self.clock)()).find(key, former))
    }

    async fn withdraw(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        let mut held = self.lock(key, former, (self.clock)());
        let found = held.find(key, former);
        held.forget(key, former);
        Ok(found)
    }

    async fn write(
        &self,
        key: &Key,
        former: &[Key],
        value: Bytes,
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, Error> {
        self.write_now((key, former), &value, ttl, condition)
    }

    fn usage(&self) -> Option<Usage> {
        Some(Self::usage(self))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { capacity, .. } = self;
        f.debug_struct("Memory")
            .field("capacity", capacity)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

fn size_of(key: &Key, value: &Bytes) -> usize {
    key.as_str().len() + value.len()
}
