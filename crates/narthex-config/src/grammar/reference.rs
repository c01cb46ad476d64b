//! References to secrets and files.

use super::vault_ref::VaultRef;
use schemars::JsonSchema;
use serde::Deserialize;

/// A reference to a secret. The secret itself must not be written here.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Secret {
    /// The content of this file.
    File(String),
    /// The value of this environment variable.
    Env(String),
    /// This field of a secret in the vault.
    Vault(VaultRef),
}

/// A reference to a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileRef {
    /// Path of the file, relative to this configuration.
    File(String),
}

/// How a client secret is sent (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientMethod {
    /// In the Authorization header.
    Basic,
    /// In the body.
    Post,
}
