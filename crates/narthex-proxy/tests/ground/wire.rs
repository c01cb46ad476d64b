//! One end of an HTTP/1.1 connection, close enough to the bytes to be rude.

use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// Longest that any single step of a test may take: a hang fails instead of hanging the suite.
const PATIENCE: Duration = Duration::from_secs(20);

/// A byte stream, plain or TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A boxed [`Duplex`].
pub(super) type Io = Box<dyn Duplex>;

/// The body of a message, and whether its framing says that it is whole.
#[derive(Debug, PartialEq)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) whole: bool,
}

/// Either end of a connection.
pub(super) struct Wire {
    io: BufReader<Io>,
}

/// Awaits `step`, and fails the test if it takes forever.
pub(super) async fn within<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, step).await.expect("the step hangs")
}

impl Wire {
    pub(super) fn new(io: impl Duplex + 'static) -> Self {
        Self { io: BufReader::new(Box::new(io)) }
    }

    /// Writes all of `bytes`, in one piece.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).await.expect("write");
    }

    /// Like [`Wire::send`], for a peer that may be gone.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let io = self.io.get_mut();
        within(io.write_all(bytes)).await?;
        within(io.flush()).await
    }

    /// Writes each byte on its own.
    pub(super) async fn drip(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send([*byte]).await;
            tokio::task::yield_now().await;
        }
    }

    /// Ends the writing side.
    pub(super) async fn half_close(&mut self) {
        let _ = self.io.get_mut().shutdown().await;
    }

    /// A message's header, lower case; `None` when the peer is gone before its end.
    pub(super) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match within(self.io.read_until(b'\n', &mut head)).await {
                Ok(n) if n > 0 => {}
                _ => return None,
            }
        }
        Some(String::from_utf8(head).expect("an ASCII header").to_ascii_lowercase())
    }

    /// The body that belongs to `head`.
    pub(super) async fn body(&mut self, head: &str) -> Body {
        if head.contains("transfer-encoding: chunked") {
            let mut bytes = Vec::new();
            loop {
                match self.chunk().await {
                    Some(chunk) if chunk.is_empty() => return Body { bytes, whole: true },
                    Some(chunk) => bytes.extend_from_slice(&chunk),
                    None => return Body { bytes, whole: false },
                }
            }
        }
        let length = header(head, "content-length").map(|v| v.parse().expect("a length"));
        match length {
            Some(length) => {
                let mut bytes = Vec::new();
                let read = within((&mut self.io).take(length).read_to_end(&mut bytes)).await;
                Body { whole: read.is_ok() && bytes.len() as u64 == length, bytes }
            }
            None => Body { bytes: Vec::new(), whole: true },
        }
    }

    /// The next chunk; empty for the last one (its trailers are read too). `None`: cut off.
    pub(super) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line().await?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size];
        within(self.io.read_exact(&mut chunk)).await.ok()?;
        while !self.line().await?.trim().is_empty() {
            assert_eq!(size, 0, "a chunk is followed by an empty line");
        }
        Some(chunk)
    }

    /// Reads until the peer closes or resets the connection, and says how many bytes came before.
    pub(super) async fn until_closed(&mut self) -> usize {
        let mut rest = Vec::new();
        let _ = within(self.io.read_to_end(&mut rest)).await;
        rest.len()
    }

    /// Reads exactly `n` bytes.
    pub(super) async fn take(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        within(self.io.read_exact(&mut bytes)).await.expect("bytes");
        bytes
    }

    /// The raw stream, for loops of a test's own.
    pub(super) fn io(&mut self) -> &mut BufReader<Io> {
        &mut self.io
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match within(self.io.read_line(&mut line)).await {
            Ok(n) if n > 0 && line.ends_with('\n') => Some(line),
            _ => None,
        }
    }
}

/// The value of header `name` (lower case) in `head`.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// `body` as chunks of `size` bytes, with the last one.
pub(super) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    for chunk in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// `len` bytes that do not repeat with any buffer's size.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}
