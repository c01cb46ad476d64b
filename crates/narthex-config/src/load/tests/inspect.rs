//! What is looked for on a route.

use super::mistakes::{each_is_refused, route};
use super::*;
use crate::model::Inspect;
use narthex_inspect::{Action, Settings};

fn inspect(keys: &str) -> String {
    route(&format!("inspect: {{ {keys} }}"))
}

fn inspected(text: &str) -> Inspect {
    let (config, warnings) = parsed(text).unwrap_or_else(|found| panic!("{found}\nof:\n{text}"));
    assert!(warnings.is_empty(), "{warnings}");
    config.routes["demo"].inspect.clone()
}

#[test]
fn without_the_key_the_defaults_hold_and_are_known_to_be_defaults() {
    let absent = inspected(GOOD);
    assert_eq!(absent, Inspect::default());
    assert!(!absent.given && absent.results == Settings::default() && absent.arguments == absent.results);
    assert_eq!(inspected(&route("inspect: {}")), Inspect { given: true, ..absent });
}

#[test]
fn arguments_are_as_results_but_for_what_they_override() {
    let both = inspected(&inspect(
        "hidden_text: refuse, instructions: off, secrets: redact, personal: report, \
         patterns: [{ name: ticket, match: 'T-[0-9]+', action: redact }], \
         arguments: { personal: off, patterns: [] }",
    ));
    let results = &both.results;
    assert_eq!((results.hidden_text, results.instructions), (Action::Refuse, false));
    assert_eq!((results.secrets, results.personal), (Action::Redact, Action::Report));
    assert_eq!(
        (results.patterns[0].name.as_str(), results.patterns[0].regex.as_str()),
        ("ticket", "T-[0-9]+")
    );
    let arguments = Settings { personal: Action::Off, patterns: Vec::new(), ..results.clone() };
    assert_eq!(both.arguments, arguments);
    let inherited = inspected(&inspect(
        "patterns: [{ name: a, match: a+, action: off }], arguments: { secrets: refuse, hidden_text: off }",
    ));
    assert_eq!(inherited.arguments.patterns, inherited.results.patterns);
    assert_eq!((inherited.arguments.secrets, inherited.arguments.hidden_text), (Action::Refuse, Action::Off));
    assert_eq!((inherited.results.secrets, inherited.results.hidden_text), (Action::Report, Action::Redact));
}

#[test]
fn a_mistake_under_inspect_is_refused() {
    let pattern = |keys: &str| inspect(&format!("patterns: [{{ {keys} }}]"));
    let many = "{ name: a, match: a, action: off }, ".repeat(65);
    each_is_refused(&[
        (route("inspect: off"), "expected a mapping"),
        (inspect("hidden_text: redact"), "expected `strip`, `refuse`, `report` or `off`"),
        (inspect("hidden_text: false"), "expected `strip`"),
        (inspect("instructions: strip"), "expected `quarantine` or `off`"),
        (inspect("secrets: strip"), "expected `redact`, `refuse`, `report` or `off`"),
        (inspect("max_description: 0"), "a size of zero"),
        (inspect("max_description: 2MiB"), "never read"),
        (inspect("max_result: 1GiB"), "at most `256MiB`"),
        (inspect("arguments: { max_result: 1 }"), "unknown key `max_result`"),
        (inspect("arguments: { instructions: off }"), "unknown key `instructions`"),
        (pattern("match: a, action: off"), "`name` is missing"),
        (pattern("name: a, action: off"), "`match` is missing"),
        (pattern("name: a, match: a"), "`action` is missing"),
        (pattern("name: A, match: a, action: off"), "1 to 32 of"),
        (pattern("name: '', match: a, action: off"), "1 to 32 of"),
        (pattern("name: email, match: a, action: off"), "other findings are called"),
        (pattern("name: a, match: '(', action: off"), "unclosed group"),
        (pattern("name: a, match: '(a)\\1', action: off"), "backreferences"),
        (pattern("name: a, match: '(?=a)b', action: off"), "look-around"),
        (pattern("name: a, match: '\\w{1000}{1000}', action: off"), "regular expression"),
        (pattern("name: a, match: 'a*', action: off"), "matches the empty string"),
        (pattern("name: a, match: '', action: off"), "matches the empty string"),
        (pattern("name: a, match: a, action: off }, { name: a, match: b, action: off"), "two patterns"),
        (inspect(&format!("patterns: [{many}]")), "more than 64"),
        (inspect("arguments: { patterns: [{ name: a, match: '(', action: off }] }"), "unclosed group"),
    ]);
}

#[test]
fn a_bad_expression_is_named_with_its_line() {
    let text = route(
        "inspect:\n      patterns:\n        - { name: a, match: a, action: off }\n        - name: b\n          match: '['\n          action: off",
    );
    let found = refused(&text);
    assert_eq!(found.iter().map(|found| (found.line, found.col)).collect::<Vec<_>>(), [(15, 18)], "{found}");
}
