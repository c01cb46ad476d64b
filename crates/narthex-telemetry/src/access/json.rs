//! Writing one flat JSON object, fast, with no way for a value to leave its quotes.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

/// Characters of a text that are written; the rest is cut off and marked with `…`.
pub(super) const MAX_CHARS: usize = 256;

/// An object being written. Keys are constants of this crate and not escaped.
pub(super) struct Object<'a>(&'a mut Vec<u8>);

impl<'a> Object<'a> {
    /// Begins an object with a member written by `value`, which must be valid JSON.
    pub(super) fn begin(out: &'a mut Vec<u8>, key: &'static str, value: impl FnOnce(&mut Vec<u8>)) -> Self {
        out.push(b'{');
        let mut object = Self(out);
        object.name(key);
        value(object.0);
        object
    }

    pub(super) fn text(&mut self, key: &'static str, value: &str) {
        self.key(key);
        self.0.push(b'"');
        escape(value, self.0);
        self.0.push(b'"');
    }

    pub(super) fn optional(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    pub(super) fn number(&mut self, key: &'static str, value: u64) {
        self.key(key);
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    pub(super) fn flag(&mut self, key: &'static str) {
        self.key(key);
        self.0.extend_from_slice(b"true");
    }

    /// Milliseconds with three decimals.
    pub(super) fn millis(&mut self, key: &'static str, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.number(key, micros / 1000);
        let rest = micros % 1000;
        let digit = |number: u64| b'0' + (number % 10) as u8;
        self.0.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
    }

    pub(super) fn address(&mut self, key: &'static str, value: IpAddr) {
        self.key(key);
        self.0.push(b'"');
        match value {
            IpAddr::V4(v4) => {
                let mut digits = itoa::Buffer::new();
                for (i, octet) in v4.octets().into_iter().enumerate() {
                    if i > 0 {
                        self.0.push(b'.');
                    }
                    self.0.extend_from_slice(digits.format(octet).as_bytes());
                }
            }
            // Writing to a Vec cannot fail.
            IpAddr::V6(v6) => drop(write!(self.0, "{v6}")),
        }
        self.0.push(b'"');
    }

    /// Ends the object and the line.
    pub(super) fn end(self) {
        self.0.extend_from_slice(b"}\n");
    }

    fn key(&mut self, key: &'static str) {
        self.0.push(b',');
        self.name(key);
    }

    fn name(&mut self, key: &'static str) {
        self.0.push(b'"');
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

/// Appends `text` as the inside of a JSON string (RFC 8259 §7), cut to [`MAX_CHARS`].
fn escape(text: &str, out: &mut Vec<u8>) {
    // Without an early end, so that the compiler can look at many bytes at a time.
    if text.len() <= MAX_CHARS && text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut rest = text.chars();
    for character in rest.by_ref().take(MAX_CHARS) {
        escape_char(character, out);
    }
    if rest.next().is_some() {
        out.extend_from_slice("…".as_bytes());
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

fn escape_char(character: char, out: &mut Vec<u8>) {
    match character {
        '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
        _ if is_deceptive(character) => {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a Vec cannot fail.
                drop(write!(out, "\\u{unit:04x}"));
            }
        }
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Characters that move the cursor, break the line or turn the direction of what a log viewer shows.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn object(write: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out, "first", |out| out.extend_from_slice(b"1"));
        write(&mut object);
        object.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_written_as_json() {
        let line = object(|o| {
            o.text("text", "a \"b\" \\ é \n\u{7f}\u{202e}\u{e0041}");
            o.number("number", u64::MAX);
            o.flag("flag");
            o.millis("ms", Duration::from_micros(12_045));
            o.address("v4", "192.0.2.10".parse().unwrap());
            o.address("v6", "2001:db8::1".parse().unwrap());
        });
        assert_eq!(
            line,
            "{\"first\":1,\"text\":\"a \\\"b\\\" \\\\ é \\u000a\\u007f\\u202e\\udb40\\udc41\",\
             \"number\":18446744073709551615,\"flag\":true,\"ms\":12.045,\"v4\":\"192.0.2.10\",\"v6\":\"2001:db8::1\"}\n"
        );
    }

    #[test]
    fn long_texts_are_cut_and_marked() {
        for (text, want) in [
            ("x".repeat(MAX_CHARS), "x".repeat(MAX_CHARS)),
            ("x".repeat(MAX_CHARS + 1), "x".repeat(MAX_CHARS) + "…"),
            ("é".repeat(MAX_CHARS), "é".repeat(MAX_CHARS)),
            ("é".repeat(5000), "é".repeat(MAX_CHARS) + "…"),
        ] {
            let line: Value = serde_json::from_str(&object(|o| o.text("t", &text))).unwrap();
            assert_eq!(line["t"], want);
        }
    }

    proptest! {
        #[test]
        fn no_text_can_leave_its_quotes_or_its_line(text in any::<String>()) {
            let line = object(|o| o.text("t", &text));
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            prop_assert!(!line.trim_end_matches('\n').chars().any(char::is_control));
            let parsed: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(parsed.as_object().unwrap().len(), 2);
            if text.chars().count() <= MAX_CHARS {
                prop_assert_eq!(parsed["t"].as_str().unwrap(), text);
            }
        }
    }
}
