//! How many streams one caller has open.

use crate::record::Visit;
use crate::refusal::Refusal;
use dashmap::DashMap;
use narthex_identity::Caller;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Open streams, counted per caller. Lives as long as the process, over reloads.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    // Keyed by a secret hash of the caller: two callers sharing one count is as unlikely as 2^-64.
    counts: Arc<DashMap<u64, usize>>,
    total: Arc<AtomicUsize>,
    hasher: RandomState,
}

/// An open stream's place.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    counts: Arc<DashMap<u64, usize>>,
    total: Arc<AtomicUsize>,
    key: u64,
}

impl Streams {
    /// Takes a place for one more stream of `caller`.
    ///
    /// # Errors
    /// The caller has as many as it may.
    pub(crate) fn open(&self, caller: &Caller, visit: &Visit) -> Result<StreamGuard, Refusal> {
        let most = visit.snapshot.limits.streams_per_caller;
        self.take(self.key(caller), most).ok_or(Refusal::TooManyStreams)
    }

    /// Whether `caller` may open one more, without taking its place.
    ///
    /// # Errors
    /// The caller has as many as it may.
    pub(crate) fn check(&self, caller: &Caller, visit: &Visit) -> Result<(), Refusal> {
        let most = visit.snapshot.limits.streams_per_caller;
        if self.has_room(caller, most) { Ok(()) } else { Err(Refusal::TooManyStreams) }
    }

    /// Takes a place for a stream that is there already, even if it is one too many.
    pub(crate) fn join(&self, caller: &Caller) -> StreamGuard {
        let key = self.key(caller);
        *self.counts.entry(key).or_insert(0) += 1;
        self.guard(key)
    }

    fn has_room(&self, caller: &Caller, most: usize) -> bool {
        // With so few in all, nobody has too many: the map is not even looked into.
        self.open_now() < most || self.counts.get(&self.key(caller)).is_none_or(|count| *count < most)
    }

    fn take(&self, key: u64, most: usize) -> Option<StreamGuard> {
        {
            let mut count = self.counts.entry(key).or_insert(0);
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(self.guard(key))
    }

    fn guard(&self, key: u64) -> StreamGuard {
        self.total.fetch_add(1, Ordering::Relaxed);
        StreamGuard { counts: Arc::clone(&self.counts), total: Arc::clone(&self.total), key }
    }

    fn key(&self, caller: &Caller) -> u64 {
        self.hasher.hash_one((caller.tenant.as_str(), &*caller.issuer, &*caller.subject))
    }

    /// Streams open now.
    pub(crate) fn open_now(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        self.counts.remove_if_mut(&self.key, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_a_stream_counts_but_is_never_turned_away() {
        let streams = Streams::default();
        let (one, other) = (Caller::anonymous("acme".into()), Caller::anonymous("globex".into()));
        let held: Vec<_> = (0..2).map(|_| streams.join(&one)).collect();
        assert!(!streams.has_room(&one, 2) && streams.take(streams.key(&one), 2).is_none());
        let over = streams.join(&one);
        assert!(streams.has_room(&other, 2), "another caller's streams are its own");
        drop((held, over));
        assert!(streams.has_room(&one, 2) && streams.counts.is_empty());
        assert_eq!(streams.open_now(), 0);
    }
}
