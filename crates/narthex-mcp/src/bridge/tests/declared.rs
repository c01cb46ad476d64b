//! What clients say of themselves.

use super::object;
use crate::bridge::declared::Declared;
use crate::bridge::task;

fn declared(capabilities: &str, info: &str) -> Declared {
    let info = if info.is_empty() { String::new() } else { format!(r#","clientInfo":{info}"#) };
    Declared::from_initialize(&object(&format!(r#"{{"capabilities":{capabilities}{info}}}"#)))
        .expect("declared")
}

#[test]
fn both_eras_say_the_same_of_a_client() {
    let legacy = declared(r#"{"roots":{}}"#, r#"{"name":"c","version":"1"}"#);
    let modern = object(
        r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"roots":{}},
            "io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}}"#,
    );
    assert_eq!(Declared::from_meta(&modern), Ok(legacy));
}

#[test]
fn a_declaration_that_is_missing_or_malformed_is_refused() {
    for params in [
        "{}",
        r#"{"capabilities":null}"#,
        r#"{"capabilities":[]}"#,
        r#"{"capabilities":{"a":1,"a":2}}"#,
        r#"{"capabilities":{},"clientInfo":"me"}"#,
        r#"{"capabilities":{},"clientInfo":[]}"#,
    ] {
        assert!(Declared::from_initialize(&object(params)).is_err(), "{params}");
        let meta = params
            .replace("capabilities", "io.modelcontextprotocol/clientCapabilities")
            .replace("clientInfo", "io.modelcontextprotocol/clientInfo");
        assert!(Declared::from_meta(&object(&format!(r#"{{"_meta":{meta}}}"#))).is_err(), "{params}");
    }
    for params in ["{}", r#"{"_meta":null}"#, r#"{"_meta":[]}"#] {
        assert!(Declared::from_meta(&object(params)).is_err(), "{params}");
    }
    assert!(Declared::from_initialize(&object(r#"{"capabilities":{},"clientInfo":null}"#)).is_ok());
}

/// What is declared, and what of it the other era can carry.
const CAPABILITIES: [(&str, &str); 8] = [
    ("{}", "{}"),
    (r#"{"sampling":{"tools":{ }}}"#, r#"{"sampling":{"tools":{ }}}"#),
    (r#"{"elicitation":{"url":{},"form":{}}}"#, r#"{"elicitation":{"url":{},"form":{}}}"#),
    (r#"{"roots":{"listChanged":true}}"#, r#"{"roots":{}}"#),
    (r#"{"roots":{"listChanged":true,"x":1}}"#, r#"{"roots":{"x":1}}"#),
    (r#"{"roots":true,"experimental":{"x":[ 1 ]}}"#, r#"{"experimental":{"x":[ 1 ]}}"#),
    (r#"{"tasks":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#, "{}"),
    (r#"{"later":{}}"#, "{}"),
];

#[test]
fn a_legacy_server_is_told_what_it_can_understand() {
    for (capabilities, expected) in CAPABILITIES {
        let made =
            declared(capabilities, r#"{"name":"c","version":"1","title":"C"}"#).to_initialize("2025-11-25");
        let expected = format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{expected},"clientInfo":{{"name":"c","version":"1","title":"C"}}}}"#
        );
        assert_eq!(made.to_json(), expected, "{capabilities}");
    }
}

#[test]
fn a_client_without_a_name_gets_one_as_legacy_servers_insist() {
    for (info, expected) in [
        ("", r#"{"name":"unknown","version":"0"}"#),
        ("{}", r#"{"name":"unknown","version":"unknown"}"#),
        (r#"{"version":"2"}"#, r#"{"version":"2","name":"unknown"}"#),
        (r#"{"name":7,"version":"2"}"#, r#"{"name":"unknown","version":"2"}"#),
    ] {
        let made = declared("{}", info).to_initialize("2025-06-18");
        assert_eq!(made.object("clientInfo"), Some(object(expected)), "{info}");
    }
}

#[test]
fn a_modern_server_is_told_what_it_can_understand_on_every_request() {
    for (capabilities, expected) in CAPABILITIES {
        let mut params = object(r#"{"name":"t"}"#);
        declared(capabilities, r#"{"name":"c"}"#).to_meta(&mut params, "2026-07-28", Some("info"));
        let inner = params.object("_meta").expect("_meta");
        // Of the extensions, tasks are bridged.
        let tasks = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
        let expected = if task::is_declared(&object(capabilities)) { tasks } else { expected };
        assert_eq!(inner.get("io.modelcontextprotocol/clientCapabilities"), Some(expected), "{capabilities}");
        assert_eq!(inner.get("io.modelcontextprotocol/clientInfo"), Some(r#"{"name":"c"}"#));
        assert_eq!(inner.get("io.modelcontextprotocol/protocolVersion"), Some(r#""2026-07-28""#));
        assert_eq!(inner.get("io.modelcontextprotocol/logLevel"), Some(r#""info""#));
    }
    let mut params = object(r#"{"_meta":{"io.modelcontextprotocol/logLevel":"debug"}}"#);
    declared("{}", "").to_meta(&mut params, "2026-07-28", None);
    let inner = params.object("_meta").expect("_meta");
    assert!(inner.get("io.modelcontextprotocol/logLevel").is_none(), "no level, no messages");
    assert!(inner.get("io.modelcontextprotocol/clientInfo").is_none());
}

#[test]
fn a_client_is_asked_only_for_what_it_declared() {
    let url = r#"{"mode":"url"}"#;
    let form = r#"{"mode":"form"}"#;
    let with_tools = r#"{"tools":[]}"#;
    for (capabilities, method, params, expected) in [
        ("{}", "roots/list", "{}", false),
        (r#"{"roots":{}}"#, "roots/list", "{}", true),
        (r#"{"roots":true}"#, "roots/list", "{}", false),
        ("{}", "sampling/createMessage", "{}", false),
        (r#"{"sampling":{}}"#, "sampling/createMessage", "{}", true),
        (r#"{"sampling":{}}"#, "sampling/createMessage", with_tools, false),
        (r#"{"sampling":{}}"#, "sampling/createMessage", r#"{"toolChoice":{}}"#, false),
        (r#"{"sampling":{}}"#, "sampling/createMessage", r#"{"tools":null}"#, true),
        (r#"{"sampling":{"tools":{}}}"#, "sampling/createMessage", with_tools, true),
        (r#"{"sampling":{"tools":false}}"#, "sampling/createMessage", with_tools, false),
        ("{}", "elicitation/create", "{}", false),
        (r#"{"elicitation":{}}"#, "elicitation/create", "{}", true),
        (r#"{"elicitation":{}}"#, "elicitation/create", form, true),
        (r#"{"elicitation":{}}"#, "elicitation/create", url, false),
        (r#"{"elicitation":{"form":{}}}"#, "elicitation/create", form, true),
        (r#"{"elicitation":{"form":{}}}"#, "elicitation/create", url, false),
        (r#"{"elicitation":{"url":{}}}"#, "elicitation/create", url, true),
        (r#"{"elicitation":{"url":{}}}"#, "elicitation/create", form, false),
        (r#"{"elicitation":{"url":{},"form":{}}}"#, "elicitation/create", "{}", true),
        (r#"{"sampling":{},"roots":{},"elicitation":{}}"#, "ping", "{}", false),
    ] {
        let may = declared(capabilities, "").may_ask(method, &object(params));
        assert_eq!(may, expected, "{capabilities} {method} {params}");
    }
}

#[test]
fn what_a_handle_keeps_of_a_declaration_steers_the_same() {
    let long = "ü".repeat(1000);
    let info = format!(r#"{{"name":"{long}","version":"1","icons":[1]}}"#);
    let full =
        declared(r#"{"sampling":{},"roots":{"listChanged":true},"experimental":{"x":1},"tasks":{}}"#, &info);
    let short = full.concise();
    assert_eq!(short.capabilities, object(r#"{"sampling":{},"roots":{}}"#));
    let expected = format!(r#"{{"name":"{}","version":"1"}}"#, "ü".repeat(128));
    assert_eq!(short.client_info, Some(object(&expected)));
    assert_eq!(short.concise(), short);
}

#[test]
fn a_fingerprint_is_of_what_a_server_is_told() {
    let of = |capabilities: &str, info: &str| declared(capabilities, info).fingerprint();
    for (one, other) in [
        (r#"{"sampling":{},"roots":{}}"#, r#"{"roots":{ },"sampling":{}}"#),
        (r#"{"roots":{"listChanged":true}}"#, r#"{"roots":{}}"#),
        (r#"{"tasks":{}}"#, "{}"),
        (r#"{"experimental":{"x":[{"a":1,"b":2}]}}"#, r#"{"experimental":{"x":[ {"b" : 2, "a":1}]}}"#),
        (r#"{"experimental":{"x":"A"}}"#, r#"{"experimental":{"x":"\u0041"}}"#),
    ] {
        assert_eq!(of(one, ""), of(other, ""), "{one} {other}");
    }
    for (one, other) in [
        (r#"{"sampling":{}}"#, r#"{"sampling":{"tools":{}}}"#),
        (r#"{"experimental":{"x":[1,2]}}"#, r#"{"experimental":{"x":[2,1]}}"#),
        (
            r#"{"experimental":{"x":10000000000000000000001}}"#,
            r#"{"experimental":{"x":10000000000000000000002}}"#,
        ),
        (r#"{"experimental":{"x":{"a":1,"a":2}}}"#, r#"{"experimental":{"x":{"a":2}}}"#),
        (r#"{"experimental":{"x":"1"}}"#, r#"{"experimental":{"x":1}}"#),
    ] {
        assert_ne!(of(one, ""), of(other, ""), "{one} {other}");
    }
    assert_eq!(of("{}", r#"{"name":"a","version":"1"}"#), of("{}", r#"{"version":"1","name":"a"}"#));
    assert_ne!(of("{}", r#"{"name":"a"}"#), of("{}", r#"{"name":"b"}"#));
    assert_ne!(of("{}", r#"{"name":"a"}"#), of("{}", ""));
}
