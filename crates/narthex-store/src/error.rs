//! Why a store did not do what it was asked.

/// Why a store did not do what it was asked. Displays without the key and the value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key and its value are larger than all that the store may hold. In bytes.
    #[error("{size} bytes do not fit in a store of {most} bytes")]
    TooLarge {
        /// Size of key and value.
        size: usize,
        /// What the store may hold.
        most: usize,
    },
    /// The store holds as much as it may, and forgets nothing before its time.
    #[error("the store is full")]
    Full,
    /// The store could not be reached or failed; whether the call took effect is not known.
    #[error("the store is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is stored was not sealed by this vault for that key: it was damaged, or tampered with.
    #[error("what is stored is damaged")]
    Damaged,
    /// A vault without keys, or a cryptographic library that failed.
    #[error("nothing can be sealed: {0}")]
    Seal(&'static str),
}

impl Error {
    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "store_too_large",
            Self::Full => "store_full",
            Self::Unavailable(_) => "store_unavailable",
            Self::Damaged => "store_damaged",
            Self::Seal(_) => "store_seal",
        }
    }
}
