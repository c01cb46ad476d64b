//! `routes.*.inspect`.

use super::Check;
use crate::diagnostic::Finding;
use crate::grammar::{self, Handling, HiddenText};
use crate::model::Inspect;
use crate::yaml::{Field, Span};
use narthex_inspect::{Action, BadPattern, Inspector, Pattern, Settings};
use std::collections::HashMap;

const MAX_PATTERNS: usize = 64;
const MAX_DESCRIPTION: usize = 1 << 20;
const MAX_RESULT: usize = 256 << 20;

impl Check<'_> {
    pub(super) fn inspect(&self, field: &Field<Box<grammar::Inspect>>) -> Inspect {
        let Some(given) = field.get() else {
            return Inspect { given: !field.is_absent(), ..Inspect::default() };
        };
        let default = Settings::default();
        let long = "descriptions longer than `1MiB` are never read";
        self.within(&given.max_description, |size| size.0 <= MAX_DESCRIPTION, long);
        self.within(&given.max_result, |size| size.0 <= MAX_RESULT, "this is at most `256MiB`");
        let results = Settings {
            hidden_text: hidden(&given.hidden_text, default.hidden_text),
            instructions: match given.instructions.get() {
                Some(grammar::Instructions::Quarantine) => true,
                Some(grammar::Instructions::Off) => false,
                None => default.instructions,
            },
            secrets: handled(&given.secrets, default.secrets),
            personal: handled(&given.personal, default.personal),
            patterns: self.own_patterns(&given.patterns),
            max_description: given.max_description.get().map_or(default.max_description, |size| size.0),
            max_result: given.max_result.get().map_or(default.max_result, |size| size.0),
        };
        let mut arguments = results.clone();
        if let Some(other) = given.arguments.get() {
            arguments.hidden_text = hidden(&other.hidden_text, results.hidden_text);
            arguments.secrets = handled(&other.secrets, results.secrets);
            arguments.personal = handled(&other.personal, results.personal);
            if !other.patterns.is_absent() {
                arguments.patterns = self.own_patterns(&other.patterns);
            }
        }
        Inspect { results, arguments, given: true }
    }

    fn own_patterns(&self, field: &Field<Vec<Field<grammar::Pattern>>>) -> Vec<Pattern> {
        let listed = field.get().map(Vec::as_slice).unwrap_or_default();
        if let (Some(at), true) = (field.span(), listed.len() > MAX_PATTERNS) {
            self.report.error(at, format!("more than {MAX_PATTERNS} patterns"));
            return Vec::new();
        }
        let mut names: HashMap<&str, Span> = HashMap::new();
        let mut patterns = Vec::new();
        for (at, given) in listed.iter().filter_map(|item| Some((item.span()?, item.get()?))) {
            if let (Some(at), Some(name)) = (given.name.span(), given.name.get()) {
                if let Some(first) = names.get(name.as_str()) {
                    let finding = Finding::error(at, format!("two patterns have the name `{name}`"));
                    self.report.add(finding.related(*first, "the other one is here"));
                    continue;
                }
                names.insert(name, at);
            }
            patterns.extend(self.own_pattern(given, at));
        }
        patterns
    }

    fn own_pattern(&self, given: &grammar::Pattern, at: Span) -> Option<Pattern> {
        self.need(&given.name, at, "name", "ticket");
        self.need(&given.r#match, at, "match", "'TICKET-[0-9]+'");
        self.need(&given.action, at, "action", "redact");
        let pattern = Pattern {
            name: given.name.get()?.clone(),
            regex: given.r#match.get()?.clone(),
            action: action(*given.action.get()?),
        };
        if let Err(bad) = Inspector::new(&alone(pattern.clone())) {
            self.bad_pattern(&bad, given, at);
            return None;
        }
        Some(pattern)
    }

    fn bad_pattern(&self, bad: &BadPattern, given: &grammar::Pattern, at: Span) {
        let (name, regex) = (given.name.span().unwrap_or(at), given.r#match.span().unwrap_or(at));
        match bad {
            BadPattern::Name { .. } => {
                self.report.error(name, "the name of a pattern is 1 to 32 of `a-z`, `0-9`, `_` and `-`");
            }
            BadPattern::Taken { name: taken } => {
                let message = format!("`{taken}` is what other findings are called");
                self.report.error_with_help(name, message, "take another name");
            }
            BadPattern::Regex { reason, .. } => {
                // The reason repeats the expression, with a mark under it; the last line says what is wrong.
                let reason = reason.lines().last().unwrap_or_default();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                let message = format!("not a regular expression that can be used: {reason}");
                let help = "look-around and back references are not supported; put it in single quotes";
                self.report.error_with_help(regex, message, help);
            }
            BadPattern::Empty { .. } => {
                let message = "this matches the empty string, and so everywhere";
                self.report.error_with_help(regex, message, "say `+` in the place of `*`");
            }
            BadPattern::TooMany | BadPattern::BuiltIn { .. } => self.report.error(at, bad.to_string()),
        }
    }
}

/// Settings that look for nothing else.
fn alone(pattern: Pattern) -> Settings {
    Settings {
        hidden_text: Action::Off,
        instructions: false,
        secrets: Action::Off,
        personal: Action::Off,
        patterns: vec![pattern],
        ..Settings::default()
    }
}

fn hidden(field: &Field<HiddenText>, default: Action) -> Action {
    field.get().map_or(default, |word| match word {
        HiddenText::Strip => Action::Redact,
        HiddenText::Refuse => Action::Refuse,
        HiddenText::Report => Action::Report,
        HiddenText::Off => Action::Off,
    })
}

fn handled(field: &Field<Handling>, default: Action) -> Action {
    field.get().map_or(default, |word| action(*word))
}

fn action(word: Handling) -> Action {
    match word {
        Handling::Redact => Action::Redact,
        Handling::Refuse => Action::Refuse,
        Handling::Report => Action::Report,
        Handling::Off => Action::Off,
    }
}
