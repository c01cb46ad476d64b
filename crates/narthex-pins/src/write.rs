//! Files that are written whole or not at all, by one process at a time.

use crate::error::PinsError;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file that is read or written, bytes.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// Mode of a file that is new.
const NEW_MODE: u32 = 0o600;

/// How often another process is waited for, and how long each time.
const TRIES: usize = 100;
const WAIT: Duration = Duration::from_millis(10);

/// The text of the file at `path`; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, PinsError> {
    let fail = |cause| PinsError::Read { path: path.to_owned(), cause };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large(path));
    }
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        PinsError::content(path, format!("line {line} is not UTF-8"))
    })
}

fn too_large(path: &Path) -> PinsError {
    PinsError::content(path, format!("larger than {} MiB", MAX_BYTES >> 20))
}

/// Puts a file with `text` at `path`: written beside it, made durable, and moved there. The mode of the one
/// before is kept, and its owner where that may be. A symbolic link is not written through: who has linked
/// it means another file, which may be in a volume that is swapped as a whole.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), PinsError> {
    if text.len() as u64 > MAX_BYTES {
        return Err(too_large(path));
    }
    try_replace(path, text).map_err(|cause| PinsError::write(path, cause))
}

fn try_replace(path: &Path, text: &str) -> io::Result<()> {
    let before = match fs::symlink_metadata(path) {
        Ok(before) if before.is_symlink() => {
            return Err(io::Error::other("it is a symbolic link; name the file that it leads to"));
        }
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mode = before.as_ref().map_or(NEW_MODE, |before| before.mode() & 0o777);
    let dir = directory(path);
    let mut beside = tempfile::Builder::new().prefix(".narthex-").suffix(".tmp").tempfile_in(&dir)?;
    beside.write_all(text.as_bytes())?;
    let file = beside.as_file();
    if let Some(before) = before {
        // Only root may give files away; for all others the group's and others' bits must do.
        let _ = fchown(file, Some(before.uid()), Some(before.gid()));
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    File::open(&dir)?.sync_all()
}

fn directory(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Held while a file is read, changed and written, so that no other process's change is lost.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held until it is dropped")] File);

impl Lock {
    /// The lock of the file at `path`: another file beside it, which stays (to remove it would let two
    /// processes hold a lock each).
    pub(crate) fn take(path: &Path) -> Result<Self, PinsError> {
        Self::try_take(path).map_err(|cause| PinsError::write(path, cause))
    }

    fn try_take(path: &Path) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = directory(path).join(format!(".{name}.lock"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let file = match options.open(&beside) {
            // Another user's; reading is enough to lock it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&beside)?,
            opened => opened?,
        };
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(WAIT),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "another process is writing it"))
    }
}
