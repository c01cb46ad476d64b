//! One HTTP/1.1 keep-alive connection that sends prepared bytes and reads whole answers. It knows
//! just what the contenders answer with, to leave its CPU to the upstream beside it.

mod chunked;

use crate::Error;
use bytes::{Buf, BytesMut};
use chunked::Chunked;
use memchr::memmem;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Most headers accepted in one answer.
const MAX_HEADERS: usize = 64;
/// Longest header block accepted, bytes.
const MAX_HEAD: usize = 64 << 10;
/// Longest body accepted, bytes.
const MAX_BODY: usize = 8 << 20;
/// Room made for one read, bytes.
const READ: usize = 64 << 10;
/// Bytes of a body's front in which the id is looked for before all of it is.
const FRONT: usize = 256;

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    input: BytesMut,
    /// The decoded body of a chunked answer.
    decoded: Vec<u8>,
    /// Bytes of `input` that belong to the answer handed out last.
    spent: usize,
}

/// An answer that was read to its end.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// HTTP status code.
    pub status: u16,
    /// Status line and headers as they came.
    pub head: &'a [u8],
    /// The body, without chunk framing.
    pub body: &'a [u8],
}

impl Client {
    /// Connects to `address`.
    ///
    /// # Errors
    /// When the connection cannot be made.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::on(TcpStream::connect(address).await?)
    }

    /// The same, with room for so many bytes of an answer: it is not the client that the server waits for.
    ///
    /// # Errors
    /// When the connection cannot be made.
    pub async fn connect_with_room(address: SocketAddr, bytes: u32) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Before the connection is made: the window's scale is agreed on then.
        socket.set_recv_buffer_size(bytes)?;
        Self::on(socket.connect(address).await?)
    }

    fn on(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::with_capacity(READ), decoded: Vec::new(), spent: 0 })
    }

    /// Sends `request` and reads the whole answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is longer than accepted or not framed as HTTP/1.1
    /// keep-alive needs.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.send(request).await?;
        let head = self.head().await?;
        let end = match head.framing {
            Framing::Length(length) => {
                let end = head.length + length;
                while self.input.len() < end {
                    self.fill().await?;
                }
                end
            }
            Framing::Chunked => self.chunks(head.length).await?,
        };
        self.spent = end;
        let body = match head.framing {
            Framing::Length(_) => &self.input[head.length..end],
            Framing::Chunked => &self.decoded[..],
        };
        Ok(Answer { status: head.status, head: &self.input[..head.length], body })
    }

    /// Sends `request`, reads the answer's head and returns its status; the body is left to come.
    /// For streams that stay open: after it, only [`Self::discard`] makes sense.
    ///
    /// # Errors
    /// When the connection breaks or the answer's head is not HTTP/1.1.
    pub async fn open(&mut self, request: &[u8]) -> io::Result<u16> {
        self.send(request).await?;
        Ok(self.head().await?.status)
    }

    /// Reads and drops what comes until the other side closes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn discard(mut self) -> io::Result<()> {
        loop {
            self.input.clear();
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.input.advance(self.spent);
        self.spent = 0;
        self.stream.write_all(request).await
    }

    async fn head(&mut self) -> io::Result<Head> {
        loop {
            match parse_head(&self.input)? {
                // 1xx: the real answer follows.
                Some(head) if head.status < 200 => self.input.advance(head.length),
                Some(head) => return Ok(head),
                None if self.input.len() > MAX_HEAD => return Err(invalid("header block too long")),
                None => self.fill().await?,
            }
        }
    }

    /// Decodes the chunks that start at `from`; returns where they end in the input.
    async fn chunks(&mut self, from: usize) -> io::Result<usize> {
        self.decoded.clear();
        let (mut chunked, mut at) = (Chunked::default(), from);
        loop {
            at += chunked.decode(&self.input[at..], &mut self.decoded).ok_or_else(|| invalid("chunk"))?;
            if chunked.is_done() {
                return Ok(at);
            }
            if self.decoded.len() > MAX_BODY {
                return Err(invalid("body too long"));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.input.reserve(READ);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Answer<'_> {
    /// Checks that this is a 200 with a JSON-RPC result for `id`.
    ///
    /// # Errors
    /// [`Error::Answer`] with the status and the front of the body when it is not.
    pub fn expect_result(&self, id: &[u8]) -> Result<(), Error> {
        let front = &self.body[..self.body.len().min(FRONT)];
        let named = |text: &[u8]| {
            memmem::find(text, b"\"id\":").is_some_and(|at| text[at + 5..].trim_ascii_start().starts_with(id))
        };
        if self.status == 200 && (named(front) || named(self.body)) {
            return Ok(());
        }
        let front = String::from_utf8_lossy(front);
        Err(Error::Answer(format!("status {}, body {front:?}", self.status)))
    }

    /// The value of header `name`, if it came.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(self.head).ok()?;
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        String::from_utf8(header.value.to_vec()).ok()
    }
}

struct Head {
    length: usize,
    status: u16,
    framing: Framing,
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

fn parse_head(input: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(input).map_err(invalid)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let mut framing = (status < 200 || status == 204).then_some(Framing::Length(0));
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
            framing = Some(Framing::Length(
                length.filter(|n| *n <= MAX_BODY).ok_or_else(|| invalid("Content-Length"))?,
            ));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Some(Framing::Chunked);
        }
    }
    let framing = framing.ok_or_else(|| invalid("an answer that only closing the connection ends"))?;
    Ok(Some(Head { length, status, framing }))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
