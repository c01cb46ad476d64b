//! Why nobody can log in just now.

use narthex_store::Error as StoreError;

/// Why the gateway cannot say who somebody is. The text is for the log; it holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Sessions cannot be read or kept.
    #[error("login: {0}")]
    Store(#[from] StoreError),
    /// The system's randomness failed.
    #[error("login: no randomness")]
    Randomness,
}
