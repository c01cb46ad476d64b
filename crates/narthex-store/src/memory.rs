//! The home of one process.

mod shard;
#[cfg(test)]
mod tests;

use crate::{Error, Key, LONGEST_TTL, Store};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use shard::Shard;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
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

    fn insert(&self, key: &Key, value: &Bytes, ttl: Duration, only_if_absent: bool) -> Result<bool, Error> {
        let size = size_of(key, value);
        if size > self.capacity.bytes {
            return Err(Error::TooLarge { size, most: self.capacity.bytes });
        }
        let now = (self.clock)();
        let mut shard = self.shard(key);
        self.expire(&mut shard, now);
        if only_if_absent && shard.get(key).is_some() {
            return Ok(false);
        }
        if let Some(old) = shard.remove(key) {
            self.count_out(key, &old);
        }
        if !ttl.is_zero() {
            // A copy: the bytes may be a slice that keeps a far larger buffer alive.
            shard.insert(key.clone(), Bytes::copy_from_slice(value), now + ttl.min(LONGEST_TTL));
            self.entries.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(size, Ordering::Relaxed);
        }
        drop(shard);
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

    fn expire(&self, shard: &mut Shard, now: Instant) {
        while let Some((key, value)) = shard.remove_ended(now) {
            self.count_out(&key, &value);
        }
    }

    /// Must be called with the shard of `key` locked, so that nobody counts what is not there yet.
    fn count_out(&self, key: &Key, value: &Bytes) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size_of(key, value), Ordering::Relaxed);
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        // The remainder is less than the number of shards.
        let at = self.hasher.hash_one(key) % SHARDS as u64;
        self.shards[at as usize].lock()
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        let now = (self.clock)();
        let mut shard = self.shard(key);
        self.expire(&mut shard, now);
        Ok(shard.get(key).cloned())
    }

    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.insert(key, &value, ttl, false).map(drop)
    }

    async fn put_if_absent(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, Error> {
        self.insert(key, &value, ttl, true)
    }

    async fn remove(&self, key: &Key) -> Result<bool, Error> {
        let now = (self.clock)();
        let mut shard = self.shard(key);
        self.expire(&mut shard, now);
        let removed = shard.remove(key);
        if let Some(value) = &removed {
            self.count_out(key, value);
        }
        Ok(removed.is_some())
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
