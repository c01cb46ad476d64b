//! Secret references and the values behind them.

mod vault;

pub use vault::VaultProblem;

use narthex_config::Config;
use narthex_config::model::SecretRef;
use narthex_telemetry::Events;
use secrecy::{ExposeSecret, SecretString};
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use vault::Fetched;
use zeroize::{Zeroize, Zeroizing};

/// Largest secret that is read, bytes. A PEM chain is a few KiB.
pub const MAX_SECRET: usize = 64 * 1024;

/// A secret value: zeroed when dropped, printed as `***`.
#[derive(Clone)]
pub struct Secret(SecretString);

/// Reads secret references: from files and the process environment when asked; of the vault, what
/// [`fetch`](Self::fetch) has read for a configuration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Secrets {
    environment: fn(&str) -> Option<OsString>,
    vault: Option<Arc<Fetched>>,
}

/// Why a secret could not be read. Names the reference, never the value.
#[derive(Debug, Error)]
#[error("secret {reference}: {problem}")]
pub struct SecretError {
    reference: String,
    problem: SecretProblem,
}

/// What is wrong with a secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretProblem {
    /// The environment variable is not set.
    #[error("not set")]
    NotSet,
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// A directory, pipe or device.
    #[error("not a regular file")]
    NotAFile,
    /// Nothing but perhaps a newline.
    #[error("empty")]
    Empty,
    /// Over [`MAX_SECRET`].
    #[error("larger than {MAX_SECRET} bytes")]
    TooLarge,
    /// Not UTF-8.
    #[error("not UTF-8 text")]
    NotText,
    /// A NUL; or, in a value of one line, a CR or LF.
    #[error("contains {0}")]
    Forbidden(&'static str),
    /// In the vault, and not named by the configuration that these secrets are for.
    #[error("was not read from the vault")]
    NotRead,
    /// The vault did not give it.
    #[error(transparent)]
    Vault(#[from] VaultProblem),
}

// === impl Secret ===

impl Secret {
    /// The value itself. Whoever calls this must neither print nor keep it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.into())
    }
}

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

// === impl Secrets ===

impl Default for Secrets {
    fn default() -> Self {
        Self { environment: |name| std::env::var_os(name), vault: None }
    }
}

impl Secrets {
    /// Reads all that `config` names from its vault, within 30 s; nothing else is asked for. With `previous`, the
    /// secrets in use, the login is used on if `secrets.vault` is the same, and as long as that vault cannot be
    /// asked, the values that it gave count on. Without anything from a vault there is nothing to wait for.
    ///
    /// # Errors
    /// Something is missing or denied, or the vault cannot be asked for what was never read. All of it is logged;
    /// the error names the first.
    pub async fn fetch(
        config: &Config,
        previous: Option<&Self>,
        events: &Events,
    ) -> Result<Self, SecretError> {
        let bootstrap = Self::default();
        let previous = previous.and_then(|secrets| secrets.vault.as_ref());
        let fetched = Fetched::read(&config.secrets, bootstrap.clone(), previous, events).await?;
        Ok(Self { vault: fetched.map(Arc::new), ..bootstrap })
    }

    /// Keeps the login at the vault, looks for changes there every `secrets.vault.refresh`, and comes back when
    /// one of the values that were read is another now. Never, if none was.
    pub async fn changed(&self) {
        match &self.vault {
            Some(fetched) => fetched.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Gives the login at the vault up, unless `successor` uses it on. A token that somebody else made is left
    /// as it is.
    pub async fn log_out(&self, successor: Option<&Self>) {
        let Some(fetched) = &self.vault else { return };
        let used_on = successor.and_then(|secrets| secrets.vault.as_ref());
        if !used_on.is_some_and(|other| fetched.shares_login(other)) {
            fetched.log_out().await;
        }
    }

    /// Reads a secret that may have several lines, such as a PEM key. One trailing newline is removed.
    ///
    /// # Errors
    /// See [`SecretProblem`].
    pub fn text(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        self.read_bytes(reference)
            .and_then(|bytes| to_text(&bytes))
            .map_err(|problem| SecretError { reference: describe(reference), problem })
    }

    /// Reads a secret of one line: a password, an API key, a header value. One trailing newline is removed.
    ///
    /// # Errors
    /// See [`SecretProblem`]; a CR or LF inside is one.
    pub fn line(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let secret = self.text(reference)?;
        if secret.expose().contains(['\r', '\n']) {
            let problem = SecretProblem::Forbidden("a line break");
            return Err(SecretError { reference: describe(reference), problem });
        }
        Ok(secret)
    }

    #[cfg(test)]
    pub(crate) fn with_environment(environment: fn(&str) -> Option<OsString>) -> Self {
        Self { environment, vault: None }
    }

    fn read_bytes(&self, reference: &SecretRef) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
        match reference {
            SecretRef::File(path) => read_file(path),
            SecretRef::Env(name) => {
                let value = (self.environment)(name).ok_or(SecretProblem::NotSet)?;
                let bytes = Zeroizing::new(value.into_encoded_bytes());
                if bytes.len() > MAX_SECRET { Err(SecretProblem::TooLarge) } else { Ok(bytes) }
            }
            SecretRef::Vault(reference) => {
                let value = self.vault.as_ref().and_then(|fetched| fetched.value(reference));
                let value = value.ok_or(SecretProblem::NotRead)?;
                Ok(Zeroizing::new(value.expose().as_bytes().to_vec()))
            }
        }
    }
}

impl narthex_identity::SecretSource for Secrets {
    fn read(&self, secret: &SecretRef) -> Result<SecretString, String> {
        self.text(secret).map(Into::into).map_err(|e| e.to_string())
    }
}

// === impl SecretError ===

impl SecretError {
    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &SecretProblem {
        &self.problem
    }
}

fn describe(reference: &SecretRef) -> String {
    match reference {
        SecretRef::File(path) => format!("file {}", path.display()),
        SecretRef::Env(name) => format!("environment variable {name}"),
        SecretRef::Vault(reference) => format!("vault {reference}"),
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    let unreadable = |e: std::io::Error| SecretProblem::Unreadable(e.kind());
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(SecretProblem::NotAFile);
    }
    let file = File::open(path).map_err(unreadable)?;
    warn_if_world_readable(path, &file.metadata().map_err(unreadable)?);
    // Room for the whole at once, so that growing leaves no copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET + 1));
    file.take(MAX_SECRET as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_SECRET { Err(SecretProblem::TooLarge) } else { Ok(bytes) }
}

/// Container runtimes mount secrets world-readable in a directory that only the container sees.
#[cfg(unix)]
fn warn_if_world_readable(path: &Path, metadata: &Metadata) {
    use std::os::unix::fs::PermissionsExt;
    const MOUNTS: [&str; 2] = ["/run/secrets", "/var/run/secrets"];
    let mounted = |path: &Path| MOUNTS.iter().any(|mount| path.starts_with(mount));
    if metadata.permissions().mode() & 0o004 == 0 || mounted(path) {
        return;
    }
    if !std::fs::canonicalize(path).is_ok_and(|real| mounted(&real)) {
        tracing::warn!(path = %path.display(), "secret file can be read by every user of this machine");
    }
}

#[cfg(not(unix))]
fn warn_if_world_readable(_path: &Path, _metadata: &Metadata) {}

fn to_text(bytes: &[u8]) -> Result<Secret, SecretProblem> {
    let text = std::str::from_utf8(bytes).map_err(|_| SecretProblem::NotText)?;
    let text = text.strip_suffix('\n').map_or(text, |rest| rest.strip_suffix('\r').unwrap_or(rest));
    if text.is_empty() {
        return Err(SecretProblem::Empty);
    }
    if text.contains('\0') {
        return Err(SecretProblem::Forbidden("a NUL"));
    }
    Ok(Secret::from(text))
}

/// Zeroes a response body that held a token, if nobody else holds it.
pub(crate) fn wipe(body: bytes::Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
}

#[cfg(test)]
mod tests;
