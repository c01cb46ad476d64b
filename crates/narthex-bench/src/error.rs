//! Why a measurement could not be made.

use std::io;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the operating system refused; the text says what was tried.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// A contender answered something else than what was asked for.
    #[error("{0}")]
    Answer(String),
    /// A program that is needed is missing, did not start, or ended early.
    #[error("{0}")]
    Start(String),
    /// A round did not end within its bound.
    #[error("no end within {0} s")]
    Overdue(u64),
}

impl Error {
    /// For `map_err`: an I/O error with what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io(what, error)
    }
}
