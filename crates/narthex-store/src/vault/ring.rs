//! The keys of a vault.

use super::Sealed;
use super::sealed::{self, Header};
use crate::{Error, Key};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use std::fmt;
use zeroize::Zeroize;

/// Length of a vault's key, bytes.
pub const KEY_LEN: usize = 32;

/// Length of what tells keys apart in what is stored, bytes.
pub(super) const ID_LEN: usize = 8;

/// The namespace of all names of vaults.
const NAMESPACE: &str = "v1";

const NO_KEY: Error = Error::Seal("the vault has no key");

/// The keys of a [`Vault`](super::Vault): the first seals, all open.
///
/// What each is used for has a key of its own, derived by HMAC-SHA256: an id, the names, the values.
pub struct KeyRing(Vec<RingKey>);

struct RingKey {
    id: [u8; ID_LEN],
    /// aws-lc zeroises both when they are freed.
    names: hmac::Key,
    values: hmac::Key,
}

/// What a [`Key`] is called in the store.
pub(super) struct Names {
    /// By the first of the ring's keys.
    pub(super) name: Key,
    /// By the others.
    pub(super) former: Vec<Key>,
}

// === impl KeyRing ===

impl KeyRing {
    /// With these keys, each of 32 random bytes; one that is given twice counts once. The given bytes are
    /// zeroised. A ring without keys seals and opens nothing: every call of its vault fails.
    #[must_use]
    pub fn new(mut keys: Vec<[u8; KEY_LEN]>) -> Self {
        let mut ring: Vec<RingKey> = Vec::with_capacity(keys.len());
        for key in &keys {
            let key = RingKey::new(key);
            if ring.iter().all(|other| other.id != key.id) {
                ring.push(key);
            }
        }
        keys.zeroize();
        Self(ring)
    }

    /// What tells the first key from others. It tells nothing else of it.
    pub(super) fn id(&self) -> Result<[u8; ID_LEN], Error> {
        self.0.first().map(|key| key.id).ok_or(NO_KEY)
    }

    pub(super) fn has(&self, id: &[u8]) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    pub(super) fn names(&self, key: &Key) -> Result<Names, Error> {
        let mut names = self.0.iter().map(|ring| ring.name(key));
        let name = names.next().ok_or(NO_KEY)?;
        Ok(Names { name, former: names.collect() })
    }

    /// Seals with the first key, by which `name` must be.
    pub(super) fn seal(&self, name: &Key, value: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.0.first().ok_or(NO_KEY)?;
        sealed::seal(&key.values, key.id, name.as_str().as_bytes(), value)
    }

    /// Opens what was stored under one of the names of `key`.
    pub(super) fn open(&self, key: &Key, stored: Bytes) -> Result<Sealed, Error> {
        let header = Header::read(&stored).ok_or(Error::Damaged)?;
        let ring = self.0.iter().find(|ring| ring.id == header.key_id).ok_or(Error::Damaged)?;
        sealed::open(&ring.values, ring.name(key).as_str().as_bytes(), stored)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

// === impl RingKey ===

impl RingKey {
    fn new(key: &[u8; KEY_LEN]) -> Self {
        let key = hmac::Key::new(HMAC_SHA256, key);
        let derived = |what: &str| hmac::Key::new(HMAC_SHA256, hmac::sign(&key, what.as_bytes()).as_ref());
        let mut id = [0; ID_LEN];
        // The tag is longer.
        id.iter_mut().zip(hmac::sign(&key, b"narthex vault: id").as_ref()).for_each(|(id, tag)| *id = *tag);
        Self { id, names: derived("narthex vault: names"), values: derived("narthex vault: values") }
    }

    fn name(&self, key: &Key) -> Key {
        let tag = hmac::sign(&self.names, key.as_str().as_bytes());
        Key::new(NAMESPACE, &[&URL_SAFE_NO_PAD.encode(tag)])
    }
}
