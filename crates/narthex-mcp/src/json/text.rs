//! A JSON string as it stands in the buffer.

use std::borrow::Cow;

/// What stands between the quotes of a string whose escapes have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(super) raw: &'a str,
    pub(super) escaped: bool,
}

impl<'a> Text<'a> {
    /// The string that is meant; borrowed when nothing was escaped.
    #[inline]
    pub(crate) fn decode(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        rest = one_escape(escape, &mut out);
    }
    out.push_str(rest);
    out
}

/// Decodes the escape whose text after the backslash starts `escape`; returns what follows it.
fn one_escape<'a>(escape: &'a str, out: &mut String) -> &'a str {
    let mut chars = escape.chars();
    out.push(match chars.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unicode_escape(chars.as_str(), out),
        Some(other) => other,
        None => return "",
    });
    chars.as_str()
}

fn unicode_escape<'a>(digits: &'a str, out: &mut String) -> &'a str {
    let (unit, rest) = code_unit(digits);
    if !(0xD800..0xDC00).contains(&unit) {
        out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        return rest;
    }
    // The cursor has seen to it that the other half follows.
    let (low, rest) = code_unit(rest.strip_prefix("\\u").unwrap_or_default());
    let scalar = 0x1_0000 + ((unit - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF);
    out.push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

fn code_unit(digits: &str) -> (u32, &str) {
    let (unit, rest) = digits.split_at_checked(4).unwrap_or((digits, ""));
    (u32::from_str_radix(unit, 16).unwrap_or(0xFFFD), rest)
}
