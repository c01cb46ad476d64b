//! A part of the values, behind one lock.

use crate::Key;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// Values by key, and the keys by their end. Every key is in both.
#[derive(Default)]
pub(super) struct Shard {
    values: HashMap<Key, (Bytes, Instant)>,
    ends: BTreeSet<(Instant, Key)>,
}

impl Shard {
    pub(super) fn get(&self, key: &Key) -> Option<&Bytes> {
        self.values.get(key).map(|(value, _)| value)
    }

    /// `key` must not be there.
    pub(super) fn insert(&mut self, key: Key, value: Bytes, end: Instant) {
        self.ends.insert((end, key.clone()));
        self.values.insert(key, (value, end));
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Bytes> {
        let (key, (value, end)) = self.values.remove_entry(key)?;
        self.ends.remove(&(end, key));
        Some(value)
    }

    /// Removes a value that ended before `now` or ends just then, if there is one.
    pub(super) fn remove_ended(&mut self, now: Instant) -> Option<(Key, Bytes)> {
        let (end, _) = self.ends.first()?;
        if *end > now {
            return None;
        }
        let (_, key) = self.ends.pop_first()?;
        let (value, _) = self.values.remove(&key)?;
        Some((key, value))
    }

    /// When the first of the values ends, `kept` left out.
    pub(super) fn soonest(&self, kept: &Key) -> Option<Instant> {
        self.ends.iter().find(|(_, key)| key != kept).map(|(end, _)| *end)
    }

    /// Removes the value that ends first, `kept` left out.
    pub(super) fn remove_soonest(&mut self, kept: &Key) -> Option<(Key, Bytes, Instant)> {
        let (end, key) = self.ends.iter().find(|(_, key)| key != kept)?.clone();
        let value = self.remove(&key)?;
        Some((key, value, end))
    }
}
