//! A number of requests in a time, with bursts: GCRA, by governor.

use super::bucket::{Bucket, Peek, Take};
use super::clock::{CallTime, at};
use governor::middleware::{NoOpMiddleware, StateInformationMiddleware};
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use narthex_config::model::Limits;
use std::num::NonZeroU32;
use std::time::Duration;

/// Longest time to refill a bucket, nanoseconds (36 years), so that no sum in governor can overflow.
const LONGEST_REFILL: u64 = 1 << 60;

/// `requests:` and `burst:` of a limit.
#[derive(Debug)]
pub(super) struct Rate {
    take: RateLimiter<Bucket, Take, CallTime, StateInformationMiddleware>,
    peek: RateLimiter<Bucket, Peek, CallTime, NoOpMiddleware<Nanos>>,
    /// Requests per window.
    pub(super) count: u32,
    pub(super) window: Duration,
    burst: NonZeroU32,
    /// Time in which one request comes back.
    period: Duration,
}

impl Rate {
    /// The rate of `limits`, if they have one.
    pub(super) fn of(limits: &Limits) -> Option<Self> {
        let rate = limits.requests?;
        // Rounded up: the rate is a most, so the error must not add requests.
        let period = nanos(rate.window).div_ceil(rate.count.get().into()).clamp(1, LONGEST_REFILL);
        let most_burst = u32::try_from(LONGEST_REFILL / period).unwrap_or(u32::MAX);
        let burst = limits.burst.unwrap_or(rate.count).min(NonZeroU32::new(most_burst)?);
        let period = Duration::from_nanos(period);
        let quota = Quota::with_period(period)?.allow_burst(burst);
        // The limiters' time line begins where the policy's does, so that buckets outlive them.
        Some(Self {
            take: at(0.into(), || RateLimiter::new(quota, Take, CallTime)),
            peek: at(0.into(), || RateLimiter::new(quota, Peek, CallTime)),
            count: rate.count.get(),
            window: rate.window,
            burst,
            period,
        })
    }

    /// Takes `calls` from the bucket and says how many are left.
    ///
    /// # Errors
    /// There are not so many; they will be after this time.
    pub(super) fn take(&self, bucket: &Bucket, calls: NonZeroU32, now: Nanos) -> Result<u32, Duration> {
        self.fits(calls)?;
        match at(now, || self.take.check_key_n(bucket, calls)) {
            Ok(Ok(state)) => Ok(state.remaining_burst_capacity()),
            Ok(Err(until)) => Err(until.wait_time_from(now)),
            Err(_) => Err(self.refill(self.burst.get())),
        }
    }

    /// Whether [`Self::take`] would succeed now.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn peek(&self, bucket: &Bucket, calls: NonZeroU32, now: Nanos) -> Result<(), Duration> {
        self.fits(calls)?;
        match at(now, || self.peek.check_key_n(bucket, calls)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(now)),
            Err(_) => Err(self.refill(self.burst.get())),
        }
    }

    /// Time until the bucket is full if `remaining` are left in it.
    pub(super) fn reset(&self, remaining: u32) -> Duration {
        self.refill(self.burst.get().saturating_sub(remaining))
    }

    /// A batch of more calls than the burst can never pass. governor says so too, but only after a
    /// multiplication that a huge batch would overflow.
    fn fits(&self, calls: NonZeroU32) -> Result<(), Duration> {
        if calls <= self.burst { Ok(()) } else { Err(self.refill(self.burst.get())) }
    }

    fn refill(&self, calls: u32) -> Duration {
        self.period.saturating_mul(calls)
    }
}

/// Length of a time in nanoseconds, at most 584 years.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
