//! What was found in a string, and what of it is taken out.

use super::Patterns;
use crate::Action;
use std::ops::Range;

const OPEN: &str = "[redacted:";

/// Something found in a string.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    /// Which rule found it.
    pub(crate) rule: usize,
    pub(crate) range: Range<usize>,
}

/// What is to be taken out: parts that are apart from each other, in order, each with the rule it is named for,
/// which is the one whose match begins first.
pub(crate) fn covered(found: &[Match], patterns: &Patterns) -> Vec<Match> {
    let mut redacted: Vec<Match> =
        found.iter().filter(|found| patterns.action(found.rule) == Action::Redact).cloned().collect();
    redacted.sort_by_key(|found| (found.range.start, found.rule));
    redacted.dedup_by(|next, last| {
        let overlaps = next.range.start < last.range.end;
        if overlaps {
            last.range.end = last.range.end.max(next.range.end);
        }
        overlaps
    });
    redacted
}

/// What stands for something that was taken out.
pub(crate) fn mark(name: &str) -> String {
    format!("{OPEN}{name}]")
}

/// Whether `text` is what stands for something, and nothing else.
pub(super) fn is_redacted(text: &str) -> bool {
    let name = text.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(']'));
    name.is_some_and(|name| {
        (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
    })
}
