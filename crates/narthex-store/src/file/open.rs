//! Opening the file: alone, or not at all.

use super::Sharing;
use super::tables;
use redb::{Builder, ConcurrencyMode, Database, DatabaseError, StorageError};
use std::ffi::OsString;
use std::fs::{self, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Memory that pages of the file are kept in, bytes.
const CACHE: usize = 32 << 20;

/// Why the file cannot be a store's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{path} is in use by another process: one gateway at a time has a store in a file (replicas share \
         one in Redis or Valkey)"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// It is no store, or a damaged one, or one of a version that is not known here. It stays as it is.
    #[error(
        "{path} cannot be read as a store: {cause}; put a good copy in its place, or move it away to begin anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// It cannot be read, written or made.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
}

/// A shared lock on `<path>.lock`, which every process has that has the file open, for as long as this lives.
///
/// Not on the file itself, as the process that takes over opens it while the former still has it.
pub(super) struct Lock(#[expect(dead_code, reason = "unlocks when it is dropped")] fs::File);

pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) lock: Lock,
}

// === impl OpenError ===

impl OpenError {
    pub(super) fn io(path: &Path, cause: io::Error) -> Self {
        Self::Io { path: path.display().to_string(), cause }
    }

    pub(super) fn damaged(path: &Path, cause: &dyn std::fmt::Display) -> Self {
        Self::Damaged { path: path.display().to_string(), cause: cause.to_string() }
    }

    fn of(path: &Path, error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::InUse { path: path.display().to_string() },
            DatabaseError::Storage(StorageError::Io(cause)) if !is_of_content(&cause) => {
                Self::io(path, cause)
            }
            other => Self::damaged(path, &other),
        }
    }
}

// === impl Lock ===

impl Lock {
    fn take(path: &Path, sharing: Sharing) -> Result<Self, OpenError> {
        let beside = beside(path, ".lock");
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside);
        let file = file.map_err(|error| OpenError::io(path, error))?;
        // Whoever is to be alone must have it alone for a moment. The second call turns one into the other, as
        // flock(2) does; if somebody comes between, that one has it.
        let alone = if sharing == Sharing::Alone { file.try_lock() } else { Ok(()) };
        match alone.and_then(|()| file.try_lock_shared()) {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.display().to_string() }),
            Err(TryLockError::Error(error)) => Err(OpenError::io(path, error)),
        }
    }
}

pub(super) fn open(path: &Path, sharing: Sharing) -> Result<Opened, OpenError> {
    let io = |error| OpenError::io(path, error);
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    let lock = Lock::take(path, sharing)?;
    match fs::metadata(path) {
        // A store is never empty, so something has happened to it; to begin anew would hide that.
        Ok(found) if found.len() == 0 => return Err(OpenError::damaged(path, &"it is empty")),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => make(path, directory)?,
        Err(error) => return Err(io(error)),
    }
    Ok(Opened { database: reopen(path)?, lock })
}

/// Opens what is there.
pub(super) fn reopen(path: &Path) -> Result<Database, OpenError> {
    let mut builder = Builder::new();
    builder.set_check_integrity_on_open(true);
    let database = with_care(path, &mut builder, |builder| builder.open(path))?;
    tables::check(&database).map_err(|error| OpenError::damaged(path, &error))?;
    Ok(database)
}

/// Makes an empty store beside its place and moves it there, so that a crash leaves no half of one.
fn make(path: &Path, directory: &Path) -> Result<(), OpenError> {
    let io = |error| OpenError::io(path, error);
    let new = beside(path, &format!(".new-{}", std::process::id()));
    let made = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
    made.map_err(io)?;
    let database = with_care(&new, &mut Builder::new(), |builder| builder.create(&new))?;
    tables::make(&database).map_err(|error| OpenError::damaged(&new, &error))?;
    drop(database);
    fs::rename(&new, path).map_err(io)?;
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)
}

/// The library means to say what is wrong with a file, but reserves to panic over one that was tampered with.
fn with_care(
    path: &Path,
    builder: &mut Builder,
    open: impl Fn(&Builder) -> Result<Database, DatabaseError>,
) -> Result<Database, OpenError> {
    // Of several processes, so that a new one can take over while the old one ends.
    builder.set_concurrency_mode(ConcurrencyMode::MultiWriter).set_cache_size(CACHE);
    match catch_unwind(AssertUnwindSafe(|| open(builder))) {
        Ok(opened) => opened.map_err(|error| OpenError::of(path, error)),
        Err(_) => Err(OpenError::damaged(path, &"its structure is broken")),
    }
}

/// Whether the disk did what it was asked, but what was on it is no database, or the half of one.
fn is_of_content(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}
