//! The lines of the file that diagnostics show, with everything that may be a secret cut off.

use crate::yaml::Span;
use std::fmt;

/// One line of the file with a mark under the place in question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snippet {
    text: String,
    /// Characters before the mark.
    indent: usize,
    /// Characters marked; at least one.
    marked: usize,
}

/// Parts of the text that no snippet may show, as byte ranges.
#[derive(Debug, Default)]
pub(crate) struct Masks(Vec<(usize, usize)>);

/// Longest line shown whole, in characters.
const WIDTH: usize = 140;

/// What stands for the part of a line that is not shown.
const MASK: &str = "***";

/// Keys (or last words of keys) after which a secret may have been written by mistake.
const SECRET_KEYS: [&str; 10] = [
    "value",
    "secret",
    "password",
    "passwd",
    "private_key",
    "seal_keys",
    "keys",
    "token",
    "key",
    "credential",
];

// === impl Masks ===

impl Masks {
    pub(crate) fn add(&mut self, span: Span) {
        self.0.push((span.offset(), span.offset() + span.len().max(1)));
    }

    /// The first byte of `line` (which begins at byte `start`) that must not be shown.
    fn first_in(&self, start: usize, line: &str) -> Option<usize> {
        let end = start + line.len();
        let overlapping = self.0.iter().filter(|(from, to)| *from < end && *to > start);
        overlapping.map(|(from, _)| from.saturating_sub(start)).min()
    }
}

// === impl Snippet ===

impl Snippet {
    /// The line of `span`, up to the first thing in it that may be a secret.
    pub(crate) fn cut(text: &str, span: Span, masks: &Masks) -> Option<Self> {
        let (start, line) = line(text, span.line())?;
        let hidden = [masks.first_in(start, line), secret_in(line), secret_above(text, span.line())];
        let hidden = hidden.into_iter().flatten().min();
        let hidden = hidden.map(|at| floor_char_boundary(line, at));
        let shown = hidden.map_or(line, |at| &line[..at]);
        let shown_chars = shown.chars().count();
        let indent = (span.col() - 1).min(shown_chars);
        let marked = match hidden {
            Some(_) if indent == shown_chars => MASK.len(),
            _ => span_chars(text, span).min(shown_chars - indent).max(1),
        };
        let mask = if hidden.is_some() { MASK } else { "" };
        let text: String = shown.chars().chain(mask.chars()).map(blank).collect();
        Some(Self { text, indent, marked }.cropped())
    }

    /// Prints the line and the mark, `line` being its number.
    pub(crate) fn render(&self, f: &mut fmt::Formatter<'_>, line: usize) -> fmt::Result {
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.text)?;
        writeln!(f, "{margin} | {}{}", " ".repeat(self.indent), "^".repeat(self.marked))
    }

    /// Cuts a long line down to the part around the mark.
    fn cropped(self) -> Self {
        let chars = self.text.chars().count();
        if chars <= WIDTH {
            return self;
        }
        let skip = self.indent.saturating_sub(WIDTH / 2);
        let text: String = self.text.chars().skip(skip).take(WIDTH).collect();
        let indent = self.indent - skip;
        let marked = self.marked.min(WIDTH.saturating_sub(indent)).max(1);
        Self { text, indent, marked }
    }
}

/// Line `number` (from 1) without its end, and the byte it begins at.
fn line(text: &str, number: usize) -> Option<(usize, &str)> {
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if index + 1 == number {
            return Some((start, line.trim_end_matches(['\n', '\r'])));
        }
        start += line.len();
    }
    None
}

/// How many characters of its first line a span covers.
fn span_chars(text: &str, span: Span) -> usize {
    let covered = text.get(span.offset()..span.offset() + span.len()).unwrap_or_default();
    covered.lines().next().unwrap_or_default().trim_end().chars().count()
}

/// Where in `line` something begins that may be a secret: what follows a key that is for secrets, the
/// user part of a URL, or its query. Works without a parse, since the file may not have one.
fn secret_in(line: &str) -> Option<usize> {
    let keys = line.match_indices(':').filter_map(|(colon, _)| secret_after(line, colon)).min();
    [keys, secret_of_url(line)].into_iter().flatten().min()
}

fn secret_after(line: &str, colon: usize) -> Option<usize> {
    if !is_secret_key(&line[..colon]) {
        return None;
    }
    let value = line[colon + 1..].trim_start();
    let at = line.len() - value.len();
    // A reference is no secret, nor is the start of a block mapping or a comment.
    let harmless = value.is_empty() || value.starts_with(['{', '#']) && !value.starts_with("{}");
    (!harmless).then_some(at)
}

/// Whether the text before a colon ends in a key of [`SECRET_KEYS`].
fn is_secret_key(before: &str) -> bool {
    let key = before.trim_end_matches(['"', '\'', ' ']);
    let word = key.rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').map_or(key, |at| &key[at..]);
    let word = word.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|secret| word.ends_with(secret))
}

fn secret_of_url(line: &str) -> Option<usize> {
    let authority = line.find("://")? + "://".len();
    let url = &line[authority..];
    let url = &url[..url.find(char::is_whitespace).unwrap_or(url.len())];
    match (url.contains('@'), url.find('?')) {
        (true, _) => Some(authority),
        (false, Some(query)) => Some(authority + query + 1),
        (false, None) => None,
    }
}

/// The whole line is hidden if it continues a secret that began further up, as in a block scalar.
fn secret_above(text: &str, number: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().take(number).collect();
    let (this, above) = lines.split_last()?;
    let parent = above.iter().rev().find(|line| !line.trim().is_empty() && indent(line) < indent(this))?;
    let (key, value) = parent.split_once(':')?;
    let scalar = !value.trim().is_empty() && !value.trim_start().starts_with(['{', '[', '#', '&']);
    (scalar && is_secret_key(key)).then(|| indent(this))
}

fn floor_char_boundary(line: &str, at: usize) -> usize {
    (0..=at.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0)
}

/// One character wide, and nothing that moves a terminal's cursor.
fn blank(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: u32, col: u32) -> String {
        let span = Span { line, col, offset: text.len().try_into().unwrap(), len: 0 };
        Snippet::cut(text, span, &Masks::default()).unwrap().text
    }

    #[test]
    fn a_line_is_shown_only_up_to_what_may_be_a_secret() {
        let cases = [
            ("value: hunter2", "value: ***"),
            ("header: { name: X-Key, value: hunter2 }", "header: { name: X-Key, value: ***"),
            ("  client_secret : 'hunter2'", "  client_secret : ***"),
            ("\"password\": \"hunter2\"", "\"password\": ***"),
            ("api-token: hunter2", "api-token: ***"),
            ("seal_keys: [hunter2]", "seal_keys: ***"),
            ("keys: [hunter2]", "keys: ***"),
            ("url: https://me:hunter2@host/", "url: https://***"),
            ("url: https://host/?k=hunter2", "url: https://host/?***"),
            ("secret: { file: /run/x }", "secret: { file: /run/x }"),
            ("credential:", "credential:"),
            ("listen: 127.0.0.1:8080", "listen: 127.0.0.1:8080"),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(line, 1, 1), expected, "{line}");
        }
    }

    #[test]
    fn a_block_scalar_under_a_secret_key_is_hidden() {
        assert_eq!(shown("a:\n  password: |\n    hunter2\n", 3, 5), "    ***");
        assert_eq!(shown("a:\n  credential:\n    none: x\n", 3, 5), "    none: x");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(shown("a:\tb\u{1b}[2J", 1, 1), "a: b\u{fffd}[2J");
    }

    #[test]
    fn a_long_line_is_cropped_around_the_mark() {
        let text = format!("{}x{}", "é".repeat(5000), "é".repeat(5000));
        let span = Span { line: 1, col: 5001, offset: 10_000, len: 1 };
        let snippet = Snippet::cut(&text, span, &Masks::default()).unwrap();
        assert_eq!(snippet.text.chars().count(), WIDTH);
        assert_eq!(snippet.text.chars().nth(snippet.indent), Some('x'));
    }
}
