//! What a limit remembers of one key.

use governor::nanos::Nanos;
use governor::state::StateStore;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The state of one key of one limit, shared by all who use it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bucket(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// GCRA's "theoretical arrival time", nanoseconds on the policy's time line; 0: never used.
    arrival: AtomicU64,
    /// Calls in flight.
    in_flight: AtomicU32,
}

/// A number of calls in flight. They have ended when this is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    bucket: Bucket,
    calls: u32,
}

impl Bucket {
    /// Begins `calls` calls, if then no more than `most` are in flight.
    pub(super) fn begin(&self, calls: u32, most: u32) -> Option<InFlight> {
        let more = |now: u32| now.checked_add(calls).filter(|then| *then <= most);
        self.0.in_flight.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
        Some(InFlight { bucket: self.clone(), calls })
    }

    /// Whether a new bucket would decide just like this one, and nobody else holds it.
    pub(super) fn is_idle(&self, now: Nanos) -> bool {
        Arc::strong_count(&self.0) == 1
            && self.0.in_flight.load(Ordering::Acquire) == 0
            && self.0.arrival.load(Ordering::Acquire) <= now.as_u64()
    }

    pub(crate) fn address(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }

    fn arrival(arrival: u64) -> Option<Nanos> {
        NonZeroU64::new(arrival).map(|nanos| nanos.get().into())
    }
}

// governor wants keys that can be compared; two buckets are the same if they are one.
impl PartialEq for Bucket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Bucket {}

impl Hash for Bucket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.bucket.0.in_flight.fetch_sub(self.calls, Ordering::AcqRel);
    }
}

/// Takes from a bucket: governor's decision is kept.
#[derive(Debug)]
pub(super) struct Take;

impl StateStore for Take {
    type Key = Bucket;

    fn measure_and_replace<T, F, E>(&self, bucket: &Bucket, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let arrival = &bucket.0.arrival;
        let mut seen = arrival.load(Ordering::Acquire);
        loop {
            let (outcome, next) = decide(Bucket::arrival(seen))?;
            match arrival.compare_exchange_weak(seen, next.into(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(outcome),
                Err(changed) => seen = changed,
            }
        }
    }
}

/// Looks into a bucket: governor's decision changes nothing.
#[derive(Debug)]
pub(super) struct Peek;

impl StateStore for Peek {
    type Key = Bucket;

    fn measure_and_replace<T, F, E>(&self, bucket: &Bucket, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        decide(Bucket::arrival(bucket.0.arrival.load(Ordering::Acquire))).map(|(outcome, _)| outcome)
    }
}
