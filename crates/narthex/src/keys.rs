//! Keys of 32 bytes: those of the configuration, or one that the gateway made itself at its first start.

use aws_lc_rs::rand;
use narthex_config::model::SecretRef;
use narthex_credentials::secret::{SecretError, Secrets};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use thiserror::Error;
use zeroize::Zeroizing;

/// Length of a key, bytes.
pub(crate) const LEN: usize = 32;

/// What keys are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    /// Where the configuration has them.
    key: &'static str,
    /// The file in `server.state_dir` with the gateway's own.
    file_name: &'static str,
}

/// For session ids and other handles.
pub(crate) const SEAL: Purpose = Purpose { key: "server.seal_keys", file_name: "seal.key" };

/// For the store.
pub(crate) const STORE: Purpose = Purpose { key: "store.keys", file_name: "store.key" };

/// The keys cannot be had.
#[derive(Debug, Error)]
pub(crate) enum KeyError {
    #[error("{key}: {cause}")]
    Secret { key: &'static str, cause: SecretError },
    #[error("{0}: a key must be 64 hexadecimal digits (32 bytes)")]
    Form(&'static str),
    #[error("cannot keep a key in {path}: {cause}")]
    State { path: String, cause: String },
}

// === impl Purpose ===

impl Purpose {
    /// The configured keys, or the gateway's own.
    pub(crate) fn load(
        self,
        configured: &[SecretRef],
        state_dir: &Path,
        secrets: &Secrets,
    ) -> Result<Vec<[u8; LEN]>, KeyError> {
        if configured.is_empty() {
            return self.own(state_dir).map(|key| vec![key]);
        }
        let read = |reference| match secrets.line(reference) {
            Ok(text) => self.parse(text.expose()),
            Err(cause) => Err(KeyError::Secret { key: self.key, cause }),
        };
        configured.iter().map(read).collect()
    }

    /// As [`load`](Self::load), but writes nothing: a key that is not there yet is kept nowhere.
    pub(crate) fn preview(
        self,
        configured: &[SecretRef],
        state_dir: &Path,
        secrets: &Secrets,
    ) -> Result<Vec<[u8; LEN]>, KeyError> {
        let is_made_at_start = configured.is_empty() && !self.has_own(state_dir);
        // Nothing is ever sealed with it.
        if is_made_at_start { Ok(vec![[0; LEN]]) } else { self.load(configured, state_dir, secrets) }
    }

    /// Whether the gateway has made one of its own before.
    pub(crate) fn has_own(self, state_dir: &Path) -> bool {
        state_dir.join(self.file_name).exists()
    }

    fn own(self, state_dir: &Path) -> Result<[u8; LEN], KeyError> {
        let path = state_dir.join(self.file_name);
        let fail = |cause: String| KeyError::State { path: path.display().to_string(), cause };
        match self.read(&path) {
            Ok(found) => return found,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error.to_string())),
        }
        let mut key = [0; LEN];
        rand::fill(&mut key).map_err(|_| fail("no randomness".to_owned()))?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)
            .map_err(|e| fail(e.to_string()))?;
        match write_new(&path, &key) {
            Ok(()) => Ok(key),
            // Another process has made one at the same moment; what either seals with it, the next start must open.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.read(&path).map_err(|e| fail(e.to_string()))?
            }
            Err(error) => Err(fail(error.to_string())),
        }
    }

    /// The outer error is the file's.
    fn read(self, path: &Path) -> std::io::Result<Result<[u8; LEN], KeyError>> {
        let text = Zeroizing::new(fs::read_to_string(path)?);
        Ok(self.parse(text.trim_end()))
    }

    fn parse(self, text: &str) -> Result<[u8; LEN], KeyError> {
        let mut key = [0; LEN];
        if text.len() != 2 * LEN || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(KeyError::Form(self.key));
        }
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| KeyError::Form(self.key))?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| KeyError::Form(self.key))?;
        }
        Ok(key)
    }
}

/// Writes the key beside its place and links it there, so that a crash leaves no half of one, and one that is there
/// already is not lost.
fn write_new(path: &Path, key: &[u8; LEN]) -> std::io::Result<()> {
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|_| std::io::Error::other("no randomness"))?;
    let beside = path.with_extension(format!("new-{:016x}", u64::from_ne_bytes(random)));
    let written = write(&beside, key).and_then(|()| put_in_place(&beside, path));
    // It is gone where it was moved.
    let _ = fs::remove_file(&beside);
    written?;
    // What is sealed with it is on the disk for sure, so it must be as well.
    path.parent().map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}

fn write(path: &Path, key: &[u8; LEN]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let text: Zeroizing<String> = Zeroizing::new(key.iter().map(|b| format!("{b:02x}")).collect());
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn put_in_place(beside: &Path, path: &Path) -> std::io::Result<()> {
    match fs::hard_link(beside, path) {
        // The file system has no links.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            fs::rename(beside, path)
        }
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_made_at_first_start_is_found_at_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        assert!(!SEAL.has_own(&state));
        assert_eq!(SEAL.own(&state).unwrap(), SEAL.own(&state).unwrap());
        assert_ne!(SEAL.own(&state).unwrap(), STORE.own(&state).unwrap());
        for file in ["seal.key", "store.key"] {
            let mode = fs::metadata(state.join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn all_who_begin_at_once_have_the_key_that_is_kept() {
        for _ in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            let begin = std::sync::Barrier::new(4);
            let make = || {
                begin.wait();
                STORE.own(dir.path()).unwrap()
            };
            let made: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let kept = STORE.own(dir.path()).unwrap();
            assert!(made.iter().all(|key| *key == kept));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    #[test]
    fn only_thirty_two_bytes_are_a_key() {
        assert!(SEAL.parse(&"ab".repeat(32)).is_ok());
        for bad in ["", "zz", &"ab".repeat(31), &"ab".repeat(33), &"+1".repeat(32), &"é".repeat(32)] {
            assert!(SEAL.parse(bad).is_err(), "{bad}");
        }
    }
}
