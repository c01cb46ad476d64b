//! What is known by its form: secrets, personal data, and the operator's patterns.

mod check;
mod matches;
mod own;
mod personal;
mod rule;
mod secrets;

pub(crate) use matches::{Match, covered, mark};
use rule::Rule;

use crate::json::Place;
use crate::{Action, BadPattern, Settings};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::sync::Arc;

/// All patterns of an inspector, compiled.
#[derive(Debug)]
pub(crate) struct Patterns {
    rules: Vec<Rule>,
    /// Says fast whether any literal is in a text.
    quick: Option<AhoCorasick>,
    /// Says which literals are in a string.
    thorough: Option<AhoCorasick>,
    /// The rule that each literal belongs to.
    owners: Vec<usize>,
    /// Whether there are rules without a literal.
    blind: bool,
}

/// What kind of text the patterns are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Text {
    /// Says how something is called and used; what looks like personal data in it is an example.
    Definition,
    /// A result or arguments.
    Data,
}

impl Patterns {
    pub(crate) fn new(settings: &Settings) -> Result<Self, BadPattern> {
        let mut rules = Vec::new();
        if settings.secrets != Action::Off {
            rules.extend(secrets::rules(settings.secrets)?);
        }
        if settings.personal != Action::Off {
            rules.extend(personal::rules(settings.personal)?);
        }
        rules.extend(own::rules(&settings.patterns)?);
        let literals =
            rules.iter().enumerate().flat_map(|(at, rule)| rule.literals.iter().map(move |word| (at, *word)));
        let (owners, words): (Vec<_>, Vec<_>) = literals.unzip();
        let build = |kind, automaton| {
            AhoCorasick::builder()
                .match_kind(kind)
                .kind(automaton)
                .build(&words)
                .map_err(|_| BadPattern::BuiltIn { name: "literals" })
        };
        let some = !words.is_empty();
        let quick = some.then(|| build(MatchKind::LeftmostFirst, None)).transpose()?;
        let thorough = some.then(|| build(MatchKind::Standard, Some(AhoCorasickKind::DFA))).transpose()?;
        let blind = rules.iter().any(|rule| rule.literals.is_empty());
        Ok(Self { rules, quick, thorough, owners, blind })
    }

    /// Whether a text whose strings have no escapes but for quotes, backslashes, tabs and line breaks can have
    /// anything in it.
    pub(crate) fn possible(&self, json: &str) -> bool {
        self.blind || self.quick.as_ref().is_some_and(|quick| quick.is_match(json))
    }

    /// What is found in a string, by rule and in order.
    pub(crate) fn find(&self, text: &str, of: Text, place: &Place<'_>, is_key: bool) -> Vec<Match> {
        let mut found = Vec::new();
        let present = self.present(text);
        for (at, rule) in self.rules.iter().enumerate() {
            if of == Text::Definition && rule.personal {
                continue;
            }
            if present & 1 << at != 0 && rule.may_match(text) {
                rule.find(text, |range| found.push(Match { rule: at, range }));
            }
            if !is_key && rule.is_whole(text, place.key()) {
                found.push(Match { rule: at, range: 0..text.len() });
            }
        }
        found
    }

    /// A bit for each rule that has no literal, or one that is in `text`.
    fn present(&self, text: &str) -> u128 {
        let blind = self.rules.iter().enumerate().filter(|(_, rule)| rule.literals.is_empty());
        let mut present = blind.fold(0, |present, (at, _)| present | 1 << at);
        if let Some(thorough) = &self.thorough {
            for literal in thorough.find_overlapping_iter(text) {
                present |= 1 << self.owners[literal.pattern().as_usize()];
            }
        }
        present
    }

    pub(crate) fn name(&self, rule: usize) -> &Arc<str> {
        &self.rules[rule].name
    }

    pub(crate) fn action(&self, rule: usize) -> Action {
        self.rules[rule].action
    }

    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literals_are_few_enough_for_the_vector_search() {
        let settings = Settings { personal: Action::Report, ..Settings::default() };
        let patterns = Patterns::new(&settings).unwrap();
        assert!(patterns.owners.len() <= 64, "{}", patterns.owners.len());
        let literals = || secrets::TABLE.iter().flat_map(|spec| spec.literals);
        assert!(
            literals().all(|literal| literal.len() > 2 && !literal.contains(['"', '\\', '\n', '\r', '\t']))
        );
        assert!(secrets::TABLE.iter().all(|spec| !spec.literals.is_empty()));
    }
}
