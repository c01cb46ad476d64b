use super::*;
use crate::json::tests::any_json;
use proptest::prelude::*;
use serde_json::json;

fn of(tool: &serde_json::Value) -> Definition {
    Definition::of(&tool.to_string()).unwrap()
}

fn add() -> serde_json::Value {
    json!({
        "name": "add",
        "title": "Add",
        "description": "Adds two numbers.",
        "inputSchema": { "type": "object", "properties": { "a": { "type": "number" } } },
        "outputSchema": { "type": "object" },
        "annotations": { "readOnlyHint": true },
    })
}

#[test]
fn a_definition_is_hashed_in_its_canonical_form() {
    let definition = Definition::of(r#" {"description" : "\u0041", "name":"a\/b", "_meta":{}} "#).unwrap();
    assert_eq!(definition.name, "a/b");
    assert_eq!(definition.canonical(), r#"{"description":"A","name":"a/b"}"#);
    // printf '%s' '{"description":"A","name":"a/b"}' | sha256sum
    assert_eq!(definition.sha256(), "d9dddd3128a955f8068cbf0c45ffecb94fe9014c00a7efb9562e4f492dbe0d72");
}

#[test]
fn what_a_tool_is_and_does_is_covered() {
    let before = of(&add()).sha256();
    for (member, value) in [
        ("name", json!("add2")),
        ("title", json!("add")),
        ("description", json!("Adds two numbers. ")),
        ("description", json!("Adds two numbers\u{200b}.")),
        ("description", json!(null)),
        ("inputSchema", json!({ "type": "object", "properties": { "a": { "type": "string" } } })),
        ("inputSchema", json!({ "type": "object", "properties": { "A": { "type": "number" } } })),
        ("outputSchema", json!({})),
        ("annotations", json!({ "readOnlyHint": false })),
    ] {
        let mut tool = add();
        tool[member] = value;
        assert_ne!(of(&tool).sha256(), before, "{tool}");
    }
    for member in ["title", "description", "inputSchema", "outputSchema", "annotations"] {
        let mut tool = add();
        tool.as_object_mut().unwrap().remove(member);
        assert_ne!(of(&tool).sha256(), before, "without {member}");
    }
}

#[test]
fn numbers_count_as_they_are_written() {
    let of = |number: &str| {
        Definition::of(&format!(r#"{{"name":"a","inputSchema":{{"maximum":{number}}}}}"#)).unwrap().sha256()
    };
    for other in ["1.0", "1e0", "10e-1", "1.00000000000000000001"] {
        assert_ne!(of("1"), of(other), "{other}");
    }
    assert_ne!(of("9007199254740992"), of("9007199254740993"), "equal as floats");
}

#[test]
fn what_is_not_about_the_tool_is_not_covered() {
    let before = of(&add()).sha256();
    for member in ["_meta", "icons", "execution", "x-anything"] {
        let mut tool = add();
        tool[member] = json!({ "changes": [1, 2] });
        assert_eq!(of(&tool).sha256(), before, "{member}");
    }
}

#[test]
fn what_clients_may_read_differently_is_no_definition() {
    for (text, error) in [
        (r#"{"name":"a","name":"b"}"#, "given twice"),
        (r#"{"name":"a","description":"x","descriptio\u006e":"y"}"#, "given twice"),
        (r#"{"name":"a","inputSchema":{"a":1,"a":1}}"#, "given twice"),
        (r#"{"name":"a","_meta":{"a":1,"a":1}}"#, "given twice"),
        (r#"{"name":"a","Description":"x"}"#, "differs from `description`"),
        (r#"{"name":"a","deſcription":"x"}"#, "differs from `description`"),
        (r#"{"name":"a","inputschema":{}}"#, "differs from `inputSchema`"),
        (r#"{"NAME":"a"}"#, "differs from `name`"),
        (r#"{"name":"a","description":"\ud800"}"#, "surrogate"),
        ("{\"name\":\"a\",\"description\":\"\u{0}\"}", "control character"),
        ("[]", "an object"),
        ("\"add\"", "an object"),
        ("{}", "`name`"),
        (r#"{"name":null}"#, "`name`"),
        (r#"{"name":7}"#, "`name`"),
        (r#"{"name":""}"#, "`name`"),
        (r#"{"name":"a"} x"#, "more after"),
        ("", "ends"),
    ] {
        let refused = Definition::of(text).unwrap_err().to_string();
        assert!(refused.contains(error), "{text}: {refused}");
    }
}

#[test]
fn a_definition_is_bounded() {
    let named = |len| format!(r#"{{"name":"{}"}}"#, "n".repeat(len));
    assert!(Definition::of(&named(1024)).is_ok());
    assert_eq!(Definition::of(&named(1025)), Err(BadDefinition::Name));
    let long = format!(r#"{{"name":"a","description":"{}"}}"#, "d".repeat(1 << 20));
    assert_eq!(Definition::of(&long), Err(BadDefinition::TooLarge));
    let deep = format!(r#"{{"name":"a","inputSchema":{}}}"#, "[".repeat(100_000));
    assert!(matches!(Definition::of(&deep), Err(BadDefinition::Json { .. })));
}

#[test]
fn a_definition_is_not_shown_by_chance() {
    let shown = format!("{:?}", of(&add()));
    assert!(!shown.contains("numbers"), "{shown}");
}

/// A tool as another writer would write it: members in the opposite order, white space, escapes.
fn written_otherwise(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .rev()
                .map(|(name, value)| format!("\t{} :\n{}", escaped(name), written_otherwise(value)))
                .collect();
            format!("{{ {} }}", members.join(" ,\r\n"))
        }
        serde_json::Value::Array(items) => {
            format!("[ {} ]", items.iter().map(written_otherwise).collect::<Vec<_>>().join(" , "))
        }
        serde_json::Value::String(text) => escaped(text),
        other => other.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    format!("\"{units}\"")
}

fn any_tool() -> impl Strategy<Value = serde_json::Value> {
    let members = (".{1,8}", any_json(), any_json(), any_json());
    members.prop_map(|(name, description, schema, annotations)| {
        json!({ "name": name, "description": description, "inputSchema": schema, "annotations": annotations })
    })
}

/// Changes one value inside, chosen by `at`; `None` if it would be the same.
fn changed(value: &serde_json::Value, at: usize) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) if !members.is_empty() => {
            let mut members = members.clone();
            let name = members.keys().nth(at % members.len()).unwrap().clone();
            let inner = changed(&members[&name], at / 3);
            members.insert(name, inner);
            members.into()
        }
        serde_json::Value::Array(items) if !items.is_empty() => {
            let mut items = items.clone();
            let at_item = at % items.len();
            items[at_item] = changed(&items[at_item], at / 3);
            items.into()
        }
        serde_json::Value::String(text) => format!("{text}x").into(),
        serde_json::Value::Null => false.into(),
        _ => serde_json::Value::Null,
    }
}

proptest! {
    #[test]
    fn how_a_definition_is_written_does_not_matter(tool in any_tool()) {
        let otherwise = Definition::of(&written_otherwise(&tool)).unwrap();
        prop_assert_eq!(&otherwise, &of(&tool));
        prop_assert_eq!(&Definition::of(otherwise.canonical()).unwrap(), &otherwise, "idempotent");
        prop_assert_eq!(Definition::from_members(otherwise.members()).unwrap(), otherwise);
    }

    #[test]
    fn every_other_change_gives_another_hash(tool in any_tool(), member in 0..4_usize, at in any::<usize>()) {
        let mut other = tool.clone();
        let member = ["name", "description", "inputSchema", "annotations"][member];
        other[member] = changed(&tool[member], at);
        prop_assert_ne!(&other, &tool);
        prop_assert_ne!(of(&other).sha256(), of(&tool).sha256());
        let mut without = tool.clone();
        if member != "name" {
            without.as_object_mut().unwrap().remove(member);
            prop_assert_ne!(of(&without).sha256(), of(&tool).sha256());
        }
    }
}
