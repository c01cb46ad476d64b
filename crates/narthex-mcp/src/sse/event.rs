//! What a stream is made of.

use std::borrow::Cow;
use std::time::Duration;

/// The next piece of a stream. The raw bytes of all frames, one after another, are the stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame<'a> {
    /// A whole event, with the blank line that ends it.
    Event(Event<'a>),
    /// A comment (keep-alive) or a blank line between events. It means nothing, but passing it on at once
    /// keeps the connection alive.
    Idle(&'a [u8]),
}

impl<'a> Frame<'a> {
    /// The bytes as they came.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        match self {
            Self::Event(event) => event.raw,
            Self::Idle(raw) => raw,
        }
    }
}

/// One event. Each field is `None` if the event has no such line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// `event`: the last one given. Empty and absent both mean `message`.
    pub event: Option<Cow<'a, str>>,
    /// `id`: the last one given without NUL.
    pub id: Option<Cow<'a, str>>,
    /// `data`: all of them, joined by line feeds. Not checked to be UTF-8.
    pub data: Option<Cow<'a, [u8]>>,
    /// `retry`, given in milliseconds: the last one that is a number.
    pub retry: Option<Duration>,
    /// The bytes as they came. When the last line ends in CR LF and the LF is not there yet, it follows as
    /// an idle frame.
    pub raw: &'a [u8],
    /// Where in the stream `raw` starts, in bytes, a byte order mark not counted.
    pub offset: u64,
}

impl<'a> Event<'a> {
    pub(super) fn parse(raw: &'a [u8], offset: u64) -> Self {
        let mut event = Self { raw, offset, ..Self::default() };
        // CR LF makes an empty line more, which says nothing.
        raw.split(|byte| matches!(byte, b'\r' | b'\n')).for_each(|line| event.line(line));
        event
    }

    fn line(&mut self, line: &'a [u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.append(value),
            b"event" => self.event = Some(String::from_utf8_lossy(value)),
            b"id" if !value.contains(&0) => self.id = Some(String::from_utf8_lossy(value)),
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            _ => {}
        }
    }

    fn append(&mut self, line: &'a [u8]) {
        match &mut self.data {
            None => self.data = Some(Cow::Borrowed(line)),
            Some(data) => {
                let data = data.to_mut();
                data.push(b'\n');
                data.extend_from_slice(line);
            }
        }
    }
}

fn milliseconds(value: &[u8]) -> Option<Duration> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = is_number.then(|| str::from_utf8(value).ok())??;
    number.parse().ok().map(Duration::from_millis)
}
