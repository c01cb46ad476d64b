//! A text in which some parts are replaced.

use std::ops::Range;

/// The text so far, once something changed.
#[derive(Debug, Default)]
pub(super) struct Edits<'a> {
    text: &'a str,
    out: String,
    /// How much of `text` is in `out`.
    done: usize,
    changed: bool,
}

impl<'a> Edits<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, ..Self::default() }
    }

    /// Replaces a part, which is behind all parts that were replaced before.
    pub(super) fn replace(&mut self, part: Range<usize>, by: &str) {
        if !self.changed {
            self.out.reserve(self.text.len());
        }
        self.out.push_str(&self.text[self.done..part.start]);
        self.out.push_str(by);
        self.done = part.end;
        self.changed = true;
    }

    /// The text with its parts replaced; `None` if there are none.
    pub(super) fn finish(mut self) -> Option<String> {
        self.out.push_str(&self.text[self.done..]);
        self.changed.then_some(self.out)
    }
}
