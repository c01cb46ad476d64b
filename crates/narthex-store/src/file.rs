//! The home in a file, for one machine.

mod open;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use open::OpenError;

use crate::{Capacity, Condition, Error, Key, Store, Usage};
use async_trait::async_trait;
use bytes::Bytes;
use open::{Lock, Opened};
use parking_lot::RwLock;
use redb::{Database, ReadableDatabase};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::TrySendError;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use writer::{Job, Writer};

/// Tells the time of day: what is kept must end when it should after a restart as well.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Whether another process may have the file open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sharing {
    /// No: it is an error if one has.
    Alone,
    /// Yes: the one that this process takes over from, as long as it still runs.
    Successor,
}

/// A store in a file, for one process (and for the moment that one hands over to its successor, for two).
///
/// A call that writes is answered when what it wrote is on the disk. Calls that come at the same time share
/// one commit, so a disk that takes 5 ms to sync still takes thousands of values a second. A process killed
/// at any moment leaves a file with all that was answered, and perhaps with what was about to be.
///
/// When it is full it refuses what would make it larger ([`Error::Full`]): it forgets nothing before its
/// time. It goes by the time of day; if that jumps, what ends is early or late by as much.
pub struct File {
    shared: Arc<Shared>,
    jobs: Option<std::sync::mpsc::SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What the writing thread and those who read have in common.
struct Shared {
    path: PathBuf,
    /// Another one after the disk failed: the library wants to be opened anew then.
    database: RwLock<Arc<Database>>,
    clock: WallClock,
    capacity: Capacity,
    entries: AtomicU64,
    bytes: AtomicU64,
}

// === impl File ===

impl File {
    /// Opens the file, or makes it, with mode 0600, and the directory, with 0700, where they are not there.
    /// Checks all of what is in it.
    ///
    /// # Errors
    /// See [`OpenError`]. A file that is damaged stays as it is.
    pub fn open(
        path: &Path,
        capacity: Capacity,
        clock: WallClock,
        sharing: Sharing,
    ) -> Result<Self, OpenError> {
        let Opened { database, lock } = open::open(path, sharing)?;
        let (entries, bytes) = Default::default();
        let database = RwLock::new(Arc::new(database));
        let shared = Arc::new(Shared { path: path.to_owned(), database, clock, capacity, entries, bytes });
        shared.count().map_err(|error| OpenError::damaged(path, &error))?;
        Self::start(shared, lock).map_err(|error| OpenError::io(path, error))
    }

    fn start(shared: Arc<Shared>, lock: Lock) -> std::io::Result<Self> {
        let (jobs, todo) = std::sync::mpsc::sync_channel(writer::QUEUE);
        let writer = Writer::new(Arc::clone(&shared), todo, lock);
        let thread = std::thread::Builder::new().name("narthex-store".to_owned());
        let thread = thread.spawn(move || writer.run())?;
        Ok(Self { shared, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Asks the writing thread, without waiting for room in its queue.
    fn ask(&self, job: Job) -> Result<(), Error> {
        let jobs = self.jobs.as_ref().ok_or_else(|| unavailable("the store is closed"))?;
        jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => unavailable("more writes than the disk takes"),
            TrySendError::Disconnected(_) => unavailable("the store is closed"),
        })
    }
}

#[async_trait]
impl Store for File {
    async fn read(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        let (shared, key, former) = (Arc::clone(&self.shared), key.clone(), former.to_vec());
        let reading = tokio::task::spawn_blocking(move || shared.read(&key, &former));
        reading.await.map_err(|failed| Error::Unavailable(failed.into()))?
    }

    async fn withdraw(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.ask(Job::Withdraw { key: key.clone(), former: former.to_vec(), answer })?;
        answered.await.map_err(|_| unavailable("the write was given up"))?
    }

    async fn write(
        &self,
        key: &Key,
        former: &[Key],
        value: Bytes,
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, Error> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let (key, former, condition) = (key.clone(), former.to_vec(), condition.into());
        self.ask(Job::Write { key, former, value, ttl, condition, answer })?;
        answered.await.map_err(|_| unavailable("the write was given up"))?
    }

    fn usage(&self) -> Option<Usage> {
        let count = |of: &AtomicU64| usize::try_from(of.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        Some(Usage { entries: count(&self.shared.entries), bytes: count(&self.shared.bytes), evicted: 0 })
    }
}

impl Drop for File {
    /// Waits until what was asked for is written.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it was told where it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = self.usage();
        f.debug_struct("File").field("path", &self.shared.path).field("usage", &usage).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn now(&self) -> u64 {
        tables::millis((self.clock)())
    }

    fn database(&self) -> Arc<Database> {
        Arc::clone(&self.database.read())
    }

    fn read(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        let transaction = self.database().begin_read().map_err(unavailable)?;
        tables::find(&transaction, key, former, self.now()).map_err(unavailable)
    }

    /// Looks how much there is.
    fn count(&self) -> Result<(), redb::Error> {
        let held = tables::held(&self.database().begin_read()?)?;
        self.set_held(held);
        Ok(())
    }

    fn set_held(&self, held: tables::Held) {
        self.entries.store(held.entries, Ordering::Relaxed);
        self.bytes.store(held.bytes, Ordering::Relaxed);
    }
}

fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable(cause.into())
}
