use super::*;
use proptest::prelude::*;

fn canonical(text: &str) -> String {
    parse(text).unwrap().canonical()
}

#[test]
fn the_canonical_form_has_sorted_members_no_space_and_few_escapes() {
    for (text, expected) in [
        (" { \"b\" : [ 1 , 2.50 , -0 , 1E+2 ] , \"a\" : null } ", "{\"a\":null,\"b\":[1,2.50,-0,1E+2]}"),
        (r#""\u0061\/\u00e9\u000a\u001f\ud83e\udd80""#, "\"a/é\\n\\u001f🦀\""),
        (r#""\u202e\u007f""#, "\"\u{202e}\u{7f}\""),
        (r#"{"é":1,"z":2,"":3}"#, r#"{"":3,"z":2,"é":1}"#),
        ("[]", "[]"),
        ("[[],{},true,false]", "[[],{},true,false]"),
    ] {
        assert_eq!(canonical(text), expected);
    }
}

#[test]
fn what_people_read_has_a_line_for_each_member_and_hides_nothing() {
    let value = parse(r#"{"b":[1,{"c":"\u202eé\u200b\ud83e\udd80\udb40\udc41\n"}],"a":{},"d":[]}"#).unwrap();
    let expected = r#"{
  "a": {},
  "b": [
    1,
    {
      "c": "\u202eé\u200b🦀\udb40\udc41\n"
    }
  ],
  "d": []
}"#;
    assert_eq!(value.pretty(), expected);
    assert_eq!(parse(expected).unwrap(), value);
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    for (text, line, column, what) in [
        ("", 1, 1, "ends"),
        ("{\n  \"a\": 1,\n  \"b\" 2\n}", 3, 7, "expected `:`"),
        ("{\"a\":1,\"a\":2}", 1, 8, "given twice"),
        ("{\"a\":{\"é\":1,\"\\u00e9\":2}}", 1, 13, "given twice"),
        ("[1,]", 1, 4, "expected a value"),
        ("{\"a\":1,}", 1, 8, "expected a string"),
        ("[1 2]", 1, 4, "expected `,` or `]`"),
        ("{\"a\":1 \"b\":2}", 1, 8, "expected `,` or `}`"),
        ("01", 1, 2, "more after"),
        ("1.", 1, 3, "digit"),
        ("-", 1, 2, "digit"),
        ("1e", 1, 3, "digit"),
        ("+1", 1, 1, "expected a value"),
        ("NaN", 1, 1, "expected a value"),
        ("tru", 1, 1, "expected a value"),
        ("\"a", 1, 2, "ends"),
        ("\"a\nb\"", 1, 3, "control"),
        ("\"\\x\"", 1, 2, "no such escape"),
        ("\"\\u12g4\"", 1, 2, "hexadecimal"),
        ("\"\\u+123\"", 1, 2, "hexadecimal"),
        ("\"\\ud800\"", 1, 8, "surrogate"),
        ("\"\\ud800\\u0041\"", 1, 14, "surrogate"),
        ("\"\\udc00\"", 1, 8, "surrogate"),
        ("\"\\u1", 1, 2, "ends"),
        ("{} {}", 1, 4, "more after"),
        ("\u{feff}{}", 1, 1, "expected a value"),
        ("{'a':1}", 1, 2, "expected a string"),
        ("[1]// x", 1, 4, "more after"),
    ] {
        let fault = parse(text).unwrap_err();
        assert!(fault.what.contains(what), "{text:?}: {fault}");
        assert_eq!((fault.line, fault.column), (line, column), "{text:?}: {fault}");
    }
}

#[test]
fn nesting_is_bounded_however_deep_a_text_goes() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(128)).is_ok());
    assert!(parse(&nested(129)).unwrap_err().what.contains("deep"));
    assert!(parse(&"{\"a\":".repeat(1_000_000)).unwrap_err().what.contains("deep"));
}

/// JSON values of all kinds, as serde_json knows them.
pub(crate) fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        "[\u{0}-\u{1f}\u{7f}-\u{a0}\u{200b}-\u{202f}\u{e0000}-\u{e007f}]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn both_texts_say_what_the_value_says(json in any_json()) {
        // What serde_json reads of its own text: its floats are not always those that it has written.
        let json: serde_json::Value = serde_json::from_str(&json.to_string()).unwrap();
        let value = parse(&json.to_string()).unwrap();
        prop_assert_eq!(&parse(&serde_json::to_string_pretty(&json).unwrap()).unwrap(), &value);
        for text in [value.canonical(), value.pretty()] {
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.to_string(), serde_json::from_str::<serde_json::Value>(&json.to_string()).unwrap().to_string());
            prop_assert_eq!(&parse(&text).unwrap(), &value);
        }
        prop_assert_eq!(parse(&value.canonical()).unwrap().canonical(), value.canonical(), "idempotent");
    }

    #[test]
    fn what_is_accepted_is_json(text in "[\\[\\]{}\",:0-9a-fu\\\\.eE+\\- tn]{0,12}") {
        if parse(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok() || is_out_of_range(&text));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,64}") {
        let _ = parse(&text);
    }
}

/// serde_json refuses numbers that are no finite float.
fn is_out_of_range(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_err_and(|e| e.to_string().contains("out of range"))
}
