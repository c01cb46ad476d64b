//! What differs between two definitions, for people.

use crate::definition::{Definition, MEMBERS};
use crate::json::Value;
use crate::shown::shown;
use similar::{ChangeTag, TextDiffConfig};
use std::time::Duration;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// Longest diff, bytes.
const MAX_BYTES: usize = 64 << 10;

/// Longest time for comparing one member; then the diff is right, but larger than it need be.
const TIMEOUT: Duration = Duration::from_millis(100);

/// What differs, member by member and line by line: `-` approved, `+` found, and below a line of text that has
/// changed the words of both, `[-gone-]` and `{+new+}`. Without `approved`, all of `found`. Empty if nothing
/// differs.
///
/// What is not seen as itself (controls, marks that turn the writing direction, invisible characters) is
/// shown as `\u{…}`, so that nothing in a definition can hide, or write to a terminal.
#[must_use]
pub fn diff(approved: Option<&Definition>, found: &Definition) -> String {
    let before = approved.map(Definition::members).unwrap_or_default();
    let after = found.members();
    let mut out = String::new();
    for member in MEMBERS {
        let (old, new) = (before.get(member), after.get(member));
        if old != new {
            out.push_str(member);
            out.push_str(":\n");
            match differences(&lines(old), &lines(new)) {
                same if same.is_empty() => out.push_str("  (another kind of value)\n"),
                differences => out.push_str(&differences),
            }
        }
    }
    cut(out)
}

/// A text by its own lines, everything else as JSON with a line for each member.
fn lines(value: Option<&Value>) -> Vec<String> {
    match value {
        None => Vec::new(),
        Some(Value::String(text)) => text.split('\n').map(shown).collect(),
        Some(value) => value.pretty().split('\n').map(shown).collect(),
    }
}

fn differences(old: &[String], new: &[String]) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    let diff = TextDiffConfig::default().timeout(TIMEOUT).diff_slices(&old, &new);
    let mut out = String::new();
    for (number, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if number > 0 {
            out.push_str("    …\n");
        }
        for op in group {
            for change in diff.iter_changes(op) {
                line(&mut out, sign(change.tag()), change.value());
            }
            // One line in the place of one: its words are worth showing.
            if let (Some([old]), Some([new])) = (old.get(op.old_range()), new.get(op.new_range()))
                && old != new
            {
                line(&mut out, "~", &words(old, new));
            }
        }
    }
    out
}

fn line(out: &mut String, sign: &str, text: &str) {
    for part in ["  ", sign, " ", text, "\n"] {
        out.push_str(part);
    }
}

fn words(old: &str, new: &str) -> String {
    let diff = TextDiffConfig::default().timeout(TIMEOUT).diff_words(old, new);
    let mut out = String::new();
    for op in diff.ops() {
        for tag in [ChangeTag::Equal, ChangeTag::Delete, ChangeTag::Insert] {
            let same = diff.iter_changes(op).filter(|change| change.tag() == tag);
            let text: String = same.map(|change| change.value()).collect();
            match tag {
                _ if text.is_empty() => {}
                ChangeTag::Equal => out.push_str(&text),
                ChangeTag::Delete => out.extend(["[-", &text, "-]"]),
                ChangeTag::Insert => out.extend(["{+", &text, "+}"]),
            }
        }
    }
    out
}

fn sign(tag: ChangeTag) -> &'static str {
    match tag {
        ChangeTag::Equal => " ",
        ChangeTag::Delete => "-",
        ChangeTag::Insert => "+",
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_BYTES {
        let at = (0..=MAX_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let left_out = text.len() - at;
        text.truncate(at);
        text.push_str(&format!("\n… and {left_out} bytes more\n"));
    }
    text
}

#[cfg(test)]
mod tests;
