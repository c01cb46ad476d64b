//! Signing keys in the store: for gateways that share one.

use super::KeyHome;
use async_trait::async_trait;
use narthex_store::{Key, LONGEST_TTL, Vault};
use zeroize::Zeroizing;

/// Keeps keys sealed in a vault, so that all gateways with its store sign with the same ones and publish them all.
#[derive(Debug)]
pub struct VaultHome(Vault);

impl VaultHome {
    /// In this vault.
    #[must_use]
    pub fn new(vault: Vault) -> Self {
        Self(vault)
    }
}

#[async_trait]
impl KeyHome for VaultHome {
    async fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        let kept = self.0.get(&key()).await.map_err(|error| error.to_string())?;
        Ok(kept.map(|kept| Zeroizing::new(kept.to_vec())))
    }

    async fn replace(&self, seen: Option<&[u8]>, new: &[u8]) -> Result<bool, String> {
        let kept = self.0.get(&key()).await.map_err(|error| error.to_string())?;
        if kept.as_deref() != seen {
            return Ok(false);
        }
        // They are written again with each rotation, long before that.
        let replaced = self.0.replace(&key(), kept.as_ref(), new, LONGEST_TTL).await;
        replaced.map_err(|error| error.to_string())
    }
}

fn key() -> Key {
    Key::new("assertion-keys", &[])
}
