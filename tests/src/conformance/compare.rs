//! Two runs of the suite, held against each other.

use super::{Check, Outcome};
use std::collections::BTreeSet;

/// A check that two runs do not answer alike.
#[derive(Debug)]
pub struct Difference<'o> {
    /// The name of its scenario.
    pub scenario: &'o str,
    /// Whether this is how it was answered through the gateway.
    pub through: bool,
    /// The check.
    pub check: &'o Check,
}

/// Every check that `through` does not answer as `direct` does, a line each. Empty if they agree check
/// by check.
#[must_use]
pub fn differences(direct: &Outcome, through: &Outcome) -> Vec<String> {
    differing(direct, through).iter().map(ToString::to_string).collect()
}

/// The same, taken apart.
#[must_use]
pub fn differing<'o>(direct: &'o Outcome, through: &'o Outcome) -> Vec<Difference<'o>> {
    let names: BTreeSet<_> = direct.scenarios.keys().chain(through.scenarios.keys()).collect();
    let mut differing = Vec::new();
    for scenario in names {
        let (one, other) = (of(direct, scenario), of(through, scenario));
        let on = |through| move |check| Difference { scenario, through, check };
        differing.extend(missing(&one, &other).map(on(false)));
        differing.extend(missing(&other, &one).map(on(true)));
    }
    differing
}

impl std::fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = if self.through { "only through the gateway" } else { "only direct" };
        f.write_str(&line(self.scenario, side, self.check))
    }
}

/// Everything in `outcome` that did not succeed, a line each, for the message of a test.
#[must_use]
pub fn report(outcome: &Outcome) -> String {
    let failed = outcome.checks().filter(|(_, check)| check.status != "SUCCESS");
    failed.map(|(scenario, check)| line(scenario, "", check)).collect::<Vec<_>>().join("\n")
}

fn of<'a>(outcome: &'a Outcome, scenario: &str) -> Vec<&'a Check> {
    outcome.scenarios.get(scenario).map(|scenario| scenario.checks.iter().collect()).unwrap_or_default()
}

/// The checks of `one` beyond those that `other` has with the same status.
fn missing<'a>(one: &[&'a Check], other: &[&Check]) -> impl Iterator<Item = &'a Check> {
    let mut left: Vec<_> = other.iter().map(|check| (&check.id, &check.status)).collect();
    let mut missing = Vec::new();
    for check in one {
        match left.iter().position(|key| *key == (&check.id, &check.status)) {
            Some(at) => drop(left.swap_remove(at)),
            None => missing.push(*check),
        }
    }
    missing.into_iter()
}

fn line(scenario: &str, side: &str, check: &Check) -> String {
    let Check { id, status, message } = check;
    [scenario, side, id, status, message]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" | ")
}

#[cfg(test)]
mod tests {
    use super::super::Scenario;
    use super::*;

    fn outcome(checks: &[(&str, &str)]) -> Outcome {
        let check = |(id, status): &(&str, &str)| Check {
            id: (*id).to_owned(),
            status: (*status).to_owned(),
            message: String::new(),
        };
        let scenario = Scenario { scored: true, checks: checks.iter().map(check).collect() };
        Outcome { scenarios: [("s".to_owned(), scenario)].into() }
    }

    #[test]
    fn runs_agree_when_every_check_has_the_same_status_as_often() {
        let direct = [("a", "SUCCESS"), ("b", "FAILURE"), ("a", "SUCCESS")];
        let cases: [(&[(&str, &str)], usize); 4] = [
            (&[("b", "FAILURE"), ("a", "SUCCESS"), ("a", "SUCCESS")], 0),
            (&[("a", "SUCCESS"), ("b", "FAILURE")], 1),
            (&[("a", "SUCCESS"), ("b", "SUCCESS"), ("a", "SUCCESS")], 2),
            (&[], 3),
        ];
        for (through, count) in cases {
            let found = differences(&outcome(&direct), &outcome(through));
            assert_eq!(found.len(), count, "{found:?}");
        }
    }
}
