//! Whether a definition is trusted: the rule alone.

use crate::Mode;
use crate::definition::Definition;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A definition that an upstream shows.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it shows.
    pub definition: Definition,
    /// Why the inspection of its text distrusts it, as a short label.
    pub suspicion: Option<String>,
}

/// What may be done with a tool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It may be shown and called.
    Trusted,
    /// It must be hidden, and be unknown when called.
    Quarantined(Why),
}

/// Why a tool is quarantined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// There was no tool of this name when the upstream was first looked at.
    New,
    /// Another definition is approved.
    Changed,
    /// Its text looks like an attack.
    Suspicious,
    /// Only approved tools are trusted, and this one is not.
    Unpinned,
    /// The same catalogue lists another tool under this name before it.
    Duplicate,
}

impl Why {
    pub(crate) const ALL: [Self; 5] =
        [Self::New, Self::Changed, Self::Suspicious, Self::Unpinned, Self::Duplicate];

    /// Its name in files, logs and the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Suspicious => "suspicious",
            Self::Unpinned => "unpinned",
            Self::Duplicate => "duplicate",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The standing of each candidate, where `pins` are approved of its upstream.
pub(crate) fn rule(
    pins: Option<&BTreeMap<String, Definition>>,
    mode: Mode,
    candidates: &[Candidate],
) -> Vec<Standing> {
    let mut names = HashSet::with_capacity(candidates.len());
    let judged = candidates.iter().map(|candidate| {
        let definition = &candidate.definition;
        let is_first = names.insert(definition.name.as_str());
        if mode != Mode::Off && !is_first {
            return Standing::Quarantined(Why::Duplicate);
        }
        match (pins.and_then(|pins| pins.get(&definition.name)), mode) {
            (Some(pin), _) if pin.digest() == definition.digest() => Standing::Trusted,
            _ if candidate.suspicion.is_some() => Standing::Quarantined(Why::Suspicious),
            (_, Mode::Off) => Standing::Trusted,
            (Some(_), _) => Standing::Quarantined(Why::Changed),
            (None, Mode::Locked) => Standing::Quarantined(Why::Unpinned),
            (None, Mode::TrustOnFirstUse) => Standing::Quarantined(Why::New),
        }
    });
    judged.collect()
}

/// What is trusted of an upstream that is looked at for the first time.
pub(crate) fn first_use(candidates: &[Candidate]) -> BTreeMap<String, Definition> {
    let mut names = HashSet::with_capacity(candidates.len());
    let firsts = candidates.iter().filter(|candidate| names.insert(candidate.definition.name.as_str()));
    let clean = firsts.filter(|candidate| candidate.suspicion.is_none());
    clean.map(|candidate| (candidate.definition.name.clone(), candidate.definition.clone())).collect()
}
