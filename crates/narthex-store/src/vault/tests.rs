use super::*;
use crate::{Capacity, Memory};
use proptest::prelude::*;
use std::num::NonZeroUsize;
use std::time::Instant;

const LONG: Duration = Duration::from_secs(600);

fn memory() -> Arc<dyn Store> {
    let capacity = Capacity { entries: NonZeroUsize::new(1000).unwrap(), bytes: 8 << 20 };
    Arc::new(Memory::new(capacity, Arc::new(Instant::now)))
}

fn ring(keys: &[u8]) -> KeyRing {
    KeyRing::new(keys.iter().map(|key| [*key; KEY_LEN]).collect())
}

fn vault(keys: &[u8]) -> (Vault, Arc<dyn Store>) {
    let store = memory();
    (Vault::new(store.clone(), ring(keys)), store)
}

fn key(part: &str) -> Key {
    Key::new("test", &[part])
}

async fn shown(vault: &Vault, key: &Key) -> Option<Vec<u8>> {
    vault.get(key).await.unwrap().map(|sealed| sealed.to_vec())
}

#[tokio::test]
async fn what_was_put_is_got_once_it_is_taken() {
    let (vault, _) = vault(&[1]);
    let key = key("a");
    assert!(vault.get(&key).await.unwrap().is_none());
    let long = vec![0; LONGEST_VALUE];
    for value in [b"value".as_slice(), b"", b"\x80", b"\0", b"\x80\0\0", &[0x80; 64], &[0; 63], &long] {
        vault.put(&key, value, LONG).await.unwrap();
        assert_eq!(shown(&vault, &key).await.as_deref(), Some(value));
    }
    assert!(!vault.put_if_absent(&key, b"other", LONG).await.unwrap());
    assert_eq!(vault.take(&key).await.unwrap().as_deref(), Some(long.as_slice()));
    assert!(vault.take(&key).await.unwrap().is_none());
    assert!(vault.put_if_absent(&key, b"other", LONG).await.unwrap());
    assert!(vault.remove(&key).await.unwrap());
    assert!(!vault.remove(&key).await.unwrap());
    let refused = vault.put(&key, &[0; LONGEST_VALUE + 1], LONG).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }));
}

#[tokio::test]
async fn what_somebody_wrote_meanwhile_is_not_replaced() {
    let (vault, _) = vault(&[1]);
    let key = key("a");
    assert!(vault.replace(&key, None, b"1", LONG).await.unwrap());
    assert!(!vault.replace(&key, None, b"2", LONG).await.unwrap());
    let seen = vault.get(&key).await.unwrap().unwrap();
    assert!(vault.replace(&key, Some(&seen), b"2", LONG).await.unwrap());
    assert!(!vault.replace(&key, Some(&seen), b"3", LONG).await.unwrap());
    vault.put(&key, b"1", LONG).await.unwrap();
    assert!(!vault.replace(&key, Some(&seen), b"3", LONG).await.unwrap(), "written again, if to the same");
    assert_eq!(shown(&vault, &key).await.as_deref(), Some(b"1".as_slice()));
    vault.remove(&key).await.unwrap();
    assert!(!vault.replace(&key, Some(&seen), b"3", LONG).await.unwrap());
}

#[tokio::test]
async fn keys_are_rotated_without_downtime() {
    let store = memory();
    let [old, both, turned, new] =
        [&[1][..], &[1, 2], &[2, 1], &[2]].map(|keys| Vault::new(store.clone(), ring(keys)));
    let [a, b, c, d] = ["a", "b", "c", "d"].map(key);
    for key in [&a, &b, &c, &d] {
        old.put(key, b"old", LONG).await.unwrap();
    }
    for vault in [&both, &turned] {
        assert_eq!(shown(vault, &a).await.as_deref(), Some(b"old".as_slice()));
        assert!(!vault.put_if_absent(&a, b"twice", LONG).await.unwrap());
        assert!(!vault.replace(&a, None, b"twice", LONG).await.unwrap());
    }
    assert_eq!(turned.take(&b).await.unwrap().as_deref(), Some(b"old".as_slice()));
    assert!(old.get(&b).await.unwrap().is_none() && both.take(&b).await.unwrap().is_none());
    turned.put(&c, b"new", LONG).await.unwrap();
    assert!(old.get(&c).await.unwrap().is_none(), "sealed again, with the new key");
    assert_eq!(shown(&both, &c).await.as_deref(), Some(b"new".as_slice()));
    assert_eq!(shown(&new, &c).await.as_deref(), Some(b"new".as_slice()));
    let seen = both.get(&d).await.unwrap().unwrap();
    assert!(turned.replace(&d, Some(&seen), b"new", LONG).await.unwrap());
    assert!(!both.replace(&d, Some(&seen), b"other", LONG).await.unwrap());
    assert_eq!(shown(&new, &d).await.as_deref(), Some(b"new".as_slice()));
    assert!(new.get(&a).await.unwrap().is_none(), "its key is gone");
    assert!(turned.remove(&a).await.unwrap() && old.get(&a).await.unwrap().is_none());
}

#[tokio::test]
async fn set_keys_holds_for_every_clone() {
    let (vault, _) = vault(&[1]);
    let clone = vault.clone();
    vault.put(&key("a"), b"1", LONG).await.unwrap();
    vault.set_keys(ring(&[2, 1]));
    assert_eq!(shown(&clone, &key("a")).await.as_deref(), Some(b"1".as_slice()));
    clone.set_keys(ring(&[2]));
    assert!(vault.get(&key("a")).await.unwrap().is_none());
}

#[tokio::test]
async fn keys_that_are_not_those_of_before_are_noticed() {
    let store = memory();
    let announce = async |keys: &[u8]| Vault::new(store.clone(), ring(keys)).announce().await.unwrap();
    for keys in [&[1][..], &[1], &[1, 2], &[2, 1], &[1, 2], &[2, 1], &[2]] {
        assert!(announce(keys).await, "{keys:?}: as keys are rotated");
    }
    assert!(!announce(&[1]).await, "what the other sealed is not this one's");
    assert!(announce(&[1]).await, "it was said once");
    assert!(!announce(&[3, 2]).await);
}

#[tokio::test]
async fn a_vault_without_keys_does_nothing() {
    let (vault, store) = vault(&[]);
    assert!(matches!(vault.put(&key("a"), b"1", LONG).await, Err(Error::Seal(_))));
    assert!(matches!(vault.get(&key("a")).await, Err(Error::Seal(_))));
    assert_eq!(store.usage().unwrap().entries, 0);
}

#[tokio::test]
async fn neither_names_nor_values_are_shown() {
    let (vault, store) = vault(&[1]);
    vault.put(&Key::new("grant", &["ann"]), b"hunter2", LONG).await.unwrap();
    let names = ring(&[1]).names(&Key::new("grant", &["ann"])).unwrap();
    let stored = store.get(&names.name).await.unwrap().unwrap();
    assert!(!names.name.as_str().contains("grant"), "{}", names.name.as_str());
    assert!(!stored.windows(7).any(|window| window == b"hunter2"));
    let sealed = vault.get(&Key::new("grant", &["ann"])).await.unwrap().unwrap();
    assert_eq!(format!("{sealed:?}"), "Sealed(***)");
    assert!(!format!("{vault:?}").contains("hunter2"));
}

/// Every length in a block looks the same.
#[tokio::test]
async fn a_length_is_not_told_to_the_byte() {
    let names = ring(&[1]).names(&key("a")).unwrap();
    let lengths: Vec<usize> = [0, 1, 62, 63, 64, 127]
        .iter()
        .map(|len| ring(&[1]).seal(&names.name, &vec![7; *len]).unwrap().len())
        .collect();
    assert_eq!(lengths, [117, 117, 117, 117, 181, 181]);
}

/// A value in its place, and its name there.
async fn stored(vault: &Vault, store: &dyn Store, key: &Key, value: &[u8]) -> (Key, Bytes) {
    vault.put(key, value, LONG).await.unwrap();
    let name = ring(&[1]).names(key).unwrap().name;
    let stored = store.get(&name).await.unwrap().unwrap();
    (name, stored)
}

#[tokio::test]
async fn a_value_does_not_open_under_another_name() {
    let (vault, store) = vault(&[1, 2]);
    let (name_a, sealed_a) = stored(&vault, &*store, &key("a"), b"of ann").await;
    let (name_b, sealed_b) = stored(&vault, &*store, &key("b"), b"of bob").await;
    store.put(&name_a, sealed_b, LONG).await.unwrap();
    store.put(&name_b, sealed_a.clone(), LONG).await.unwrap();
    for key in [key("a"), key("b")] {
        assert!(matches!(vault.get(&key).await, Err(Error::Damaged)));
        assert!(matches!(vault.take(&key).await, Err(Error::Damaged)));
    }
    // Nor under the name that the same key has by another key of the ring.
    let other = ring(&[2]).names(&key("a")).unwrap().name;
    store.put(&other, sealed_a.clone(), LONG).await.unwrap();
    assert_eq!(shown(&vault, &key("a")).await.as_deref(), Some(b"of ann".as_slice()), "it is the same value");
    let foreign = Vault::new(store.clone(), ring(&[2]));
    assert!(matches!(foreign.get(&key("a")).await, Err(Error::Damaged)));
}

#[tokio::test]
async fn what_was_cut_or_changed_is_refused() {
    let (vault, store) = vault(&[1]);
    let (name, whole) = stored(&vault, &*store, &key("a"), b"value").await;
    for len in 0..whole.len() {
        store.put(&name, whole.slice(..len), LONG).await.unwrap();
        assert!(matches!(vault.get(&key("a")).await, Err(Error::Damaged)), "{len} bytes");
    }
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        store.put(&name, changed.into(), LONG).await.unwrap();
        assert!(matches!(vault.get(&key("a")).await, Err(Error::Damaged)), "bit {bit}");
    }
    let longer = [whole.as_ref(), b"\0"].concat();
    store.put(&name, longer.into(), LONG).await.unwrap();
    assert!(matches!(vault.get(&key("a")).await, Err(Error::Damaged)));
    vault.put(&key("a"), b"again", LONG).await.unwrap();
    assert_eq!(
        shown(&vault, &key("a")).await.as_deref(),
        Some(b"again".as_slice()),
        "damage is written over"
    );
}

proptest! {
    #[test]
    fn whatever_is_sealed_opens_as_it_was(value in prop::collection::vec(any::<u8>(), 0..300), part in ".*") {
        let (ring, key) = (ring(&[1, 2]), key(&part));
        let name = ring.names(&key).unwrap().name;
        let sealed = ring.seal(&name, &value).unwrap();
        prop_assert_ne!(&sealed, &ring.seal(&name, &value).unwrap());
        let opened = ring.open(&key, sealed.into()).unwrap();
        prop_assert_eq!(&*opened, value.as_slice());
    }

    #[test]
    fn whatever_is_stored_opening_it_does_not_panic(stored in prop::collection::vec(any::<u8>(), 0..200)) {
        let (ring, key) = (ring(&[1]), key("a"));
        prop_assert!(ring.open(&key, stored.clone().into()).is_err());
        // As if it were ours, as far as can be seen without the key.
        let name = ring.names(&key).unwrap().name;
        let mut ours = ring.seal(&name, b"").unwrap();
        ours.truncate(37);
        ours.extend_from_slice(&stored);
        prop_assert!(ring.open(&key, ours.into()).is_err());
    }
}
