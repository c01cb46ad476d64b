//! Text that a model reads and a person does not see.
//!
//! [`Hidden::find`] says which parts of a string are such text. What honest text needs of the same characters
//! stays: joiners where a script or an emoji needs them, one variation selector behind a character that has
//! variants, the flags of England, Scotland and Wales. Whether a character stays depends on nothing behind it
//! but on characters that stay, so that what is left has nothing more to find.

mod ansi;
mod chars;
mod join;

use chars::Class;
use std::borrow::Cow;
use std::ops::Range;

/// What kind of hidden text; the discriminant is its place in [`KINDS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Invisible,
    Bidi,
    Tag,
    Variation,
    Ansi,
    Control,
    Surrogate,
}

/// The labels of all kinds.
pub(crate) const KINDS: [&str; 7] = [
    "invisible",
    "bidi",
    "tag_characters",
    "variation_selectors",
    "ansi_escape",
    "control",
    "lone_surrogate",
];

/// The hidden parts of a string.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    /// In order, and apart from each other or adjacent.
    parts: Vec<(Range<usize>, Kind)>,
}

impl Hidden {
    /// Whether `text` may have hidden parts at all: much faster than to find them.
    fn possible(text: &str) -> bool {
        let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
        !text.bytes().all(plain) && text.chars().any(|char| Class::of(char) != Class::Plain)
    }

    pub(crate) fn find(text: &str) -> Self {
        if !Self::possible(text) {
            return Self::default();
        }
        let mut parts = Vec::new();
        let mut at = 0;
        let mut before = None;
        while let Some(char) = text[at..].chars().next() {
            let rest = &text[at + char.len_utf8()..];
            let end = at + char.len_utf8();
            let (kind, len) = match Class::of(char) {
                Class::Plain => (None, 0),
                Class::Invisible => (Some(Kind::Invisible), 0),
                Class::Bidi => (Some(Kind::Bidi), 0),
                Class::Tag => (Some(Kind::Tag), 0),
                Class::Joiner => (join::joins(before, char, rest).then_some(Kind::Invisible), 0),
                Class::Variation => (join::varies(before, char).then_some(Kind::Variation), 0),
                Class::Flag => (None, join::subdivision_len(rest)),
                Class::Control => match ansi::sequence_len(char, rest) {
                    Some(len) => (Some(Kind::Ansi), len),
                    None => (Some(Kind::Control), 0),
                },
            };
            at = end + len;
            match kind {
                Some(kind) => parts.push((end - char.len_utf8()..at, kind)),
                None => before = Some(char),
            }
        }
        Self { parts }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many parts there are of each of [`KINDS`].
    pub(crate) fn counts(&self) -> [usize; KINDS.len()] {
        let mut counts = [0; KINDS.len()];
        for (_, kind) in &self.parts {
            counts[*kind as usize] += 1;
        }
        counts
    }

    /// Whether there are parts that carry bytes past the eye, as no honest text has them.
    pub(crate) fn smuggles(&self) -> bool {
        const MANY: usize = 16;
        const VARIATIONS: usize = 8;
        let (mut run, mut end) = (0, 0);
        let runs = self.parts.iter().any(|(part, kind)| {
            run = if part.start == end { run + 1 } else { 1 };
            end = part.end;
            *kind == Kind::Tag || run >= MANY
        });
        runs || self.counts()[Kind::Variation as usize] >= VARIATIONS
    }

    /// `text` without its hidden parts.
    pub(crate) fn strip<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (part, _) in &self.parts {
            out.push_str(&text[done..part.start]);
            done = part.end;
        }
        out.push_str(&text[done..]);
        Cow::Owned(out)
    }

    /// Where ranges of the stripped text, in order and apart, are in the text itself; hidden parts within them are
    /// in them, those at their ends are not.
    pub(crate) fn restore(&self, ranges: &mut [Range<usize>]) {
        let mut parts = self.parts.iter();
        let mut stripped = 0;
        for range in ranges {
            let mut ahead = parts.clone();
            while let Some((part, _)) = ahead.next()
                && part.start - stripped <= range.start
            {
                stripped += part.len();
                parts = ahead.clone();
            }
            let mut within = stripped;
            let mut ahead = parts.clone();
            while let Some((part, _)) = ahead.next()
                && part.start - within < range.end
            {
                within += part.len();
            }
            *range = range.start + stripped..range.end + within;
        }
    }
}

#[cfg(test)]
mod tests;
