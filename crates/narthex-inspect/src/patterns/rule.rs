//! One pattern.

use super::matches::is_redacted;
use crate::{Action, BadPattern};
use regex::{Regex, RegexBuilder};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a compiled expression at most, and of the cache that it may fill.
const SIZE_LIMIT: usize = 1 << 20;

/// What a built-in pattern is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// One of them is in every match. Without what is written as itself or with a plain escape: quotes, backslashes,
    /// tabs, line breaks. If there are none, the expression is tried on every string that has [`Self::byte`].
    pub(super) literals: &'static [&'static str],
    /// A byte that is in every match, too.
    pub(super) byte: Byte,
    /// Bytes that every match has at least.
    pub(super) shortest: usize,
    /// If it has a group 1, that group is what was found.
    pub(super) regex: &'static str,
    /// What part of what the expression found is to be taken, `None` for nothing.
    pub(super) check: fn(&str) -> Option<Range<usize>>,
    /// The string is found as a whole if it is the value of a member with this name (lower case, letters only) and
    /// has this many characters of base64.
    pub(super) whole: Option<(&'static str, usize)>,
}

/// A byte to look for first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Byte {
    Any,
    This(u8),
    Digit,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) action: Action,
    pub(super) literals: &'static [&'static str],
    /// Whether it is for personal data.
    pub(super) personal: bool,
    regex: Regex,
    byte: Byte,
    shortest: usize,
    check: fn(&str) -> Option<Range<usize>>,
    whole: Option<(&'static str, usize)>,
}

impl Rule {
    pub(super) fn built_in(spec: &Spec, action: Action, personal: bool) -> Result<Self, BadPattern> {
        let regex = compile(spec.regex).map_err(|_| BadPattern::BuiltIn { name: spec.name })?;
        let Spec { name, literals, byte, shortest, check, whole, .. } = *spec;
        Ok(Self { name: name.into(), action, literals, personal, regex, byte, shortest, check, whole })
    }

    pub(super) fn own(name: &str, action: Action, regex: Regex) -> Self {
        let (byte, check) = (Byte::Any, super::check::all as fn(&str) -> _);
        Self {
            name: name.into(),
            action,
            literals: &[],
            personal: false,
            regex,
            byte,
            shortest: 1,
            check,
            whole: None,
        }
    }

    pub(super) fn may_match(&self, text: &str) -> bool {
        let long = text.len() >= self.shortest;
        long && match self.byte {
            Byte::Any => true,
            Byte::This(byte) => memchr::memchr(byte, text.as_bytes()).is_some(),
            Byte::Digit => text.bytes().any(|byte| byte.is_ascii_digit()),
        }
    }

    /// Calls `found` with each match in `text`, in order.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(Range<usize>)) {
        if self.regex.captures_len() == 1 {
            for whole in self.regex.find_iter(text) {
                self.checked(text, whole.range(), &mut found);
            }
            return;
        }
        for captures in self.regex.captures_iter(text) {
            if let Some(part) = captures.get(1).or_else(|| captures.get(0)) {
                self.checked(text, part.range(), &mut found);
            }
        }
    }

    fn checked(&self, text: &str, range: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
        let part = &text[range.clone()];
        if let Some(taken) =
            (self.check)(part).filter(|taken| !taken.is_empty() && !is_redacted(&part[taken.clone()]))
        {
            found(range.start + taken.start..range.start + taken.end);
        }
    }

    /// Whether `text` as a whole is a match, being the value of `key`.
    pub(super) fn is_whole(&self, text: &str, key: Option<&str>) -> bool {
        let (Some((name, len)), Some(key)) = (self.whole, key) else {
            return false;
        };
        let letters = key.chars().filter(char::is_ascii_alphabetic).map(|char| char.to_ascii_lowercase());
        text.len() == len && text.bytes().all(super::check::is_base64) && letters.eq(name.chars())
    }
}

pub(super) fn compile(regex: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(regex).size_limit(SIZE_LIMIT).dfa_size_limit(SIZE_LIMIT).build()
}
