//! The time of the call that is being decided.

use governor::clock::Clock;
use governor::nanos::Nanos;
use std::cell::Cell;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// A clock that stands still at the time given to [`at`].
///
/// governor asks a clock for the time of each decision; the policy is told the time by its caller.
/// This hands the one to the other, so that a decision depends on its arguments only.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallTime;

impl Clock for CallTime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        NOW.get().into()
    }
}

/// Runs `decide`, to which [`CallTime`] shows `now`.
pub(super) fn at<T>(now: Nanos, decide: impl FnOnce() -> T) -> T {
    NOW.set(now.as_u64());
    decide()
}
