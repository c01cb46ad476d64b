//! The tool names an upstream is known to have, learned from its own `tools/list` answers.

use arc_swap::ArcSwap;
use std::collections::HashSet;
use std::sync::Arc;

/// Most names that are remembered.
const CAP: usize = 2_000;
/// Longest name that is remembered, bytes.
const NAME_CAP: usize = 128;

/// A bounded set of names. Metric labels come only from here, so a caller cannot make up series.
#[derive(Debug, Default)]
pub struct Catalogue {
    names: ArcSwap<HashSet<Arc<str>>>,
}

impl Catalogue {
    /// Adds `names`; over the bound, further ones are not remembered.
    pub fn learn<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let known = self.names.load();
        let new: Vec<Arc<str>> =
            names.filter(|n| n.len() <= NAME_CAP && !known.contains(*n)).map(Arc::from).collect();
        if new.is_empty() {
            return;
        }
        let mut all = HashSet::clone(&known);
        all.extend(new.into_iter().take(CAP.saturating_sub(known.len())));
        self.names.store(Arc::new(all));
    }

    /// The remembered copy of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.names.load().get(name).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_learned_names_are_known() {
        let catalogue = Catalogue::default();
        catalogue.learn(["echo", "add"].into_iter());
        assert_eq!(catalogue.get("echo").as_deref(), Some("echo"));
        assert_eq!(catalogue.get("made-up"), None);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let catalogue = Catalogue::default();
        let names: Vec<String> = (0..CAP + 500).map(|i| format!("tool{i}")).collect();
        catalogue.learn(names.iter().map(String::as_str));
        catalogue.learn(std::iter::once("one-more"));
        catalogue.learn(std::iter::once("x".repeat(NAME_CAP + 1).as_str()));
        assert_eq!(catalogue.names.load().len(), CAP);
    }
}
