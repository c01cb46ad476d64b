//! A per-thread memory of metric handles.
//!
//! `with_label_values` of the prometheus crate takes one lock shared by all threads and hashes every
//! label with SipHash. A finished request would do that three times. Here each thread keeps the
//! handles it has used, so that the usual case is one cheap hash, a comparison and the atomic adds.

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table};
use std::hash::{BuildHasher, Hash, Hasher};

/// Handles remembered by one thread for each kind of handle, at most; beyond it, it starts afresh.
const CAPACITY: usize = 4096;

/// What one thread remembers: handles of type `H` by `N` labels.
pub(super) struct Local<H, const N: usize> {
    table: HashTable<Entry<H, N>>,
    hasher: RandomState,
}

struct Entry<H, const N: usize> {
    key: (u64, u16),
    labels: [Box<str>; N],
    handle: H,
}

impl<H, const N: usize> Local<H, N> {
    pub(super) fn new() -> Self {
        Self { table: HashTable::new(), hasher: RandomState::default() }
    }

    /// The handle for `key` (which registry, and a number) and `labels`; `make` is asked the first time.
    pub(super) fn get<E>(
        &mut self,
        key: (u64, u16),
        labels: [&str; N],
        make: impl FnOnce() -> Result<H, E>,
    ) -> Result<&H, E> {
        let hash = hash(&self.hasher, key, labels);
        let is_it = |entry: &Entry<H, N>| entry.is(key, labels);
        if self.table.len() >= CAPACITY && self.table.find(hash, is_it).is_none() {
            self.table.clear();
        }
        let hasher = &self.hasher;
        match self.table.entry(hash, is_it, |entry| hash_entry(hasher, entry)) {
            hash_table::Entry::Occupied(found) => Ok(&found.into_mut().handle),
            hash_table::Entry::Vacant(place) => {
                let entry = Entry { key, labels: labels.map(Box::from), handle: make()? };
                Ok(&place.insert(entry).into_mut().handle)
            }
        }
    }
}

impl<H, const N: usize> Entry<H, N> {
    fn is(&self, key: (u64, u16), labels: [&str; N]) -> bool {
        self.key == key && self.labels.iter().zip(labels).all(|(have, want)| **have == *want)
    }
}

fn hash<const N: usize>(hasher: &RandomState, key: (u64, u16), labels: [&str; N]) -> u64 {
    let mut state = hasher.build_hasher();
    key.hash(&mut state);
    for label in labels {
        label.hash(&mut state);
    }
    state.finish()
}

fn hash_entry<H, const N: usize>(hasher: &RandomState, entry: &Entry<H, N>) -> u64 {
    hash::<N>(hasher, entry.key, std::array::from_fn(|i| &*entry.labels[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(handle: u32) -> Result<u32, ()> {
        Ok(handle)
    }

    #[test]
    fn a_handle_is_made_once_for_each_set_of_labels() {
        let mut local = Local::<u32, 2>::new();
        assert_eq!(local.get((1, 0), ["a", "b"], || ok(1)), Ok(&1));
        assert_eq!(local.get((1, 0), ["a", "b"], || Err(())), Ok(&1));
        assert_eq!(local.get((1, 0), ["ab", ""], || ok(2)), Ok(&2));
        assert_eq!(local.get((1, 7), ["a", "b"], || ok(3)), Ok(&3));
        assert_eq!(local.get((2, 0), ["a", "b"], || ok(4)), Ok(&4));
    }

    #[test]
    fn a_failure_is_not_remembered() {
        let mut local = Local::<u32, 1>::new();
        assert_eq!(local.get((1, 0), ["a"], || Err(())), Err(()));
        assert_eq!(local.get((1, 0), ["a"], || ok(1)), Ok(&1));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut local = Local::<u32, 1>::new();
        for i in 0..3 * CAPACITY {
            let label = i.to_string();
            assert!(local.get((1, 0), [label.as_str()], || ok(0)).is_ok());
            assert!(local.table.len() <= CAPACITY);
        }
    }
}
