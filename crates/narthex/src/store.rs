//! The process's store, and the vault in it.

mod counted;
mod home;
#[cfg(test)]
mod tests;

use crate::keys::{KeyError, STORE};
use aws_lc_rs::rand;
use counted::Counted;
use home::Opened;
use narthex_config::Config;
use narthex_config::model::{Credential, StoreHome};
use narthex_credentials::secret::{SecretError, Secrets};
use narthex_store::{KeyRing, OpenError, RedisClient, RedisSettingsError, Sharing, Store, Vault};
use narthex_telemetry::Metrics;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use thiserror::Error;
use tracing::warn;

const FOREIGN: &str = "the store was last sealed with a key that is not among its keys: what was sealed with it is \
     not found any more; replicas must share all keys";

/// The store cannot be had.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("store: {0}")]
    Open(#[from] OpenError),
    #[error("store.redis.password: {0}")]
    Password(SecretError),
    #[error("store.redis.ca: {path}: {cause}")]
    Ca { path: String, cause: std::io::Error },
    #[error("store.redis: {0}")]
    Redis(#[from] RedisSettingsError),
    #[error("store: no randomness")]
    NoRandomness,
    #[error(
        "{file} is there, but {state_dir} has no store.key to open what is in it: put the key back, name it under \
         store.keys, or move the file away to begin anew"
    )]
    KeyLost { file: String, state_dir: String },
}

/// The one store of this process: opened when a configuration first needs it, and the same from when that
/// configuration is in use on.
pub(crate) struct Keeper {
    metrics: Arc<Metrics>,
    sharing: Sharing,
    kept: OnceLock<Kept>,
    /// For a configuration that is not in use yet, and perhaps never will be.
    opened: Mutex<Option<Kept>>,
}

struct Kept {
    vault: Vault,
    store: Arc<Counted>,
    redis: Option<Arc<narthex_store::Redis>>,
    /// Where it is; what a later configuration says of that takes effect at the next start.
    home: StoreHome,
    /// It has answered once.
    reached: AtomicBool,
    /// The keys in use are known to it.
    announced: AtomicBool,
}

/// What a configuration changes about the store that there is, once it is put to use.
pub(crate) struct Change {
    keys: Option<KeyRing>,
    redis: Option<RedisClient>,
}

// === impl Keeper ===

impl Keeper {
    pub(crate) const fn new(metrics: Arc<Metrics>, sharing: Sharing) -> Self {
        Self { metrics, sharing, kept: OnceLock::new(), opened: Mutex::new(None) }
    }

    /// The vault, if `config` has anything to keep there. Opens the store if it is not open yet, until
    /// [`take_up`](Self::take_up) for this configuration only; one that is has its keys from [`Change`].
    pub(crate) fn vault(&self, config: &Config, secrets: &Secrets) -> Result<Option<Vault>, StoreError> {
        if let Some(kept) = self.kept.get() {
            return Ok(Some(kept.vault.clone()));
        }
        if !is_needed(config) {
            return Ok(None);
        }
        self.discard();
        let opened = self.open(config, secrets)?;
        let vault = opened.vault.clone();
        *self.opened.lock() = Some(opened);
        Ok(Some(vault))
    }

    /// Keeps what was opened: its configuration is in use.
    pub(crate) fn take_up(&self) {
        if let Some(opened) = self.opened.lock().take() {
            // Nothing is opened where there is one.
            let _ = self.kept.set(opened);
        }
    }

    /// Closes what was opened: its configuration is not to be used, and the next may have it elsewhere.
    pub(crate) fn discard(&self) {
        let opened = self.opened.lock().take();
        drop(opened);
    }

    /// The vault, if it is open, be it not taken up yet, and others have it as well.
    pub(crate) fn shared(&self) -> Option<Vault> {
        let shared = |kept: &Kept| kept.redis.is_some().then(|| kept.vault.clone());
        match self.kept.get() {
            Some(kept) => shared(kept),
            None => self.opened.lock().as_ref().and_then(shared),
        }
    }

    /// As [`vault`](Self::vault), but opens and writes nothing: a vault that is not kept.
    pub(crate) fn preview(config: &Config, secrets: &Secrets) -> Result<Option<Vault>, StoreError> {
        if !is_needed(config) {
            return Ok(None);
        }
        key_is_there(config)?;
        let keys = STORE.preview(&config.store.keys, &config.server.state_dir, secrets)?;
        if let Some(settings) = home::redis_settings(&config.store.home, secrets)? {
            settings.client()?;
        }
        Ok(Some(Vault::new(Arc::new(home::nowhere()), KeyRing::new(keys))))
    }

    /// What `config` changes about the store, if it is open. Nothing is changed yet.
    pub(crate) fn change(&self, config: &Config, secrets: &Secrets) -> Result<Option<Change>, StoreError> {
        let Some(kept) = self.kept.get() else { return Ok(None) };
        let redis = home::redis_settings(&config.store.home, secrets)?;
        let redis = redis.map(|settings| settings.client()).transpose()?;
        if home::place(&config.store.home) != home::place(&kept.home) || has_passing_key(config) {
            return Ok(Some(Change { keys: None, redis }));
        }
        key_is_there(config)?;
        Ok(Some(Change { keys: Some(KeyRing::new(keys(config, secrets)?)), redis }))
    }

    /// Puts a change to use. Where the store is stays as it is; whether `home` says something else about it.
    pub(crate) fn use_change(&self, change: Change, home: &StoreHome) -> bool {
        let Some(kept) = self.kept.get() else { return false };
        let moved = home::place(home) != home::place(&kept.home);
        if let (false, Some(redis), Some(client)) = (moved, &kept.redis, change.redis) {
            redis.set_client(client);
        }
        if let Some(keys) = change.keys {
            kept.vault.set_keys(keys);
            kept.announced.store(false, Ordering::Release);
        }
        moved
    }

    /// Whether the store was never reached, though it is needed.
    pub(crate) fn is_awaited(&self) -> bool {
        self.kept.get().is_some_and(|kept| !kept.reached.load(Ordering::Acquire))
    }

    /// Tries to reach the store, if it never was, and says which keys are in use, if they are others.
    pub(crate) async fn tend(&self) {
        let Some(kept) = self.kept.get() else { return };
        if self.is_awaited() && kept.store.probe().await.is_ok() {
            kept.reached.store(true, Ordering::Release);
        }
        if !self.is_awaited() && !kept.announced.swap(true, Ordering::AcqRel) {
            match kept.vault.announce().await {
                Ok(true) => {}
                Ok(false) => warn!("{FOREIGN}"),
                // Once more, later.
                Err(_) => kept.announced.store(false, Ordering::Release),
            }
        }
    }

    /// Sets the gauges.
    pub(crate) fn measure(&self) {
        if let Some(usage) = self.kept.get().and_then(|kept| kept.store.usage()) {
            self.metrics.store_usage(usage.entries, usage.bytes);
        }
    }

    fn open(&self, config: &Config, secrets: &Secrets) -> Result<Kept, StoreError> {
        key_is_there(config)?;
        let home = config.store.home.clone();
        // First: a file without its key would be in the way of the next start.
        let keys = keys(config, secrets)?;
        let Opened { store, redis } = home::open(&home, secrets, self.sharing)?;
        let store = Arc::new(Counted::new(store, Arc::clone(&self.metrics)));
        let vault = Vault::new(Arc::clone(&store) as _, KeyRing::new(keys));
        Ok(Kept {
            vault,
            store,
            redis,
            home,
            reached: AtomicBool::new(false),
            announced: AtomicBool::new(false),
        })
    }
}

/// Whether the configuration has anything to keep.
fn is_needed(config: &Config) -> bool {
    let consents = |credential: &Credential| matches!(credential, Credential::AuthorizationCode(_));
    config.store.is_given
        || config.auth.authority.is_some()
        || config.upstreams.values().any(|upstream| consents(&upstream.credential))
}

fn keys(config: &Config, secrets: &Secrets) -> Result<Vec<[u8; narthex_store::KEY_LEN]>, StoreError> {
    if has_passing_key(config) {
        let mut key = [0; narthex_store::KEY_LEN];
        rand::fill(&mut key).map_err(|_| StoreError::NoRandomness)?;
        return Ok(vec![key]);
    }
    Ok(STORE.load(&config.store.keys, &config.server.state_dir, secrets)?)
}

/// What is in memory needs no key that outlives it, nor a place to keep one.
fn has_passing_key(config: &Config) -> bool {
    config.store.keys.is_empty() && matches!(config.store.home, StoreHome::Memory(_))
}

/// A file without the key that it was sealed with would look as if it were empty.
fn key_is_there(config: &Config) -> Result<(), StoreError> {
    let state_dir: &Path = &config.server.state_dir;
    match &config.store.home {
        StoreHome::File { path, .. }
            if config.store.keys.is_empty() && path.exists() && !STORE.has_own(state_dir) =>
        {
            let [file, state_dir] = [path, state_dir].map(|path| path.display().to_string());
            Err(StoreError::KeyLost { file, state_dir })
        }
        _ => Ok(()),
    }
}
