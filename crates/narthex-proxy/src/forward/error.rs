//! Why an exchange with an upstream failed.

use narthex_upstreams::ConnectError;
use pingora::{Error, ErrorType, RetryType};
use thiserror::Error;

/// A failed exchange. `Display` is for the log; callers only ever see [`ForwardError::reason`]'s case.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// No connection: nothing was sent.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// The upstream did not answer in time.
    #[error("no answer within the upstream's timeout")]
    Timeout,
    /// The connection failed before the answer's header was complete.
    #[error("connection failed: {0}")]
    Broken(String),
    /// The answer is not HTTP as we accept it.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// The client went away, and its revision says that this cancels.
    #[error("client went away")]
    ClientGone,
}

impl ForwardError {
    /// A stable name for metrics and logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "upstream_unreachable",
            Self::Timeout => "upstream_timeout",
            Self::Broken(_) => "upstream_broken",
            Self::Malformed(_) => "upstream_malformed",
            Self::ClientGone => "client_gone",
        }
    }
}

impl From<Box<Error>> for ForwardError {
    fn from(error: Box<Error>) -> Self {
        match error.etype() {
            ErrorType::ReadTimedout | ErrorType::WriteTimedout | ErrorType::ConnectTimedout => Self::Timeout,
            ErrorType::InvalidHTTPHeader => Self::Malformed(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// What a failure says about whether the upstream has seen the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reached {
    /// The peer said so itself: it will not process this stream (RFC 9113 §8.7).
    No,
    /// A pooled connection turned out to be closed: probably not, but there is no proof.
    Unlikely,
    /// It may have.
    Maybe,
}

impl Reached {
    pub(super) fn judge(error: &Error, reused: bool) -> Self {
        if let Some(h2) = error.root_cause().downcast_ref::<h2::Error>() {
            let refused = h2.is_reset() && h2.is_remote() && h2.reason() == Some(h2::Reason::REFUSED_STREAM);
            if refused {
                return Self::No;
            }
            let going_away = h2.is_go_away() && h2.is_remote() && h2.reason() == Some(h2::Reason::NO_ERROR);
            return if going_away { Self::Unlikely } else { Self::Maybe };
        }
        let stale = matches!(error.retry, RetryType::ReusedOnly) || *error.etype() == ErrorType::WriteError;
        if reused && stale { Self::Unlikely } else { Self::Maybe }
    }
}
