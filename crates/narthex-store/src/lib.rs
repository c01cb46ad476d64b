//! Where the gateway keeps what must outlive a request: sessions, grants, what was used once.
//!
//! One small trait, [`Store`], and its homes: [`Memory`] and [`File`] for one process, [`Redis`] for
//! several. Nothing here knows what is
//! stored: keys are names, values are bytes, and everything has an end. What must stay secret goes through a
//! [`Vault`], which seals it.

mod error;
mod file;
mod key;
mod memory;
mod redis;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod vault;

pub use error::Error;
pub use file::{File, OpenError, Sharing, WallClock};
pub use key::{Key, LONGEST_KEY};
pub use memory::{Capacity, Clock, Memory, Usage};
pub use redis::{Redis, RedisClient, RedisSettings, RedisSettingsError, RedisTls};
pub use vault::{KEY_LEN, KeyRing, LONGEST_VALUE, Sealed, Vault};

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt::Debug;
use std::time::Duration;

/// Longest time that anything is kept, a year; what is put for longer is kept this long.
pub const LONGEST_TTL: Duration = Duration::from_secs(366 * 24 * 3600);

/// On which condition a value is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition<'a> {
    /// On none.
    Always,
    /// There is no value.
    Absent,
    /// There is this value.
    Is(&'a [u8]),
}

impl Condition<'_> {
    /// Whether it holds where `found` is what there is.
    #[must_use]
    pub fn holds(self, found: Option<&[u8]>) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => found.is_none(),
            Self::Is(value) => found == Some(value),
        }
    }
}

/// Values by key, each for a time.
///
/// Every call is atomic for its keys: of many at once that [`put_if_absent`](Self::put_if_absent) one key,
/// or [`remove`](Self::remove) it, exactly one is told `true`. So a value that may be used once is used by
/// whoever took it. A value is not there from the moment its time is over.
///
/// A home has three methods to write, on a key and those that the same value may have been kept under
/// before, `former`: the value of the key is what the first of them has that has any.
///
/// A home may be bounded and forget early what would have ended soonest; see there.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    /// The value of `key`, or else of the first of `former` that has one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn read(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error>;

    /// Forgets what `key` and all of `former` have, and gives what [`read`](Self::read) would have given.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn withdraw(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error>;

    /// If `condition` holds for what [`read`](Self::read) would give, keeps `value` for `ttl` under `key` and
    /// forgets what it and `former` had; whether it did. A zero `ttl` leaves nothing there.
    ///
    /// # Errors
    /// See [`Error`]. After [`Error::TooLarge`] what was there is still there.
    async fn write(
        &self,
        key: &Key,
        former: &[Key],
        value: Bytes,
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, Error>;

    /// The value of `key`, if there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.read(key, &[]).await
    }

    /// Keeps `value` for `ttl` in place of what `key` had. A zero `ttl` leaves nothing there.
    ///
    /// # Errors
    /// See [`Error`]. After [`Error::TooLarge`] what was there is still there.
    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), Error> {
        self.write(key, &[], value, ttl, Condition::Always).await.map(drop)
    }

    /// Keeps `value` for `ttl` unless `key` has a value; whether it had none. With a zero `ttl` it only
    /// tells.
    ///
    /// # Errors
    /// See [`Error`].
    async fn put_if_absent(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, Error> {
        self.write(key, &[], value, ttl, Condition::Absent).await
    }

    /// Keeps `value` for `ttl` if `key` has the value `expected`, or none where that is `None`; whether it
    /// did. With a zero `ttl` a value that was expected is forgotten.
    ///
    /// # Errors
    /// See [`Error`].
    async fn compare_and_swap(
        &self,
        key: &Key,
        expected: Option<&Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        let condition = expected.map_or(Condition::Absent, |expected| Condition::Is(expected));
        self.write(key, &[], value, ttl, condition).await
    }

    /// The value of `key`, which is then gone: of many at once that take it, exactly one gets it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn take(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.withdraw(key, &[]).await
    }

    /// Forgets the value of `key`; whether there was one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn remove(&self, key: &Key) -> Result<bool, Error> {
        Ok(self.withdraw(key, &[]).await?.is_some())
    }

    /// Whether it can be asked.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }

    /// How much it holds, where that is known without asking anybody.
    fn usage(&self) -> Option<Usage> {
        None
    }
}
