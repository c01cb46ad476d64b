//! Writing to clients.
//!
//! A client that does not read must not hold its place for ever. pingora bounds the writes of a body, but neither what
//! is flushed around them nor how long closing takes: what is here does.

use bytes::Bytes;
use narthex_upstreams::at_once;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;
use pingora::{Error, ErrorType};
use std::time::Duration;

/// How long anything may take that the client has no write timeout for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the header of an answer.
///
/// # Errors
/// The client is gone, or does not read.
pub(crate) async fn begin(session: &mut ServerSession, header: Box<ResponseHeader>) -> pingora::Result<()> {
    within(patience(session), session.write_response_header(header)).await
}

/// Asks for the request's body with `100 Continue`.
///
/// # Errors
/// The client is gone, or does not read.
pub(crate) async fn ask_for_body(session: &mut ServerSession) -> pingora::Result<()> {
    within(patience(session), session.write_continue_response()).await
}

/// Sends the last piece of an answer's body.
///
/// # Errors
/// The client is gone, or does not read.
pub(crate) async fn end(session: &mut ServerSession, piece: Bytes) -> pingora::Result<()> {
    // To write it, and to flush it.
    within(patience(session) * 2, session.write_response_body(piece, true)).await
}

/// Ends an answer whose body is written.
///
/// # Errors
/// The client is gone, or does not read.
pub(crate) async fn finish(session: &mut ServerSession) -> pingora::Result<()> {
    within(patience(session), session.finish_body()).await
}

/// Closes the connection when what is written is sent, or resets the stream.
pub(crate) async fn close(session: &mut ServerSession) {
    let _ = timeout(patience(session), session.shutdown()).await;
}

/// Closes the connection without waiting for anything: its client is gone, or does not read, or there is nothing left
/// that it could be sent.
pub(crate) fn leave(session: &mut ServerSession) {
    at_once(session.shutdown());
}

/// How long a single step may take.
pub(crate) fn patience(session: &ServerSession) -> Duration {
    session.get_write_timeout().unwrap_or(PATIENCE)
}

async fn within<T>(
    patience: Duration,
    write: impl Future<Output = pingora::Result<T>>,
) -> pingora::Result<T> {
    match timeout(patience, write).await {
        Ok(written) => written,
        Err(_) => Error::e_explain(ErrorType::WriteTimedout, "the client does not read"),
    }
}
