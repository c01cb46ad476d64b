//! Limits, precedence, places, and the rest of what the documentation says.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use narthex_inspect::{Action, BadPattern, Finding, Inspector, Pattern, Settings, Verdict};
use serde_json::json;

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

fn own(name: &str, regex: &str, action: Action) -> Pattern {
    Pattern { name: name.into(), regex: regex.into(), action }
}

fn inspector(settings: &Settings) -> Inspector {
    Inspector::new(settings).unwrap()
}

fn summary(findings: &[Finding]) -> Vec<(&str, Action, usize, &str)> {
    findings.iter().map(|found| (&*found.kind, found.action, found.count, &*found.place)).collect()
}

#[test]
fn the_default_strips_hidden_text_and_reports_secrets() {
    let json = json!({"a": format!("x\u{200B} {TOKEN}"), "b": "alice@example.com"}).to_string();
    let outcome = inspector(&Settings::default()).result(&json);
    assert_eq!(outcome.verdict, Verdict::Changed(json.replace('\u{200B}', "")));
    let expected = [("invisible", Action::Redact, 1, "/a"), ("github_token", Action::Report, 1, "/a")];
    assert_eq!(summary(&outcome.findings), expected);
}

#[test]
fn the_strictest_action_wins() {
    let patterns = vec![
        own("seen", "tok[0-9]+", Action::Report),
        own("gone", "tok[0-9]+x", Action::Redact),
        own("never", "xyz", Action::Refuse),
    ];
    let inspector = inspector(&Settings { patterns, ..Settings::default() });
    assert_eq!(inspector.result(r#"["tok1"]"#).verdict, Verdict::Pass);
    assert_eq!(inspector.result(r#"["tok1x"]"#).verdict, Verdict::Changed(r#"["[redacted:gone]"]"#.into()));
    let refused = inspector.arguments(r#"["tok1xyz"]"#);
    assert_eq!(refused.verdict, Verdict::Refused);
    let kinds: Vec<_> = refused.findings.iter().map(|found| &*found.kind).collect();
    assert_eq!(kinds, ["seen", "gone", "never"]);
}

#[test]
fn a_milder_match_hides_no_stricter_one() {
    // The address begins before the token, and ends behind it.
    let patterns = vec![own("wide", "a.*z", Action::Report)];
    let settings =
        Settings { secrets: Action::Refuse, personal: Action::Report, patterns, ..Settings::default() };
    let json = format!(r#"["a.{TOKEN}@example.com z"]"#);
    assert_eq!(inspector(&settings).result(&json).verdict, Verdict::Refused);
}

#[test]
fn overlapping_matches_are_taken_out_as_one() {
    let patterns = vec![own("one", "bcd", Action::Redact), own("two", "def", Action::Redact)];
    let inspector = inspector(&Settings { patterns, ..Settings::default() });
    assert_eq!(
        inspector.result(r#"["abcdefg"]"#).verdict,
        Verdict::Changed(r#"["a[redacted:one]g"]"#.into())
    );
}

#[test]
fn hidden_text_that_is_kept_hides_no_secret() {
    let json = json!([format!("\u{200B}{}\u{200B}{}\u{200B}.", &TOKEN[..9], &TOKEN[9..])]).to_string();
    for hidden_text in [Action::Off, Action::Report] {
        let settings = Settings { hidden_text, secrets: Action::Redact, ..Settings::default() };
        let expected = json!(["\u{200B}[redacted:github_token]\u{200B}."]).to_string();
        assert_eq!(inspector(&settings).result(&json).verdict, Verdict::Changed(expected));
    }
}

#[test]
fn a_group_of_a_pattern_is_taken_out_alone() {
    let patterns = vec![own("ticket", "ticket (?:number )?([0-9]+)", Action::Redact)];
    let inspector = inspector(&Settings { patterns, ..Settings::default() });
    let outcome = inspector.result(r#"["ticket number 42 and ticket 7"]"#);
    let expected = r#"["ticket number [redacted:ticket] and ticket [redacted:ticket]"]"#;
    assert_eq!(outcome.verdict, Verdict::Changed(expected.into()));
    assert_eq!(outcome.findings[0].count, 2);
}

#[test]
fn bad_patterns_are_told_apart() {
    let make =
        |pattern| Inspector::new(&Settings { patterns: vec![pattern], ..Settings::default() }).unwrap_err();
    assert_eq!(make(own("a b", "x", Action::Report)), BadPattern::Name { index: 0 });
    assert_eq!(make(own("a", "x*", Action::Off)), BadPattern::Empty { name: "a".into() });
    let error = make(own("a", "(?=x)", Action::Report)).to_string();
    assert!(error.starts_with("pattern a: ") && error.contains("look-around"), "{error}");
}

#[test]
fn texts_over_a_limit_are_refused() {
    let inspector = inspector(&Settings { max_result: 10, ..Settings::default() });
    assert_eq!(inspector.result(r#""12345678""#).verdict, Verdict::Pass);
    let long = inspector.result(r#""123456789""#);
    assert_eq!(
        (long.verdict, summary(&long.findings)),
        (Verdict::Refused, vec![("too_long", Action::Refuse, 1, "")])
    );
    assert_eq!(inspector.arguments(r#""123456789""#).verdict, Verdict::Pass);
    let deep = inspector.arguments(&"[".repeat(1000));
    assert_eq!(summary(&deep.findings), [("too_deep", Action::Refuse, 1, "")]);
    let huge = format!("\"{}\"", "x".repeat(16 << 20));
    assert_eq!(inspector.arguments(&huge).verdict, Verdict::Refused);
    assert!(inspector.definition(&huge).refused);
}

#[test]
fn descriptions_over_the_limit_are_suspicious() {
    let inspector = inspector(&Settings { max_description: 100, ..Settings::default() });
    let long = "word ".repeat(21);
    for (json, place) in [
        (json!({"description": long}), "/description"),
        (json!({"inputSchema": {"properties": {"a": {"title": long}}}}), "/inputSchema/properties/a/title"),
        (json!(long), ""),
    ] {
        let definition = inspector.definition(&json.to_string());
        assert!(definition.suspicious && !definition.refused);
        assert_eq!(summary(&definition.findings), [("too_long", Action::Report, 1, place)]);
    }
    let elsewhere = json!({"description": &long[..100], "inputSchema": {"default": long}}).to_string();
    assert!(!inspector.definition(&elsewhere).suspicious);
}

#[test]
fn definitions_that_nobody_can_read_are_suspicious() {
    let inspector = inspector(&Settings::default());
    let word = "word ".repeat(3000);
    let many = |count: usize| json!({"inputSchema": {"enum": vec![word.as_str(); count]}}).to_string();
    assert!(!inspector.definition(&many(60)).suspicious);
    let long = inspector.definition(&many(80));
    assert!(long.suspicious && long.findings.iter().all(|found| &*found.kind == "too_long"));
}

#[test]
fn files_are_not_matched_and_what_only_looks_like_one_is() {
    let inspector = inspector(&Settings { secrets: Action::Refuse, ..Settings::default() });
    // Base64 can have this anywhere.
    let file = format!("{}/AKIAIOSFODNN7EXAMPLE/{}", "QUJD".repeat(60), "QUJD".repeat(60));
    let result =
        |key: &str, value: &str| inspector.result(&json!({"content": [{key: value}]}).to_string()).verdict;
    assert_eq!(result("data", &file), Verdict::Pass);
    assert_eq!(result("blob", &file), Verdict::Pass);
    assert_eq!(result("text", &file), Verdict::Refused);
    assert_eq!(result("data", "AKIAIOSFODNN7EXAMPLE"), Verdict::Refused);
    assert_eq!(result("data", &format!("{file} {TOKEN}")), Verdict::Refused);
}

#[test]
fn personal_data_is_no_matter_of_definitions() {
    let inspector = inspector(&Settings { personal: Action::Refuse, ..Settings::default() });
    let json = json!({"description": "For example alice@example.com."}).to_string();
    assert!(!inspector.definition(&json).refused);
    assert_eq!(inspector.result(&json).verdict, Verdict::Refused);
}

#[test]
fn secrets_in_definitions_are_treated_like_others() {
    let json = json!({"description": format!("Use {TOKEN}.")}).to_string();
    let with = |secrets| inspector(&Settings { secrets, ..Settings::default() }).definition(&json);
    assert_eq!(with(Action::Report).text, None);
    assert_eq!(with(Action::Redact).text, Some(json.replace(TOKEN, "[redacted:github_token]")));
    assert!(with(Action::Refuse).refused);
}

#[test]
fn places_name_no_key_that_has_something_in_it() {
    let inspector = inspector(&Settings { secrets: Action::Report, ..Settings::default() });
    let json = json!({"a": {TOKEN: ["x", {"b": TOKEN}]}}).to_string();
    let expected =
        [("github_token", Action::Report, 1, "/a/*"), ("github_token", Action::Report, 1, "/a/*/1/b")];
    assert_eq!(summary(&inspector.result(&json).findings), expected);
}

#[test]
fn findings_are_bounded_however_many_there_are() {
    let inspector = inspector(&Settings { secrets: Action::Report, ..Settings::default() });
    let many: Vec<String> = (0..5000).map(|n| format!("{TOKEN}\u{200B}{n}")).collect();
    let findings = inspector.result(&json!(many).to_string()).findings;
    assert!(findings.len() <= 40, "{}", findings.len());
    let tokens = findings.iter().filter(|found| &*found.kind == "github_token");
    assert_eq!(tokens.map(|found| found.count).sum::<usize>(), 5000);
}
