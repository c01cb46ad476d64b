//! `store:`.

use super::reference::{FileRef, Secret};
use super::scalar::{Count, HumanDuration, Size};
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where what must outlive a request is kept, sealed: logins, grants, refresh tokens, users' tokens of upstreams.
/// One of `file`, `redis` and `memory`. A changed place is taken up at the next start, changed keys at once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    /// In a file, for one gateway. The default.
    pub(crate) file: Field<FileStore>,
    /// In Redis or Valkey, for several replicas.
    pub(crate) redis: Field<RedisStore>,
    /// In memory: gone when the gateway ends. For development.
    pub(crate) memory: Field<MemoryStore>,
    /// Keys that seal what is kept, of 32 bytes each: the first seals, all of them open. Replicas must share them.
    /// Default: one is made and kept in `server.state_dir`; there is no default with `redis`.
    #[schemars(extend("minItems" = 1))]
    pub(crate) keys: Field<Vec<Field<Secret>>>,
}

/// A store in a file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FileStore {
    /// The file. Default `store.redb` in `server.state_dir`.
    pub(crate) path: Field<String>,
    /// Values kept at most. What does not fit is refused. Default 1000000.
    pub(crate) entries: Field<Count>,
    /// Bytes of names and sealed values kept at most; the file may be about twice as large. Default `1GiB`.
    pub(crate) bytes: Field<Size>,
}

/// A store in Redis or Valkey.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct RedisStore {
    /// The server: `rediss://host:6379`, or with a database's number at the end, `rediss://host:6379/2`. `redis://`
    /// is without TLS.
    pub(crate) url: Field<String>,
    /// The user (ACL). Default: the server's default user.
    pub(crate) username: Field<String>,
    /// The user's password.
    pub(crate) password: Field<Secret>,
    /// PEM certificates of the authorities that the server's must chain to. Default: the system's.
    pub(crate) ca: Field<FileRef>,
    /// What the names of all values begin with. Default `narthex:`.
    pub(crate) prefix: Field<String>,
    /// Time for the server to answer. Default `2s`.
    pub(crate) timeout: Field<HumanDuration>,
    /// Accept `redis://` to another machine: passwords and what is kept cross the network in the clear.
    pub(crate) insecure: Field<bool>,
}

/// A store in memory.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MemoryStore {
    /// Values kept at most. Where it is full, what would end soonest goes. Default 100000.
    pub(crate) entries: Field<Count>,
    /// Bytes of names and sealed values kept at most. Default `256MiB`.
    pub(crate) bytes: Field<Size>,
}
