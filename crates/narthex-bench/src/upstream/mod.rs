//! The upstream that all contenders are measured against: an HTTP/1.1 keep-alive server that answers
//! MCP requests from prepared bytes. It runs on one thread and does as little as it can, so that the
//! CPU it shares with the load generator is not what limits a proxy.

mod answer;
mod ask;

pub use ask::{Ask, Call};

use answer::Answers;
use bytes::{Buf, BytesMut};
use std::io;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

/// Most headers accepted in one request.
const MAX_HEADERS: usize = 64;
/// Longest header block accepted, bytes.
const MAX_HEAD: usize = 64 << 10;
/// Longest body accepted, bytes.
const MAX_BODY: usize = 32 << 20;
/// Room made for one read, bytes.
const READ: usize = 64 << 10;

/// How many tools the contenders' upstream has.
pub const TOOLS: usize = 100;

/// Answers every connection that `listener` accepts, for ever, as a server of `tools` tools.
///
/// # Errors
/// When a connection cannot be accepted.
pub async fn serve(listener: TcpListener, tools: usize) -> io::Result<()> {
    let answers = Rc::new(Answers::new(tools));
    LocalSet::new()
        .run_until(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let answers = Rc::clone(&answers);
                // A connection that breaks is the client's affair; the others go on.
                spawn_local(async move { connection(stream, &answers).await });
            }
        })
        .await
}

async fn connection(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut input = BytesMut::with_capacity(READ);
    let mut output = Vec::with_capacity(4 << 10);
    loop {
        let Some(head) = read_head(&mut stream, &mut input).await? else { return Ok(()) };
        let end = head.length + head.body;
        while input.len() < end {
            if fill(&mut stream, &mut input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        output.clear();
        let parts = answers.write(Ask::read(head.method, &input[head.length..end]), &mut output);
        input.advance(end);
        for part in parts.of(&output, answers) {
            stream.write_all(part).await?;
        }
        if head.close {
            return stream.shutdown().await;
        }
    }
}

/// What is needed of a request's header block.
struct Head {
    /// Its own length, bytes.
    length: usize,
    /// The body's length, bytes.
    body: usize,
    method: Method,
    /// `Connection: close` was asked for.
    close: bool,
}

/// The methods of the Streamable HTTP transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// A message.
    Post,
    /// A stream of the server's own messages.
    Get,
    /// The end of a session.
    Delete,
    /// Anything else.
    Other,
}

async fn read_head(stream: &mut TcpStream, input: &mut BytesMut) -> io::Result<Option<Head>> {
    loop {
        if let Some(head) = parse_head(input)? {
            return Ok(Some(head));
        }
        if input.len() > MAX_HEAD {
            return Err(invalid("header block too long"));
        }
        if fill(stream, input).await? == 0 {
            return Ok(None);
        }
    }
}

async fn fill(stream: &mut TcpStream, input: &mut BytesMut) -> io::Result<usize> {
    input.reserve(READ);
    stream.read_buf(input).await
}

fn parse_head(input: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(input).map_err(invalid)? else { return Ok(None) };
    let method = match request.method {
        Some("POST") => Method::Post,
        Some("GET") => Method::Get,
        Some("DELETE") => Method::Delete,
        _ => Method::Other,
    };
    let mut head = Head { length, body: 0, method, close: false };
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            head.body = decimal(header.value).filter(|n| *n <= MAX_BODY).ok_or_else(|| invalid("length"))?;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            // Every client here knows its length; a proxy that re-frames a request is worth seeing.
            return Err(invalid("request without Content-Length"));
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.close = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(head))
}

fn decimal(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
