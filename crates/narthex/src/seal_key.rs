//! The keys that seal session ids and other handles.

use aws_lc_rs::rand;
use narthex_config::model::Server;
use narthex_credentials::secret::{SecretError, Secrets};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use thiserror::Error;

/// Length of a key, bytes.
pub(crate) const LEN: usize = 32;

/// The file in `server.state_dir` with the gateway's own key.
const FILE_NAME: &str = "seal.key";

/// The keys cannot be had.
#[derive(Debug, Error)]
pub(crate) enum SealKeyError {
    #[error("server.seal_keys: {0}")]
    Secret(#[from] SecretError),
    #[error("server.seal_keys: a key must be 64 hexadecimal digits (32 bytes)")]
    Form,
    #[error("cannot keep a seal key in {path}: {cause}")]
    State { path: String, cause: String },
}

/// The configured keys, or the one that the gateway made itself at its first start.
pub(crate) fn load(settings: &Server, secrets: &Secrets) -> Result<Vec<[u8; LEN]>, SealKeyError> {
    if settings.seal_keys.is_empty() {
        return own(&settings.state_dir).map(|key| vec![key]);
    }
    settings.seal_keys.iter().map(|r| parse(secrets.line(r)?.expose())).collect()
}

/// As [`load`], but writes nothing: a key that is not there yet is kept nowhere.
pub(crate) fn preview(settings: &Server, secrets: &Secrets) -> Result<Vec<[u8; LEN]>, SealKeyError> {
    let is_made_at_start = settings.seal_keys.is_empty() && !settings.state_dir.join(FILE_NAME).exists();
    // Nothing is ever sealed with it.
    if is_made_at_start { Ok(vec![[0; LEN]]) } else { load(settings, secrets) }
}

fn own(state_dir: &Path) -> Result<[u8; LEN], SealKeyError> {
    let path = state_dir.join(FILE_NAME);
    let fail = |cause: String| SealKeyError::State { path: path.display().to_string(), cause };
    match fs::read_to_string(&path) {
        Ok(text) => parse(text.trim_end()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = [0; LEN];
            rand::fill(&mut key).map_err(|_| fail("no randomness".to_owned()))?;
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(state_dir)
                .map_err(|e| fail(e.to_string()))?;
            write_new(&path, &key).map_err(|e| fail(e.to_string()))?;
            Ok(key)
        }
        Err(error) => Err(fail(error.to_string())),
    }
}

/// Writes the key beside its place and moves it there, so that a crash leaves no half of one.
fn write_new(path: &Path, key: &[u8; LEN]) -> std::io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let text: String = key.iter().map(|b| format!("{b:02x}")).collect();
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn parse(text: &str) -> Result<[u8; LEN], SealKeyError> {
    let mut key = [0; LEN];
    if text.len() != 2 * LEN || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(SealKeyError::Form);
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| SealKeyError::Form)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| SealKeyError::Form)?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_made_at_first_start_is_found_at_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        assert_eq!(own(&state).unwrap(), own(&state).unwrap());
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(state.join("seal.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn only_thirty_two_bytes_are_a_key() {
        assert!(parse(&"ab".repeat(32)).is_ok());
        for bad in ["", "zz", &"ab".repeat(31), &"ab".repeat(33), &"+1".repeat(32), &"é".repeat(32)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
