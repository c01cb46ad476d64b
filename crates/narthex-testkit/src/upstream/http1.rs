//! HTTP/1.1, as bytes.

use super::Shared;
use super::answer::{Answer, Body, What};
use super::feed::{Feed, Piece};
use super::record::UpstreamRequest;
use crate::wire::{Head, Stream, Wire};
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A stream that can be reset.
pub(super) trait Connection: Stream + 'static {
    /// Makes closing it a reset (RST) instead of an orderly end.
    fn abort_on_close(&self) -> io::Result<()>;
}

impl Connection for TcpStream {
    fn abort_on_close(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl Connection for TlsStream<TcpStream> {
    fn abort_on_close(&self) -> io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}

/// Answers the requests of one connection until either side closes it.
pub(super) async fn serve(stream: impl Connection, number: usize, shared: Arc<Shared>) -> io::Result<()> {
    let tap = Arc::clone(&shared);
    let mut wire = Wire::new(stream).tapped(move |bytes| tap.record.received(number, bytes));
    while let Some(head) = wire.head().await? {
        if head.headers.get("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
            wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = wire.body(&mut head.request_framing()).await?;
        let wants_close = head.headers.all("connection").any(|option| option.eq_ignore_ascii_case("close"));
        let answer = shared.answer(request(number, head, body));
        if give(&mut wire, answer).await? == Then::Close || wants_close {
            return wire.shut().await;
        }
    }
    Ok(())
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    Close,
    KeepAlive,
}

async fn give<S: Connection>(wire: &mut Wire<S>, answer: Answer) -> io::Result<Then> {
    if pause(wire, answer.delay).await == Then::Close {
        return Ok(Then::Close);
    }
    let then = if answer.close { Then::Close } else { Then::KeepAlive };
    put(wire, &answer.before, answer.trickle).await?;
    match answer.what {
        What::Raw(bytes) => put(wire, &bytes, answer.trickle).await.map(|()| then),
        What::Response { status, headers, body } => {
            let head = response_head(status, &headers, &body);
            let last = give_response(wire, head, body, answer.trickle).await?;
            Ok(if last == Then::Close { last } else { then })
        }
        What::Close => Ok(Then::Close),
        What::Reset => {
            wire.stream().abort_on_close()?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        What::Hang => {
            wire.peer_closed().await;
            Ok(Then::Close)
        }
    }
}

async fn give_response<S: Stream>(
    wire: &mut Wire<S>,
    head: String,
    body: Body,
    trickle: bool,
) -> io::Result<Then> {
    let mut bytes = head.into_bytes();
    match body {
        Body::None => put(wire, &bytes, trickle).await.map(|()| Then::KeepAlive),
        Body::Full(body) => {
            bytes.extend_from_slice(&body);
            put(wire, &bytes, trickle).await.map(|()| Then::KeepAlive)
        }
        Body::UntilClose(body) => {
            bytes.extend_from_slice(&body);
            put(wire, &bytes, trickle).await.map(|()| Then::Close)
        }
        Body::Filled(before, len, after) => {
            bytes.extend_from_slice(before.as_bytes());
            wire.write(&bytes).await?;
            fill(wire, len).await?;
            wire.write(after.as_bytes()).await.map(|()| Then::KeepAlive)
        }
        Body::Fed(feed) => {
            wire.write(&bytes).await?;
            follow(wire, feed).await
        }
    }
}

async fn fill<S: Stream>(wire: &mut Wire<S>, mut len: u64) -> io::Result<()> {
    let block = vec![b'x'; FILL_BLOCK];
    while len > 0 {
        let part = usize::try_from(len).unwrap_or(FILL_BLOCK).min(FILL_BLOCK);
        wire.write(&block[..part]).await?;
        len -= part as u64;
    }
    Ok(())
}

/// Sends what the test sends, until either end has had enough.
async fn follow<S: Stream>(wire: &mut Wire<S>, mut feed: Feed) -> io::Result<Then> {
    loop {
        let piece = tokio::select! {
            // What the test has sent is delivered even if it has ended the stream or the peer closes.
            biased;
            piece = feed.pieces.recv() => piece,
            () = wire.peer_closed() => return Ok(Then::Close),
        };
        match piece {
            Some(Piece::Bytes(bytes)) => {
                let size = format!("{:x}\r\n", bytes.len());
                wire.write(&[size.as_bytes(), &bytes, b"\r\n"].concat()).await?;
            }
            Some(Piece::Cut) => return Ok(Then::Close),
            None => return wire.write(b"0\r\n\r\n").await.map(|()| Then::KeepAlive),
        }
    }
}

/// Waits, but no longer than the peer does.
async fn pause<S: Stream>(wire: &mut Wire<S>, delay: Duration) -> Then {
    if delay.is_zero() {
        return Then::KeepAlive;
    }
    tokio::select! {
        () = tokio::time::sleep(delay) => Then::KeepAlive,
        () = wire.peer_closed() => Then::Close,
    }
}

async fn put<S: Stream>(wire: &mut Wire<S>, bytes: &[u8], trickle: bool) -> io::Result<()> {
    if !trickle {
        return wire.write(bytes).await;
    }
    for byte in bytes {
        wire.write(&[*byte]).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn response_head(status: u16, headers: &[(String, String)], body: &Body) -> String {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    let length = match body {
        Body::Full(body) => Some(body.len() as u64),
        Body::Filled(before, len, after) => Some((before.len() + after.len()) as u64 + len),
        Body::Fed(_) | Body::UntilClose(_) | Body::None => None,
    };
    // Writing to a String does not fail.
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if let Some(length) = length {
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    head.push_str(if matches!(body, Body::Fed(_)) { "Transfer-Encoding: chunked\r\n\r\n" } else { "\r\n" });
    head
}

fn reason(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

fn request(connection: usize, head: Head, body: Vec<u8>) -> UpstreamRequest {
    let mut parts = head.start.split(' ');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    UpstreamRequest { connection, method: part(), path: part(), headers: head.headers, body, http2: false }
}

const FILL_BLOCK: usize = 64 * 1024;
