//! Values that only whoever has the keys can read, under names that tell nothing.

mod ring;
mod sealed;
#[cfg(test)]
mod tests;

pub use ring::{KEY_LEN, KeyRing};
pub use sealed::{LONGEST_VALUE, Sealed};

use crate::{Condition, Error, Key, LONGEST_TTL, Store};
use bytes::Bytes;
use parking_lot::RwLock;
use ring::Names;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The namespace of the one value that is not sealed: the id of the key that was announced last.
const ANNOUNCED: &str = "v1-key";

/// A [`Store`] whose holder learns nothing of what is in it but how many values there are, about how long
/// each is (to 64 bytes), when it was written last and when it ends.
///
/// Names are HMAC-SHA256 of the [`Key`], namespace and all. Values are sealed with AES-256-GCM and open under
/// their own name only. Whoever may write to the store can still remove a value, put back an earlier one of
/// the same key, and change when it ends.
///
/// Keys are rotated with [`set_keys`](Self::set_keys). What was sealed with a former key is found and opened
/// as long as that is in the ring, by every call as atomically as if it were sealed with the first, and sealed
/// with the first when it is written. Cheap to clone; clones share the keys.
#[derive(Clone)]
pub struct Vault {
    store: Arc<dyn Store>,
    keys: Arc<RwLock<Arc<KeyRing>>>,
}

// === impl Vault ===

impl Vault {
    /// A vault in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, keys: KeyRing) -> Self {
        Self { store, keys: Arc::new(RwLock::new(Arc::new(keys))) }
    }

    /// Changes the keys. What was sealed with one that is not among them is there no more.
    pub fn set_keys(&self, keys: KeyRing) {
        *self.keys.write() = Arc::new(keys);
    }

    /// The value of `key`, if there is one.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Damaged`] if what is there was not sealed for this key.
    pub async fn get(&self, key: &Key) -> Result<Option<Sealed>, Error> {
        let ring = self.ring();
        let Names { name, former } = ring.names(key)?;
        let found = self.store.read(&name, &former).await?;
        found.map(|found| ring.open(key, found)).transpose()
    }

    /// Keeps `value` for `ttl` in place of what `key` had.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put(&self, key: &Key, value: &[u8], ttl: Duration) -> Result<(), Error> {
        self.write(key, value, ttl, Condition::Always).await.map(drop)
    }

    /// Keeps `value` for `ttl` unless `key` has a value; whether it had none. With a zero `ttl` it only
    /// tells.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put_if_absent(&self, key: &Key, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        self.write(key, value, ttl, Condition::Absent).await
    }

    /// The value of `key`, which is then gone: of many at once that take it, exactly one gets it.
    ///
    /// # Errors
    /// See [`get`](Self::get). What was damaged is gone as well.
    pub async fn take(&self, key: &Key) -> Result<Option<Sealed>, Error> {
        let ring = self.ring();
        let Names { name, former } = ring.names(key)?;
        let found = self.store.withdraw(&name, &former).await?;
        found.map(|found| ring.open(key, found)).transpose()
    }

    /// Forgets the value of `key`; whether there was one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remove(&self, key: &Key) -> Result<bool, Error> {
        let Names { name, former } = self.ring().names(key)?;
        Ok(self.store.withdraw(&name, &former).await?.is_some())
    }

    /// Keeps `value` for `ttl` in place of `seen`, as it was [got](Self::get), or of nothing where that is
    /// `None`. `false` if somebody has written or removed it meanwhile, even to the same value.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replace(
        &self,
        key: &Key,
        seen: Option<&Sealed>,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, Error> {
        let condition = seen.map_or(Condition::Absent, |seen| Condition::Is(seen.as_stored()));
        self.write(key, value, ttl, condition).await
    }

    /// Whether what is in the store was, as far as is known, sealed with keys of this vault; and says there which
    /// key it seals with from now on. Where it was not, it is there no more for this vault: its keys are not
    /// those of before, or not those of the other replicas.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn announce(&self) -> Result<bool, Error> {
        let (ring, key) = (self.ring(), Key::new(ANNOUNCED, &[]));
        let id = ring.id()?;
        let last = self.store.get(&key).await?;
        self.store.put(&key, Bytes::copy_from_slice(&id), LONGEST_TTL).await?;
        Ok(last.is_none_or(|last| ring.has(&last)))
    }

    async fn write(
        &self,
        key: &Key,
        value: &[u8],
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, Error> {
        let ring = self.ring();
        let Names { name, former } = ring.names(key)?;
        let sealed: Bytes = ring.seal(&name, value)?.into();
        self.store.write(&name, &former, sealed, ttl, condition).await
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.read())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("store", &self.store).field("keys", &self.ring()).finish()
    }
}
