//! The keys that tokens are signed with: made, published, used, retired, the same at every replica.

mod key;
mod rotation;

pub(crate) use key::SigningKey;
pub(crate) use rotation::{KeyRecord, Plan};

use crate::error::{Code, OAuthError};
use crate::secret::seconds;
use arc_swap::ArcSwapOption;
use narthex_store::{Error as StoreError, Key, LONGEST_TTL, Vault};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::SystemTime;

/// How often losing against another replica is taken.
const ATTEMPTS: usize = 8;

/// The keys of one authority, as they are known to this process.
#[derive(Debug)]
pub(crate) struct Keys {
    vault: Vault,
    known: ArcSwapOption<Ring>,
}

/// Keys that belong together.
#[derive(Debug)]
pub(crate) struct Ring {
    records: Vec<KeyRecord>,
    /// By when they begin to sign.
    keys: Vec<Arc<SigningKey>>,
    /// The public ones, as a JWK set.
    pub(crate) jwks: String,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("signing keys: {0}")]
    Store(#[from] StoreError),
    #[error("signing keys: what is in the store cannot be read")]
    Unreadable,
    #[error("signing keys: no key could be made")]
    Make,
    #[error("signing keys: other replicas always came first")]
    Contended,
}

impl Keys {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault, known: ArcSwapOption::empty() }
    }

    /// The keys, if they have been read.
    pub(crate) fn ring(&self) -> Option<Arc<Ring>> {
        self.known.load_full()
    }

    /// The key to sign with now.
    pub(crate) fn signer(&self, now: SystemTime) -> Result<Arc<SigningKey>, OAuthError> {
        let ring = self.known.load();
        let key = ring.as_ref().and_then(|ring| ring.signer(now));
        key.ok_or_else(|| OAuthError::new(Code::TemporarilyUnavailable, "The server is not ready yet."))
    }

    /// Reads the keys, makes the next one if it is time, forgets those whose tokens have ended. Whether those
    /// that are published have changed. To be called every few seconds, at every replica.
    pub(crate) async fn refresh(&self, plan: &Plan, now: SystemTime) -> Result<bool, KeysError> {
        let key = Key::new("authority.keys", &[]);
        for _ in 0..ATTEMPTS {
            let found = self.vault.get(&key).await?;
            let mut records: Vec<KeyRecord> = match &found {
                Some(json) => serde_json::from_slice(json).map_err(|_| KeysError::Unreadable)?,
                None => Vec::new(),
            };
            if !plan.apply(&mut records, seconds(now))? {
                return self.take_up(records);
            }
            let json = zeroize::Zeroizing::new(serde_json::to_vec(&records).map_err(|_| KeysError::Make)?);
            if self.vault.replace(&key, found.as_ref(), &json, LONGEST_TTL).await? {
                return self.take_up(records);
            }
        }
        Err(KeysError::Contended)
    }

    fn take_up(&self, records: Vec<KeyRecord>) -> Result<bool, KeysError> {
        if self.known.load().as_ref().is_some_and(|ring| ring.records == records) {
            return Ok(false);
        }
        let ring = Ring::new(records).ok_or(KeysError::Unreadable)?;
        self.known.store(Some(Arc::new(ring)));
        Ok(true)
    }
}

impl Ring {
    fn new(records: Vec<KeyRecord>) -> Option<Self> {
        #[derive(Serialize)]
        struct Jwks<'a> {
            keys: Vec<&'a Value>,
        }
        let keys: Option<Vec<_>> = records.iter().map(|record| record.key().map(Arc::new)).collect();
        let keys = keys.filter(|keys| !keys.is_empty())?;
        let jwks = Jwks { keys: keys.iter().map(|key| key.jwk()).collect() };
        let jwks = serde_json::to_string(&jwks).ok()?;
        Some(Self { records, keys, jwks })
    }

    /// The newest key that may sign already. Where none may yet, the clock of the replica that made the first
    /// is ahead of ours.
    fn signer(&self, now: SystemTime) -> Option<Arc<SigningKey>> {
        let now = seconds(now);
        let current = self.records.iter().rposition(|record| record.from <= now).unwrap_or(0);
        self.keys.get(current).cloned()
    }

    /// The key of this id, to verify with.
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<SigningKey>> {
        self.keys.iter().find(|key| key.id() == id)
    }
}

#[cfg(test)]
mod tests;
