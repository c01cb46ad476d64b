//! The keys with which the gateway signs what it asserts to upstreams.

use narthex_config::Config;
use narthex_credentials::{FileHome, SigningError, SigningKeys, VaultHome};
use narthex_proxy::{Content, Document};
use narthex_store::Vault;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::warn;

/// How often keys are looked after, seconds: those of this gateway alone, and those that others share.
const EVERY: u64 = 3600;
const EVERY_SHARED: u64 = 10;

/// The keys, from when they are first needed on: the same over all reloads.
#[derive(Default)]
pub(crate) struct Signing {
    kept: OnceLock<Kept>,
    /// When they were last looked after, seconds since the epoch.
    tended: AtomicU64,
    /// Whether that went wrong.
    failing: Arc<AtomicBool>,
}

struct Kept {
    keys: SigningKeys,
    /// They are in the store, which may not answer yet, and whose connections are for the gateway's own runtime.
    is_shared: bool,
}

impl Signing {
    /// The keys, if `config` has anything signed with them: in `shared`, the vault of all gateways, or else in a
    /// file. The first are made and kept; those in a vault are read as soon as it answers.
    pub(crate) fn open(
        &self,
        config: &Config,
        shared: Option<Vault>,
    ) -> Result<Option<SigningKeys>, SigningError> {
        if !is_needed(config) {
            return Ok(None);
        }
        let now = SystemTime::now();
        if let Some(kept) = self.kept.get() {
            // Somebody may have put others in their place.
            if !kept.is_shared {
                wait(kept.keys.refresh(now))?;
            }
            return Ok(Some(kept.keys.clone()));
        }
        let kept = match shared {
            Some(vault) => {
                Kept { keys: SigningKeys::unread(Box::new(VaultHome::new(vault))), is_shared: true }
            }
            None => {
                let home = FileHome::new(&config.server.state_dir);
                Kept { keys: wait(SigningKeys::open(Box::new(home), now))?, is_shared: false }
            }
        };
        Ok(Some(self.kept.get_or_init(|| kept).keys.clone()))
    }

    /// As [`Signing::open`], but writes nothing: keys that are not there yet are kept nowhere.
    pub(crate) fn preview(config: &Config) -> Result<Option<SigningKeys>, SigningError> {
        is_needed(config).then(|| SigningKeys::ephemeral(SystemTime::now())).transpose()
    }

    /// Whether the keys were never read, though they are needed.
    pub(crate) fn is_awaited(&self) -> bool {
        self.kept.get().is_some_and(|kept| !kept.keys.are_read())
    }

    /// Reads them if that was not possible yet, and rotates them if it is time. What goes wrong is logged, and the
    /// keys stay as they were.
    pub(crate) fn tend(&self) {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let last = self.tended.load(Ordering::Relaxed);
        let Some(kept) = self.kept.get() else { return };
        let every = if kept.is_shared { EVERY_SHARED } else { EVERY };
        if seconds.abs_diff(last) < every && kept.keys.are_read() {
            return;
        }
        self.tended.store(seconds, Ordering::Relaxed);
        let (keys, failing) = (kept.keys.clone(), Arc::clone(&self.failing));
        tokio::spawn(async move {
            match keys.refresh(now).await {
                Ok(()) => failing.store(false, Ordering::Relaxed),
                // Once, and not for as long as it lasts.
                Err(error) => {
                    if !failing.swap(true, Ordering::Relaxed) {
                        warn!(%error, "the signing keys cannot be looked after");
                    }
                }
            }
        });
    }
}

/// What is published of the keys.
pub(crate) fn document(config: &Config, keys: SigningKeys) -> Document {
    Document {
        path: format!("{}/.well-known/jwks.json", config.server.public_url.path),
        content_type: "application/jwk-set+json",
        body: Content::Live(Arc::new(move || keys.jwks())),
    }
}

fn is_needed(config: &Config) -> bool {
    config.upstreams.values().any(|upstream| upstream.credential.wants_signing_keys())
}

/// Waits for it on a thread of its own, as whoever asks may be in a runtime already.
fn wait<T: Send>(what: impl Future<Output = Result<T, SigningError>> + Send) -> Result<T, SigningError> {
    let failed = |cause: &str| SigningError::Home(cause.to_owned());
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|e| failed(&e.to_string()))?.block_on(what)
    };
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|_| Err(failed("the thread ended")))
}
