//! Tool arguments that are mirrored in headers.

use crate::bridge::schema::ParamHeaders;
use crate::headers::decode_value;
use serde_json::{Value, json};

fn of(properties: &Value) -> ParamHeaders {
    ParamHeaders::from_schema(&json!({"type": "object", "properties": properties})).expect("valid")
}

/// `a` of type `kind`, mirrored as `A`.
fn single(kind: &str) -> ParamHeaders {
    of(&json!({"a": {"type": kind, "x-mcp-header": "A"}}))
}

#[test]
fn an_annotation_stands_on_a_simple_property_under_a_unique_name() {
    let valid = json!({"type": "string", "x-mcp-header": "A"});
    for (properties, expected) in [
        (json!({}), true),
        (json!({"a": {"type": "string", "x-mcp-header": "A"}}), true),
        (json!({"a": {"type": "integer", "x-mcp-header": "!#$%&'*+-.^_`|~0Az"}}), true),
        (json!({"a": {"type": "boolean", "x-mcp-header": "A"}}), true),
        (json!({"a": {"type": "number", "x-mcp-header": "A"}}), false),
        (json!({"a": {"type": "object", "x-mcp-header": "A"}}), false),
        (json!({"a": {"type": "array", "x-mcp-header": "A"}}), false),
        (json!({"a": {"type": "null", "x-mcp-header": "A"}}), false),
        (json!({"a": {"type": ["string", "null"], "x-mcp-header": "A"}}), false),
        (json!({"a": {"x-mcp-header": "A"}}), false),
        (json!({"a": {"type": "string", "x-mcp-header": ""}}), false),
        (json!({"a": {"type": "string", "x-mcp-header": "a b"}}), false),
        (json!({"a": {"type": "string", "x-mcp-header": "a:"}}), false),
        (json!({"a": {"type": "string", "x-mcp-header": "a\r\nX: y"}}), false),
        (json!({"a": {"type": "string", "x-mcp-header": "é"}}), false),
        (json!({"a": {"type": "string", "x-mcp-header": 7}}), false),
        (json!({"a": {"type": "string", "x-mcp-header": null}}), false),
        (json!({"a": valid, "b": {"type": "string", "x-mcp-header": "B"}}), true),
        (json!({"a": valid, "b": valid}), false),
        (json!({"a": valid, "b": {"type": "string", "x-mcp-header": "a"}}), false),
        (json!({"a": valid, "b": {"properties": {"a": valid}}}), false),
        (json!({"b": {"properties": {"c": {"properties": {"a": valid}}}}}), true),
        (json!({"x-mcp-header": valid, "properties": {"type": "object"}}), true),
        (json!({"a": {"enum": [valid], "const": valid, "default": valid, "examples": [valid]}}), true),
    ] {
        let schema = json!({"type": "object", "properties": properties});
        assert_eq!(ParamHeaders::from_schema(&schema).is_ok(), expected, "{schema}");
    }
}

#[test]
fn an_annotation_that_no_argument_is_sure_to_reach_is_invalid() {
    let marked = json!({"type": "string", "x-mcp-header": "A"});
    let object = json!({"properties": {"a": marked}});
    for schema in [
        marked.clone(),
        json!({"items": marked}),
        json!({"prefixItems": [marked]}),
        json!({"contains": marked}),
        json!({"additionalProperties": marked}),
        json!({"unevaluatedProperties": marked}),
        json!({"propertyNames": marked}),
        json!({"patternProperties": {"^a": marked}}),
        json!({"allOf": [object]}),
        json!({"anyOf": [object]}),
        json!({"oneOf": [{}, object]}),
        json!({"not": object}),
        json!({"if": object}),
        json!({"then": object}),
        json!({"else": object}),
        json!({"dependentSchemas": {"b": object}}),
        json!({"$defs": {"b": object}}),
        json!({"definitions": {"b": object}}),
        json!({"properties": {"l": {"type": "array", "items": object}}}),
        json!({"properties": {"ok": {"type": "string", "x-mcp-header": "B"}}, "anyOf": [object]}),
    ] {
        assert!(ParamHeaders::from_schema(&schema).is_err(), "{schema}");
    }
}

#[test]
fn what_is_no_schema_mirrors_nothing() {
    for schema in [Value::Null, json!(true), json!([]), json!("x"), json!({"properties": []})] {
        assert!(ParamHeaders::from_schema(&schema).is_ok_and(|headers| headers.is_empty()), "{schema}");
    }
}

#[test]
fn an_argument_is_mirrored_as_it_may_stand_in_a_header() {
    for (kind, argument, expected) in [
        ("string", json!("eu-west"), Some("eu-west")),
        ("string", json!(""), Some("")),
        ("string", json!("a b"), Some("a b")),
        ("string", json!(" a"), Some("=?base64?IGE=?=")),
        ("string", json!("ü"), Some("=?base64?w7w=?=")),
        ("string", json!("a\r\nX: y"), Some("=?base64?YQ0KWDogeQ==?=")),
        ("string", json!("=?base64?eA==?="), Some("=?base64?PT9iYXNlNjQ/ZUE9PT89?=")),
        ("integer", json!(0), Some("0")),
        ("integer", json!(-7), Some("-7")),
        ("integer", json!(42.0), Some("42")),
        ("integer", json!(1e3), Some("1000")),
        ("integer", json!(9_007_199_254_740_991_i64), Some("9007199254740991")),
        ("boolean", json!(true), Some("true")),
        ("boolean", json!(false), Some("false")),
        ("string", Value::Null, None),
        ("string", json!([1]), None),
        ("string", json!({"b": 1}), None),
    ] {
        let headers = single(kind);
        let made = headers.headers(&json!({"a": argument}));
        let expected: Vec<_> = expected.into_iter().map(|value| ("A", value.to_owned())).collect();
        assert_eq!(made, expected, "{argument}");
    }
    assert!(single("string").headers(&json!({})).is_empty());
    assert!(single("string").headers(&Value::Null).is_empty());
}

#[test]
fn nested_arguments_are_reached_through_their_properties() {
    let headers = of(&json!({
        "place": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
    }));
    let mut made = headers.headers(&json!({"place": {"region": "eu"}, "dry": false, "region": "no"}));
    made.sort();
    assert_eq!(made, [("Dry", "false".to_owned()), ("Region", "eu".to_owned())]);
    for without in [json!({}), json!({"place": null}), json!({"place": "eu"}), json!({"place": ["eu"]})] {
        assert!(headers.headers(&without).is_empty(), "{without}");
    }
}

#[test]
fn headers_agree_with_the_body_or_the_call_is_refused() {
    for (kind, argument, header, expected) in [
        ("string", json!("eu"), Some("eu"), true),
        ("string", json!("eu"), Some(" eu\t"), true),
        ("string", json!("eu"), Some("=?base64?ZXU=?="), true),
        ("string", json!("ü"), Some("=?base64?w7w=?="), true),
        ("string", json!(""), Some(""), true),
        ("string", json!("eu"), Some("EU"), false),
        ("string", json!("eu"), Some("=?base64?ZXU?="), false),
        ("string", json!("eu"), Some("=?base64?ZXV=?="), false),
        ("string", json!("ü"), Some("ü"), false),
        ("string", json!("eu"), None, false),
        ("string", json!(""), None, false),
        ("string", Value::Null, None, true),
        ("string", Value::Null, Some(""), false),
        ("string", Value::Null, Some("null"), false),
        ("string", json!(["eu"]), None, true),
        ("string", json!(["eu"]), Some("eu"), false),
        ("string", json!("42"), Some("42.0"), false),
        ("integer", json!(42), Some("42"), true),
        ("integer", json!(42), Some("42.0"), true),
        ("integer", json!(42.0), Some("42"), true),
        ("integer", json!(42), Some("=?base64?NDI=?="), true),
        ("integer", json!(42), Some("43"), false),
        ("integer", json!(42), Some("42.5"), false),
        ("integer", json!(42), Some(""), false),
        ("integer", json!(42), Some("NaN"), false),
        ("integer", json!(9_007_199_254_740_993_i64), Some("9007199254740993"), true),
        ("integer", json!(9_007_199_254_740_993_i64), Some("9007199254740992"), false),
        ("boolean", json!(true), Some("true"), true),
        ("boolean", json!(true), Some("True"), false),
        ("boolean", json!(true), Some("1"), false),
        ("boolean", json!(false), Some("true"), false),
    ] {
        let decoded = |name: &str| {
            assert_eq!(name, "A");
            header.map(|header| decode_value(header.as_bytes()).map(std::borrow::Cow::into_owned))
        };
        let agrees = single(kind).agree(&json!({"a": argument}), decoded);
        assert_eq!(agrees, expected, "{argument} {header:?}");
    }
    assert!(single("string").agree(&json!({}), |_| None));
    assert!(!single("string").agree(&json!({}), |_| Some(Some("eu".into()))));
    assert!(!single("string").agree(&json!({"a": "eu"}), |_| Some(None)), "one that cannot be decoded");
}
