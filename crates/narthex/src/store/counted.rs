//! A store whose calls are counted, and whose failing is logged.

use async_trait::async_trait;
use bytes::Bytes;
use narthex_store::{Condition, Error, Key, Store, Usage};
use narthex_telemetry::Metrics;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::{info, warn};

/// Counts by what was asked and what came of it; logs when the store begins to fail, and when it is back.
pub(super) struct Counted {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// Apart, as one may go on while the other fails: with a full disk, or a server that only reads.
    reading_fails: AtomicBool,
    writing_fails: AtomicBool,
    is_full: AtomicBool,
}

// === impl Counted ===

impl Counted {
    pub(super) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        let [reading_fails, writing_fails, is_full] = Default::default();
        Self { store, metrics, reading_fails, writing_fails, is_full }
    }

    fn count<T>(&self, operation: &'static str, answer: Result<T, Error>) -> Result<T, Error> {
        self.metrics.store_operation(operation, answer.as_ref().map_or_else(Error::reason, |_| "ok"));
        let cause = match &answer {
            Err(Error::Unavailable(cause)) => Some(cause),
            _ => None,
        };
        let is_write = matches!(operation, "write" | "withdraw");
        let fails = if is_write { &self.writing_fails } else { &self.reading_fails };
        match (cause, fails.swap(cause.is_some(), Ordering::Relaxed)) {
            (Some(cause), false) => warn!(%cause, operation, "the store fails"),
            (None, true) => info!(operation, "the store is back"),
            _ => {}
        }
        answer
    }

    /// Whether reading fails, and writing.
    #[cfg(test)]
    pub(super) fn failing(&self) -> (bool, bool) {
        (self.reading_fails.load(Ordering::Relaxed), self.writing_fails.load(Ordering::Relaxed))
    }

    fn tell_if_full(&self, written: &Result<bool, Error>) {
        match written {
            Err(error @ Error::Full) if !self.is_full.swap(true, Ordering::Relaxed) => {
                warn!(%error, "the store takes no more");
            }
            Ok(true) if self.is_full.swap(false, Ordering::Relaxed) => info!("the store has room again"),
            _ => {}
        }
    }
}

#[async_trait]
impl Store for Counted {
    async fn read(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        self.count("read", self.store.read(key, former).await)
    }

    async fn withdraw(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        self.count("withdraw", self.store.withdraw(key, former).await)
    }

    async fn write(
        &self,
        key: &Key,
        former: &[Key],
        value: Bytes,
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, Error> {
        let written = self.store.write(key, former, value, ttl, condition).await;
        self.tell_if_full(&written);
        self.count("write", written)
    }

    async fn probe(&self) -> Result<(), Error> {
        self.count("probe", self.store.probe().await)
    }

    fn usage(&self) -> Option<Usage> {
        self.store.usage()
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
