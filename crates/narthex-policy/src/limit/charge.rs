//! Counting one request against all limits that apply to it.

use super::{Bucket, InFlight, TenantLimit};
use crate::denial::{Denial, Limited};
use crate::permit::{LimitState, Permit};
use governor::nanos::Nanos;
use narthex_identity::Caller;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

/// When to try again where a call in flight has to end first, and nobody knows when that is.
const A_MOMENT: Duration = Duration::from_secs(1);
/// Least time to wait: a shorter one would be rounded down to none.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// What one request takes from the limits.
#[derive(Debug, Default)]
pub(crate) struct Charge<'a>(SmallVec<[Item<'a>; 4]>);

#[derive(Debug)]
struct Item<'a> {
    limit: &'a TenantLimit,
    bucket: Cow<'a, Bucket>,
    calls: NonZeroU32,
}

impl<'a> Charge<'a> {
    /// Adds a call of `tool` by `caller`, for `limit`.
    pub(crate) fn add(&mut self, limit: &'a TenantLimit, caller: &Caller, tool: Option<&str>) {
        let bucket = limit.bucket(caller, tool);
        self.0.push(Item { limit, bucket, calls: NonZeroU32::MIN });
    }

    /// Makes one item of all that are for the same bucket. Only a batch has such.
    pub(crate) fn merge(&mut self) {
        self.0.sort_by_key(|item| item.bucket.address());
        self.0.dedup_by(|item, before| {
            let same = item.bucket == before.bucket;
            if same {
                before.calls = before.calls.saturating_add(item.calls.get());
            }
            same
        });
    }

    /// Takes everything, or nothing.
    ///
    /// All limits are asked before the first is charged. If another request takes the last of one of
    /// them in between, those charged before stay charged: by one request too many, never too few.
    ///
    /// # Errors
    /// A limit is reached.
    pub(crate) fn take(&self, now: Nanos) -> Result<Permit, Denial> {
        let in_flight = self.begin()?;
        if self.0.len() > 1 {
            self.0.iter().try_for_each(|item| item.peek(now))?;
        }
        let mut tightest: Option<LimitState> = None;
        for item in &self.0 {
            let Some(state) = item.take(now)? else { continue };
            if tightest.as_ref().is_none_or(|least| state.remaining < least.remaining) {
                tightest = Some(state);
            }
        }
        Ok(Permit { in_flight, tightest })
    }

    fn begin(&self) -> Result<SmallVec<[InFlight; 2]>, Denial> {
        let mut begun = SmallVec::new();
        for item in &self.0 {
            begun.extend(item.begin()?);
        }
        Ok(begun)
    }
}

impl Item<'_> {
    fn begin(&self) -> Result<Option<InFlight>, Denial> {
        let Some(most) = self.limit.limit.concurrent else { return Ok(None) };
        match self.bucket.begin(self.calls.get(), most) {
            Some(begun) => Ok(Some(begun)),
            None => Err(self.denial(most, None, A_MOMENT)),
        }
    }

    fn peek(&self, now: Nanos) -> Result<(), Denial> {
        let Some(rate) = &self.limit.limit.rate else { return Ok(()) };
        rate.peek(&self.bucket, self.calls, now)
            .map_err(|wait| self.denial(rate.count, Some(rate.window), wait))
    }

    fn take(&self, now: Nanos) -> Result<Option<LimitState>, Denial> {
        let Some(rate) = &self.limit.limit.rate else { return Ok(None) };
        let remaining = rate
            .take(&self.bucket, self.calls, now)
            .map_err(|wait| self.denial(rate.count, Some(rate.window), wait))?;
        Ok(Some(LimitState {
            policy: self.limit.limit.name.clone(),
            count: rate.count,
            window: rate.window,
            remaining,
            reset: rate.reset(remaining),
        }))
    }

    fn denial(&self, count: u32, window: Option<Duration>, wait: Duration) -> Denial {
        Denial::Limited(Limited {
            policy: self.limit.limit.name.clone(),
            count,
            window,
            retry_after: wait.max(LEAST_WAIT),
        })
    }
}
