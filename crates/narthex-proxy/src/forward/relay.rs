//! Bringing an answer's body to the client as it comes.

use super::error::describe;
use super::send::Answer;
use crate::client;
use crate::forward::ForwardError;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use narthex_upstreams::{Connections, Upstream, at_once};
use pingora::Error;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::client::HttpSession;
use pingora::server::ShutdownWatch;
use pingora::time::timeout;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Bytes of an answer that are still read and thrown away after its client has gone.
const DRAIN_CAP: usize = 16 * 1024 * 1024;
/// How long an answer is still read after its client has gone.
const DRAIN_TIME: Duration = Duration::from_secs(60);
/// Bytes of an answer that are taken before its header is sent, if they are there.
const EARLY_CAP: usize = 64 * 1024;
/// Pieces of a stream that are there together are written together, up to about this many bytes.
const COALESCE_CAP: usize = 16 * 1024;
/// The same where the first piece is so large alone: a long answer, which comes as fast as it is read. Each write costs
/// more than the copy that saves it.
const BULK_CAP: usize = 256 * 1024;

/// How a body is relayed.
pub struct Relay<'a> {
    /// The client went away already.
    pub client_gone: bool,
    /// A client that goes away ends the exchange with the upstream too.
    pub cancel_with_client: bool,
    /// When the caller's token expires: a stream ends then at the latest.
    pub until: Option<SystemTime>,
    /// What was taken of the body before its header was sent ([`Early`]).
    pub early: Bytes,
    /// Changes the body on its way.
    pub filter: Option<&'a mut dyn Filter>,
    /// Ends the stream when the process is to stop (set for streams that have no end of their own).
    pub end_on_shutdown: Option<&'a ShutdownWatch>,
}

/// Changes a body that is relayed, piece by piece.
pub trait Filter: Send {
    /// What may be passed on now that `chunk` has come.
    fn push(&mut self, chunk: &[u8]) -> Vec<u8>;
    /// What was held back, at the body's end.
    fn finish(&mut self) -> Vec<u8>;
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RelayEnd {
    /// The whole body was delivered.
    Complete,
    /// The client was gone; the answer was read to its end for the upstream's sake.
    Undelivered,
    /// The client went away, or stopped reading.
    ClientGone,
    /// The upstream's connection failed: the client sees a truncated answer.
    UpstreamBroken,
    /// The caller's token expired, or the process stops: the stream was ended in good order.
    Ended,
}

/// A piece of a body, its end, or why there is neither.
type Chunk = Result<Option<Bytes>, Box<Error>>;

/// What happened next while a stream was being relayed.
enum Event {
    Chunk(Chunk),
    ClientGone,
    Ended,
}

impl Relay<'_> {
    /// Relays the rest of `answer` to `client`, whose response header is written. Memory does not
    /// grow with the body: a chunk is written before the next is read.
    /// Returns how it ended and how many bytes were delivered.
    ///
    /// After [`RelayEnd::Complete`] and [`RelayEnd::Ended`] the client's connection may be finished
    /// and used again; after the others it must be dropped.
    pub async fn run(
        mut self,
        client: &mut ServerSession,
        mut answer: Answer,
        upstream: &Upstream,
        connections: &Connections,
    ) -> (RelayEnd, usize) {
        let mut sent = 0;
        let end = self.pump(client, &mut answer, upstream, &mut sent).await;
        match end {
            RelayEnd::Complete | RelayEnd::Undelivered => {
                connections.release(answer.connection, upstream.keepalive);
            }
            _ => connections.abandon(answer.connection),
        }
        (conclude(client, end, sent).await, sent)
    }

    async fn pump(
        &mut self,
        client: &mut ServerSession,
        answer: &mut Answer,
        upstream: &Upstream,
        sent: &mut usize,
    ) -> RelayEnd {
        let mut deadline = self
            .until
            .map(|at| Instant::now() + at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO));
        let mut shutdown = self.end_on_shutdown.cloned();
        let mut dropped = 0;
        let early = std::mem::take(&mut self.early);
        let mut next = (!early.is_empty()).then_some(Ok(Some(early)));
        let mut draining = false;
        loop {
            if self.client_gone && self.cancel_with_client {
                return RelayEnd::ClientGone;
            }
            if self.client_gone && !std::mem::replace(&mut draining, true) {
                let latest = Instant::now() + DRAIN_TIME;
                deadline = Some(deadline.map_or(latest, |at| at.min(latest)));
            }
            let event = if let Some(chunk) = next.take() {
                Event::Chunk(chunk)
            } else if is_over(deadline, shutdown.as_ref()) {
                Event::Ended
            } else {
                // No timer is set as long as chunks are there to be taken.
                tokio::select! {
                    biased;
                    chunk = next_chunk(&mut answer.connection.session) => Event::Chunk(chunk),
                    _ = client.read_body_or_idle(true), if !self.client_gone => Event::ClientGone,
                    () = wait(deadline) => Event::Ended,
                    () = stopping(&mut shutdown) => Event::Ended,
                }
            };
            match event {
                Event::Chunk(Ok(Some(chunk))) if self.client_gone => {
                    dropped += chunk.len();
                    if dropped > DRAIN_CAP {
                        return RelayEnd::ClientGone;
                    }
                }
                Event::Chunk(Ok(Some(chunk))) => {
                    let chunk = coalesce(chunk, &mut answer.connection.session, &mut next);
                    let chunk = match &mut self.filter {
                        Some(filter) => filter.push(&chunk).into(),
                        None => chunk,
                    };
                    self.write(client, chunk, sent).await;
                }
                Event::Chunk(Ok(None)) if self.client_gone => return RelayEnd::Undelivered,
                Event::Chunk(Ok(None)) => {
                    let rest = self.filter.as_mut().map(|filter| filter.finish()).unwrap_or_default();
                    self.write(client, rest.into(), sent).await;
                    return if self.client_gone { RelayEnd::Undelivered } else { RelayEnd::Complete };
                }
                Event::Chunk(Err(error)) => {
                    tracing::debug!(upstream = %upstream.id, error = describe(&error), "answer broke off");
                    return RelayEnd::UpstreamBroken;
                }
                Event::ClientGone => self.client_gone = true,
                Event::Ended if self.client_gone => return RelayEnd::ClientGone,
                Event::Ended => return RelayEnd::Ended,
            }
        }
    }
}

impl Relay<'_> {
    async fn write(&mut self, client: &mut ServerSession, chunk: Bytes, sent: &mut usize) {
        let len = chunk.len();
        if len == 0 {
            return;
        }
        match client.write_response_body(chunk, false).await {
            Ok(()) => *sent += len,
            Err(_) => self.client_gone = true,
        }
    }
}

/// Ends the client's response as `end` says: in good order, or visibly cut off.
async fn conclude(client: &mut ServerSession, end: RelayEnd, sent: usize) -> RelayEnd {
    match end {
        RelayEnd::Complete | RelayEnd::Ended if !is_short(client, sent) => {
            match client::finish(client).await {
                Ok(()) => end,
                Err(_) => RelayEnd::ClientGone,
            }
        }
        _ => {
            // Whatever the caller does with the connection now, it is not used again.
            client.set_keepalive(None);
            match end {
                RelayEnd::ClientGone => client::leave(client),
                _ => client::close(client).await,
            }
            end
        }
    }
}

/// Whether the response header promised another length than what was sent. HTTP/2 would end the
/// stream as if all were well.
fn is_short(client: &ServerSession, sent: usize) -> bool {
    let Some(header) = client.response_written() else { return false };
    let bodiless = matches!(header.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    !bodiless && length(header).is_some_and(|promised| promised != sent)
}

fn length(header: &ResponseHeader) -> Option<usize> {
    header.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// What of an answer's body is there already.
pub struct Early {
    /// The bytes, at most [`EARLY_CAP`] and one piece more.
    pub bytes: Bytes,
    /// It is the whole body.
    pub ended: bool,
}

impl Early {
    /// Takes what has come, without waiting for more: a short answer can then be sent in one piece,
    /// with its length.
    ///
    /// # Errors
    /// The answer broke off.
    pub fn take(answer: &mut Answer) -> Result<Self, ForwardError> {
        let session = &mut answer.connection.session;
        let mut bytes = Bytes::new();
        let mut ended = session.response_done();
        while !ended && bytes.len() < EARLY_CAP {
            match at_once(next_chunk(session)) {
                Some(chunk) => match chunk? {
                    Some(chunk) => bytes = join(bytes, chunk),
                    None => ended = true,
                },
                None => break,
            }
            ended = ended || session.response_done();
        }
        Ok(Self { bytes, ended })
    }

    /// Waits for more, until it is the whole body or more than is taken early.
    ///
    /// # Errors
    /// The answer broke off.
    pub async fn fill(&mut self, answer: &mut Answer) -> Result<(), ForwardError> {
        while !self.ended && self.bytes.len() < EARLY_CAP {
            match next_chunk(&mut answer.connection.session).await? {
                Some(chunk) => self.bytes = join(std::mem::take(&mut self.bytes), chunk),
                None => self.ended = true,
            }
        }
        Ok(())
    }
}

/// `first` and what else is there already: fewer and larger writes. What is no piece goes to `next`.
fn coalesce(first: Bytes, session: &mut HttpSession, next: &mut Option<Chunk>) -> Bytes {
    let cap = if first.len() < COALESCE_CAP { COALESCE_CAP } else { BULK_CAP };
    let mut all = BytesMut::new();
    while first.len().max(all.len()) < cap {
        match at_once(next_chunk(session)) {
            Some(Ok(Some(chunk))) => {
                if all.is_empty() {
                    all.reserve(cap + chunk.len());
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&chunk);
            }
            Some(other) => {
                *next = Some(other);
                break;
            }
            None => break,
        }
    }
    if all.is_empty() { first } else { all.freeze() }
}

fn join(first: Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    let mut both = first.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    both.extend_from_slice(&second);
    both.freeze()
}

/// The next piece of the answer's body; `None` at its end. Dropping the future loses nothing.
///
/// # Errors
/// The answer broke off.
pub async fn next_chunk(session: &mut HttpSession) -> Result<Option<Bytes>, Box<Error>> {
    match session.read_response_body().await {
        Err(error) if is_reset_after_answer(session, &error) => Ok(None),
        chunk => chunk,
    }
}

/// A server that has answered in full may reset the stream with NO_ERROR, to say that it needs no
/// more of the request (RFC 9113 §8.1); `h2` hides the end of the answer behind that reset.
fn is_reset_after_answer(session: &HttpSession, error: &Error) -> bool {
    let Some(stream) = session.as_http2() else { return false };
    let is_no_error = error
        .root_cause()
        .downcast_ref::<h2::Error>()
        .is_some_and(|e| e.is_reset() && e.is_remote() && e.reason() == Some(h2::Reason::NO_ERROR));
    let promised = stream.response_header().and_then(length);
    is_no_error && promised.is_some_and(|n| n == stream.body_bytes_received())
}

/// Reads the whole of an answer that has to be looked at before it is passed on.
///
/// # Errors
/// It is over `cap` bytes, breaks off, or is not complete after `within`.
pub async fn collect(
    mut answer: Answer,
    cap: usize,
    within: Duration,
    upstream: &Upstream,
    connections: &Connections,
) -> Result<Bytes, ForwardError> {
    let collected = timeout(within, read_whole(&mut answer, cap)).await;
    match collected.unwrap_or(Err(ForwardError::Timeout)) {
        Ok(body) => {
            connections.release(answer.connection, upstream.keepalive);
            Ok(body)
        }
        Err(error) => {
            connections.abandon(answer.connection);
            Err(error)
        }
    }
}

async fn read_whole(answer: &mut Answer, cap: usize) -> Result<Bytes, ForwardError> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(chunk) = next_chunk(&mut answer.connection.session).await? {
        let so_far = first.as_ref().map_or(0, Bytes::len) + all.len();
        if so_far + chunk.len() > cap {
            return Err(ForwardError::Malformed(format!("answer is over {cap} bytes")));
        }
        if first.is_none() && all.is_empty() {
            first = Some(chunk);
        } else {
            if let Some(first) = first.take() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&chunk);
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

fn is_over(deadline: Option<Instant>, shutdown: Option<&ShutdownWatch>) -> bool {
    deadline.is_some_and(|at| at <= Instant::now()) || shutdown.is_some_and(|watch| *watch.borrow())
}

async fn wait(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn stopping(shutdown: &mut Option<ShutdownWatch>) {
    match shutdown {
        Some(watch) if *watch.borrow() => {}
        Some(watch) => {
            if watch.changed().await.is_err() {
                std::future::pending().await
            }
        }
        None => std::future::pending().await,
    }
}
