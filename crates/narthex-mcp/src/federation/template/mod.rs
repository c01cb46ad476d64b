//! URI templates (RFC 6570), as `resources/templates/list` has them (2026-07-28,
//! server/resources#resource-templates): which server a URI may belong to.
//!
//! RFC 6570 says how templates are filled in; §1.4 that taking URIs apart by them is possible where they are
//! unambiguous, and no more. Here it is only asked whether a URI *could* be one of the template's, by the
//! rules that the servers' own libraries read theirs by: an answer that is too generous costs a "not found"
//! from the server that is asked, one that is too strict hides what it has. So values may have characters in
//! them that RFC 6570 §3.2 would have encoded, names of query parameters are not compared, and the lengths of
//! `{x:3}` not counted.
//!
//! No expression is tried twice at one place of a URI, so the time is bounded by the product of the two
//! lengths, whatever the template.

mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write;

/// Longest template that is read, in bytes.
pub const LONGEST_TEMPLATE: usize = 2 << 10;
/// Most expressions of a template.
pub const MOST_EXPRESSIONS: usize = 32;
/// Longest URI that matches anything, in bytes.
pub const LONGEST_URI: usize = 8 << 10;

/// A template that is none, or too large.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTemplate {
    /// More than [`LONGEST_TEMPLATE`] bytes.
    #[error("the URI template is too long")]
    TooLong,
    /// More than [`MOST_EXPRESSIONS`].
    #[error("the URI template has too many expressions")]
    TooMany,
    /// A brace without its other, or one in the other (RFC 6570 §2).
    #[error("the URI template's braces do not match")]
    Unbalanced,
    /// Not an expression of RFC 6570 §2.2 to §2.4.
    #[error("the URI template has an expression that is none")]
    Expression,
}

/// A URI template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UriTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    /// As it stands in URIs.
    Literal(String),
    Expression(Expression),
}

/// What an expression may become: nothing, or what it begins with and then any of some characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Expression {
    first: Option<u8>,
    /// The characters that end it.
    not: &'static [u8],
}

impl UriTemplate {
    /// Reads one.
    ///
    /// # Errors
    /// See [`BadTemplate`].
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        parse::template(text).map(|parts| Self { parts })
    }

    /// Whether the template could have become `uri`.
    #[must_use]
    pub fn matches(&self, uri: &str) -> bool {
        if uri.len() > LONGEST_URI {
            return false;
        }
        let uri = normal(uri);
        let uri = uri.as_bytes();
        // Where in the URI the parts so far may end.
        let mut ends = vec![false; uri.len() + 1];
        if let Some(start) = ends.first_mut() {
            *start = true;
        }
        for part in &self.parts {
            ends = match part {
                Part::Literal(text) => after_literal(&ends, uri, text.as_bytes()),
                Part::Expression(expression) => expression.after(&ends, uri),
            };
            if !ends.contains(&true) {
                return false;
            }
        }
        ends.last() == Some(&true)
    }

    /// How many characters of it stand in every URI: of two templates that match one, the one with more says
    /// more of it.
    #[must_use]
    pub fn literal_len(&self) -> usize {
        let lens = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.len(),
            Part::Expression(_) => 0,
        });
        lens.sum()
    }
}

fn after_literal(ends: &[bool], uri: &[u8], literal: &[u8]) -> Vec<bool> {
    let mut after = vec![false; ends.len()];
    for (at, _) in ends.iter().enumerate().filter(|(_, ends)| **ends) {
        if uri.get(at..).is_some_and(|rest| rest.starts_with(literal))
            && let Some(end) = after.get_mut(at + literal.len())
        {
            *end = true;
        }
    }
    after
}

impl Expression {
    fn after(self, ends: &[bool], uri: &[u8]) -> Vec<bool> {
        let mut after = Vec::with_capacity(ends.len());
        // Whether the expression may have begun before here and go on to here.
        let mut goes_on = false;
        for (at, ends) in ends.iter().enumerate() {
            after.push(*ends || goes_on);
            let Some(byte) = uri.get(at) else { break };
            let begins = *ends && self.first.is_none_or(|first| first == *byte);
            let is_first = begins && self.first.is_some();
            goes_on = is_first || ((goes_on || begins) && !self.not.contains(byte));
        }
        after
    }
}

/// `text` as it stands in a URI: what RFC 3986 §2 has no place for is encoded, and encoded with capital
/// letters (§6.2.2.1). Servers' templates and clients' URIs come both ways.
fn normal(text: &str) -> Cow<'_, str> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    if text.bytes().all(is_usual) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        if is_usual(byte) {
            out.push(char::from(byte));
        } else if let (b'%', Some(digits)) = (byte, hex_digits(bytes.as_slice())) {
            out.push('%');
            out.extend(digits);
            bytes.nth(1);
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}

fn hex_digits(text: &[u8]) -> Option<[char; 2]> {
    let digits = text.first_chunk::<2>()?;
    let capital = digits.map(|digit| char::from(digit.to_ascii_uppercase()));
    capital.iter().all(char::is_ascii_hexdigit).then_some(capital)
}
