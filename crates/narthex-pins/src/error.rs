//! What can go wrong. All of it is for operators; callers are told nothing of pins.

use crate::json::Fault;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A file cannot be read, makes no sense, or cannot be written.
#[derive(Debug, Error)]
pub enum PinsError {
    /// It cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It was there before and is not now. To start afresh, write `{"upstreams":{},"version":1}`.
    #[error("{}: it is gone; the pins stay as they were", path.display())]
    Gone {
        /// Which.
        path: PathBuf,
    },
    /// It is no JSON.
    #[error("{}:{line}:{column}: {what}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It is JSON, but not what it should be.
    #[error("{}: {what}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong, and with which upstream and tool.
        what: String,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: {cause}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Why a definition was not approved.
#[derive(Debug, Error)]
pub enum ApproveError {
    /// No tool of this name waits.
    #[error("no such tool is quarantined")]
    NotFound,
    /// A tool of this name waits, but its definition is another one. It may have changed since it was
    /// looked at.
    #[error("another definition is quarantined: {}", found.join(", "))]
    Other {
        /// The SHA-256 of what waits.
        found: Vec<String>,
    },
    /// It could not be written down, so it is not approved.
    #[error(transparent)]
    File(#[from] PinsError),
}

impl PinsError {
    pub(crate) fn syntax(path: &Path, fault: &Fault) -> Self {
        let Fault { line, column, what } = *fault;
        Self::Syntax { path: path.to_owned(), line, column, what }
    }

    pub(crate) fn content(path: &Path, what: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn write(path: &Path, cause: impl Into<io::Error>) -> Self {
        Self::Write { path: path.to_owned(), cause: cause.into() }
    }
}
