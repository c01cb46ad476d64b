//! What holds for every text.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use narthex_inspect::{Action, Inspector, Pattern, Settings, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Bytes that stand for what was taken out, at most.
const MARK: usize = "[redacted:]".len() + 32;

fn settings(action: Action) -> Settings {
    let own = Pattern { name: "own".into(), regex: "wolf[0-9]+".into(), action };
    Settings {
        hidden_text: action,
        secrets: action,
        personal: action,
        patterns: vec![own],
        ..Settings::default()
    }
}

fn inspector(action: Action) -> Inspector {
    Inspector::new(&settings(action)).unwrap()
}

static REDACTS: LazyLock<Inspector> = LazyLock::new(|| inspector(Action::Redact));
static REPORTS: LazyLock<Inspector> = LazyLock::new(|| inspector(Action::Report));
static REFUSES: LazyLock<Inspector> = LazyLock::new(|| inspector(Action::Refuse));
static OFF: LazyLock<Inspector> =
    LazyLock::new(|| Inspector::new(&Settings { instructions: false, ..settings(Action::Off) }).unwrap());

/// Strings in which what is looked for comes often, whole and in pieces.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "\u{200B}",
            "\u{200D}",
            "\u{FE0F}",
            "\u{E0067}",
            "\u{E007F}",
            "🏴",
            "😀",
            "क्",
            "م",
            "\u{1B}[1m",
            "\u{1B}]",
            "\u{7}",
            "\u{202E}",
            "\u{FFFD}",
            " ",
            "\n",
            "\"",
            "\\",
            "/",
            "@",
            ":",
            ".",
            "-",
            "=",
            "[redacted:own]",
            "[redacted:",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "AKIAIOSFODNN7EXAMPLE",
            "postgres://u:",
            "pass1@",
            "password=",
            "hunter22",
            "alice@example.com",
            "4111 1111 1111 1111",
            "123-45-6789",
            "+14155550100",
            "DE89370400440532013000",
            "wolf17",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
            "sk-ant-abcdefghijklmnop0123456789",
            "eyJhbGciOiJIUzI1NiJ9",
            ".eyJzdWIiOiJhIn0",
            ".c2lnbmF0dXJlMTIz",
            "ignore all previous instructions",
            "<important>",
            "!["
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        string().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((string(), inner), 0..5).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// A text that means `value`, with some characters escaped.
fn escaped(value: &Value, every: usize) -> String {
    let plain = value.to_string();
    let mut out = String::new();
    let mut quoted = false;
    let mut chars = plain.chars().enumerate();
    while let Some((at, char)) = chars.next() {
        quoted ^= char == '"';
        if char == '\\' {
            let (_, kind) = chars.next().unwrap();
            out.extend([char, kind]);
            let digits = if kind == 'u' { 4 } else { 0 };
            out.extend(chars.by_ref().take(digits).map(|(_, char)| char));
        } else if quoted && char != '"' && every != 0 && at % every == 0 {
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(char);
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_is_json_of_the_same_shape_with_nothing_left_to_find(value in value(), every in 0..4_usize) {
        let json = escaped(&value, every);
        let outcome = REDACTS.result(&json);
        match outcome.verdict {
            Verdict::Pass => prop_assert!(outcome.findings.is_empty(), "{:?}", outcome.findings),
            Verdict::Refused => prop_assert!(outcome.findings.iter().any(|found| &*found.kind == "duplicate_key")),
            Verdict::Changed(text) => {
                let cleaned: Value = serde_json::from_str(&text).unwrap();
                prop_assert!(same_shape(&value, &cleaned), "{} {}", json, text);
                let count: usize = outcome.findings.iter().map(|found| found.count).sum();
                prop_assert!(text.len() <= json.len() + MARK * count, "{} {}", json, text);
                prop_assert_eq!(REDACTS.result(&text).verdict, Verdict::Pass, "{}", text);
            }
        }
    }

    #[test]
    fn escapes_hide_nothing(value in value(), every in 1..4_usize) {
        let (plain, escaped) = (REPORTS.result(&value.to_string()), REPORTS.result(&escaped(&value, every)));
        let total = |findings: Vec<narthex_inspect::Finding>| -> usize { findings.iter().map(|found| found.count).sum() };
        prop_assert_eq!(total(plain.findings), total(escaped.findings));
    }

    #[test]
    fn what_is_reported_and_what_is_redacted_and_what_is_refused_are_the_same(value in value()) {
        let json = value.to_string();
        let reported = REPORTS.result(&json);
        prop_assert_eq!(reported.verdict, Verdict::Pass);
        let redacted = REDACTS.result(&json).verdict;
        prop_assert_eq!(redacted == Verdict::Pass, reported.findings.is_empty());
        let refused = REFUSES.result(&json).verdict;
        prop_assert_eq!(refused == Verdict::Refused, !reported.findings.is_empty());
    }

    #[test]
    fn what_is_not_looked_for_is_not_found(value in value()) {
        let json = value.to_string();
        let outcome = OFF.result(&json);
        prop_assert_eq!((outcome.verdict, outcome.findings), (Verdict::Pass, vec![]));
        let definition = OFF.definition(&json);
        prop_assert!(definition.text.is_none() && definition.findings.is_empty() && !definition.suspicious);
    }

    #[test]
    fn text_with_nothing_in_it_passes_as_it_is(words in prop::collection::vec("[a-z äöü中文]{0,12}", 0..6), spaces in "[ \n\t]{0,3}") {
        let json = format!("{spaces}{}{spaces}", serde_json::to_string(&words).unwrap());
        prop_assert_eq!(REDACTS.result(&json).verdict, Verdict::Pass);
    }

    #[test]
    fn only_the_strings_that_change_are_written_anew(before in "[a-z\\u00e9/]{0,8}", n in any::<f64>()) {
        prop_assume!(n.is_finite());
        // Escapes and spaces that a writer would not choose.
        let kept = format!(r#"{{ "k\u0065y" : [{n:e} ,"\/{before}\u00e9" ], "b":"#);
        let outcome = REDACTS.result(&format!("{kept}\"x\\u200b\" \n}}"));
        prop_assert_eq!(outcome.verdict, Verdict::Changed(format!("{kept}\"x\" \n}}")));
    }

    #[test]
    fn no_text_whatever_makes_it_fail(text in any::<String>(), raw in prop::collection::vec(any::<u8>(), 0..60)) {
        for text in [text.as_str(), &String::from_utf8_lossy(&raw)] {
            for inspector in [&*REDACTS, &*REPORTS, &*REFUSES, &*OFF] {
                let sound = serde_json::from_str::<Value>(text).is_ok();
                let outcome = inspector.result(text);
                prop_assert!(sound || outcome.verdict == Verdict::Refused);
                prop_assert_eq!(inspector.arguments(text), outcome);
                prop_assert!(sound || inspector.definition(text).refused);
            }
        }
    }

    #[test]
    fn definitions_are_cleaned_like_results(value in value()) {
        let json = json!({"description": value}).to_string();
        let definition = REDACTS.definition(&json);
        if let Some(text) = definition.text {
            let again = REDACTS.definition(&text);
            prop_assert!(again.text.is_none() && !again.refused, "{} {:?}", text, again);
        }
    }
}

fn same_shape(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_shape(a, b))
        }
        (Value::Object(a), Value::Object(b)) => a.len() == b.len(),
        (Value::String(_), Value::String(_)) => true,
        (a, b) => a == b,
    }
}
