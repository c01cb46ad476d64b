//! How many of something each owner has, and all of them together.

use dashmap::DashMap;
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
