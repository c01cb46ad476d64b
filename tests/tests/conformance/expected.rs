//! `tests/real/expected_failures.yaml`.

use narthex_tests::conformance::Outcome;
use narthex_tests::installed;
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// A check that is known not to succeed, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    scenario: String,
    check: String,
    status: String,
    reason: String,
}

/// Every entry of the file.
pub(crate) fn expected() -> Vec<Expected> {
    let text = fs::read_to_string(installed("expected_failures.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
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
    for known in expected() {
        assert!(known.reason.len() > 40, "{known:?}");
    }
}

#[test]
fn every_expected_failure_is_in_the_documentation() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = fs::read_to_string(page).unwrap();
    for known in expected() {
        assert!(page.contains(&format!("`{}`", known.check)), "{known:?}");
    }
}

#[test]
fn a_failure_that_is_gone_is_as_much_a_surprise_as_a_new_one() {
    let none = Outcome::default();
    assert_eq!(surprises(&none, &expected()).len(), expected().len());
    assert!(surprises(&none, &[]).is_empty());
}
