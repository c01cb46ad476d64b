//! The rows of the two tables of the bridge that are said of one message, and what hostile peers may not get
//! across.

mod any;
mod asks;
mod declared;
mod discover;
mod errors;
mod hostile;
mod listen;
mod message;
mod object;
mod params;
mod properties;
mod results;
mod schema;
mod tools;

use super::ask::Ask;
use super::declared::Declared;
use super::schema::ParamHeaders;
use super::{Object, meta};

fn object(text: &str) -> Object {
    Object::parse(text.as_bytes()).expect("an object")
}

/// A `_meta` with every reserved key and a few others.
fn crowded_meta() -> String {
    let reserved = meta::RESERVED.map(|key| format!(r#""{key}":{{"x":1}},"#)).concat();
    format!(r#"{{"traceparent":"00-1",{reserved}"com.example/k":[1,  2]}}"#)
}

const CLEAN_META: &str = r#"{"traceparent":"00-1","com.example/k":[1,  2]}"#;

#[test]
fn a_meta_that_cannot_be_read_does_not_cross() {
    for meta in [r#"{"a":1,"a":2,"io.modelcontextprotocol/logLevel":"debug"}"#, "7", "[]", "null"] {
        let sent = super::params::to_legacy(&object(&format!(r#"{{"name":"x","_meta":{meta}}}"#)), None);
        assert_eq!(sent.to_json(), r#"{"name":"x"}"#);
    }
}

#[test]
fn a_modern_server_cannot_start_tasks_at_a_legacy_client() {
    let ask = Ask { method: "sampling/createMessage".into(), params: object(r#"{"task":{},"m":1}"#) };
    assert_eq!(ask.to_legacy("e").to_json(), r#"{"m":1}"#);
}

#[test]
fn declarations_too_strange_to_compare_stay_apart() {
    let of = |number: &str| {
        let text = format!(r#"{{"capabilities":{{"experimental":{{"n":{number}}}}}}}"#);
        Declared::from_initialize(&object(&text)).expect("declared").fingerprint()
    };
    assert_ne!(of("1e999"), of("2e999"));
}

#[test]
fn a_property_named_like_the_annotation_is_data() {
    for schema in [
        r#"{"properties":{"x-mcp-header":{"type":"string"}}}"#,
        r#"{"dependentSchemas":{"x-mcp-header":{"type":"object"}}}"#,
    ] {
        let schema = serde_json::from_str(schema).expect("JSON");
        assert!(ParamHeaders::from_schema(&schema).is_ok_and(|headers| headers.is_empty()));
    }
}
