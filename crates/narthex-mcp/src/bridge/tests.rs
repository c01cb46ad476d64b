//! What hostile peers may not get across.

use super::ask::Ask;
use super::declared::Declared;
use super::message::RpcError;
use super::schema::ParamHeaders;
use super::{Object, error, message, params};
use proptest::prelude::*;

fn object(text: &str) -> Object {
    Object::parse(text.as_bytes()).expect("an object")
}

#[test]
fn a_meta_that_cannot_be_read_does_not_cross() {
    for meta in [r#"{"a":1,"a":2,"io.modelcontextprotocol/logLevel":"debug"}"#, "7", "[]", "null"] {
        let sent = params::to_legacy(&object(&format!(r#"{{"name":"x","_meta":{meta}}}"#)), None);
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

proptest! {
    #[test]
    fn codes_of_one_era_never_reach_the_other(code in -32100..-31990i32) {
        let legacy = error::to_legacy("tools/call", &RpcError::new(code, "m")).code;
        prop_assert!(!(-32099..=-32020).contains(&legacy));
        if let error::Modern::Error(_, error) = error::to_modern(&RpcError::new(code, "m"), Some("u:x")) {
            prop_assert!(!matches!(error.code, -32002 | -32042));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(message::parse(&bytes));
    }

    #[test]
    fn an_object_is_written_as_it_was_read(
        members in prop::collection::btree_map(any::<String>(), any::<String>(), 0..8),
    ) {
        let text = serde_json::to_string(&members).expect("JSON");
        let written = object(&text).to_json();
        prop_assert_eq!(serde_json::from_str::<std::collections::BTreeMap<String, String>>(&written).ok(), Some(members));
    }
}
