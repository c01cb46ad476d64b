//! References to secrets, and the vault that some of them lead to. A secret's value never appears in the
//! configuration.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Where a secret is to be read from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SecretRef {
    /// A file's content, one trailing newline removed. Relative paths are resolved against the
    /// directory of `gateway.yaml` when it is loaded, so this path is ready to open.
    File(PathBuf),
    /// An environment variable of the gateway's process.
    Env(String),
    /// A field of a secret in the vault. Only where the configuration has one.
    Vault(VaultRef),
}

/// One field of one secret of a KV version 2 secrets engine.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VaultRef {
    /// Where the engine is mounted, without a slash at either end.
    pub mount: String,
    /// The secret's path in it, likewise.
    pub path: String,
    /// The field of the secret.
    pub field: String,
}

/// `secrets:`, and what the whole configuration reads from there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SecretStores {
    /// `secrets.vault`.
    pub vault: Option<Vault>,
    /// Every reference to the vault, wherever in the configuration it stands. Nothing else is read.
    pub references: BTreeSet<VaultRef>,
}

/// `secrets.vault`: an OpenBao or HashiCorp Vault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vault {
    /// Its URL, without `/v1`.
    pub address: Url,
    /// PEM file of the authorities that its certificate must chain to; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// Sent as `X-Vault-Namespace`.
    pub namespace: Option<String>,
    /// How the gateway logs in.
    pub auth: VaultAuth,
    /// How often secrets are looked at for changes. Default 5 min.
    pub refresh: Duration,
}

/// `secrets.vault.auth`: how the gateway logs in. None of the references leads to the vault itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VaultAuth {
    /// A token that somebody else made and keeps.
    Token(SecretRef),
    /// The AppRole method.
    AppRole {
        /// The role's id.
        role_id: String,
        /// The role's secret id.
        secret_id: SecretRef,
        /// Where the method is mounted.
        mount: String,
    },
    /// The Kubernetes method.
    Kubernetes {
        /// The role, as the vault calls it.
        role: String,
        /// The file with the service account's token. Kubernetes renews it, so it is read for each login.
        jwt: PathBuf,
        /// Where the method is mounted.
        mount: String,
    },
}

impl fmt::Display for VaultRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.mount, self.path, self.field)
    }
}
