//! How many of something each owner has, and all of them together.

use super::suspended::Room;
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts that nobody goes over.
#[derive(Debug, Default)]
pub(super) struct Quota {
    owners: DashMap<String, usize>,
    total: AtomicUsize,
}

/// What is in the way of one more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Full {
    /// The owner has as many as it may.
    Owner,
    /// There are as many as there may be.
    All,
}

impl Quota {
    /// Counts one more.
    ///
    /// # Errors
    /// See [`Full`].
    pub(super) fn take(&self, owner: &str, each: usize, all: usize) -> Result<(), Full> {
        if self.total.fetch_add(1, Ordering::AcqRel) >= all {
            self.total.fetch_sub(1, Ordering::AcqRel);
            return Err(Full::All);
        }
        let mut own = self.owners.entry(owner.to_owned()).or_insert(0);
        if *own < each {
            *own += 1;
            return Ok(());
        }
        drop(own);
        self.total.fetch_sub(1, Ordering::AcqRel);
        self.owners.remove_if(owner, |_, own| *own == 0);
        Err(Full::Owner)
    }

    /// Counts one less.
    pub(super) fn give_back(&self, owner: &str) {
        self.total.fetch_sub(1, Ordering::AcqRel);
        self.owners.remove_if_mut(owner, |_, own| {
            *own = own.saturating_sub(1);
            *own == 0
        });
    }

    /// All of them.
    pub(super) fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }
}

/// Requests that wait until their user has done something elsewhere. They hold nothing of an upstream's.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Arc<Quota>);

/// One of them.
pub(crate) struct Waiter {
    all: Arc<Quota>,
    whose: String,
}

impl Waiters {
    /// A place; `None`: there are too many.
    pub(crate) fn take(&self, whose: &str, room: Room) -> Option<Waiter> {
        self.0.take(whose, room.per_caller, room.calls).ok()?;
        Some(Waiter { all: Arc::clone(&self.0), whose: whose.to_owned() })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.all.give_back(&self.whose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_goes_over_a_share_and_nothing_is_left_behind() {
        let quota = Quota::default();
        assert_eq!(quota.take("ann", 2, 3), Ok(()));
        assert_eq!(quota.take("ann", 2, 3), Ok(()));
        assert_eq!(quota.take("ann", 2, 3), Err(Full::Owner));
        assert_eq!(quota.take("bob", 2, 3), Ok(()));
        assert_eq!(quota.take("eve", 2, 3), Err(Full::All));
        assert_eq!(quota.take("eve", 0, 4), Err(Full::Owner));
        ["ann", "ann", "bob"].iter().for_each(|owner| quota.give_back(owner));
        assert_eq!(quota.total(), 0);
        assert!(quota.owners.is_empty());
    }
}
