//! Reading a request's body, whole and bounded.

use crate::client;
use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::{CONTENT_LENGTH, EXPECT};
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;
use pingora::{Error, ErrorType};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use thiserror::Error;

/// Most that is reserved for a body on the strength of its Content-Length.
const RESERVED: usize = 256 * 1024;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum BodyError {
    /// Over the limit.
    #[error("body is too large")]
    TooLarge,
    /// It did not arrive in time.
    #[error("body did not arrive in time")]
    TooSlow,
    /// The connection ended or the framing is wrong.
    #[error("body is incomplete")]
    Incomplete,
    /// The gateway holds as many body bytes as it may.
    #[error("too many body bytes in flight")]
    Saturated,
    /// `Expect:` something else than `100-continue` (RFC 9110 §10.1.1).
    #[error("unknown expectation")]
    Expectation,
}

/// Bytes of bodies held over all requests, and their cap.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    held: Arc<AtomicUsize>,
    cap: usize,
}

/// A whole request body; its bytes are given back to the budget when this is dropped.
#[derive(Debug)]
pub struct Body {
    /// The bytes as received.
    pub bytes: Bytes,
    held: usize,
    budget: BodyBudget,
}

impl BodyBudget {
    /// A budget of `cap` bytes.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { held: Arc::default(), cap }
    }

    /// The same count under another cap (after a reload).
    #[must_use]
    pub fn with_cap(&self, cap: usize) -> Self {
        Self { held: Arc::clone(&self.held), cap }
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Body {
    fn take(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.held += bytes;
        let before = self.budget.held.fetch_add(bytes, Ordering::AcqRel);
        if before + bytes > self.budget.cap { Err(BodyError::Saturated) } else { Ok(()) }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.held, Ordering::AcqRel);
    }
}

/// Reads the whole body of the request in `session`: at most `limit` bytes, within `within`.
///
/// # Errors
/// See [`BodyError`]. After any of them the connection must not be used for another request.
pub async fn read(
    session: &mut ServerSession,
    limit: usize,
    within: Duration,
    budget: &BodyBudget,
) -> Result<Body, BodyError> {
    let declared = declared_length(session);
    if declared.is_some_and(|n| n > limit) {
        return Err(BodyError::TooLarge);
    }
    if expects_continue(session)? && !session.is_body_done() {
        // pingora takes the 100 for an early answer, and would close the connection after the request.
        session.set_close_on_response_before_downstream_finish(false);
        let asked = client::ask_for_body(session).await;
        session.set_close_on_response_before_downstream_finish(true);
        asked.map_err(|_| BodyError::Incomplete)?;
    }
    let body = Body { bytes: Bytes::new(), held: 0, budget: budget.clone() };
    match timeout(within, read_all(session, limit, declared, body)).await {
        Ok(read) => read,
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Whether the client waits for `100 Continue`. On HTTP/2 pingora cannot send one; clients must not
/// wait for it for ever (RFC 9110 §10.1.1), and none does.
fn expects_continue(session: &ServerSession) -> Result<bool, BodyError> {
    let request = session.req_header();
    if request.version < Version::HTTP_11 {
        return Ok(false);
    }
    let mut expected = request.headers.get_all(EXPECT).into_iter().peekable();
    let any = expected.peek().is_some();
    if expected.all(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        Ok(any)
    } else {
        Err(BodyError::Expectation)
    }
}

fn declared_length(session: &ServerSession) -> Option<usize> {
    session.get_header(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

async fn read_all(
    session: &mut ServerSession,
    limit: usize,
    declared: Option<usize>,
    mut body: Body,
) -> Result<Body, BodyError> {
    let mut all = BytesMut::new();
    while let Some(piece) = session.read_request_body().await.map_err(|e| broken(&e))? {
        let so_far = body.bytes.len() + all.len();
        if so_far + piece.len() > limit {
            return Err(BodyError::TooLarge);
        }
        body.take(piece.len())?;
        if so_far == 0 {
            // Nearly every body comes in one piece, which is then used as it is.
            body.bytes = piece;
        } else {
            if all.is_empty() {
                // What is declared is only a promise, so most of it is reserved when it comes.
                all.reserve(declared.unwrap_or(0).min(RESERVED).max(so_far + piece.len()));
                all.extend_from_slice(&std::mem::take(&mut body.bytes));
            }
            all.extend_from_slice(&piece);
        }
    }
    if !all.is_empty() {
        body.bytes = all.freeze();
    }
    if declared.is_some_and(|n| n != body.bytes.len()) {
        return Err(BodyError::Incomplete);
    }
    Ok(body)
}

fn broken(error: &Error) -> BodyError {
    match error.etype() {
        ErrorType::ReadTimedout => BodyError::TooSlow,
        _ => BodyError::Incomplete,
    }
}
