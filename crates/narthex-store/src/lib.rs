//! Where the gateway keeps what must outlive a request: sessions, grants, what was used once.
//!
//! One small trait, [`Store`], and its homes: [`Memory`] for one process. Nothing here knows what is
//! stored: keys are names, values are bytes, and everything has an end.

mod error;
mod key;
mod memory;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::Error;
pub use key::{Key, LONGEST_KEY};
pub use memory::{Capacity, Clock, Memory, Usage};

use async_trait::async_trait;
use bytes::Bytes;
use std::fmt::Debug;
use std::time::Duration;

/// Longest time that anything is kept, a year; what is put for longer is kept this long.
pub const LONGEST_TTL: Duration = Duration::from_secs(366 * 24 * 3600);

/// Values by key, each for a time.
///
/// Every call is atomic for its key: of many at once that [`put_if_absent`](Self::put_if_absent) one key,
/// or [`remove`](Self::remove) it, exactly one is told `true`. So a value that may be used once is used by
/// whoever removed it. A value is not there from the moment its time is over.
///
/// A home may be bounded and forget early what would have ended soonest; see there.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    /// The value of `key`, if there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error>;

    /// Keeps `value` for `ttl` in place of what `key` had. A zero `ttl` leaves nothing there.
    ///
    /// # Errors
    /// See [`Error`]. After [`Error::TooLarge`] what was there is still there.
    async fn put(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<(), Error>;

    /// Keeps `value` for `ttl` unless `key` has a value; whether it had none. With a zero `ttl` it only
    /// tells.
    ///
    /// # Errors
    /// See [`Error`].
    async fn put_if_absent(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<bool, Error>;

    /// Forgets the value of `key`; whether there was one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn remove(&self, key: &Key) -> Result<bool, Error>;
}
