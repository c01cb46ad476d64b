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
            ErrorType::InvalidHTTPHeader => Self::Malformed(describe(&error)),
            _ => Self::Broken(describe(&error)),
        }
    }
}

/// The kind of failure and its root cause. pingora's own text quotes what the upstream sent, which may
/// be cookies, or our credential sent back.
pub(super) fn describe(error: &Error) -> String {
    let (kind, root) = (error.etype().as_str(), error.root_cause());
    if root.is::<Error>() { kind.to_owned() } else { format!("{kind}: {root}") }
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
            return Self::judge_h2(error, h2, reused);
        }
        let stale = *error.etype() == ErrorType::WriteError || nothing_was_read(error);
        if reused && stale { Self::Unlikely } else { Self::Maybe }
    }

    fn judge_h2(error: &Error, h2: &h2::Error, reused: bool) -> Self {
        let refused = h2.is_reset() && h2.is_remote() && h2.reason() == Some(h2::Reason::REFUSED_STREAM);
        // `h2` gives this error only to streams above the GOAWAY's last stream, which the peer has not
        // acted on and never will (RFC 9113 §6.8), and to those that were not even sent.
        let going_away = h2.is_go_away() && h2.is_remote() && h2.reason() == Some(h2::Reason::NO_ERROR);
        if refused || going_away {
            return Self::No;
        }
        let lost = h2.is_io() && matches!(error.retry, RetryType::ReusedOnly);
        if reused && lost { Self::Unlikely } else { Self::Maybe }
    }
}

/// Whether an HTTP/1.1 connection ended before the first byte of an answer. A connection that ends
/// within a header has an upstream behind it that was at work, so `RetryType::ReusedOnly` alone,
/// which pingora sets for both, does not do. Should pingora word this otherwise one day, nothing is
/// repeated, and the ground proof says so.
pub(super) fn nothing_was_read(error: &Error) -> bool {
    let context = error.context.as_ref().map(|c| c.as_str()).unwrap_or_default();
    matches!(error.retry, RetryType::ReusedOnly) && context.ends_with("bytes already read: 0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn nothing_that_the_upstream_sent_is_in_the_text() {
        let reset = io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer");
        for error in [
            Error::explain(ErrorType::InvalidHTTPHeader, "buf: Set-Cookie: canary"),
            Error::because(ErrorType::InvalidHTTPHeader, "buf: Set-Cookie: canary", reset),
            Error::explain(ErrorType::ReadError, "buf: canary"),
        ] {
            let text = ForwardError::from(error).to_string();
            assert!(!text.contains("canary"), "{text}");
        }
        let reset = io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer");
        let text = ForwardError::from(Error::because(ErrorType::ReadError, "reading", reset)).to_string();
        assert!(text.ends_with("reset by peer"), "{text}");
    }
}
