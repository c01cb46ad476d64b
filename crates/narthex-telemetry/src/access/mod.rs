//! The access log: one JSON line for each request.
//!
//! Lines are gathered in memory and written by a thread of their own, a few times a second, so that
//! no request waits for the disk. They are never dropped to save time: if the reader of the log is so
//! slow that too much has gathered, the request that brings the drop too much writes it itself.

mod json;
mod record;
mod shard;
mod time;

pub use record::{AccessRecord, Decision};
pub use time::rfc3339;

use parking_lot::Mutex;
use prometheus::IntCounter;
use shard::Shard;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long lines may wait for more to come with them.
const INTERVAL: Duration = Duration::from_millis(50);
/// Gathered bytes that wake the writing thread early.
const EAGER: usize = 64 * 1024;
/// Gathered bytes at which the request that added the last of them writes them out.
const FULL: usize = 1024 * 1024;

/// The access log. Dropping it writes what is left.
pub struct AccessLog {
    inner: Arc<Inner>,
    writer: Option<JoinHandle<()>>,
}

struct Inner {
    shards: Box<[Shard]>,
    sink: Mutex<Box<dyn Write + Send>>,
    dropped: IntCounter,
    /// Whether the writing thread has been told that there is something to write.
    told: AtomicBool,
    stop: AtomicBool,
}

thread_local! {
    /// Which shard this thread writes to.
    static SEAT: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

// === impl AccessLog ===

impl AccessLog {
    /// A log on standard output. `dropped` counts the lines that could not be written.
    ///
    /// # Errors
    /// The writing thread cannot be started.
    pub fn stdout(dropped: IntCounter) -> io::Result<Self> {
        Self::new(Box::new(io::stdout()), dropped)
    }

    /// A log on `sink`, which gets whole lines. `dropped` counts the lines that it did not take.
    ///
    /// # Errors
    /// The writing thread cannot be started.
    pub fn new(sink: Box<dyn Write + Send>, dropped: IntCounter) -> io::Result<Self> {
        let shards = thread::available_parallelism().map_or(2, |n| n.get().next_power_of_two());
        let inner = Arc::new(Inner {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            sink: Mutex::new(sink),
            dropped,
            told: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&inner);
        let writer = thread::Builder::new().name("access-log".to_owned()).spawn(move || theirs.run())?;
        Ok(Self { inner, writer: Some(writer) })
    }

    /// Adds one line.
    pub fn write(&self, record: &AccessRecord<'_>) {
        let seat = SEAT.with(|seat| *seat);
        let shard = &self.inner.shards[seat % self.inner.shards.len()];
        let (before, after) = shard.push(record);
        if after >= FULL {
            self.inner.write_out(std::slice::from_ref(shard));
        }
        // Only the line that makes the difference wakes the thread: waking is a system call.
        if self.inner.tell() || before < EAGER && EAGER <= after {
            self.wake();
        }
    }

    /// Writes out everything added so far.
    pub fn flush(&self) {
        self.inner.write_out(&self.inner.shards);
    }

    fn wake(&self) {
        if let Some(writer) = &self.writer {
            writer.thread().unpark();
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(writer) = self.writer.take() {
            // A panic of the writing thread has been reported by the panic hook already.
            let _ = writer.join();
        }
        self.flush();
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    /// Notes that there is something to write, and says whether that is news.
    fn tell(&self) -> bool {
        // Read first: a write on every line would send the cache line from core to core.
        !self.told.load(Ordering::Relaxed) && !self.told.swap(true, Ordering::AcqRel)
    }

    /// The writing thread: sleeps until there is a line, waits for company, writes.
    fn run(&self) {
        while !self.stop.load(Ordering::Acquire) {
            if self.told.load(Ordering::Acquire) {
                // Still told while it waits, so that no line that comes meanwhile wakes it.
                thread::park_timeout(INTERVAL);
                self.told.store(false, Ordering::Release);
                self.write_out(&self.shards);
            } else {
                thread::park();
            }
        }
    }

    /// Writes what `shards` have gathered. The sink is taken first, so that lines of one shard stay in order.
    fn write_out(&self, shards: &[Shard]) {
        let mut sink = self.sink.lock();
        for shard in shards {
            let lines = shard.take();
            if lines.is_empty() {
                continue;
            }
            if sink.write_all(&lines).is_err() {
                self.dropped.inc_by(lines.iter().filter(|byte| **byte == b'\n').count() as u64);
            }
            shard.give_back(lines);
        }
        if sink.flush().is_err() {
            self.dropped.inc();
        }
    }
}

#[cfg(test)]
mod tests;
