//! From bytes to frames, wherever the bytes were cut.

use super::{Event, Frame};
use memchr::memchr2;
use std::ops::Range;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// An event, or a comment, is longer than the cap.
    #[error("an event of the stream is longer than {limit} bytes")]
    TooLarge {
        /// The cap in bytes.
        limit: usize,
    },
}

/// Cuts a stream of server-sent events into frames.
///
/// ```
/// use narthex_mcp::sse::{Decoder, Frame};
///
/// let mut decoder = Decoder::new(1 << 20);
/// let mut data = Vec::new();
/// for chunk in [&b"event: message\nda"[..], b"ta: {}\n\n: still here\n"] {
///     decoder.push(chunk);
///     while let Some(frame) = decoder.next_frame()? {
///         if let Frame::Event(event) = frame {
///             data.push(event.data.unwrap_or_default().into_owned());
///         }
///     }
/// }
/// assert_eq!(data, [&b"{}"[..]]);
/// # Ok::<_, narthex_mcp::sse::SseError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where in the stream the buffer starts, in bytes.
    offset: u64,
    /// Where in the buffer the current frame, its current line, and what was not searched yet start.
    frame: usize,
    line: usize,
    unread: usize,
    /// Whether the current frame has a line that is no comment.
    in_event: bool,
    /// Whether a line feed that comes next belongs to the line before.
    after_cr: bool,
    at_start: bool,
    limit: usize,
    error: Option<SseError>,
}

impl Decoder {
    /// For streams whose events are at most `limit` bytes long, the end of the last line not counted.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            offset: 0,
            frame: 0,
            line: 0,
            unread: 0,
            in_event: false,
            after_cr: false,
            at_start: true,
            limit,
            error: None,
        }
    }

    /// Takes the next bytes of the stream. Read all frames before pushing more, lest the buffer grow.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.frame);
        self.offset += self.frame as u64;
        self.line -= self.frame;
        self.unread -= self.frame;
        self.frame = 0;
        if self.error.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next frame that is complete; `None` until more bytes are pushed.
    ///
    /// # Errors
    /// An event is over the cap. The decoder says so ever after.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, SseError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.find_frame() {
            Ok(None) => Ok(None),
            Ok(Some((true, span))) => {
                let offset = self.offset + span.start as u64;
                Ok(Some(Frame::Event(Event::parse(&self.buffer[span], offset))))
            }
            Ok(Some((false, span))) => Ok(Some(Frame::Idle(&self.buffer[span]))),
            Err(error) => {
                self.error = Some(error);
                self.buffer = Vec::new();
                (self.frame, self.line, self.unread) = (0, 0, 0);
                Err(error)
            }
        }
    }

    /// What was pushed and is in no frame yet. At the end of the stream it is to be discarded
    /// (WHATWG HTML §9.2.6).
    #[must_use]
    pub fn remainder(&self) -> &[u8] {
        &self.buffer[self.frame..]
    }

    /// Whether the frame is an event, and where it is.
    fn find_frame(&mut self) -> Result<Option<(bool, Range<usize>)>, SseError> {
        if self.at_start && !self.skip_byte_order_mark() {
            return Ok(None);
        }
        loop {
            if self.after_cr && self.skip_line_feed() && self.frame + 1 == self.line {
                return Ok(Some(self.end_frame(self.line)));
            }
            let Some(end) = memchr2(b'\r', b'\n', &self.buffer[self.unread..]) else {
                self.unread = self.buffer.len();
                return self.check(self.unread).map(|()| None);
            };
            let end = self.unread + end;
            self.check(end)?;
            let is_comment = self.buffer[self.line] == b':';
            let is_blank = self.line == end;
            self.end_line(end);
            if is_blank || is_comment && !self.in_event {
                return Ok(Some(self.end_frame(self.line)));
            }
            self.in_event |= !is_comment;
        }
    }

    /// Moves to the line after the one that ends at `end`. A CR at the end of the buffer ends it as well:
    /// waiting for its LF could hold an event back for as long as the upstream is silent.
    fn end_line(&mut self, end: usize) {
        let is_cr = self.buffer[end] == b'\r';
        let is_crlf = is_cr && self.buffer.get(end + 1) == Some(&b'\n');
        self.line = end + 1 + usize::from(is_crlf);
        self.unread = self.line;
        self.after_cr = is_cr && self.line == self.buffer.len() && !is_crlf;
    }

    fn end_frame(&mut self, end: usize) -> (bool, Range<usize>) {
        let span = self.frame..end;
        self.frame = end;
        (std::mem::take(&mut self.in_event), span)
    }

    /// Whether the byte after a CR was a LF.
    fn skip_line_feed(&mut self) -> bool {
        let Some(next) = self.buffer.get(self.line) else { return false };
        self.after_cr = false;
        let is_line_feed = *next == b'\n';
        self.line += usize::from(is_line_feed);
        self.unread = self.line;
        is_line_feed
    }

    /// Whether it is known if the stream starts with one.
    fn skip_byte_order_mark(&mut self) -> bool {
        if self.buffer.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&self.buffer) {
            return false;
        }
        self.at_start = false;
        if self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        true
    }

    fn check(&self, end: usize) -> Result<(), SseError> {
        if end - self.frame > self.limit { Err(SseError::TooLarge { limit: self.limit }) } else { Ok(()) }
    }
}
