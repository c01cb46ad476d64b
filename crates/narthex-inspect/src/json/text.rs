//! What a string means, and how one is written.

use super::Token;
use std::borrow::Cow;

/// The string that is meant.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    /// Borrowed if nothing was escaped. A half of a surrogate pair stands as U+FFFD.
    pub(crate) text: Cow<'a, str>,
    /// How many halves of surrogate pairs there were.
    pub(crate) lone: usize,
}

impl<'a> Decoded<'a> {
    pub(crate) fn new(token: Token<'a>) -> Self {
        if !token.escaped {
            return Self { text: Cow::Borrowed(token.raw), lone: 0 };
        }
        let mut out = String::with_capacity(token.raw.len());
        let (mut rest, mut lone) = (token.raw, 0);
        while let Some((plain, escape)) = rest.split_once('\\') {
            out.push_str(plain);
            rest = one_escape(escape, &mut out, &mut lone);
        }
        out.push_str(rest);
        Self { text: Cow::Owned(out), lone }
    }
}

/// `text` as a JSON string with its quotes.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Decodes the escape whose text after the backslash starts `escape`; returns what follows it.
fn one_escape<'a>(escape: &'a str, out: &mut String, lone: &mut usize) -> &'a str {
    let mut chars = escape.chars();
    out.push(match chars.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let (char, rest) = unicode_escape(chars.as_str());
            *lone += usize::from(char.is_none());
            out.push(char.unwrap_or(char::REPLACEMENT_CHARACTER));
            return rest;
        }
        Some(other) => other,
        None => return "",
    });
    chars.as_str()
}

/// The character whose hexadecimal digits start `digits`, `None` for half of one; and what follows it.
fn unicode_escape(digits: &str) -> (Option<char>, &str) {
    let (unit, rest) = code_unit(digits);
    if (0xD800..0xDC00).contains(&unit) {
        let low = rest.strip_prefix("\\u").map(code_unit);
        if let Some((low @ 0xDC00..0xE000, rest)) = low {
            return (char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), rest);
        }
    }
    (char::from_u32(unit), rest)
}

fn code_unit(digits: &str) -> (u32, &str) {
    let (unit, rest) = digits.split_at_checked(4).unwrap_or((digits, ""));
    (u32::from_str_radix(unit, 16).unwrap_or(0xFFFD), rest)
}

#[cfg(test)]
mod tests {
    use super::super::Strings;
    use super::*;
    use proptest::prelude::*;

    fn decoded(json: &str) -> (String, usize) {
        let token = Strings::new(json).next().unwrap().unwrap();
        let decoded = Decoded::new(token);
        (decoded.text.into_owned(), decoded.lone)
    }

    #[test]
    fn every_escape_is_decoded() {
        assert_eq!(
            decoded(r#""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00!""#).0,
            "\"\\/\u{8}\u{c}\n\r\tA\u{e9}\u{1f600}!"
        );
    }

    #[test]
    fn halves_of_surrogate_pairs_are_counted() {
        for (json, text, lone) in [
            (r#""\ud800""#, "\u{fffd}", 1),
            (r#""\udc00x""#, "\u{fffd}x", 1),
            (r#""\ud800\ud800\udc00""#, "\u{fffd}\u{10000}", 1),
            (r#""\ud800A""#, "\u{fffd}A", 1),
            (r#""\ud800\n\udfff""#, "\u{fffd}\n\u{fffd}", 2),
        ] {
            assert_eq!(decoded(json), (text.to_owned(), lone), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in any::<String>()) {
            prop_assert_eq!(decoded(&quote(&text)), (text, 0));
        }
    }
}
