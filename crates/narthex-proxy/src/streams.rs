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
        let key = self.hasher.hash_one((caller.tenant.as_str(), &*caller.issuer, &*caller.subject));
        let mut count = self.counts.entry(key).or_insert(0);
        if *count >= visit.snapshot.limits.streams_per_caller {
            return Err(Refusal::TooManyStreams);
        }
        *count += 1;
        self.total.fetch_add(1, Ordering::Relaxed);
        Ok(StreamGuard { counts: Arc::clone(&self.counts), total: Arc::clone(&self.total), key })
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
