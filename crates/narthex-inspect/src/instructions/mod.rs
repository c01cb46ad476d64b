//! Instructions where a tool is described.
//!
//! A description says what a tool does and how it is called. What tells the model to act against its user, or
//! apart from the call, is suspicious. The patterns are in [`table`]; they are matched on text in one spelling
//! ([`normal`]), and written so that what honest servers say of their tools passes.

mod normal;
mod table;

use crate::BadPattern;
use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use std::borrow::Cow;
use table::{Spec, TABLE};

const SIZE_LIMIT: usize = 4 << 20;
/// Bytes before a match at most in which it may be excused.
const SENTENCE: usize = 240;

/// The patterns, compiled.
#[derive(Debug)]
pub(crate) struct Instructions {
    triggers: AhoCorasick,
    /// The pattern that each trigger belongs to.
    owners: Vec<usize>,
    patterns: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    detail: &'static str,
    regex: Regex,
    excuse: Option<Regex>,
}

impl Instructions {
    pub(crate) fn new() -> Result<Self, BadPattern> {
        let bad = |_| BadPattern::BuiltIn { name: "instructions" };
        let patterns: Vec<_> = TABLE.iter().map(Compiled::new).collect::<Result<_, _>>().map_err(bad)?;
        let triggers =
            TABLE.iter().enumerate().flat_map(|(at, spec)| spec.triggers.iter().map(move |word| (at, *word)));
        let (owners, words): (Vec<_>, Vec<_>) = triggers.unzip();
        let triggers = AhoCorasick::new(&words).map_err(|_| BadPattern::BuiltIn { name: "instructions" })?;
        Ok(Self { triggers, owners, patterns })
    }

    /// Which sorts of instructions are in `text`, from which hidden text has been removed.
    pub(crate) fn find(&self, text: &str) -> Vec<&'static str> {
        let encoded = is_encoded(text);
        let text = normal::normal(&words(text));
        let mut present = vec![false; self.patterns.len()];
        for trigger in self.triggers.find_overlapping_iter(&text) {
            present[self.owners[trigger.pattern().as_usize()]] = true;
        }
        let present = self.patterns.iter().zip(present).filter(|(_, present)| *present);
        let mut details: Vec<_> = present
            .filter(|(pattern, _)| pattern.is_in(text.as_bytes()))
            .map(|(pattern, _)| pattern.detail)
            .collect();
        details.extend(encoded.then_some("encoded"));
        details.dedup();
        details
    }
}

/// A name as the words that it spells, and other text as it is.
fn words(text: &str) -> Cow<'_, str> {
    const NAME: usize = 128;
    let in_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    if text.len() > NAME || !text.chars().all(in_name) {
        return Cow::Borrowed(text);
    }
    let mut words = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if char.is_ascii_uppercase() && words.ends_with(|last: char| last.is_ascii_lowercase()) {
            words.push(' ');
        }
        words.push(if char.is_ascii_alphanumeric() { char } else { ' ' });
    }
    Cow::Owned(words)
}

/// Whether `text` has a run of base64 or hexadecimal digits, in one line or in full ones. Icons are not meant.
fn is_encoded(text: &str) -> bool {
    const RUN: usize = 200;
    const LINE: usize = 60;
    if text.starts_with("data:image/") {
        return false;
    }
    let (mut run, mut line, mut digits) = (0, 0, 0);
    for byte in text.bytes() {
        match byte {
            b'\n' | b'\r' if line == 0 || line >= LINE => line = 0,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'-' | b'_' => {
                (run, line) = (run + 1, line + 1);
                digits += usize::from(byte.is_ascii_digit());
            }
            _ => (run, line, digits) = (0, 0, 0),
        }
        if run >= RUN && digits >= RUN / 40 {
            return true;
        }
    }
    false
}

impl Compiled {
    fn new(spec: &Spec) -> Result<Self, regex::Error> {
        let excuse = spec.excuse.map(compile).transpose()?;
        Ok(Self { detail: spec.detail, regex: compile(spec.regex)?, excuse })
    }

    fn is_in(&self, text: &[u8]) -> bool {
        let Some(excuse) = &self.excuse else {
            return self.regex.is_match(text);
        };
        self.regex.find_iter(text).any(|found| {
            let ends = |byte: &u8| matches!(byte, b'.' | b'!' | b'?' | b';');
            let near = &text[..found.start()][found.start().saturating_sub(SENTENCE)..];
            let sentence = near.len() - near.iter().rposition(ends).map_or(0, |end| end + 1);
            !excuse.is_match(&text[found.start() - sentence..found.end()])
        })
    }
}

/// Without Unicode: what is not ASCII in the text is no letter of a pattern, and gaps are counted in bytes.
fn compile(regex: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(regex).unicode(false).size_limit(SIZE_LIMIT).dfa_size_limit(SIZE_LIMIT).build()
}

#[cfg(test)]
mod tests;
