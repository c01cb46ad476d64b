//! What a child says, into the log: not faster than somebody could read it.

use std::time::{Duration, Instant};

/// Lines that are logged within a second.
const LINES: u32 = 20;
/// Most characters of one.
const LONGEST: usize = 1024;

/// A bound on how much is logged.
#[derive(Debug)]
pub(super) struct Trickle {
    since: Instant,
    admitted: u32,
    dropped: u64,
}

impl Trickle {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, admitted: 0, dropped: 0 }
    }

    /// Whether one more line is logged, and how many were not before it.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.admitted) = (now, 0);
        }
        if self.admitted >= LINES {
            self.dropped += 1;
            return None;
        }
        self.admitted += 1;
        Some(std::mem::take(&mut self.dropped))
    }

    /// How many lines were not logged since the last that was.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The same, as it is told now.
    pub(super) fn tell_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

/// `line` as it can stand in a log: escaped, and not too long.
pub(super) fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown: String = text.trim_end().chars().flat_map(escaped).take(LONGEST + 1).collect();
    if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(end);
        shown.push('\u{2026}');
    }
    shown
}

/// Control characters, and those that are invisible or turn the writing direction, by their names.
fn escaped(c: char) -> Escaped {
    if c == '"' || c == '\'' { Escaped::Plain(std::iter::once(c)) } else { Escaped::Debug(c.escape_debug()) }
}

enum Escaped {
    Plain(std::iter::Once<char>),
    Debug(std::char::EscapeDebug),
}

impl Iterator for Escaped {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self {
            Self::Plain(c) => c.next(),
            Self::Debug(c) => c.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_logged() {
        let now = Instant::now();
        let mut trickle = Trickle::new(now);
        let logged = (0..1000).filter(|_| trickle.admit(now).is_some()).count();
        assert_eq!((logged, trickle.dropped()), (20, 980));
        assert_eq!(trickle.admit(now + Duration::from_secs(1)), Some(980));
        assert_eq!(trickle.admit(now + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn a_line_cannot_forge_another_or_hide() {
        let shown = printable(b"a\r\nlevel=error \x1b[31m \xe2\x80\xae \xff \"q\"\n");
        assert_eq!(shown, "a\\r\\nlevel=error \\u{1b}[31m \\u{202e} \u{fffd} \"q\"");
    }

    #[test]
    fn a_long_line_is_cut() {
        let shown = printable("\u{e9}".repeat(5000).as_bytes());
        assert_eq!(shown.chars().count(), LONGEST + 1);
        assert!(shown.ends_with('\u{2026}'));
    }
}
