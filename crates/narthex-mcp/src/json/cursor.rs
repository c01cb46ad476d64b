//! The cursor: where we are in the text, and the grammar of RFC 8259.

use super::plain::plain_len;
use super::{Fault, Text};

/// Deeper than any limit may be set, so that recursion stays within a thread's stack.
const DEEPEST: u16 = 256;

/// A place in a JSON text.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: u16,
    max_depth: u16,
}

/// A value that was read over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    /// Its text, as it stands.
    pub(crate) raw: &'a str,
    pub(crate) shape: Shape<'a>,
}

/// What kind of value it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'a> {
    Object,
    String(Text<'a>),
    Number,
    Null,
    /// An array or a boolean.
    Other,
}

/// What stands between the quotes of a string, by its place.
#[derive(Clone, Copy, Debug)]
struct StringSpan {
    start: usize,
    end: usize,
    escaped: bool,
}

impl<'a> Cursor<'a> {
    /// At the first value of `body`, which is checked to be UTF-8 as a whole.
    pub(crate) fn new(body: &'a [u8], max_depth: u16) -> Result<Self, Fault> {
        let text = str::from_utf8(body).map_err(|_| Fault::NOT_UTF8)?;
        if text.starts_with('\u{FEFF}') {
            return Err(Fault::BYTE_ORDER_MARK);
        }
        let mut cursor = Self { text, at: 0, depth: 0, max_depth: max_depth.min(DEEPEST) };
        cursor.skip_space();
        if cursor.peek().is_none() { Err(Fault::EMPTY) } else { Ok(cursor) }
    }

    /// Offset in bytes from the start of the body.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The next byte, white space not skipped.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Refuses anything but white space up to the end.
    pub(crate) fn finish(mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.peek().is_none() { Ok(()) } else { Err(Fault::TRAILING) }
    }

    /// Reads over one value.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        let shape = match self.peek() {
            Some(b'"') => {
                let span = self.string()?;
                Shape::String(self.text(span))
            }
            Some(b'{') => self.skip().map(|()| Shape::Object)?,
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| Shape::Number)?,
            Some(b'n') => self.skip().map(|()| Shape::Null)?,
            _ => self.skip().map(|()| Shape::Other)?,
        };
        Ok(Value { raw: &self.text[start..self.at], shape })
    }

    /// [`Self::value`] where only its soundness matters.
    pub(crate) fn skip(&mut self) -> Result<(), Fault> {
        match self.peek().ok_or(Fault::TRUNCATED)? {
            b'"' => self.string().map(drop),
            b'{' => self.members(|cursor, _| cursor.skip()),
            b'[' => self.array(Self::skip),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(Fault::MALFORMED),
        }
    }

    /// Walks an object. `member` is called at each value with its key and must read over the value.
    #[inline]
    pub(crate) fn object<F>(&mut self, mut member: F) -> Result<(), Fault>
    where
        F: FnMut(&mut Self, Text<'a>) -> Result<(), Fault>,
    {
        self.members(|cursor, key| {
            let key = cursor.text(key);
            member(cursor, key)
        })
    }

    #[inline]
    fn members<F>(&mut self, mut member: F) -> Result<(), Fault>
    where
        F: FnMut(&mut Self, StringSpan) -> Result<(), Fault>,
    {
        self.enter(b'{')?;
        let mut done = self.ends_at_once(b'}');
        while !done {
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            member(self, key)?;
            done = self.ends(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Walks an array. `element` is called at each element and must read over it.
    #[inline]
    pub(crate) fn array<F>(&mut self, mut element: F) -> Result<(), Fault>
    where
        F: FnMut(&mut Self) -> Result<(), Fault>,
    {
        self.enter(b'[')?;
        let mut done = self.ends_at_once(b']');
        while !done {
            element(self)?;
            done = self.ends(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self, open: u8) -> Result<(), Fault> {
        self.expect(open)?;
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(Fault::TOO_DEEP);
        }
        self.skip_space();
        Ok(())
    }

    fn ends_at_once(&mut self, close: u8) -> bool {
        let ends = self.peek() == Some(close);
        self.at += usize::from(ends);
        ends
    }

    /// After an element: whether the container ends here. If not, the cursor is at the next element.
    #[inline]
    fn ends(&mut self, close: u8) -> Result<bool, Fault> {
        self.skip_space();
        let byte = self.peek().ok_or(Fault::TRUNCATED)?;
        if byte == close {
            self.at += 1;
            return Ok(true);
        }
        self.expect(b',')?;
        self.skip_space();
        Ok(false)
    }

    #[inline]
    fn string(&mut self) -> Result<StringSpan, Fault> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_len(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(Fault::CONTROL),
                None => return Err(Fault::TRUNCATED),
            }
        }
        let end = self.at;
        self.at += 1;
        Ok(StringSpan { start, end, escaped })
    }

    fn text(&self, span: StringSpan) -> Text<'a> {
        Text { raw: &self.text[span.start..span.end], escaped: span.escaped }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let byte = self.peek().ok_or(Fault::TRUNCATED)?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.code_unit()? {
                0xDC00..0xE000 => Err(Fault::SURROGATE),
                0xD800..0xDC00 => self.low_surrogate(),
                _ => Ok(()),
            },
            _ => Err(Fault::ESCAPE),
        }
    }

    fn low_surrogate(&mut self) -> Result<(), Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            return Err(Fault::SURROGATE);
        }
        self.at += 2;
        if (0xDC00..0xE000).contains(&self.code_unit()?) { Ok(()) } else { Err(Fault::SURROGATE) }
    }

    fn code_unit(&mut self) -> Result<u16, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(Fault::TRUNCATED)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit: u16, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or(Fault::ESCAPE)?;
            Ok(unit << 4 | digit as u16)
        })
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let raw = &self.text[start..self.at];
        // RFC 8259 §6 leaves the range open; some parsers fail here and some read infinity.
        let may_overflow = exponent || raw.len() > 308;
        if may_overflow && raw.parse::<f64>().is_ok_and(f64::is_infinite) {
            Err(Fault::RANGE)
        } else {
            Ok(())
        }
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match (count, rest.is_empty()) {
            (0, true) => Err(Fault::TRUNCATED),
            (0, false) => Err(Fault::MALFORMED),
            _ => Ok(()),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word) {
            return Err(Fault::MALFORMED);
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Fault::MALFORMED),
            None => Err(Fault::TRUNCATED),
        }
    }

    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }
}
