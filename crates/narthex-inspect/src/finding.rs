//! What was found, without what it was.

use crate::Action;
use crate::json::Place;
use std::borrow::Cow;
use std::sync::Arc;

/// Places told apart in one text; what is found beyond them is counted by its kind alone.
const PLACES: usize = 32;

/// Something that a text carries and should not, as logs and metrics may have it: no part of the text is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// A stable label: `invisible`, `bidi`, `tag_characters`, `variation_selectors`, `ansi_escape`, `control`,
    /// `lone_surrogate`, `instructions`, `too_long`, `too_deep`, `malformed`, `duplicate_key`, or the name of a
    /// pattern.
    pub kind: Arc<str>,
    /// For `instructions`, which sort they are; empty for all else.
    pub detail: &'static str,
    /// What is done about it.
    pub action: Action,
    /// How many there are at this place.
    pub count: usize,
    /// Where, as a JSON pointer of 128 bytes at most, in which `*` stands for keys that look like data. Empty for
    /// the whole text; `/…` at its end where it is cut short; `…` for further places.
    pub place: Cow<'static, str>,
}

/// The findings of one text.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<Finding>,
}

/// What [`Findings::add`] counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) detail: &'static str,
    pub(crate) action: Action,
}

impl Findings {
    pub(crate) fn add(&mut self, kind: Kind<'_>, count: usize, place: &Place<'_>) {
        let pointer =
            if self.found.len() < PLACES { Cow::Owned(place.pointer()) } else { Cow::Borrowed("…") };
        self.add_at(kind, count, pointer);
    }

    /// Adds what concerns the text as a whole.
    pub(crate) fn add_whole(&mut self, kind: &'static str, action: Action) {
        let name = Arc::from(kind);
        self.add_at(Kind { name: &name, detail: "", action }, 1, Cow::Borrowed(""));
    }

    fn add_at(&mut self, kind: Kind<'_>, count: usize, place: Cow<'static, str>) {
        let same = |found: &&mut Finding| {
            found.place == place
                && found.kind == *kind.name
                && found.detail == kind.detail
                && found.action == kind.action
        };
        if let Some(found) = self.found.iter_mut().find(same) {
            found.count += count;
            return;
        }
        let Kind { name, detail, action } = kind;
        self.found.push(Finding { kind: Arc::clone(name), detail, action, count, place });
    }

    /// Whether anything found is refused.
    pub(crate) fn refuse(&self) -> bool {
        self.found.iter().any(|found| found.action == Action::Refuse)
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.found
    }
}
