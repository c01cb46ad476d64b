//! Whether the caller's token stands in a request's body.

use memchr::{memchr, memmem};
use std::borrow::Cow;

/// Whether `body`, JSON text, has `token` in it: as it is, or written with JSON's escapes, which the
/// upstream would undo (RFC 8259 §7).
pub(crate) fn carries(body: &[u8], token: &str) -> bool {
    let finds = |text: &[u8]| contains(text, token.as_bytes());
    finds(body) || matches!(unescaped(body), Cow::Owned(text) if finds(&text))
}

/// Whether `token` stands in `text`. Its end is looked for first: preparing the search for a needle of
/// many hundred bytes costs more than the search.
pub(crate) fn contains(text: &[u8], token: &[u8]) -> bool {
    const END: usize = 16;
    if text.len() < token.len() {
        return false;
    }
    let (start, end) = token.split_at(token.len().saturating_sub(END));
    memmem::find_iter(text, end).any(|at| text[..at].ends_with(start))
}

/// `body` with those escapes undone that a token's characters could be written with; all others stay.
/// Owned only if there are any.
fn unescaped(body: &[u8]) -> Cow<'_, [u8]> {
    // Printers escape what is not ASCII, controls and quotes: rarely these.
    if memchr(b'\\', body).is_none() {
        return Cow::Borrowed(body);
    }
    if memmem::find(body, br"\u00").is_none() && memmem::find(body, br"\/").is_none() {
        return Cow::Borrowed(body);
    }
    let mut text = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (taken, byte) = escape(&rest[at..]);
        match byte {
            Some(byte) => text.push(byte),
            None => text.extend_from_slice(&rest[at..at + taken]),
        }
        rest = &rest[at + taken..];
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

/// The length of the escape at the start of `text`, and the ASCII character that it means.
fn escape(text: &[u8]) -> (usize, Option<u8>) {
    match text.get(1) {
        Some(b'/') => (2, Some(b'/')),
        Some(b'u') => match text.get(2..6).and_then(ascii) {
            Some(byte) => (6, Some(byte)),
            None => (2, None),
        },
        // A backslash that is escaped itself starts no escape.
        Some(_) => (2, None),
        None => (1, None),
    }
}

fn ascii(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    let unit = (0..4).try_fold(0, |unit, at| Some(unit << 4 | digit(at)?))?;
    u8::try_from(unit).ok().filter(u8::is_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJh.bGci/Oi-J_9";

    #[test]
    fn a_token_is_seen_however_it_is_written() {
        for body in [
            r#"{"a":"eyJh.bGci/Oi-J_9"}"#,
            r#"{"a":"Bearer eyJh.bGci\/Oi-J_9 "}"#,
            r#"{"a":"\u0065yJh.bGci/Oi-J_9"}"#,
            r#"{"a":"\\\u0065yJh\u002ebGci\u002FOi-J_9"}"#,
            r#"{"eyJh.bGci\/Oi-J_\u0039":1}"#,
        ] {
            assert!(carries(body.as_bytes(), TOKEN), "{body}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        for body in [
            r"",
            r#"{"a":"eyJh.bGci"}"#,
            // An escaped backslash and then letters: not what it means once undone.
            r#"{"a":"\\u0065yJh.bGci/Oi-J_9"}"#,
            r#"{"a":"\u0165yJh.bGci/Oi-J_9"}"#,
            r#"{"a":"\u00"#,
            r#"{"a":"\u00 \"#,
        ] {
            assert!(!carries(body.as_bytes(), TOKEN), "{body}");
        }
    }

    #[test]
    fn any_choice_of_escapes_is_undone() {
        const SHORT: &str = "a.B/9-_~+z";
        for choice in 0..1_u32 << SHORT.len() {
            let write = |(at, char): (usize, char)| match choice >> at & 1 {
                1 => format!("\\u{:04x}", u32::from(char)),
                _ => char.to_string(),
            };
            let text: String = SHORT.chars().enumerate().map(write).collect();
            assert!(carries(format!("{{\"a\":\"\\n\\\"é{text}\\\\\"}}").as_bytes(), SHORT), "{text}");
        }
    }
}
