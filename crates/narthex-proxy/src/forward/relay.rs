//! Bringing an answer's body to the client as it comes.

use super::send::Answer;
use crate::forward::ForwardError;
use bytes::{Bytes, BytesMut};
use narthex_upstreams::{Connections, Upstream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::time::{Duration, SystemTime};

/// Bytes of an answer that are still read and thrown away after its client has gone.
const DRAIN_CAP: usize = 16 * 1024 * 1024;

/// How a body is relayed.
pub struct Relay<'a> {
    /// The client went away already.
    pub client_gone: bool,
    /// A client that goes away ends the exchange with the upstream too.
    pub cancel_with_client: bool,
    /// When the caller's token expires: a stream ends then at the latest.
    pub until: Option<SystemTime>,
    /// Ends the stream when the process is to stop (set for streams that have no end of their own).
    pub end_on_shutdown: Option<&'a ShutdownWatch>,
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

/// What happened next while a stream was being relayed.
enum Event {
    Chunk(Result<Option<Bytes>, Box<pingora::Error>>),
    ClientGone,
    Ended,
}

impl Relay<'_> {
    /// Relays the rest of `answer` to `client`, whose response header is written. Memory does not
    /// grow with the body: a chunk is written before the next is read.
    /// Returns how it ended and how many bytes were delivered.
    pub async fn run(
        mut self,
        client: &mut ServerSession,
        mut answer: Answer,
        upstream: &Upstream,
        connections: &Connections,
    ) -> (RelayEnd, usize) {
        let mut deadline = self.until.map(|at| {
            let left = at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
            Box::pin(tokio::time::sleep(left))
        });
        let mut shutdown = self.end_on_shutdown.cloned();
        let (mut sent, mut dropped) = (0, 0);
        loop {
            let event = if self.client_gone {
                Event::Chunk(answer.connection.session.read_response_body().await)
            } else {
                tokio::select! {
                    biased;
                    chunk = answer.connection.session.read_response_body() => Event::Chunk(chunk),
                    _ = client.read_body_or_idle(true) => Event::ClientGone,
                    () = wait(&mut deadline) => Event::Ended,
                    () = stopping(&mut shutdown) => Event::Ended,
                }
            };
            match event {
                Event::Chunk(Ok(Some(chunk))) if self.client_gone => {
                    dropped += chunk.len();
                    if dropped > DRAIN_CAP {
                        return (RelayEnd::ClientGone, sent);
                    }
                }
                Event::Chunk(Ok(Some(chunk))) => {
                    let len = chunk.len();
                    if client.write_response_body(chunk, false).await.is_ok() {
                        sent += len;
                    } else {
                        self.client_gone = true;
                    }
                }
                Event::Chunk(Ok(None)) => {
                    connections.release(answer.connection, upstream.keepalive).await;
                    if self.client_gone {
                        return (RelayEnd::Undelivered, sent);
                    }
                    let end = if client.finish_body().await.is_ok() { RelayEnd::Complete } else { RelayEnd::ClientGone };
                    return (end, sent);
                }
                Event::Chunk(Err(error)) => {
                    tracing::debug!(upstream = %upstream.id, %error, "answer broke off");
                    client.shutdown().await;
                    return (RelayEnd::UpstreamBroken, sent);
                }
                Event::ClientGone => self.client_gone = true,
                Event::Ended => {
                    let _ = client.finish_body().await;
                    return (RelayEnd::Ended, sent);
                }
            }
            if self.client_gone && self.cancel_with_client {
                return (RelayEnd::ClientGone, sent);
            }
        }
    }
}

/// Reads the whole of an answer that has to be looked at before it is passed on.
///
/// # Errors
/// It is over `cap` bytes, or breaks off.
pub async fn collect(
    mut answer: Answer,
    cap: usize,
    upstream: &Upstream,
    connections: &Connections,
) -> Result<Bytes, ForwardError> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(chunk) = answer.connection.session.read_response_body().await? {
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
    connections.release(answer.connection, upstream.keepalive).await;
    Ok(first.unwrap_or_else(|| all.freeze()))
}

async fn wait(deadline: &mut Option<std::pin::Pin<Box<tokio::time::Sleep>>>) {
    match deadline {
        Some(sleep) => sleep.as_mut().await,
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
