//! Where what must outlive a request is kept.

use super::SecretRef;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// `store:`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Store {
    /// Whether the configuration has the key: then a store is kept even if nothing asks for one.
    pub is_given: bool,
    /// Where values are.
    pub home: StoreHome,
    /// `store.keys`: the first seals, all of them open. Empty: the gateway keeps one of its own. Never empty with
    /// [`StoreHome::Redis`].
    pub keys: Vec<SecretRef>,
}

/// Where values are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoreHome {
    /// `store.file`.
    File {
        /// `path`. Default `store.redb` in `server.state_dir`.
        path: PathBuf,
        /// How much it may hold.
        capacity: StoreCapacity,
    },
    /// `store.redis`.
    Redis(Box<RedisHome>),
    /// `store.memory`.
    Memory(StoreCapacity),
}

/// How much a store may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreCapacity {
    /// Values.
    pub entries: NonZeroU32,
    /// Bytes of their names and of what they are sealed to.
    pub bytes: usize,
}

/// `store.redis`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedisHome {
    /// Host of the URL; an IPv6 address without brackets.
    pub host: String,
    /// Port of the URL. Default 6379.
    pub port: u16,
    /// Number of the database, the path of the URL. Default 0.
    pub database: u16,
    /// `rediss`.
    pub tls: bool,
    /// `username`.
    pub username: Option<String>,
    /// `password`.
    pub password: Option<SecretRef>,
    /// `ca`: PEM file of the authorities that the server's certificate must chain to; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// `prefix` of the names of all values.
    pub prefix: String,
    /// `timeout`: for the server to answer.
    pub timeout: Duration,
}

impl Default for Store {
    /// In memory, without keys of its own.
    fn default() -> Self {
        let entries = NonZeroU32::MIN.saturating_add(99_999);
        let home = StoreHome::Memory(StoreCapacity { entries, bytes: 256 << 20 });
        Self { is_given: false, home, keys: Vec::new() }
    }
}
