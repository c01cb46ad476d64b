//! HTTP/1.1 messages off a byte stream, for either side. Lenient on purpose: the tests send and get
//! things that a strict parser would hide.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Any two-way byte stream: TCP, or TLS on it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Tap = Box<dyn Fn(&[u8]) + Send + Sync>;

/// A stream with what was read of it but not yet used.
pub(crate) struct Wire<S = Box<dyn Stream>> {
    stream: S,
    buffer: BytesMut,
    /// Sees every byte that is read.
    tap: Option<Tap>,
}

impl<S: Stream> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new(), tap: None }
    }

    /// The stream itself, for its settings.
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// Shows `tap` every byte that is read from now on.
    pub(crate) fn tapped(mut self, tap: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.tap = Some(Box::new(tap));
        self
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Says that no more will be written.
    pub(crate) async fn shut(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// The start line and headers, or `None` when the peer closed before the first byte.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let block = self.buffer.split_to(end + 4);
                return Ok(Some(Head::parse(&block[..end])));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(cut_off()) };
            }
        }
    }

    /// The next piece of a body, or `None` at its end.
    pub(crate) async fn piece(&mut self, framing: &mut Framing) -> io::Result<Option<Bytes>> {
        match framing {
            Framing::Done => Ok(None),
            Framing::Length(0) => {
                *framing = Framing::Done;
                Ok(None)
            }
            Framing::Length(left) => {
                if self.buffer.is_empty() && self.fill().await? == 0 {
                    return Err(cut_off());
                }
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= take as u64;
                Ok(Some(self.buffer.split_to(take).freeze()))
            }
            Framing::Chunked => self.chunk(framing).await,
            Framing::UntilClose => {
                if self.buffer.is_empty() && self.fill().await? == 0 {
                    *framing = Framing::Done;
                    return Ok(None);
                }
                Ok(Some(self.buffer.split().freeze()))
            }
        }
    }

    /// All that is left of a body.
    pub(crate) async fn body(&mut self, framing: &mut Framing) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(framing).await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Returns when the peer has closed; what it sends until then is tapped and kept.
    pub(crate) async fn peer_closed(&mut self) {
        while matches!(self.fill().await, Ok(read) if read > 0) {}
    }

    async fn chunk(&mut self, framing: &mut Framing) -> io::Result<Option<Bytes>> {
        let line = self.line().await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
        if size == 0 {
            while !self.line().await?.is_empty() {}
            *framing = Framing::Done;
            return Ok(None);
        }
        while self.buffer.len() < size + 2 {
            if self.fill().await? == 0 {
                return Err(cut_off());
            }
        }
        let chunk = self.buffer.split_to(size).freeze();
        self.buffer.advance(2);
        Ok(Some(chunk))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill().await? == 0 {
                return Err(cut_off());
            }
        }
    }

    /// Reads what there is; 0 at the end. Cancel-safe: either nothing was read or it is in the buffer.
    async fn fill(&mut self) -> io::Result<usize> {
        let before = self.buffer.len();
        let read = self.stream.read_buf(&mut self.buffer).await?;
        if let Some(tap) = &self.tap {
            tap(&self.buffer[before..]);
        }
        Ok(read)
    }
}

/// The start line and header fields of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// The request or status line.
    pub(crate) start: String,
    pub(crate) headers: Headers,
}

impl Head {
    fn parse(block: &[u8]) -> Self {
        let text = String::from_utf8_lossy(block);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        });
        Self { start, headers: Headers(fields.collect()) }
    }

    /// How the body of a request with this head ends (RFC 9112 §6.3).
    pub(crate) fn request_framing(&self) -> Framing {
        self.headers.framing().unwrap_or(Framing::Done)
    }

    /// How the body of a response with this head ends (RFC 9112 §6.3), the request not having been
    /// HEAD.
    pub(crate) fn response_framing(&self) -> Framing {
        match self.status() {
            100..=199 | 204 | 304 => Framing::Done,
            _ => self.headers.framing().unwrap_or(Framing::UntilClose),
        }
    }

    /// The status of a status line; 0 if it is none.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

/// Header fields in the order in which they were sent, names in the case in which they were sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of a field, whatever the case of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// The names, in lower case, in the order in which they were sent.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    fn framing(&self) -> Option<Framing> {
        if self.all("transfer-encoding").any(|coding| coding.to_ascii_lowercase().contains("chunked")) {
            return Some(Framing::Chunked);
        }
        self.get("content-length").and_then(|length| length.parse().ok()).map(Framing::Length)
    }
}

/// How a body ends, and how much of it is to come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// After so many more bytes.
    Length(u64),
    /// With the chunk of length 0.
    Chunked,
    /// When the peer closes.
    UntilClose,
    /// It has ended, or there is none.
    Done,
}

/// Where `needle` first is in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed in the middle of a message")
}

#[cfg(test)]
mod tests;
