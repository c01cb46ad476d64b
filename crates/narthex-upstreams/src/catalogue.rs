//! The tool names an upstream is known to have, learned from its own `tools/list` answers.

use arc_swap::ArcSwap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Most names that are remembered.
const CAP: usize = 2_000;
/// Longest name that is remembered, bytes.
const NAME_CAP: usize = 128;

/// How long what was learned is taken for complete.
const FRESH: Duration = Duration::from_secs(60);

/// A bounded set of names. Metric labels come only from here, so a caller cannot make up series.
#[derive(Debug)]
pub struct Catalogue {
    names: ArcSwap<HashSet<Arc<str>>>,
    epoch: Instant,
    /// Milliseconds after `epoch` until which no list has to be looked into.
    fresh_until: AtomicU64,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self { names: ArcSwap::default(), epoch: Instant::now(), fresh_until: AtomicU64::new(0) }
    }
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

    /// Whether the next list should be looked into: parsing every one would cost more than it tells.
    /// Says so to one caller a minute.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        let elapsed =
            u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX);
        let fresh_until = self.fresh_until.load(Ordering::Relaxed);
        let next = elapsed.saturating_add(u64::try_from(FRESH.as_millis()).unwrap_or(u64::MAX));
        elapsed >= fresh_until
            && self
                .fresh_until
                .compare_exchange(fresh_until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
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
    fn a_list_is_looked_into_once_a_minute() {
        let catalogue = Catalogue::default();
        let now = Instant::now();
        assert!(catalogue.is_due(now));
        assert!(!catalogue.is_due(now + Duration::from_secs(59)));
        assert!(catalogue.is_due(now + Duration::from_secs(61)));
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
