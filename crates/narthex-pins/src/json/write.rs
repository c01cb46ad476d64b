//! [`Value`] → text: the canonical one that is hashed, and the one that people read.

use super::Value;
use crate::shown::is_unseen;
use std::fmt::Write as _;

impl Value {
    /// Without white space; strings with the escapes that RFC 8785 §3.2.2.2 demands and no others.
    pub(crate) fn canonical(&self) -> String {
        let mut out = Writer { text: String::new(), indent: None };
        out.value(self);
        out.text
    }

    /// With one member or element a line, and everything that is not seen as itself escaped, so that who
    /// reads the file or a diff of it sees what there is.
    pub(crate) fn pretty(&self) -> String {
        let mut out = Writer { text: String::new(), indent: Some(0) };
        out.value(self);
        out.text
    }
}

struct Writer {
    text: String,
    /// How deep, for people; `None`: canonical.
    indent: Option<usize>,
}

impl Writer {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Value::Number(digits) => self.text.push_str(digits),
            Value::String(text) => self.string(text),
            Value::Array(elements) => self.list(('[', ']'), elements, Self::value),
            Value::Object(members) => self.list(('{', '}'), members, |out, (name, value)| {
                out.string(name);
                out.text.push_str(if out.indent.is_some() { ": " } else { ":" });
                out.value(value);
            }),
        }
    }

    fn list<I: IntoIterator>(
        &mut self,
        (open, close): (char, char),
        items: I,
        write: impl Fn(&mut Self, I::Item),
    ) {
        self.text.push(open);
        self.indent = self.indent.map(|depth| depth + 1);
        let mut is_empty = true;
        for item in items {
            if !is_empty {
                self.text.push(',');
            }
            is_empty = false;
            self.line();
            write(self, item);
        }
        self.indent = self.indent.map(|depth| depth - 1);
        if !is_empty {
            self.line();
        }
        self.text.push(close);
    }

    fn line(&mut self) {
        if let Some(depth) = self.indent {
            self.text.push('\n');
            (0..depth).for_each(|_| self.text.push_str("  "));
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c < ' ' || (self.indent.is_some() && is_unseen(c)) => self.escape(c),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(self.text, "\\u{unit:04x}");
        }
    }
}
