//! `expose:` of routes and tenants.

use super::Check;
use crate::diagnostic::Finding;
use crate::grammar;
use crate::model::{Expose, Selection, Shown, ToolPattern};
use crate::yaml::{Field, Named, Span};
use std::collections::{BTreeMap, HashMap};

/// Longest name that every client takes.
const MAX_NAME: usize = 64;

impl Check<'_> {
    pub(super) fn expose(&self, field: &Field<Box<grammar::Expose>>) -> Expose {
        let absent = grammar::Expose::default();
        let given = field.get().map_or(&absent, |given| &**given);
        Expose {
            shown: Shown {
                tools: self.selection(&given.include, &given.exclude, "tools"),
                prompts: self.part(&given.prompts, "prompts"),
                resources: self.part(&given.resources, "resources"),
            },
            rename: self.renames(&given.rename),
            describe: self.descriptions(&given.describe),
        }
    }

    pub(super) fn shown(&self, given: &grammar::Shown) -> Shown {
        Shown {
            tools: self.selection(&given.include, &given.exclude, "tools"),
            prompts: self.part(&given.prompts, "prompts"),
            resources: self.part(&given.resources, "resources"),
        }
    }

    fn part(&self, field: &Field<grammar::Selection>, what: &str) -> Selection {
        let absent = grammar::Selection::default();
        let given = field.get().unwrap_or(&absent);
        self.selection(&given.include, &given.exclude, what)
    }

    fn selection(
        &self,
        include: &Field<Vec<Field<String>>>,
        exclude: &Field<Vec<Field<String>>>,
        what: &str,
    ) -> Selection {
        if let (Some(at), Some([])) = (include.span(), include.get().map(Vec::as_slice)) {
            let help = "say `exclude: [\"*\"]` if that is meant";
            self.report.warn(at, format!("this shows no {what}"), help);
        }
        Selection {
            // What cannot be read includes nothing; by then it is reported.
            include: (!include.is_absent()).then(|| self.patterns(include)),
            exclude: self.patterns(exclude),
        }
    }

    pub(super) fn patterns(&self, field: &Field<Vec<Field<String>>>) -> Vec<ToolPattern> {
        let listed = field.get().into_iter().flatten();
        let listed = listed.filter_map(|pattern| Some((pattern.span()?, pattern.get()?)));
        listed
            .filter(|(at, pattern)| {
                if pattern.is_empty() {
                    self.report.error(*at, "an empty pattern matches nothing");
                }
                !pattern.is_empty()
            })
            .map(|(_, pattern)| ToolPattern::new(pattern))
            .collect()
    }

    fn renames(&self, field: &Field<Named<String, String>>) -> BTreeMap<String, String> {
        let mut renames = BTreeMap::new();
        let mut taken: HashMap<&str, Span> = HashMap::new();
        for entry in field.get().into_iter().flat_map(|renames| &renames.0) {
            let (Some(at), Some(new)) = (entry.value.span(), entry.value.get()) else { continue };
            self.name_of_a_tool(&entry.key, entry.at);
            if *new == entry.key {
                let finding = Finding::error(at, format!("this renames `{new}` to itself"));
                self.report.add(finding.related(entry.at, "its name is here"));
            } else if !is_name(new) {
                let message = "a new name is 1 to 64 letters, digits, `_`, `-` and `.`";
                self.report.error(at, message);
            } else if let Some(first) = taken.get(new.as_str()) {
                let finding = Finding::error(at, format!("two tools are renamed to `{new}`"));
                self.report.add(finding.related(*first, "the other one is here"));
            }
            taken.insert(new, at);
            renames.insert(entry.key.clone(), new.clone());
        }
        renames
    }

    fn descriptions(&self, field: &Field<Named<String, String>>) -> BTreeMap<String, String> {
        let mut descriptions = BTreeMap::new();
        for entry in field.get().into_iter().flat_map(|described| &described.0) {
            self.name_of_a_tool(&entry.key, entry.at);
            if let Some(text) = self.prose(&entry.value) {
                descriptions.insert(entry.key.clone(), text);
            }
        }
        descriptions
    }

    /// Reports what no tool can be called.
    fn name_of_a_tool(&self, name: &str, at: Span) {
        if name.is_empty() || name.chars().count() > 128 || name.chars().any(char::is_control) {
            let message = "the name of a tool is 1 to 128 characters, none of them a control character";
            self.report.error(at, message);
        } else if name.contains('*') {
            let help = "name one tool; patterns are for `include` and `exclude`";
            self.report.warn(at, "here `*` stands for itself", help);
        }
    }
}

fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=MAX_NAME).contains(&text.len()) && text.chars().all(legal)
}
