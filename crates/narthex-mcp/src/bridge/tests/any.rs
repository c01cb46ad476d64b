//! Any JSON, and what is made of it.

use crate::bridge::Object;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

/// JSON text of any value, with odd numbers, escapes and white space.
pub(super) fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "-0.0", "1e400", "123456789012345678901234567890", r#""\ud800\u0041""#])
            .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| json!(text).to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..4).prop_map(|members| {
                let members = members.iter().map(|(name, value)| format!("{} : {value}", json!(name)));
                format!("{{ {} }}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// Members that no rule names.
pub(super) fn unknown() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        "[a-z.]{1,4}/[a-zA-Zé\"\\\\]{1,4}",
        select(vec!["name", "uri", "arguments", "cursor"]).prop_map(str::to_owned)
    ];
    prop::collection::btree_map(name, any_json(), 0..5).prop_map(|members| members.into_iter().collect())
}

pub(super) fn with(members: &[(String, String)]) -> Object {
    let mut object = Object::default();
    members.iter().for_each(|(name, value)| object.set_json(name, value.as_str()));
    object
}

/// Anything under a name that some rule knows, so that every branch is tried with every kind of value.
pub(super) fn steering() -> impl Strategy<Value = Object> {
    let name = select(vec![
        "_meta",
        "jsonrpc",
        "id",
        "method",
        "params",
        "result",
        "error",
        "code",
        "message",
        "data",
        "uri",
        "resultType",
        "inputRequests",
        "requestState",
        "inputResponses",
        "task",
        "ttlMs",
        "cacheScope",
        "tools",
        "name",
        "inputSchema",
        "outputSchema",
        "structuredContent",
        "capabilities",
        "clientInfo",
        "serverInfo",
        "supportedVersions",
        "protocolVersion",
        "instructions",
        "notifications",
        "toolsListChanged",
        "resourceSubscriptions",
        "elicitations",
        "mode",
        "elicitationId",
        "progressToken",
        "roots",
        "sampling",
        "elicitation",
        "properties",
        "x-mcp-header",
        "type",
    ]);
    prop::collection::btree_map(name, nested(), 0..6).prop_map(|members| {
        let mut object = Object::default();
        members.iter().for_each(|(name, value)| object.set_json(name, value.as_str()));
        object
    })
}

fn nested() -> impl Strategy<Value = String> {
    let known = select(vec![
        r#""input_required""#,
        r#""complete""#,
        r#""url""#,
        r#""object""#,
        r#""string""#,
        r#""2.0""#,
        "-32042",
        "-32002",
        "-32021",
        r#"{"elicitations":[{"mode":"url"}]}"#,
        r#"{"a":{"method":"roots/list"}}"#,
        r#"[{"name":"t","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}]"#,
        r#"{"io.modelcontextprotocol/clientCapabilities":{},"progressToken":1}"#,
        r#"["a:b"]"#,
        r#"{"a":1,"a":2}"#,
    ]);
    prop_oneof![known.prop_map(str::to_owned), any_json()]
}
