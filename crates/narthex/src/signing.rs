//! The keys with which the gateway signs what it asserts to upstreams.

use narthex_config::Config;
use narthex_credentials::{FileHome, SigningError, SigningKeys};
use narthex_proxy::{Content, Document};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::warn;

/// How often keys are looked after, seconds.
const EVERY: u64 = 3600;

/// The keys, from when they are first needed on: the same over all reloads.
#[derive(Default)]
pub(crate) struct Signing {
    keys: OnceLock<SigningKeys>,
    /// When they were last looked after, seconds since the epoch.
    tended: AtomicU64,
}

impl Signing {
    /// The keys, if `config` has anything signed with them. The first are made and kept.
    pub(crate) fn open(&self, config: &Config) -> Result<Option<SigningKeys>, SigningError> {
        if !is_needed(config) {
            return Ok(None);
        }
        let now = SystemTime::now();
        if let Some(keys) = self.keys.get() {
            // Somebody may have put others in their place.
            wait(keys.refresh(now))?;
            return Ok(Some(keys.clone()));
        }
        let home = FileHome::new(&config.server.state_dir);
        let keys = wait(SigningKeys::open(Box::new(home), now))?;
        Ok(Some(self.keys.get_or_init(|| keys).clone()))
    }

    /// As [`Signing::open`], but writes nothing: keys that are not there yet are kept nowhere.
    pub(crate) fn preview(config: &Config) -> Result<Option<SigningKeys>, SigningError> {
        is_needed(config).then(|| SigningKeys::ephemeral(SystemTime::now())).transpose()
    }

    /// Rotates them, if it is time. What goes wrong is logged, and the keys stay as they were.
    pub(crate) fn tend(&self) {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let last = self.tended.load(Ordering::Relaxed);
        if let Some(keys) = self.keys.get().filter(|_| seconds.abs_diff(last) >= EVERY) {
            self.tended.store(seconds, Ordering::Relaxed);
            let keys = keys.clone();
            tokio::spawn(async move {
                if let Err(error) = keys.refresh(now).await {
                    warn!(%error, "the signing keys cannot be looked after");
                }
            });
        }
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
