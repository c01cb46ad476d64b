//! What a child says, line by line.

use super::process::{Fault, Shared};
use super::trickle::{Trickle, printable};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::ChildStdout;

/// Read at a time, bytes.
const CHUNK: usize = 32 * 1024;
/// How long what a dead child has left in its pipe is waited for.
const LINGER: Duration = Duration::from_secs(1);

/// What becomes of lines that are longer than they may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Overlong {
    /// They are an error.
    Fail,
    /// Their rest is skipped.
    Cut,
}

/// A stream cut into lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    source: R,
    buffer: BytesMut,
    /// Bytes of `buffer` that hold no line feed.
    scanned: usize,
    most: usize,
    overlong: Overlong,
    skipping: bool,
    ended: bool,
}

/// A line that is too long.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct TooLong;

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(source: R, most: usize, overlong: Overlong) -> Self {
        let buffer = BytesMut::new();
        Self { source, buffer, scanned: 0, most, overlong, skipping: false, ended: false }
    }

    /// The next line, without its line feed; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// It is too long.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            if let Some(line) = self.take()? {
                return Ok(Some(line));
            }
            if self.ended {
                let rest = std::mem::take(&mut self.buffer).freeze();
                return Ok((!rest.is_empty() && !self.skipping).then_some(rest));
            }
            self.buffer.reserve(CHUNK);
            // A broken pipe is an end like another.
            self.ended = matches!(self.source.read_buf(&mut self.buffer).await, Ok(0) | Err(_));
        }
    }

    /// A line that is there already.
    fn take(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(at) = memchr::memchr(b'\n', unseen) else {
                self.scanned = self.buffer.len();
                return self.unfinished();
            };
            let mut line = self.buffer.split_to(self.scanned + at + 1);
            self.scanned = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            line.truncate(line.len() - 1);
            if line.len() > self.most {
                if self.overlong == Overlong::Fail {
                    return Err(TooLong);
                }
                line.truncate(self.most);
            }
            return Ok(Some(line.freeze()));
        }
    }

    /// What to do with the beginning of a line.
    fn unfinished(&mut self) -> Result<Option<Bytes>, TooLong> {
        if self.skipping {
            self.buffer.clear();
            self.scanned = 0;
        }
        if self.buffer.len() <= self.most {
            return Ok(None);
        }
        if self.overlong == Overlong::Fail {
            return Err(TooLong);
        }
        let mut line = std::mem::take(&mut self.buffer);
        line.truncate(self.most);
        (self.scanned, self.skipping) = (0, true);
        Ok(Some(line.freeze()))
    }
}

/// The messages of a child.
#[derive(Debug)]
pub struct Messages {
    lines: Lines<ChildStdout>,
    shared: Arc<Shared>,
    noise: Trickle,
}

impl Messages {
    pub(super) fn new(stdout: ChildStdout, shared: Arc<Shared>, most: usize) -> Self {
        let noise = Trickle::new(Instant::now());
        Self { lines: Lines::new(stdout, most, Overlong::Fail), shared, noise }
    }

    /// The next line that may be a JSON-RPC message; `None` when there will be no more. Dropping the future
    /// loses nothing. A child that sends one that is too long is killed.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let line = tokio::select! {
                biased;
                line = self.lines.next() => line,
                // Something that it left behind may hold the pipe open.
                () = self.shared.lingered(LINGER) => Ok(None),
            };
            match line {
                Ok(Some(line)) if is_message(&line) => return Some(line),
                Ok(Some(line)) => self.note(&line),
                Ok(None) => {
                    self.shared.hang_up();
                    return None;
                }
                Err(TooLong) => {
                    self.shared.fail(Fault::MessageTooLong);
                    return None;
                }
            }
        }
    }

    /// Servers print banners, though they must not.
    fn note(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        if let Some(unlogged) = self.noise.admit(Instant::now()) {
            let (upstream, line) = (&self.shared.upstream, printable(line));
            tracing::warn!(%upstream, pid = self.shared.pid, unlogged, line, "not a message, on stdout");
        }
    }
}

/// Whether a line looks like a message, or a batch of them.
fn is_message(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8], most: usize, overlong: Overlong) -> Vec<Result<String, TooLong>> {
        let mut lines = Lines::new(text, most, overlong);
        let mut all = Vec::new();
        loop {
            match lines.next().await {
                Ok(Some(line)) => all.push(Ok(String::from_utf8_lossy(&line).into_owned())),
                Ok(None) => return all,
                Err(error) => {
                    all.push(Err(error));
                    return all;
                }
            }
        }
    }

    fn whole(lines: &[&str]) -> Vec<Result<String, TooLong>> {
        lines.iter().map(|line| Ok((*line).to_owned())).collect()
    }

    #[tokio::test]
    async fn lines_are_cut_at_line_feeds_and_the_last_needs_none() {
        assert_eq!(all(b"a\n\nbc\nd", 9, Overlong::Fail).await, whole(&["a", "", "bc", "d"]));
        assert_eq!(all(b"", 9, Overlong::Fail).await, whole(&[]));
        assert_eq!(all(b"123456789\n", 9, Overlong::Fail).await, whole(&["123456789"]));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_an_error_before_it_is_held() {
        assert_eq!(all(b"ok\n0123456789\nb\n", 9, Overlong::Fail).await[1], Err(TooLong));
        let endless = tokio::io::repeat(b'x');
        let mut lines = Lines::new(endless, 100_000, Overlong::Fail);
        assert_eq!(lines.next().await, Err(TooLong));
        assert!(lines.buffer.capacity() < 400_000);
    }

    #[tokio::test]
    async fn a_long_line_can_be_cut_and_the_next_is_whole() {
        let text = [&b"a\n"[..], &[b'x'; 100_000], b"\nb\n0123456789\nc"].concat();
        assert_eq!(all(&text, 5, Overlong::Cut).await, whole(&["a", "xxxxx", "b", "01234", "c"]));
    }

    #[test]
    fn banners_are_no_messages() {
        for line in ["", "  ", "Server running on stdio", "\u{1b}[32m{}", "true", "\"x\""] {
            assert!(!is_message(line.as_bytes()), "{line}");
        }
        for line in ["{}", " {\"a\":1}", "[{}]", "\r{"] {
            assert!(is_message(line.as_bytes()), "{line}");
        }
    }
}
