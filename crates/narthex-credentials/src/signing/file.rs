//! Signing keys in a file of the state directory: for a single gateway.

use super::KeyHome;
use async_trait::async_trait;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file.
const NAME: &str = "signing.keys";
/// Largest file that is read, bytes. A generation takes less than 512.
const MOST: u64 = 64 * 1024;

/// Keeps keys in `signing.keys`, which only the gateway's user can read.
#[derive(Debug)]
pub struct FileHome {
    path: PathBuf,
}

impl FileHome {
    /// In this directory, which is made if need be.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(NAME) }
    }

    /// Whether there are keys yet.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.path.exists()
    }

    fn failed(&self, cause: &std::io::Error) -> String {
        format!("{}: {cause}", self.path.display())
    }

    fn read(&self) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
        let file = match fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes beside and moves there, so that a crash leaves no half of it.
    fn write(&self, new: &[u8]) -> std::io::Result<()> {
        if let Some(dir) = self.path.parent() {
            make_dir(dir)?;
        }
        let beside = self.path.with_extension(format!("new-{}", std::process::id()));
        let mut file = private().open(&beside)?;
        file.write_all(new)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }
}

/// It is read and written at the start, and about once an hour: not worth another thread.
#[async_trait]
impl KeyHome for FileHome {
    async fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        self.read().map_err(|error| self.failed(&error))
    }

    async fn replace(&self, seen: Option<&[u8]>, new: &[u8]) -> Result<bool, String> {
        let kept = self.read().map_err(|error| self.failed(&error))?;
        if kept.as_ref().map(|kept| kept.as_slice()) != seen {
            return Ok(false);
        }
        self.write(new).map(|()| true).map_err(|error| self.failed(&error))
    }
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options
}

#[cfg(unix)]
fn make_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_dir(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).create(dir)
}
