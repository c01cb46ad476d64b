//! Lists of tools.

use super::object;
use crate::bridge::result::{Answer, to_legacy};
use crate::bridge::schema::{drop_invalid, names, read, retain};
use serde_json::{Value, json};

/// Tools: `plain`, `mirrored`, and five that are not to be offered.
fn tools() -> String {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let marked = r#"{"type":"string","x-mcp-header":"A"}"#;
    format!(
        r#"{{"tools":[
        {{"name":"plain","inputSchema":{{"type" : "object","default":{deep}}}}},
        {{"name":"mirrored","inputSchema":{{"properties":{{"x-mcp-header":{{"type":"string"}},"a":{marked},
            "o":{{"properties":{{"b":{{"type":"integer","x-mcp-header":"B"}}}}}}}}}}}},
        {{"name":"number","inputSchema":{{"properties":{{"a":{{"type":"number","x-mcp-header":"A"}}}}}}}},
        {{"name":"items","inputSchema":{{"items":{marked}}}}},
        {{"name":"deep","inputSchema":{{"default":{deep},"properties":{{"a":{marked}}}}}}},
        {{"name":"large","inputSchema":{{"maximum":1e999,"properties":{{"a":{{"x-mcp-h\u0065ader":"A"}}}}}}}},
        {{"name":"twice","inputSchema":{{"properties":{{"a":{{"type":"array","items":{marked}}}}},
            "properties":{{"a":{marked},"a":{{"items":{marked}}}}}}}}}
        ],"nextCursor":"c"}}"#
    )
}

#[test]
fn tools_are_read_for_what_they_mirror() {
    let schemas = read(&object(&tools()));
    assert_eq!(schemas.mirrored.keys().collect::<Vec<_>>(), ["mirrored"]);
    let mut invalid: Vec<_> = schemas.invalid.iter().map(String::as_str).collect();
    invalid.sort_unstable();
    assert_eq!(invalid, ["deep", "items", "large", "number", "twice"]);
    let mut left = object(&tools());
    drop_invalid(&mut left, &schemas);
    assert_eq!(names(&left), ["plain", "mirrored"]);
    assert!(left.to_json().contains("x-mcp-header") && left.get("nextCursor") == Some("\"c\""));
}

#[test]
fn a_legacy_client_is_offered_no_annotation_and_no_tool_with_an_invalid_one() {
    let Ok(Answer::Complete(list)) = to_legacy("tools/list", &object(&tools())) else { panic!("no list") };
    assert_eq!(names(&list), ["plain", "mirrored"]);
    let mirrored: Value = serde_json::from_str(list.array("tools").expect("tools")[1].get()).expect("JSON");
    let properties = json!({"x-mcp-header": {"type": "string"}, "a": {"type": "string"},
        "o": {"properties": {"b": {"type": "integer"}}}});
    assert_eq!(mirrored, json!({"name": "mirrored", "inputSchema": {"properties": properties}}));
}

#[test]
fn an_annotation_that_a_second_of_its_name_hides_does_not_reach_a_legacy_client() {
    let list = r#"{"tools":[{"name":"t","inputSchema":{"properties":
        {"a":{"x-mcp-header":"A","x-mcp-header":"B","type":"string"}}}}]}"#;
    let Ok(Answer::Complete(list)) = to_legacy("tools/list", &object(list)) else { panic!("no list") };
    assert_eq!(list.to_json(), r#"{"tools":[]}"#);
}

#[test]
fn a_legacy_client_is_offered_schemas_of_objects_only() {
    for (schema, kept) in [
        (r#"{"type":"object","x":[1 , 2]}"#, true),
        (r#"{"type":"array"}"#, false),
        (r#"{"type":["object"]}"#, false),
        (r#"{"anyOf":[{"type":"object"}]}"#, false),
        ("true", false),
        ("null", false),
    ] {
        let tool = |with: &str| format!(r#"{{"tools":[{{"name":"t","inputSchema":{{ }}{with}}}]}}"#);
        let list = tool(&format!(r#","outputSchema":{schema}"#));
        let Ok(Answer::Complete(made)) = to_legacy("tools/list", &object(&list)) else { panic!("no list") };
        assert_eq!(made.to_json(), if kept { list } else { tool("") }, "{schema}");
    }
}

#[test]
fn tools_are_left_by_name() {
    let mut list = object(r#"{"tools":[{"name":"a","x":[1 , 2]},{"name":"b"},{"name":7},7],"x":1}"#);
    assert_eq!(names(&list), ["a", "b"]);
    retain(&mut list, |name| name == "a");
    assert_eq!(list.to_json(), r#"{"tools":[{"name":"a","x":[1 , 2]}],"x":1}"#);
    for odd in ["{}", r#"{"tools":7}"#, r#"{"tools":null}"#] {
        let mut list = object(odd);
        retain(&mut list, |_| false);
        assert_eq!((list.to_json().as_str(), names(&list).len()), (odd, 0));
    }
}
