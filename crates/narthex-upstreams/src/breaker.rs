//! The circuit breaker: a server that keeps failing is left alone for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When to look again while a probe is under way.
const PROBING: Duration = Duration::from_secs(1);

/// Counts failures in a row and refuses calls while open. All of it is atomics: no lock.
#[derive(Debug)]
pub struct Breaker {
    threshold: u32,
    cooldown: Duration,
    epoch: Instant,
    failures: AtomicU32,
    /// Milliseconds after `epoch` at which a probe may go; 0 while closed.
    open_until: AtomicU64,
    probing: AtomicBool,
}

impl Breaker {
    /// A closed breaker that opens after `threshold` failures in a row, for `cooldown`.
    #[must_use]
    pub fn new(threshold: u32, cooldown: Duration, now: Instant) -> Self {
        Self {
            threshold,
            cooldown,
            epoch: now,
            failures: AtomicU32::new(0),
            open_until: AtomicU64::new(0),
            probing: AtomicBool::new(false),
        }
    }

    /// Lets a call through, or says after how long to try again.
    ///
    /// While open, nothing passes until the cooldown is over; then one call at a time goes as a
    /// probe, whose outcome closes or re-opens the breaker.
    ///
    /// # Errors
    /// The time until the next probe may go.
    pub fn enter(self: &Arc<Self>, now: Instant) -> Result<Passage, Duration> {
        let open_until = self.open_until.load(Ordering::Acquire);
        if open_until == 0 {
            return Ok(Passage { breaker: Arc::clone(self), probe: false, settled: false });
        }
        let elapsed = self.elapsed(now);
        if elapsed < open_until {
            return Err(Duration::from_millis(open_until - elapsed));
        }
        if self.probing.swap(true, Ordering::AcqRel) {
            return Err(PROBING);
        }
        Ok(Passage { breaker: Arc::clone(self), probe: true, settled: false })
    }

    /// How long [`Breaker::enter`] goes on refusing: no time while closed, or when a probe may go.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Duration {
        match self.open_until.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            until => match until.saturating_sub(self.elapsed(now)) {
                0 if self.probing.load(Ordering::Acquire) => PROBING,
                left => Duration::from_millis(left),
            },
        }
    }

    /// Whether calls are being refused.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open_until.load(Ordering::Acquire) != 0
    }

    fn elapsed(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn succeeded(&self) {
        // Read first: the counter's cache line stays shared while all is well.
        if self.failures.load(Ordering::Relaxed) != 0 || self.is_open() {
            self.failures.store(0, Ordering::Relaxed);
            self.open_until.store(0, Ordering::Release);
        }
    }

    fn failed(&self, probe: bool, now: Instant) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if probe || failures >= self.threshold {
            let until = self
                .elapsed(now)
                .saturating_add(u64::try_from(self.cooldown.as_millis()).unwrap_or(u64::MAX));
            self.open_until.store(until.max(1), Ordering::Release);
        }
    }
}

/// Leave to make one call. Tell it how the call went; one that is dropped untold counts as neither.
#[derive(Debug)]
pub struct Passage {
    breaker: Arc<Breaker>,
    probe: bool,
    settled: bool,
}

impl Passage {
    /// The server answered.
    pub fn succeeded(&mut self) {
        if !std::mem::replace(&mut self.settled, true) {
            self.breaker.succeeded();
            self.step_aside();
        }
    }

    /// The server did not answer, or with a 5xx.
    pub fn failed(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.settled, true) {
            self.breaker.failed(self.probe, now);
            self.step_aside();
        }
    }

    /// Makes room for the next probe. What is known of the call is known: its answer may go on for hours.
    fn step_aside(&mut self) {
        if std::mem::take(&mut self.probe) {
            self.breaker.probing.store(false, Ordering::Release);
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.step_aside();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(10);

    fn breaker(now: Instant) -> Arc<Breaker> {
        Arc::new(Breaker::new(3, COOLDOWN, now))
    }

    fn fail(breaker: &Arc<Breaker>, now: Instant) {
        breaker.enter(now).unwrap().failed(now);
    }

    #[test]
    fn it_opens_after_the_configured_failures_in_a_row() {
        let now = Instant::now();
        let b = breaker(now);
        fail(&b, now);
        fail(&b, now);
        assert!(!b.is_open());
        fail(&b, now);
        assert_eq!(b.enter(now).unwrap_err(), COOLDOWN);
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let now = Instant::now();
        let b = breaker(now);
        for _ in 0..5 {
            fail(&b, now);
            fail(&b, now);
            b.enter(now).unwrap().succeeded();
        }
        assert!(!b.is_open());
    }

    #[test]
    fn after_the_cooldown_one_probe_goes_and_decides() {
        let now = Instant::now();
        let b = breaker(now);
        (0..3).for_each(|_| fail(&b, now));
        let later = now + COOLDOWN;
        let mut probe = b.enter(later).unwrap();
        assert!(b.enter(later).is_err(), "only one probe at a time");
        probe.failed(later);
        drop(probe);
        assert!(b.enter(later + Duration::from_secs(9)).is_err(), "a failed probe re-opens it");
        let mut probe = b.enter(later + COOLDOWN).unwrap();
        probe.succeeded();
        drop(probe);
        assert!(!b.is_open());
    }

    #[test]
    fn the_wait_is_what_a_refused_call_is_told() {
        let now = Instant::now();
        let b = breaker(now);
        assert_eq!(b.wait(now), Duration::ZERO);
        (0..3).for_each(|_| fail(&b, now));
        let later = now + Duration::from_secs(4);
        assert_eq!(b.wait(later), b.enter(later).unwrap_err());
        assert_eq!(b.wait(now + COOLDOWN), Duration::ZERO, "a probe may go");
        let probe = b.enter(now + COOLDOWN).unwrap();
        assert_eq!(b.wait(now + COOLDOWN), b.enter(now + COOLDOWN).unwrap_err(), "but only one");
        drop(probe);
        assert_eq!(b.wait(now + COOLDOWN), Duration::ZERO);
    }

    #[test]
    fn a_probe_whose_answer_is_a_long_stream_does_not_keep_out_the_next_one() {
        let now = Instant::now();
        let b = breaker(now);
        (0..3).for_each(|_| fail(&b, now));
        let mut stream = b.enter(now + COOLDOWN).unwrap();
        stream.succeeded();
        (0..3).for_each(|_| fail(&b, now + COOLDOWN));
        let next = b.enter(now + 2 * COOLDOWN).unwrap();
        drop(stream);
        assert!(b.enter(now + 2 * COOLDOWN).is_err(), "the old stream's end is not the new probe's");
        drop(next);
    }

    #[test]
    fn a_probe_that_was_given_up_makes_room_for_the_next() {
        let now = Instant::now();
        let b = breaker(now);
        (0..3).for_each(|_| fail(&b, now));
        drop(b.enter(now + COOLDOWN).unwrap());
        assert!(b.enter(now + COOLDOWN).is_ok());
        assert!(b.is_open());
    }
}
