//! What is in the file: values by key, keys by their end, and how much there is.

use crate::{Key, LONGEST_TTL};
use bytes::Bytes;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition,
    WriteTransaction,
};
use std::iter;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Each value with its end, in milliseconds since 1970, before it.
const VALUES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("values");

/// Every key by its end.
const ENDS: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("ends");

/// [`VERSION`], and how much there is.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const VERSION: u64 = 1;

/// Whatever the database could not do. Large, so boxed.
pub(super) type Failed = Box<redb::Error>;

/// How much there is, with what has ended but was not swept yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Held {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

/// The tables, in a transaction that writes.
pub(super) struct Tables<'a> {
    values: Table<'a, &'static str, (u64, &'static [u8])>,
    ends: Table<'a, (u64, &'static str), ()>,
    meta: Table<'a, &'static str, u64>,
    pub(super) held: Held,
    /// Whether anything was changed.
    pub(super) dirty: bool,
}

/// Makes the tables of a new file.
pub(super) fn make(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        transaction.open_table(VALUES)?;
        transaction.open_table(ENDS)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert("version", VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Whether the tables are there, and of the version that is known here.
pub(super) fn check(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_read()?;
    transaction.open_table(VALUES)?;
    transaction.open_table(ENDS)?;
    match transaction.open_table(META)?.get("version")?.map(|version| version.value()) {
        Some(VERSION) => Ok(()),
        Some(other) => Err(redb::Error::Corrupted(format!("its version is {other}, not {VERSION}"))),
        None => Err(redb::Error::Corrupted("it has no version".to_owned())),
    }
}

pub(super) fn held(transaction: &ReadTransaction) -> Result<Held, redb::Error> {
    Ok(held_in(&transaction.open_table(META)?)?)
}

fn held_in(meta: &impl ReadableTable<&'static str, u64>) -> Result<Held, StorageError> {
    let number = |name| Ok::<_, StorageError>(meta.get(name)?.map_or(0, |found| found.value()));
    Ok(Held { entries: number("entries")?, bytes: number("bytes")? })
}

/// The value of the first key that has one which has not ended by `now`.
pub(super) fn find(
    transaction: &ReadTransaction,
    key: &Key,
    former: &[Key],
    now: u64,
) -> Result<Option<Bytes>, Failed> {
    let values = transaction.open_table(VALUES).map_err(|error| Box::new(error.into()))?;
    find_in(&values, key, former, now)
}

fn find_in(
    values: &impl ReadableTable<&'static str, (u64, &'static [u8])>,
    key: &Key,
    former: &[Key],
    now: u64,
) -> Result<Option<Bytes>, Failed> {
    for key in iter::once(key).chain(former) {
        let found = values.get(key.as_str()).map_err(failed)?;
        if let Some((end, value)) = found.as_ref().map(|found| found.value())
            && end > now
        {
            return Ok(Some(Bytes::copy_from_slice(value)));
        }
    }
    Ok(None)
}

// === impl Tables ===

impl<'a> Tables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Self, Failed> {
        let failed = |error: redb::TableError| Box::new(redb::Error::from(error));
        let meta = transaction.open_table(META).map_err(failed)?;
        let held = held_in(&meta).map_err(|error| Box::new(error.into()))?;
        let values = transaction.open_table(VALUES).map_err(failed)?;
        let ends = transaction.open_table(ENDS).map_err(failed)?;
        Ok(Self { values, ends, meta, held, dirty: false })
    }

    pub(super) fn find(&self, key: &Key, former: &[Key], now: u64) -> Result<Option<Bytes>, Failed> {
        find_in(&self.values, key, former, now)
    }

    /// Forgets what these have, ended or not.
    pub(super) fn forget(&mut self, key: &Key, former: &[Key]) -> Result<(), Failed> {
        for key in iter::once(key).chain(former) {
            self.forget_one(key.as_str())?;
        }
        Ok(())
    }

    fn forget_one(&mut self, key: &str) -> Result<(), Failed> {
        let removed = self.values.remove(key).map_err(failed)?;
        let Some((end, len)) = removed.map(|found| (found.value().0, found.value().1.len())) else {
            return Ok(());
        };
        self.ends.remove((end, key)).map_err(failed)?;
        self.held.entries = self.held.entries.saturating_sub(1);
        self.held.bytes = self.held.bytes.saturating_sub((key.len() + len) as u64);
        self.dirty = true;
        Ok(())
    }

    /// `key` must not be there.
    pub(super) fn insert(&mut self, key: &Key, value: &[u8], end: u64) -> Result<(), Failed> {
        self.values.insert(key.as_str(), (end, value)).map_err(failed)?;
        self.ends.insert((end, key.as_str()), ()).map_err(failed)?;
        self.held.entries += 1;
        self.held.bytes += (key.as_str().len() + value.len()) as u64;
        self.dirty = true;
        Ok(())
    }

    /// How much these have, ended or not.
    pub(super) fn size(&self, key: &Key, former: &[Key]) -> Result<Held, Failed> {
        let mut held = Held::default();
        for key in iter::once(key).chain(former) {
            if let Some(found) = self.values.get(key.as_str()).map_err(failed)? {
                held.entries += 1;
                held.bytes += (key.as_str().len() + found.value().1.len()) as u64;
            }
        }
        Ok(held)
    }

    /// Forgets what has ended by `now`, at most so much of it; how much that was.
    pub(super) fn sweep(&mut self, now: u64, most: usize) -> Result<usize, Failed> {
        let ended = self.ends.range(..(now.saturating_add(1), "")).map_err(failed)?;
        let ended: Result<Vec<String>, _> =
            ended.take(most).map(|entry| entry.map(|(key, _)| key.value().1.to_owned())).collect();
        let ended = ended.map_err(failed)?;
        for key in &ended {
            self.forget_one(key)?;
        }
        Ok(ended.len())
    }

    /// Writes down how much there is.
    pub(super) fn finish(mut self) -> Result<Held, Failed> {
        self.meta.insert("entries", self.held.entries).map_err(failed)?;
        self.meta.insert("bytes", self.held.bytes).map_err(failed)?;
        Ok(self.held)
    }
}

/// Whether something has ended by `now`.
pub(super) fn is_sweep_due(database: &Database, now: u64) -> Result<bool, Failed> {
    let transaction = database.begin_read().map_err(|error| Box::new(error.into()))?;
    let ends = transaction.open_table(ENDS).map_err(|error| Box::new(error.into()))?;
    let first = ends.range::<(u64, &str)>(..(now.saturating_add(1), "")).map_err(failed)?.next();
    Ok(first.transpose().map_err(failed)?.is_some())
}

pub(super) fn failed(error: StorageError) -> Failed {
    Box::new(error.into())
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// When what is put at `now` ends.
pub(super) fn end(now: u64, ttl: Duration) -> u64 {
    // Not before its time: a part of a millisecond counts as one.
    let ttl = ttl.min(LONGEST_TTL).as_nanos().div_ceil(1_000_000);
    now.saturating_add(u64::try_from(ttl).unwrap_or(u64::MAX))
}
