//! One string of a text.

use super::Pass;
use crate::Action;
use crate::finding::Kind;
use crate::hidden::{self, Hidden};
use crate::json::{Decoded, Token, quote};
use crate::patterns::{Match, Text, covered, mark};
use std::sync::Arc;

/// Base64 that is longer than this, as the value of `data` or `blob`, is not matched with patterns.
const BINARY: usize = 256;
/// How often a string is looked into while something is taken out of it.
const ROUNDS: usize = 4;
/// Bytes of a definition in which instructions are looked for; one that has more is suspicious.
const READ: usize = 1 << 20;
/// Whose values are read as descriptions.
const DESCRIPTIONS: [&str; 3] = ["description", "title", "instructions"];

impl<'a> Pass<'_, 'a> {
    /// Looks into a string, and replaces it if it is to change.
    pub(super) fn string(&mut self, token: Token<'a>) {
        if self.is_plain(token) {
            return;
        }
        let decoded = Decoded::new(token);
        let hidden = if self.may_hide(token) { Hidden::find(&decoded.text) } else { Hidden::default() };
        let seen = hidden.strip(&decoded.text);
        let strips = self.inspector.hidden == Action::Redact;
        self.report_hidden(token, &hidden, decoded.lone);
        if self.of == Text::Definition {
            self.instructions(token, &seen, &hidden);
        }
        let matched = self.matchable || token.veiled || !hidden.is_empty();
        let passes = if strips { &seen } else { &decoded.text };
        let redacted =
            if matched && !is_binary(token, self.key(), passes) { self.redact(token, passes) } else { None };
        let stripped = strips && (!hidden.is_empty() || decoded.lone > 0);
        if let Some(text) = redacted.as_deref().or_else(|| stripped.then_some(&**passes)) {
            self.keys |= token.is_key;
            self.edits.replace(token.span(), &quote(text));
        }
    }

    fn report_hidden(&mut self, token: Token<'_>, hidden: &Hidden, lone: usize) {
        let action = self.inspector.hidden;
        if action == Action::Off || (hidden.is_empty() && lone == 0) {
            return;
        }
        let mut counts = hidden.counts();
        counts[hidden::Kind::Surrogate as usize] += lone;
        self.found_in(token);
        for (name, count) in self.inspector.hidden_names.iter().zip(counts).filter(|(_, count)| *count > 0) {
            self.findings.add(Kind { name, detail: "", action }, count, self.strings.place());
        }
    }

    /// Looks for what makes a definition suspicious.
    fn instructions(&mut self, token: Token<'_>, seen: &str, hidden: &Hidden) {
        let named = self.key().is_some_and(|key| DESCRIPTIONS.contains(&key));
        let described = !token.is_key && (named || self.strings.place().is_root());
        if described && seen.len() > self.inspector.max_description {
            self.suspect(token, &self.inspector.too_long_name, "");
        }
        let Some(instructions) = &self.inspector.instructions else {
            return;
        };
        self.suspicious |= hidden.smuggles();
        if seen.starts_with("data:image/") {
            return;
        }
        let within = beginning(seen, READ - self.read);
        self.read += within.len();
        if within.len() < seen.len() {
            self.suspect(token, &self.inspector.too_long_name, "");
        }
        for detail in instructions.find(within) {
            self.suspect(token, &self.inspector.instructions_name, detail);
        }
    }

    fn suspect(&mut self, token: Token<'_>, name: &Arc<str>, detail: &'static str) {
        self.suspicious = true;
        self.found_in(token);
        self.findings.add(Kind { name, detail, action: Action::Report }, 1, self.strings.place());
    }

    /// Reports what the patterns find; returns the string without what is to be taken out, if there is anything.
    fn redact(&mut self, token: Token<'_>, passes: &str) -> Option<String> {
        let mut text: Option<String> = None;
        for round in 0..ROUNDS {
            let now = text.as_deref().unwrap_or(passes);
            let hidden = Hidden::find(now);
            let found =
                self.inspector.patterns.find(&hidden.strip(now), self.of, self.strings.place(), token.is_key);
            self.report(token, &found, round > 0);
            let parts = covered(&found, &self.inspector.patterns);
            if parts.is_empty() {
                break;
            }
            let left = self.without(now, &hidden, &parts);
            // What belonged to a character that is gone is hidden text now.
            let strips = self.inspector.hidden == Action::Redact;
            text = Some(if strips { Hidden::find(&left).strip(&left).into_owned() } else { left });
        }
        text
    }

    /// `text` with each part, as it is without hidden text, replaced by what stands for it.
    fn without(&self, text: &str, hidden: &Hidden, parts: &[Match]) -> String {
        let mut ranges: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
        hidden.restore(&mut ranges);
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (part, range) in parts.iter().zip(ranges) {
            out.push_str(&text[done..range.start]);
            out.push_str(&mark(self.inspector.patterns.name(part.rule)));
            done = range.end;
        }
        out.push_str(&text[done..]);
        out
    }

    /// Counts what was found by its rule; only what is taken out, if the rest has been counted before.
    fn report(&mut self, token: Token<'_>, found: &[Match], again: bool) {
        let mut counts = vec![0; if found.is_empty() { 0 } else { self.inspector.patterns.len() }];
        found.iter().for_each(|found| counts[found.rule] += 1);
        for (rule, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let action = self.inspector.patterns.action(rule);
            if again && action != Action::Redact {
                continue;
            }
            self.found_in(token);
            let kind = Kind { name: self.inspector.patterns.name(rule), detail: "", action };
            self.findings.add(kind, count, self.strings.place());
        }
    }

    /// Something was found in `token`, which is not named if it is a key.
    fn found_in(&mut self, token: Token<'_>) {
        if token.is_key {
            self.strings.hide_key();
        }
    }

    fn key(&self) -> Option<&'a str> {
        self.strings.place().key()
    }
}

/// The beginning of `text`, of `most` bytes at most.
fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Whether a value is the content of a file, as `image`, `audio` and `resource` blocks have it.
fn is_binary(token: Token<'_>, key: Option<&str>, text: &str) -> bool {
    let of_file = !token.is_key && matches!(key, Some("data" | "blob"));
    let is_base64 =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\r' | b'\n');
    of_file && text.len() > BINARY && text.bytes().all(is_base64)
}
