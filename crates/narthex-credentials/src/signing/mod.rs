//! The gateway's own signing keys, for what it asserts to upstreams: made by itself, kept, published as a JWK
//! set, and replaced by new ones from time to time without anybody noticing.

mod file;
mod generation;
mod key;
mod ring;
mod store;

pub use file::FileHome;
pub(crate) use key::SigningKey;
pub use store::VaultHome;

use crate::error::{CredentialError, Reason};
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bytes::Bytes;
use narthex_config::model::AssertionAlgorithm;
use ring::Ring;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use thiserror::Error;
use zeroize::Zeroizing;

/// Where signing keys are kept. Gateways that share a public URL must share this, too: an upstream that asks one of
/// them for the keys gets to see what another has signed.
#[async_trait]
pub trait KeyHome: Send + Sync {
    /// What is kept, if anything is.
    ///
    /// # Errors
    /// It cannot be read; why.
    async fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, String>;

    /// Keeps `new` in the place of `seen` (`None`: of nothing). `false`: somebody else has changed it.
    ///
    /// # Errors
    /// It cannot be kept; why.
    async fn replace(&self, seen: Option<&[u8]>, new: &[u8]) -> Result<bool, String>;
}

/// The keys in use. Cheap to clone; the same over all reloads.
#[derive(Clone)]
pub struct SigningKeys(Arc<Inner>);

struct Inner {
    home: Option<Box<dyn KeyHome>>,
    /// None, until they have been read.
    ring: ArcSwapOption<Ring>,
}

/// The signing keys cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SigningError {
    /// Where they are kept does not give or take them.
    #[error("signing keys: {0}")]
    Home(String),
    /// What is kept is not a set of keys.
    #[error("signing keys: what is kept is no set of keys: {0}")]
    Form(&'static str),
    /// None could be made.
    #[error("signing keys: none can be made")]
    Make,
    /// Others changed them again and again.
    #[error("signing keys: changed by others each time")]
    Contended,
}

/// How often a change of others is followed before it is given up.
const ATTEMPTS: usize = 5;

impl SigningKeys {
    /// The keys that `home` keeps; the first are made and kept there.
    ///
    /// # Errors
    /// See [`SigningError`].
    pub async fn open(home: Box<dyn KeyHome>, now: SystemTime) -> Result<Self, SigningError> {
        let keys = Self::unread(home);
        keys.refresh(now).await?;
        Ok(keys)
    }

    /// The keys that `home` keeps, where that may not answer yet: until the first [`refresh`](Self::refresh) that
    /// succeeds, nothing is signed or published.
    #[must_use]
    pub fn unread(home: Box<dyn KeyHome>) -> Self {
        Self(Arc::new(Inner { home: Some(home), ring: ArcSwapOption::empty() }))
    }

    /// Keys that are kept nowhere: what they sign is good for trying out, and for nothing else.
    ///
    /// # Errors
    /// None can be made.
    pub fn ephemeral(now: SystemTime) -> Result<Self, SigningError> {
        let ring = ArcSwapOption::from_pointee(Ring::first(now)?);
        Ok(Self(Arc::new(Inner { home: None, ring })))
    }

    /// Takes up what others have changed, makes new keys when it is time to, and forgets those that nobody
    /// can need any longer. To be called about once an hour, and every few seconds where others may have lost them
    /// and made new ones.
    ///
    /// # Errors
    /// The keys stay as they were.
    pub async fn refresh(&self, now: SystemTime) -> Result<(), SigningError> {
        if let Some(home) = &self.0.home {
            self.0.ring.store(Some(Arc::new(current(home.as_ref(), now).await?)));
        }
        Ok(())
    }

    /// Whether there are keys to sign with.
    #[must_use]
    pub fn are_read(&self) -> bool {
        self.0.ring.load().is_some()
    }

    /// The public keys (RFC 7517 §5), also those that are not used yet and not any more. `None`: they have not been
    /// read yet.
    #[must_use]
    pub fn jwks(&self) -> Option<Bytes> {
        self.0.ring.load().as_ref().map(|ring| ring.jwks())
    }

    /// The key to sign with now.
    pub(crate) fn key(
        &self,
        algorithm: AssertionAlgorithm,
        now: SystemTime,
    ) -> Result<Arc<SigningKey>, CredentialError> {
        let ring = self.0.ring.load();
        let key = ring.as_ref().map(|ring| ring.key(algorithm, now));
        key.ok_or_else(|| CredentialError::with_detail(Reason::AssertionFailed, "no signing keys yet"))
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys")
    }
}

/// What is kept, brought up to date.
async fn current(home: &dyn KeyHome, now: SystemTime) -> Result<Ring, SigningError> {
    for _ in 0..ATTEMPTS {
        let kept = home.load().await.map_err(SigningError::Home)?;
        let (ring, changed) = match &kept {
            None => (Ring::first(now)?, true),
            Some(kept) => Ring::parse(kept)?.tended(now)?,
        };
        if !changed {
            return Ok(ring);
        }
        let seen = kept.as_ref().map(|kept| kept.as_slice());
        if home.replace(seen, &ring.serialize()).await.map_err(SigningError::Home)? {
            return Ok(ring);
        }
    }
    Err(SigningError::Contended)
}

#[cfg(test)]
mod tests;
