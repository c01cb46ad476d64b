//! The home in Redis or Valkey, for several replicas.

mod link;
mod settings;
#[cfg(test)]
mod tests;

pub use settings::{RedisClient, RedisSettings, RedisSettingsError, RedisTls};

use crate::{Condition, Error, Key, LONGEST_TTL, Store};
use ::redis::{Cmd, FromRedisValue, RedisError, Script, cmd};
use async_trait::async_trait;
use bytes::Bytes;
use link::Link;
use std::fmt;
use std::iter;
use std::sync::LazyLock;
use std::time::Duration;

/// Gives the first of KEYS that there is and forgets all of them.
static WITHDRAW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = false
         for _, key in ipairs(KEYS) do found = found or redis.call('GET', key) end
         redis.call('DEL', unpack(KEYS))
         return found",
    )
});

/// Writes ARGV[3] to KEYS[1] for ARGV[4] ms and forgets the other KEYS, if ARGV[1] (`always`, `absent` or `is`
/// ARGV[2]) holds for the first of KEYS that there is.
static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = false
         for _, key in ipairs(KEYS) do found = found or redis.call('GET', key) end
         if ARGV[1] == 'absent' and found then return 0 end
         if ARGV[1] == 'is' and found ~= ARGV[2] then return 0 end
         if ARGV[4] == '0' or #KEYS > 1 then redis.call('DEL', unpack(KEYS)) end
         if ARGV[4] ~= '0' then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
         return 1",
    )
});

/// A store in Redis 6.2 or later, or Valkey, shared by replicas.
///
/// One connection that all calls share, made when it is first needed and again when it is lost. A call is
/// answered within the time that the settings say, if only with [`Error::Unavailable`]; whether one that was
/// under way when the connection was lost took effect is not known. Nothing is sent twice.
///
/// Values end by the server's clock. What the server may forget, or lose, is for its settings: without
/// persistence it loses all at a restart, with a `maxmemory-policy` other than `noeviction` it forgets values
/// when it is full. With `noeviction` a full one refuses ([`Error::Full`]). Redis Cluster is not supported:
/// calls on several keys need them in one place.
pub struct Redis {
    link: Link,
    prefix: String,
}

// === impl Redis ===

impl Redis {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// See [`RedisSettingsError`].
    pub fn new(settings: &RedisSettings) -> Result<Self, RedisSettingsError> {
        let link = Link::new(settings.client()?.0, settings.timeout);
        Ok(Self { link, prefix: settings.prefix.clone() })
    }

    /// Connects as `client` says from now on; the connection that there is goes on until it is lost.
    pub fn set_client(&self, client: RedisClient) {
        self.link.set_client(client.0);
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{}", self.prefix, key.as_str())
    }

    fn names(&self, key: &Key, former: &[Key]) -> Vec<String> {
        iter::once(key).chain(former).map(|key| self.name(key)).collect()
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        self.link.ask(async |mut connection| command.query_async(&mut connection).await).await.map_err(error)
    }

    async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        names: &[String],
        arguments: &[&[u8]],
    ) -> Result<T, Error> {
        let mut call = script.prepare_invoke();
        for name in names {
            call.key(name);
        }
        for argument in arguments {
            call.arg(*argument);
        }
        self.link.ask(async |mut connection| call.invoke_async(&mut connection).await).await.map_err(error)
    }

    async fn write_one(&self, name: &str, value: &[u8], millis: u64, is_new: bool) -> Result<bool, Error> {
        let mut set = cmd("SET");
        set.arg(name).arg(value).arg("PX").arg(millis);
        if is_new {
            set.arg("NX");
        }
        // Nothing, if there is a value already.
        Ok(self.ask::<Option<String>>(&set).await?.is_some())
    }
}

#[async_trait]
impl Store for Redis {
    async fn read(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        if former.is_empty() {
            let found: Option<Vec<u8>> = self.ask(cmd("GET").arg(self.name(key))).await?;
            return Ok(found.map(Bytes::from));
        }
        let found: Vec<Option<Vec<u8>>> = self.ask(cmd("MGET").arg(self.names(key, former))).await?;
        Ok(found.into_iter().flatten().next().map(Bytes::from))
    }

    async fn withdraw(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        let found: Option<Vec<u8>> = if former.is_empty() {
            self.ask(cmd("GETDEL").arg(self.name(key))).await?
        } else {
            self.run(&WITHDRAW, &self.names(key, former), &[]).await?
        };
        Ok(found.map(Bytes::from))
    }

    async fn write(
        &self,
        key: &Key,
        former: &[Key],
        value: Bytes,
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, Error> {
        let millis = millis(ttl);
        let (mode, expected) = match condition {
            Condition::Always if former.is_empty() && millis > 0 => {
                return self.write_one(&self.name(key), &value, millis, false).await;
            }
            Condition::Absent if former.is_empty() && millis > 0 => {
                return self.write_one(&self.name(key), &value, millis, true).await;
            }
            Condition::Always => ("always", [].as_slice()),
            Condition::Absent => ("absent", [].as_slice()),
            Condition::Is(value) => ("is", value),
        };
        let millis = millis.to_string();
        let arguments = [mode.as_bytes(), expected, &value, millis.as_bytes()];
        self.run(&WRITE, &self.names(key, former), &arguments).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.ask::<String>(&cmd("PING")).await.map(drop)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Not before its time: a part of a millisecond counts as one.
fn millis(ttl: Duration) -> u64 {
    let millis = ttl.min(LONGEST_TTL).as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

fn error(error: RedisError) -> Error {
    // What a server with `noeviction` says when its memory is full.
    if error.code() == Some("OOM") { Error::Full } else { Error::Unavailable(error.into()) }
}
