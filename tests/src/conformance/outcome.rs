//! What a run of the suite found.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a run found, by the name of the scenario.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Every scenario that was run.
    pub scenarios: BTreeMap<String, Scenario>,
}

/// What one scenario found.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Whether the revision requires it.
    pub scored: bool,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

/// One check of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Check {
    /// The suite's name for it; a scenario may make it several times.
    pub id: String,
    /// `SUCCESS`, `FAILURE`, `WARNING` or `SKIPPED`.
    pub status: String,
    /// What is wrong, if something is.
    pub message: String,
}

impl Outcome {
    /// Reads the directory that the suite was given and what it printed.
    pub fn read(dir: &Path, printed: &str) -> Self {
        let mut outcome = Self::default();
        let unscored = unscored(printed);
        for path in results(dir) {
            let Some(name) = path.file_name().and_then(|name| scenario(name.to_str()?)) else { continue };
            let scored = !unscored.contains(&name);
            let checks = checks(&path.join("checks.json"));
            outcome.scenarios.insert(name.to_owned(), Scenario { scored, checks });
        }
        outcome
    }

    /// How many of the scored scenarios pass, and how many there are.
    #[must_use]
    pub fn scored(&self) -> (usize, usize) {
        let scored = || self.scenarios.values().filter(|scenario| scenario.scored);
        (scored().filter(|scenario| scenario.passes()).count(), scored().count())
    }

    /// How many checks have this status.
    #[must_use]
    pub fn count(&self, status: &str) -> usize {
        self.checks().filter(|(_, check)| check.status == status).count()
    }

    /// Every check, with its scenario.
    pub fn checks(&self) -> impl Iterator<Item = (&str, &Check)> {
        let scenarios = self.scenarios.iter();
        scenarios.flat_map(|(name, scenario)| scenario.checks.iter().map(move |check| (name.as_str(), check)))
    }

    /// The same without the scenarios that are not scored.
    #[must_use]
    pub fn scored_only(mut self) -> Self {
        self.scenarios.retain(|_, scenario| scenario.scored);
        self
    }
}

impl Scenario {
    /// As the suite has it: warnings and skipped checks do not count.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.checks.iter().all(|check| check.status != "FAILURE")
    }

    /// The names of the checks that succeeded.
    #[must_use]
    pub fn succeeded(&self) -> BTreeSet<&str> {
        let succeeded = self.checks.iter().filter(|check| check.status == "SUCCESS");
        succeeded.map(|check| check.id.as_str()).collect()
    }

    /// How many checks have this status.
    #[must_use]
    pub fn count(&self, status: &str) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }
}

/// `server-ping-2026-11-25T02-37-58-913Z` is of the scenario `ping`; the results of clients have no
/// prefix.
fn scenario(directory: &str) -> Option<&str> {
    let name = directory.strip_prefix("server-").unwrap_or(directory);
    let end = name.len().checked_sub("-2026-11-25T02-37-58-913Z".len())?;
    name.get(..end)
}

/// The directories of results, one for each scenario. Those of `auth/x` are in a directory `auth`.
fn results(dir: &Path) -> Vec<PathBuf> {
    let within = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let entries = within(dir).flat_map(|path| within(&path).chain([path]).collect::<Vec<_>>());
    entries.filter(|path| path.join("checks.json").exists()).collect()
}

fn checks(file: &Path) -> Vec<Check> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let Ok(Value::Array(checks)) = serde_json::from_str(&text) else {
        panic!("{} is not a list of checks: {text}", file.display());
    };
    let said = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
    let read = checks.iter().map(|check| Check {
        id: said(check, "id"),
        status: said(check, "status"),
        message: said(check, "errorMessage"),
    });
    // Notes on what went over the wire are no checks.
    read.filter(|check| check.status != "INFO").collect()
}

/// The scenarios that the suite says do not count: lines such as `  ✓ ping (pending)` at its end.
fn unscored(printed: &str) -> Vec<&str> {
    let lines = printed.lines().skip_while(|line| !line.starts_with("Not scored for")).skip(1);
    lines.filter_map(|line| line.split_whitespace().nth(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_for_its_scenario() {
        let cases = [
            ("server-server-initialize-2026-11-25T02-37-58-913Z", Some("server-initialize")),
            ("http-custom-headers-2026-11-25T02-51-08-128Z", Some("http-custom-headers")),
            ("auth", None),
        ];
        for (directory, name) in cases {
            assert_eq!(scenario(directory), name, "{directory}");
        }
    }

    #[test]
    fn what_does_not_count_is_read_from_the_end_of_what_was_printed() {
        let printed = "✓ ping: 2 passed\n\nNot scored for 2025-11-25: 2 scenario(s) run.\n  ✓ a-b (pending)\n  ✗ c (extension)\n";
        assert_eq!(unscored(printed), ["a-b", "c"]);
        assert!(unscored("✓ ping: 2 passed\n").is_empty());
    }
}
