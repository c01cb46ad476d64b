//! Why the vault did not give a secret.

use thiserror::Error;

/// Why the vault did not give a secret. Never with any part of what was sent or answered that may be one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum VaultProblem {
    /// No connection, no answer in time, or an answer that says to try later.
    #[error("the vault cannot be asked: {0}")]
    Unreachable(String),
    /// The login was refused, or what is needed for it cannot be read.
    #[error("no login at the vault: {0}")]
    Login(String),
    /// The login is good, but no policy lets it read this.
    #[error("the vault does not let the gateway read it")]
    Denied,
    /// Nothing has ever been at this path, or all of it was removed.
    #[error("there is no such secret in the vault")]
    Missing,
    /// Nothing is mounted there.
    #[error("the vault has no secrets engine at this mount")]
    NoMount,
    /// The secret's current version is deleted or destroyed.
    #[error("its current version is deleted")]
    Deleted,
    /// The secret is there, the field is not.
    #[error("the secret has no such field")]
    NoField,
    /// A number, list or mapping.
    #[error("the field is not text")]
    NotText,
    /// What answered is no KV version 2 secrets engine.
    #[error("the vault gave no answer of a KV version 2 secrets engine: {0}")]
    BadAnswer(String),
    /// The file with the vault's authorities cannot be used.
    #[error("the vault cannot be asked at all: {0}")]
    Setup(String),
}

impl VaultProblem {
    /// Whether it says nothing of the secret, and may pass by itself.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// As the metric `narthex_secrets_refresh_total` names it.
    pub(super) fn result(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Login(_) => "login",
            Self::Denied => "denied",
            Self::Missing | Self::NoMount | Self::Deleted | Self::NoField => "missing",
            Self::NotText | Self::BadAnswer(_) | Self::Setup(_) => "bad",
        }
    }
}
