//! References to secrets. A secret's value never appears in the configuration.

use std::path::PathBuf;

/// Where a secret is to be read from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SecretRef {
    /// A file's content, one trailing newline removed. Relative paths are resolved against the
    /// directory of `gateway.yaml` when it is loaded, so this path is ready to open.
    File(PathBuf),
    /// An environment variable of the gateway's process.
    Env(String),
}
