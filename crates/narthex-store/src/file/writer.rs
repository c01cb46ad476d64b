//! The thread that writes: what is asked for while it commits goes into the next commit, together.

use super::open::{self, Lock};
use super::tables::{self, Failed, Tables};
use super::{Shared, unavailable};
use crate::{Condition, Error, Key};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Calls that may wait for the thread.
pub(super) const QUEUE: usize = 8192;

/// Calls that go into one commit, at most.
const BATCH: usize = 1024;

/// Bytes of values that go into one commit, about.
const BATCH_BYTES: usize = 4 << 20;

/// What has ended and goes with one commit, at most, beside twice as much as was asked for.
const SWEEP: usize = 512;

/// How long it waits for calls before it looks for what has ended.
const IDLE: Duration = Duration::from_secs(1);

/// What is asked of the thread.
pub(super) enum Job {
    Withdraw {
        key: Key,
        former: Vec<Key>,
        answer: oneshot::Sender<Result<Option<Bytes>, Error>>,
    },
    Write {
        key: Key,
        former: Vec<Key>,
        value: Bytes,
        ttl: Duration,
        condition: Owned,
        answer: oneshot::Sender<Result<bool, Error>>,
    },
}

/// A [`Condition`] with its value.
pub(super) enum Owned {
    Always,
    Absent,
    Is(Bytes),
}

/// What is to be told once the commit is on the disk.
enum Answer {
    Withdrawn(oneshot::Sender<Result<Option<Bytes>, Error>>, Option<Bytes>),
    Written(oneshot::Sender<Result<bool, Error>>, Result<bool, Error>),
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    todo: Receiver<Job>,
    /// Held until all is written.
    _lock: Lock,
}

// === impl Writer ===

impl Writer {
    pub(super) const fn new(shared: Arc<Shared>, todo: Receiver<Job>, lock: Lock) -> Self {
        Self { shared, todo, _lock: lock }
    }

    /// Until nobody can ask any more and all that was asked is done.
    pub(super) fn run(self) {
        loop {
            match self.todo.recv_timeout(IDLE) {
                Ok(first) => {
                    let batch = self.gather(first);
                    with_care(|| self.shared.commit(batch));
                }
                Err(RecvTimeoutError::Timeout) => with_care(|| self.tidy()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// What is waiting, as far as it goes into one commit.
    fn gather(&self, first: Job) -> Vec<Job> {
        let (mut bytes, mut batch) = (first.len(), vec![first]);
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let Ok(job) = self.todo.try_recv() else { break };
            bytes += job.len();
            batch.push(job);
        }
        batch
    }

    /// Sweeps, if there is something to sweep.
    fn tidy(&self) {
        let shared = &self.shared;
        if tables::is_sweep_due(&shared.database(), shared.now()).unwrap_or(false) {
            shared.commit(Vec::new());
        }
    }
}

/// Goes on whatever happens, as there is no other thread to write. Who was not answered is told by its channel, which
/// closes.
fn with_care(work: impl FnOnce()) {
    // It was told where it happened.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

// === impl Shared ===

impl Shared {
    /// Does all of it, or none, and tells those who asked. Where that fails, the file is opened anew, as what
    /// failed may have been for a time, like a full disk.
    fn commit(&self, batch: Vec<Job>) {
        let mut answers = Vec::with_capacity(batch.len());
        // The file may be changed by others than us, and the library may panic over what it finds then.
        let done = catch_unwind(AssertUnwindSafe(|| self.try_commit(batch, &mut answers)));
        let failed = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the structure of the file is broken".to_owned()),
        };
        for answer in answers {
            answer.tell(failed.as_deref());
        }
        if failed.is_some()
            && let Ok(anew) = open::reopen(&self.path)
        {
            *self.database.write() = Arc::new(anew);
        }
    }

    fn try_commit(&self, batch: Vec<Job>, answers: &mut Vec<Answer>) -> Result<(), Failed> {
        let now = self.now();
        let database = self.database();
        let transaction = database.begin_write().map_err(|error| Box::new(error.into()))?;
        let mut tables = Tables::open(&transaction)?;
        tables.sweep(now, SWEEP + 2 * batch.len())?;
        for job in batch {
            self.apply(job, &mut tables, now, answers)?;
        }
        if !tables.dirty {
            drop(tables);
            return transaction.abort().map_err(tables::failed);
        }
        let held = tables.finish()?;
        transaction.commit().map_err(|error| Box::new(error.into()))?;
        self.set_held(held);
        Ok(())
    }

    /// Does one. Where the database fails, those of `batch` that were not looked at yet are told by their
    /// channel, which closes.
    fn apply(
        &self,
        job: Job,
        tables: &mut Tables<'_>,
        now: u64,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Failed> {
        match job {
            Job::Withdraw { key, former, answer } => {
                let found = tables.find(&key, &former, now)?;
                tables.forget(&key, &former)?;
                answers.push(Answer::Withdrawn(answer, found));
            }
            Job::Write { key, former, value, ttl, condition, answer } => {
                let condition = condition.borrow();
                let done = self.write(tables, (&key, &former), (&value, ttl), condition, now)?;
                answers.push(Answer::Written(answer, done));
            }
        }
        Ok(())
    }

    fn write(
        &self,
        tables: &mut Tables<'_>,
        (key, former): (&Key, &[Key]),
        (value, ttl): (&Bytes, Duration),
        condition: Condition<'_>,
        now: u64,
    ) -> Result<Result<bool, Error>, Failed> {
        let size = key.as_str().len() + value.len();
        if size > self.capacity.bytes {
            return Ok(Err(Error::TooLarge { size, most: self.capacity.bytes }));
        }
        if condition != Condition::Always && !condition.holds(tables.find(key, former, now)?.as_deref()) {
            return Ok(Ok(false));
        }
        if !ttl.is_zero() && !self.has_room(tables, key, former, size)? {
            return Ok(Err(Error::Full));
        }
        tables.forget(key, former)?;
        if !ttl.is_zero() {
            tables.insert(key, value, tables::end(now, ttl))?;
        }
        Ok(Ok(true))
    }

    /// Whether a value of `size` fits in place of what the keys have. What is no larger always does.
    fn has_room(&self, tables: &Tables<'_>, key: &Key, former: &[Key], size: usize) -> Result<bool, Failed> {
        let (held, size) = (tables.held, size as u64);
        let within = |bytes: u64, entries: u64| {
            bytes <= self.capacity.bytes as u64 && entries <= self.capacity.entries.get() as u64
        };
        if within(held.bytes + size, held.entries + 1) {
            return Ok(true);
        }
        let gone = tables.size(key, former)?;
        let bytes = held.bytes.saturating_sub(gone.bytes) + size;
        let entries = held.entries.saturating_sub(gone.entries) + 1;
        Ok(within(bytes, entries) || (bytes <= held.bytes && entries <= held.entries))
    }
}

// === impl Job ===

impl Job {
    fn len(&self) -> usize {
        match self {
            Self::Withdraw { .. } => 0,
            Self::Write { value, .. } => value.len(),
        }
    }
}

// === impl Owned ===

impl Owned {
    fn borrow(&self) -> Condition<'_> {
        match self {
            Self::Always => Condition::Always,
            Self::Absent => Condition::Absent,
            Self::Is(value) => Condition::Is(value),
        }
    }
}

impl From<Condition<'_>> for Owned {
    fn from(condition: Condition<'_>) -> Self {
        match condition {
            Condition::Always => Self::Always,
            Condition::Absent => Self::Absent,
            Condition::Is(value) => Self::Is(Bytes::copy_from_slice(value)),
        }
    }
}

// === impl Answer ===

impl Answer {
    fn tell(self, failed: Option<&str>) {
        // Whoever asked may be gone.
        match (self, failed) {
            (Self::Withdrawn(to, found), None) => drop(to.send(Ok(found))),
            (Self::Written(to, done), None) => drop(to.send(done)),
            (Self::Withdrawn(to, _), Some(cause)) => drop(to.send(Err(unavailable(cause)))),
            (Self::Written(to, _), Some(cause)) => drop(to.send(Err(unavailable(cause)))),
        }
    }
}
