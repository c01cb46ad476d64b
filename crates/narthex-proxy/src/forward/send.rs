//! Sending a request and reading the header of its answer.

use super::error::{ForwardError, Reached, describe, nothing_was_read};
use bytes::Bytes;
use http::StatusCode;
use narthex_upstreams::{Connection, Connections, Upstream};
use pingora::Error;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::client::HttpSession;
use pingora::time::timeout;
use std::time::Instant;

/// Sends on connections that turn out to be stale, at most, before giving up.
const ATTEMPTS: usize = 3;
/// Informational answers that are skipped before the upstream is taken for broken.
const INFORMATIONAL: usize = 16;

/// A request to an upstream, complete.
#[derive(Debug)]
pub struct Outbound {
    /// Method, path and header; Content-Length is there and right.
    pub header: RequestHeader,
    /// The whole body.
    pub body: Bytes,
    /// May be sent again when a pooled connection turns out to be stale. Never for `tools/call`.
    pub replayable: bool,
}

/// An upstream's answer: the header is read, the body is still on the connection.
pub struct Answer {
    /// Where the body is read from. In a box, as it goes from hand to hand.
    pub connection: Box<Connection>,
    /// How many times the request was sent in vain before.
    pub retries: usize,
}

impl Answer {
    /// The answer's header.
    ///
    /// # Errors
    /// None in practice: [`send`] returns only after one was read.
    pub fn header(&self) -> Result<&ResponseHeader, ForwardError> {
        self.connection
            .session
            .response_header()
            .ok_or_else(|| ForwardError::Malformed("no header was read".to_owned()))
    }
}

/// Sends `request` and reads the header of the answer.
///
/// The client is watched meanwhile. If it goes away and `cancel_with_client` holds, the exchange is
/// given up and the upstream's connection closed (MCP 2026-07-28: closing the stream cancels).
/// Otherwise the exchange goes on and `client_gone` is set (2025-11-25 and earlier: it does not).
///
/// # Errors
/// See [`ForwardError`].
pub async fn send(
    client: &mut ServerSession,
    client_gone: &mut bool,
    cancel_with_client: bool,
    upstream: &Upstream,
    connections: &Connections,
    request: &Outbound,
) -> Result<Answer, ForwardError> {
    let mut retries = 0;
    loop {
        let mut connection = upstream.connect(connections, Instant::now()).await?;
        // One deadline for all of it: an upstream that drips its header does not start it anew.
        let exchange = timeout(upstream.timeout, exchange(&mut connection, request));
        let outcome = match watch(client, client_gone, cancel_with_client, exchange).await {
            Ok(Ok(outcome)) => outcome.map_err(Failure::Exchange),
            Ok(Err(_elapsed)) => Err(Failure::Final(ForwardError::Timeout)),
            Err(gone) => Err(Failure::Final(gone)),
        };
        if let Some(done) = settle(connection, outcome, &mut retries, upstream, connections, request) {
            return done;
        }
    }
}

/// [`send`] for the gateway's own requests, which no client waits for, or whose client is watched by
/// whoever calls this: dropping the future gives the exchange up.
///
/// # Errors
/// See [`ForwardError`].
pub async fn send_unwatched(
    upstream: &Upstream,
    connections: &Connections,
    request: &Outbound,
) -> Result<Answer, ForwardError> {
    let mut retries = 0;
    loop {
        let mut connection = upstream.connect(connections, Instant::now()).await?;
        let outcome = match timeout(upstream.timeout, exchange(&mut connection, request)).await {
            Ok(outcome) => outcome.map_err(Failure::Exchange),
            Err(_elapsed) => Err(Failure::Final(ForwardError::Timeout)),
        };
        if let Some(done) = settle(connection, outcome, &mut retries, upstream, connections, request) {
            return done;
        }
    }
}

/// Why one attempt came to nothing.
enum Failure {
    /// The connection failed; another one may do.
    Exchange(Box<Error>),
    /// There is no point in another attempt.
    Final(ForwardError),
}

/// What comes of an attempt; `None` if it may be made again.
fn settle(
    mut connection: Box<Connection>,
    outcome: Result<(), Failure>,
    retries: &mut usize,
    upstream: &Upstream,
    connections: &Connections,
    request: &Outbound,
) -> Option<Result<Answer, ForwardError>> {
    let error = match outcome {
        Ok(()) => {
            connection.session.set_read_timeout(Some(upstream.stream_idle_timeout));
            return Some(Ok(Answer { connection, retries: *retries }));
        }
        Err(Failure::Final(error)) => {
            connections.abandon(connection);
            return Some(Err(error));
        }
        Err(Failure::Exchange(error)) => error,
    };
    let again = match Reached::judge(&error, connection.reused) {
        Reached::No => true,
        Reached::Unlikely => request.replayable,
        Reached::Maybe => false,
    };
    connections.abandon(connection);
    *retries += 1;
    if !again || *retries >= ATTEMPTS {
        return Some(Err(error.into()));
    }
    tracing::debug!(upstream = %upstream.id, error = describe(&error), "sending again on another connection");
    None
}

/// Runs `exchange` and watches the client.
async fn watch<T>(
    client: &mut ServerSession,
    client_gone: &mut bool,
    cancel_with_client: bool,
    exchange: impl Future<Output = T>,
) -> Result<T, ForwardError> {
    let mut exchange = std::pin::pin!(exchange);
    if !*client_gone {
        tokio::select! {
            biased;
            outcome = &mut exchange => return Ok(outcome),
            // Any byte, end or reset: the whole request was read, so all of them end the exchange.
            _ = client.read_body_or_idle(true) => *client_gone = true,
        }
    }
    if cancel_with_client { Err(ForwardError::ClientGone) } else { Ok(exchange.await) }
}

async fn exchange(connection: &mut Connection, request: &Outbound) -> Result<(), Box<Error>> {
    let Err(error) = connection.write_request(&request.header, &request.body).await else {
        return read_header(&mut connection.session).await;
    };
    // An upstream may answer (401, 413) and close before it has read the body: the answer counts.
    connection.spoil();
    match read_header(&mut connection.session).await {
        Err(late) if !nothing_was_read(&late) && late.root_cause().downcast_ref::<h2::Error>().is_none() => {
            Err(late)
        }
        Err(_) => Err(error),
        Ok(()) => Ok(()),
    }
}

async fn read_header(session: &mut HttpSession) -> Result<(), Box<Error>> {
    for _ in 0..INFORMATIONAL {
        session.read_response_header().await?;
        let status = session.response_header().map_or(StatusCode::OK, |h| h.status);
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Error::e_explain(pingora::ErrorType::InvalidHTTPHeader, "unasked-for upgrade");
        }
        if !status.is_informational() {
            return Ok(());
        }
    }
    Error::e_explain(pingora::ErrorType::InvalidHTTPHeader, "too many informational answers")
}
