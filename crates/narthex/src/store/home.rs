//! The places that a store may be in.

use super::StoreError;
use narthex_config::model::{RedisHome, StoreCapacity, StoreHome};
use narthex_credentials::secret::Secrets;
use narthex_store::{Capacity, File, Memory, Redis, RedisSettings, RedisTls, Sharing, Store};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use zeroize::Zeroizing;

pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    /// The same, if it is that.
    pub(super) redis: Option<Arc<Redis>>,
}

pub(super) fn open(home: &StoreHome, secrets: &Secrets, sharing: Sharing) -> Result<Opened, StoreError> {
    let store: Arc<dyn Store> = match home {
        StoreHome::File { path, capacity: held } => {
            Arc::new(File::open(path, capacity(*held), Arc::new(SystemTime::now), sharing)?)
        }
        StoreHome::Memory(held) => Arc::new(Memory::new(capacity(*held), Arc::new(Instant::now))),
        StoreHome::Redis(redis) => {
            let redis = Arc::new(Redis::new(&settings(redis, secrets)?)?);
            return Ok(Opened { store: Arc::clone(&redis) as _, redis: Some(redis) });
        }
    };
    Ok(Opened { store, redis: None })
}

/// What is kept here is gone at once.
pub(super) fn nowhere() -> Memory {
    Memory::new(Capacity { entries: NonZeroUsize::MIN, bytes: 0 }, Arc::new(Instant::now))
}

/// What a running process cannot change: all but how to log in.
pub(super) fn place(home: &StoreHome) -> StoreHome {
    match home {
        StoreHome::Redis(redis) => StoreHome::Redis(Box::new(RedisHome {
            username: None,
            password: None,
            ca: None,
            ..RedisHome::clone(redis)
        })),
        other => other.clone(),
    }
}

pub(super) fn redis_settings(
    home: &StoreHome,
    secrets: &Secrets,
) -> Result<Option<RedisSettings>, StoreError> {
    match home {
        StoreHome::Redis(redis) => settings(redis, secrets).map(Some),
        StoreHome::File { .. } | StoreHome::Memory(_) => Ok(None),
    }
}

fn settings(redis: &RedisHome, secrets: &Secrets) -> Result<RedisSettings, StoreError> {
    let password = redis.password.as_ref().map(|reference| secrets.line(reference)).transpose();
    let password = password.map_err(StoreError::Password)?;
    let ca = redis.ca.as_ref().map(|path| {
        let fail = |cause| StoreError::Ca { path: path.display().to_string(), cause };
        std::fs::read(path).map_err(fail)
    });
    let ca = ca.transpose()?;
    Ok(RedisSettings {
        host: redis.host.clone(),
        port: redis.port,
        database: redis.database,
        tls: redis.tls.then_some(RedisTls { ca }),
        username: redis.username.clone(),
        password: password.map(|password| Zeroizing::new(password.expose().to_owned())),
        prefix: redis.prefix.clone(),
        timeout: redis.timeout,
    })
}

fn capacity(held: StoreCapacity) -> Capacity {
    let entries = NonZeroUsize::try_from(held.entries).unwrap_or(NonZeroUsize::MAX);
    Capacity { entries, bytes: held.bytes }
}
