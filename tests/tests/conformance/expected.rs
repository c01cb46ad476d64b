//! `tests/real/expected_failures.yaml`.

use narthex_tests::conformance::{Difference, Outcome, differing};
use narthex_tests::installed;
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// A check that is known not to succeed, or to be another on a merged route, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    scenario: String,
    check: String,
    status: String,
    reason: String,
    /// On merged routes only: the first server there, and the revision.
    #[serde(default)]
    merged: Vec<String>,
}

/// What is expected of a client without sessions at a server that has them, whatever the route.
pub(crate) fn expected() -> Vec<Expected> {
    all().into_iter().filter(|known| known.merged.is_empty()).collect()
}

/// Every entry of the file.
fn all() -> Vec<Expected> {
    let text = fs::read_to_string(installed("expected_failures.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// What is not on a merged route as it is on that of its first server alone and is not expected to be so, and
/// what is expected to be so and is not; `run` says which server, and which revision.
pub(crate) fn changes(run: &str, alone: &Outcome, merged: &Outcome) -> Vec<String> {
    let known: Vec<_> = all().into_iter().filter(|known| known.merged.iter().any(|of| of == run)).collect();
    let found = differing(alone, merged);
    let is_of = |known: &Expected, found: &Difference<'_>| {
        (&*known.scenario, &known.check) == (found.scenario, &found.check.id)
    };
    let is_known = |found: &&Difference<'_>| {
        known
            .iter()
            .any(|known| is_of(known, found) && (!found.through || known.status == found.check.status))
    };
    let is_so = |known: &&Expected| {
        // What is informative only is not kept.
        let through = known.status != "INFO";
        found.iter().any(|found| is_of(known, found) && found.through == through)
    };
    let new = found.iter().filter(|found| !is_known(found)).map(ToString::to_string);
    let old = known.iter().filter(|known| !is_so(known));
    new.chain(old.map(|known| format!("{}: {} is the same now", known.scenario, known.check))).collect()
}

/// What did not succeed and is not expected, and what is expected and did succeed or was not checked.
pub(crate) fn surprises(outcome: &Outcome, expected: &[Expected]) -> Vec<String> {
    let mut left: Vec<_> = expected.iter().collect();
    let mut surprises = Vec::new();
    for (scenario, check) in outcome.checks() {
        if ["SUCCESS", "SKIPPED"].contains(&check.status.as_str()) {
            continue;
        }
        let known = left.iter().position(|known| {
            (&*known.scenario, &known.check, &known.status) == (scenario, &check.id, &check.status)
        });
        match known {
            Some(at) => drop(left.swap_remove(at)),
            None => surprises.push(format!("{scenario}: {} {}: {}", check.status, check.id, check.message)),
        }
    }
    surprises.extend(left.iter().map(|known| format!("{}: {} no longer fails", known.scenario, known.check)));
    surprises
}

#[test]
fn every_expected_failure_has_its_reason() {
    for known in all() {
        assert!(known.reason.len() > 40, "{known:?}");
    }
}

#[test]
fn every_expected_failure_is_in_the_documentation() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = fs::read_to_string(page).unwrap();
    for known in all() {
        assert!(page.contains(&format!("`{}`", known.check)), "{known:?}");
    }
}

#[test]
fn a_failure_that_is_gone_is_as_much_a_surprise_as_a_new_one() {
    let none = Outcome::default();
    assert_eq!(surprises(&none, &expected()).len(), expected().len());
    assert!(surprises(&none, &[]).is_empty());
    assert!(changes("python 2026-07-28", &none, &none).len() > 1);
    assert!(changes("no such server", &none, &none).is_empty());
}
