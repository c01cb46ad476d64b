//! The reader.

use super::Place;
use super::place::Step;
use narthex_mcp::plain_len;
use std::ops::Range;

/// Containers within each other at most.
const DEEPEST: usize = 256;

/// Why a text is not read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It is not one JSON value.
    Malformed,
    /// Its containers are nested more than 256 deep.
    TooDeep,
}

/// A string of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    /// What stands between its quotes, its escapes checked.
    pub(crate) raw: &'a str,
    /// Offset of the first byte of `raw`.
    start: usize,
    /// Whether it is the key of a member, not a value.
    pub(crate) is_key: bool,
    /// Whether it has escapes.
    pub(crate) escaped: bool,
    /// Whether its escapes may stand for more than a quote, a backslash, a tab or a line break.
    pub(crate) veiled: bool,
}

impl Token<'_> {
    /// Where the string is in the text, quotes included.
    pub(crate) fn span(&self) -> Range<usize> {
        self.start - 1..self.start + self.raw.len() + 1
    }
}

/// Reads a text from its beginning, and hands out its strings in order.
#[derive(Debug)]
pub(crate) struct Strings<'a> {
    text: &'a str,
    at: usize,
    place: Place<'a>,
    next: Next,
}

/// What may come next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Value,
    /// The first element of an array, or its end.
    Element,
    /// The first member of an object, or its end.
    Member,
    Key,
    /// What follows a value.
    After,
}

impl<'a> Strings<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, place: Place::default(), next: Next::Value }
    }

    /// Where the string that was handed out last is.
    pub(crate) fn place(&self) -> &Place<'a> {
        &self.place
    }

    /// See [`Place::hide_key`].
    pub(crate) fn hide_key(&mut self) {
        self.place.hide_key();
    }

    /// The next string, or `None` at the end of a text that is sound throughout.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, Fault> {
        loop {
            self.skip_space();
            let token = match (self.next, self.peek()) {
                (Next::After, None) if self.place.is_root() => return Ok(None),
                (_, None) => return Err(Fault::Malformed),
                (Next::After, Some(byte)) => self.after_value(byte).map(|()| None),
                (Next::Element, Some(b']')) | (Next::Member, Some(b'}')) => self.close().map(|()| None),
                (Next::Member | Next::Key, Some(_)) => self.key().map(Some),
                (Next::Value | Next::Element, Some(byte)) => self.value(byte),
            }?;
            if token.is_some() {
                return Ok(token);
            }
        }
    }

    #[inline]
    fn value(&mut self, byte: u8) -> Result<Option<Token<'a>>, Fault> {
        self.next = Next::After;
        match byte {
            b'"' => return self.string(false).map(Some),
            b'{' => self.open(true)?,
            b'[' => self.open(false)?,
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            _ => return Err(Fault::Malformed),
        }
        Ok(None)
    }

    fn open(&mut self, object: bool) -> Result<(), Fault> {
        if self.place.steps.len() == DEEPEST {
            return Err(Fault::TooDeep);
        }
        let start = self.at;
        self.at += 1;
        self.place.steps.push(Step { object, start, key: "", index: 0, named: false });
        self.next = if object { Next::Member } else { Next::Element };
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.next = Next::After;
        self.place.steps.pop().map(drop).ok_or(Fault::Malformed)
    }

    #[inline]
    fn after_value(&mut self, byte: u8) -> Result<(), Fault> {
        let step = self.place.steps.last_mut().ok_or(Fault::Malformed)?;
        match (step.object, byte) {
            (true, b',') => self.next = Next::Key,
            (false, b',') => {
                step.index = step.index.saturating_add(1);
                self.next = Next::Value;
            }
            (true, b'}') | (false, b']') => return self.close(),
            _ => return Err(Fault::Malformed),
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn key(&mut self) -> Result<Token<'a>, Fault> {
        let token = self.string(true)?;
        self.skip_space();
        self.expect(b':')?;
        if let Some(step) = self.place.steps.last_mut() {
            (step.key, step.named) = (token.raw, true);
        }
        self.next = Next::Value;
        Ok(token)
    }

    #[inline]
    fn string(&mut self, is_key: bool) -> Result<Token<'a>, Fault> {
        self.expect(b'"')?;
        let start = self.at;
        let (mut escaped, mut veiled) = (false, false);
        loop {
            self.at += plain_len(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    veiled |= self.escape()?;
                }
                _ => return Err(Fault::Malformed),
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        Ok(Token { raw, start, is_key, escaped, veiled })
    }

    /// Reads over an escape; returns whether it veils what it stands for.
    fn escape(&mut self) -> Result<bool, Fault> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        let (len, veiled) = match rest {
            [b'"' | b'\\' | b'n' | b'r' | b't', ..] => (2, false),
            [b'/' | b'b' | b'f', ..] => (2, true),
            [b'u', digits @ ..]
                if digits.iter().take(4).filter(|byte| byte.is_ascii_hexdigit()).count() == 4 =>
            {
                (6, true)
            }
            _ => return Err(Fault::Malformed),
        };
        self.at += len;
        Ok(veiled)
    }

    fn number(&mut self) -> Result<(), Fault> {
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
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(Fault::Malformed) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += word.len();
        if rest.starts_with(word.as_bytes()) { Ok(()) } else { Err(Fault::Malformed) }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        let found = self.peek() == Some(byte);
        self.at += 1;
        if found { Ok(()) } else { Err(Fault::Malformed) }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The strings of `text` with their places, or why it is not read.
    fn read(text: &str) -> Result<Vec<(String, String, bool)>, Fault> {
        let mut strings = Strings::new(text);
        let mut found = Vec::new();
        while let Some(token) = strings.next()? {
            assert_eq!(&text[token.span()], format!("\"{}\"", token.raw));
            found.push((token.raw.to_owned(), strings.place().pointer(), token.is_key));
        }
        Ok(found)
    }

    #[test]
    fn every_string_is_handed_out_with_its_place() {
        let found = read(r#" {"a":["x",{"b":"y"},1.5e-3],"c":null,"d":{},"e":[]} "#).unwrap();
        let found: Vec<_> =
            found.iter().map(|(raw, place, key)| (raw.as_str(), place.as_str(), *key)).collect();
        let expected = [
            ("a", "/a", true),
            ("x", "/a/0", false),
            ("b", "/a/1/b", true),
            ("y", "/a/1/b", false),
            ("c", "/c", true),
            ("d", "/d", true),
            ("e", "/e", true),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_json_is_not_read() {
        let bad = [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "\"\t\"",
            "01",
            "-",
            "1.",
            "1e",
            "+1",
            ".5",
            "tru",
            "nul",
            "[1 2]",
            "1 2",
            "{}{}",
            "[}",
            "{]",
            "\u{feff}1",
            "'a'",
            "NaN",
            "//",
            "{\"a\":1 \"b\":2}",
            "\"\\u00e\u{e9}\"",
        ];
        for text in bad {
            assert_eq!(read(text), Err(Fault::Malformed), "{text}");
        }
        assert_eq!(read(&"[".repeat(257)), Err(Fault::TooDeep));
        assert!(read(&format!("{}{}", "[".repeat(256), "]".repeat(256))).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_serde_json_reads(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\\", "\"a\"", "\"a\":", "1", "-0", "0.5", "1e9", "true", "null",
                    " ", "\n", "\\u00e9", "\\n", "é", "\u{1}", "t", "0", ".", "\"\":",
                ]),
                0..12,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(read(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }
}
