//! How long a login is good, and when it is to be renewed.

use std::time::{Duration, Instant};

/// Never renewed more often than this.
const SHORTEST: Duration = Duration::from_millis(500);

/// Ten years: nobody gives longer ones, and time can be added to it.
const LONGEST: u64 = 315_360_000;

/// The life of a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Lease {
    /// What the login gave; renewals that give much less have reached the token's longest life.
    granted: Duration,
    /// `None`: it has no end.
    ends: Option<Instant>,
    /// When to renew it, or to log in anew.
    due: Option<Instant>,
    renewable: bool,
}

impl Lease {
    /// Of a token that was asked for at `now` and is good for so many seconds; zero: without end.
    pub(super) fn new(seconds: u64, renewable: bool, now: Instant) -> Self {
        let granted = Duration::from_secs(seconds.min(LONGEST));
        let after = |time: Duration| (!granted.is_zero()).then(|| now.checked_add(time)).flatten();
        Self {
            granted,
            ends: after(granted),
            due: after((granted * 2 / 3).max(SHORTEST)),
            renewable: renewable && !granted.is_zero(),
        }
    }

    /// What a renewal at `now` made of it. `None`: it is given so much less than at first that it nears the
    /// longest life that a token may have, so that a new login is better.
    pub(super) fn renewed(&self, seconds: u64, renewable: bool, now: Instant) -> Option<Self> {
        let given = Self::new(seconds, renewable, now);
        let is_near_its_end = given.ends.is_some() && given.granted * 2 < self.granted;
        (!is_near_its_end).then(|| Self { granted: self.granted.max(given.granted), ..given })
    }

    /// What was due could not be done at `now`: it is tried again after `wait`.
    pub(super) fn put_off(&mut self, wait: Duration, now: Instant) {
        self.due = self.due.and_then(|_| now.checked_add(wait.max(SHORTEST)));
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| now >= due)
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| now >= ends)
    }

    pub(super) fn is_renewable(&self) -> bool {
        self.renewable
    }

    /// The time that is left at `now`; `None`: it has no end.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.ends.map(|ends| ends.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_login_is_renewed_when_a_third_of_its_time_is_left() {
        let now = Instant::now();
        let lease = Lease::new(30, true, now);
        assert!(!lease.is_due(now + 19 * SECOND) && lease.is_due(now + 20 * SECOND));
        assert!(!lease.is_over(now + 29 * SECOND) && lease.is_over(now + 30 * SECOND));
        assert_eq!(lease.left(now + 10 * SECOND), Some(20 * SECOND));
    }

    #[test]
    fn a_login_without_end_is_never_looked_after() {
        let now = Instant::now();
        let lease = Lease::new(0, true, now);
        assert_eq!((lease.due(), lease.left(now), lease.is_renewable()), (None, None, false));
        assert!(!lease.is_over(now + 1_000_000 * SECOND));
    }

    #[test]
    fn a_renewal_that_gives_less_than_half_asks_for_a_new_login() {
        let now = Instant::now();
        let lease = Lease::new(30, true, now);
        let renewed = lease.renewed(30, true, now + 20 * SECOND).unwrap();
        assert!(renewed.is_due(now + 40 * SECOND) && !renewed.is_due(now + 39 * SECOND));
        let capped = renewed.renewed(15, true, now + 40 * SECOND).unwrap();
        assert!(capped.is_over(now + 55 * SECOND));
        assert_eq!(capped.renewed(14, true, now + 50 * SECOND), None, "half of the first is what counts");
        assert_eq!(capped.renewed(7, true, now + 50 * SECOND), None);
    }

    #[test]
    fn the_shortest_login_is_not_renewed_without_a_pause() {
        let now = Instant::now();
        let lease = Lease::new(1, true, now);
        assert!(lease.due().unwrap() >= now + SHORTEST);
        let mut late = lease;
        late.put_off(Duration::ZERO, now + SECOND);
        assert_eq!(late.due(), Some(now + SECOND + SHORTEST));
    }

    #[test]
    fn a_life_beyond_all_measure_does_no_harm() {
        let now = Instant::now();
        let lease = Lease::new(u64::MAX, true, now);
        assert_eq!(lease.left(now), Some(Duration::from_secs(LONGEST)));
        assert!(lease.renewed(u64::MAX, true, now).is_some());
    }
}
