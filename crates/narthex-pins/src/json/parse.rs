//! Text → [`Value`] (RFC 8259), strictly.

use super::Value;
use std::collections::BTreeMap;
use thiserror::Error;

/// Deeper than any schema; recursion stays well within a thread's stack.
const MAX_DEPTH: usize = 128;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line}, column {column}: {what}")]
pub(crate) struct Fault {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    pub(crate) what: &'static str,
}

/// The value that `text` is.
pub(crate) fn parse(text: &str) -> Result<Value, Fault> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.document().map_err(|what| parser.fault(what))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

type Read<T> = Result<T, &'static str>;

const ENDS: &str = "the text ends too early";

impl Parser<'_> {
    fn fault(&self, what: &'static str) -> Fault {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Fault { line: before.matches('\n').count() + 1, column, what }
    }

    fn document(&mut self) -> Read<Value> {
        self.skip_space();
        let value = self.value()?;
        self.skip_space();
        if self.peek().is_some() { Err("there is more after the value") } else { Ok(value) }
    }

    fn value(&mut self) -> Read<Value> {
        match self.peek().ok_or(ENDS)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => self.string().map(Value::String),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => Err("expected a value"),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Read<Value>) -> Read<Value> {
        if self.depth == MAX_DEPTH {
            return Err("nested too deeply");
        }
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Read<Value> {
        let mut members = BTreeMap::new();
        let mut done = self.took(b'}');
        while !done {
            let start = self.at;
            let name = self.string()?;
            if members.contains_key(&name) {
                self.at = start;
                return Err("this member is given twice");
            }
            self.skip_space();
            self.expect(b':', "expected `:`")?;
            self.skip_space();
            members.insert(name, self.value()?);
            done = self.ends(b'}', "expected `,` or `}`")?;
        }
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Read<Value> {
        let mut elements = Vec::new();
        let mut done = self.took(b']');
        while !done {
            elements.push(self.value()?);
            done = self.ends(b']', "expected `,` or `]`")?;
        }
        Ok(Value::Array(elements))
    }

    /// After an element: whether the container ends here.
    fn ends(&mut self, close: u8, expected: &'static str) -> Read<bool> {
        self.skip_space();
        if self.took(close) {
            return Ok(true);
        }
        self.expect(b',', expected)?;
        self.skip_space();
        Ok(false)
    }

    fn string(&mut self) -> Read<String> {
        self.expect(b'"', "expected a string")?;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).ok_or(ENDS)?;
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').ok_or(ENDS)?;
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek().ok_or(ENDS)? {
                b'"' => break self.at += 1,
                b'\\' => out.push(self.escape()?),
                _ => return Err("a control character in a string must be escaped"),
            }
        }
        Ok(out)
    }

    fn escape(&mut self) -> Read<char> {
        let byte = *self.text.as_bytes().get(self.at + 1).ok_or(ENDS)?;
        let c = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err("there is no such escape"),
        };
        self.at += 2;
        Ok(c)
    }

    fn unicode_escape(&mut self) -> Read<char> {
        let unit = self.code_unit()?;
        let code = match unit {
            0xD800..0xDC00 => {
                let low = self.code_unit().ok().filter(|low| (0xDC00..0xE000).contains(low));
                0x10000 + ((unit - 0xD800) << 10) + (low.ok_or("half of a surrogate pair")? - 0xDC00)
            }
            _ => unit,
        };
        char::from_u32(code).ok_or("half of a surrogate pair")
    }

    /// Reads over `\u` and four digits.
    fn code_unit(&mut self) -> Read<u32> {
        let escape = self.text.as_bytes().get(self.at..self.at + 6).ok_or(ENDS)?;
        let digits = escape.strip_prefix(b"\\u").ok_or("half of a surrogate pair")?;
        let unit =
            digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?));
        let unit = unit.ok_or("`\\u` needs four hexadecimal digits")?;
        self.at += 6;
        Ok(unit)
    }

    fn number(&mut self) -> Read<Value> {
        let start = self.at;
        self.took(b'-');
        if !self.took(b'0') {
            self.digits()?;
        }
        if self.took(b'.') {
            self.digits()?;
        }
        if self.took(b'e') || self.took(b'E') {
            _ = self.took(b'+') || self.took(b'-');
            self.digits()?;
        }
        Ok(Value::Number(self.text.get(start..self.at).unwrap_or_default().into()))
    }

    /// At least one.
    fn digits(&mut self) -> Read<()> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err("expected a digit") } else { Ok(()) }
    }

    fn word(&mut self, word: &str, value: Value) -> Read<Value> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err("expected a value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn took(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Read<()> {
        match self.peek() {
            None => Err(ENDS),
            Some(_) if self.took(byte) => Ok(()),
            Some(_) => Err(expected),
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }
}
