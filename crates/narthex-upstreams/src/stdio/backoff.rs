//! When a process that ended may be started again.

use narthex_config::model::Restart;
use std::time::{Duration, Instant};

/// A process that has lived for so long ended for another reason than that it was started.
const PROVEN: Duration = Duration::from_secs(30);

/// The waits of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    wait: Duration,
    until: Option<Instant>,
}

impl Backoff {
    /// Whether it may be started now.
    ///
    /// # Errors
    /// It ended a short while ago: how long to wait.
    pub(super) fn check(&self, now: Instant) -> Result<(), Duration> {
        match self.until.map(|until| until.saturating_duration_since(now)) {
            Some(left) if !left.is_zero() => Err(left),
            _ => Ok(()),
        }
    }

    /// It ended by itself, or could not be started.
    pub(super) fn ended(&mut self, started: Instant, now: Instant, restart: &Restart) {
        let proven = now.saturating_duration_since(started) >= PROVEN;
        self.wait = if proven || self.wait.is_zero() { restart.min } else { self.wait * 2 };
        self.wait = self.wait.clamp(restart.min, restart.max.max(restart.min));
        self.until = Some(now + self.wait);
    }

    /// Whether nothing is lost by forgetting it.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now.saturating_duration_since(until) >= PROVEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTART: Restart = Restart { min: Duration::from_millis(500), max: Duration::from_secs(3) };

    fn waits(lives: &[u64]) -> Vec<u128> {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        let wait = |life: &u64| {
            let started = now;
            now += Duration::from_secs(*life);
            backoff.ended(started, now, &RESTART);
            let wait = backoff.check(now).unwrap_err();
            now += wait;
            assert!(backoff.check(now).is_ok());
            wait.as_millis()
        };
        lives.iter().map(wait).collect()
    }

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_the_longest() {
        assert_eq!(waits(&[0, 0, 1, 0, 29]), [500, 1000, 2000, 3000, 3000]);
    }

    #[test]
    fn a_process_that_has_lived_is_not_made_to_wait_for_those_before() {
        assert_eq!(waits(&[0, 0, 30, 0]), [500, 1000, 500, 1000]);
    }

    #[test]
    fn the_first_start_does_not_wait() {
        let now = Instant::now();
        assert!(Backoff::default().check(now).is_ok() && Backoff::default().is_over(now));
    }

    #[test]
    fn what_was_waited_for_is_remembered_a_while() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.ended(now, now, &RESTART);
        assert!(!backoff.is_over(now + Duration::from_secs(30)));
        assert!(backoff.is_over(now + Duration::from_secs(31)));
    }
}
