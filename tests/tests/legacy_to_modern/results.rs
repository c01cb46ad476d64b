//! Results and lists, without what only 2026-07-28 reads.

use super::stage::{LEGACY, Stage};
use narthex_testkit::Answer;
use serde_json::{Value, json};

#[tokio::test]
async fn a_result_says_nothing_that_only_the_newer_revision_reads() {
    let stage = Stage::start().await;
    let methods = [
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "tools/call",
        "prompts/get",
        "completion/complete",
    ];
    for method in methods {
        stage.server.always(method, move |request| {
            let cached = matches!(method, "tools/call" | "prompts/get" | "completion/complete");
            let mut result = json!({"kept": {"resultType": "complete", "ttlMs": 1}, "_meta": {
                "io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1"}, "com.example/a": [1, 2.50]}});
            if !cached {
                result["ttlMs"] = 60_000.into();
                result["cacheScope"] = "public".into();
            }
            Answer::complete(request, result)
        });
    }
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        for method in methods {
            let params = json!({"name": "echo", "uri": "x:y", "arguments": {}});
            let answer = client.ask(method, params).await;
            let expected = json!({"kept": {"resultType": "complete", "ttlMs": 1}, "_meta": {"com.example/a": [1, 2.50]}});
            assert_eq!(answer["result"], expected, "{revision} {method}");
        }
    }
}

#[tokio::test]
async fn an_empty_meta_is_left_out() {
    let stage = Stage::start().await;
    stage.server.next("tools/call", |request| {
        let meta = json!({"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1"}});
        Answer::complete(request, json!({"content": [], "_meta": meta}))
    });
    let client = stage.open("2025-11-25", json!({})).await;
    assert_eq!(client.call("echo", json!({})).await["result"], json!({"content": []}));
}

#[tokio::test]
async fn structured_content_that_is_no_object_is_left_out() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({})).await;
    for (content, kept) in [
        (json!([1]), false),
        (json!("x"), false),
        (json!(1), false),
        (Value::Null, false),
        (json!({"a": []}), true),
    ] {
        let result = json!({"content": [{"type": "text", "text": "t"}], "structuredContent": content});
        stage.server.next("tools/call", move |request| Answer::complete(request, result));
        let answer = client.call("echo", json!({})).await;
        assert_eq!(answer["result"]["content"][0]["text"], "t");
        assert_eq!(answer["result"].get("structuredContent"), kept.then_some(&content), "{answer}");
    }
}

/// Tools as only 2026-07-28 describes them.
fn tools() -> Value {
    let marked = json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region", "description": "where"},
        "deep": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
        "x-mcp-header": {"type": "string"},
    }});
    let bad = |schema: Value| json!({"type": "object", "properties": {"a": schema}});
    json!([
        {"name": "marked", "inputSchema": marked, "title": "kept"},
        {"name": "object", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object", "x": 1}},
        {"name": "array", "inputSchema": {"type": "object"}, "outputSchema": {"type": "array"}},
        {"name": "any", "inputSchema": {"type": "object"}, "outputSchema": true},
        {"name": "bad-name", "inputSchema": bad(json!({"type": "string", "x-mcp-header": "a b"}))},
        {"name": "bad-type", "inputSchema": bad(json!({"type": "number", "x-mcp-header": "A"}))},
        {"name": "bad-place", "inputSchema": bad(json!({"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}))},
        {"name": "bad-twice", "inputSchema": {"type": "object", "properties": {
            "a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}}}},
        {"name": "secret_door", "inputSchema": {"type": "object"}},
    ])
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    let tools = list["result"]["tools"].as_array().expect("tools");
    tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[tokio::test]
async fn tools_are_listed_without_annotations_and_those_that_break_the_rules_not_at_all() {
    let stage = Stage::start().await;
    stage.server.set_tools(tools());
    for revision in LEGACY {
        let list = stage.open(revision, json!({})).await.ask("tools/list", json!({})).await;
        let names: Vec<_> = list["result"]["tools"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
        assert_eq!(names, ["marked", "object", "array", "any"], "{revision}");
        assert_eq!(
            *named(&list, "marked"),
            json!({"name": "marked", "title": "kept", "inputSchema": {"type": "object", "properties": {
                "region": {"type": "string", "description": "where"},
                "deep": {"type": "object", "properties": {"n": {"type": "integer"}}},
                "x-mcp-header": {"type": "string"},
            }}})
        );
        assert_eq!(named(&list, "object")["outputSchema"], json!({"type": "object", "x": 1}));
        for name in ["array", "any"] {
            assert!(named(&list, name).get("outputSchema").is_none(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_tool_that_the_policy_hides_is_hidden_here_too() {
    let stage = Stage::start().await;
    stage.server.set_tools(tools());
    let client = stage.open("2025-11-25", json!({})).await;
    let list = client.ask("tools/list", json!({})).await;
    assert!(!list.to_string().contains("secret_door"), "{list}");
    stage.upstream.forget();
    let hidden = client.call("secret_door", json!({})).await;
    assert_eq!(hidden["error"]["code"], -32602, "{hidden}");
    assert_eq!(stage.upstream.count(), 0);
    // A tool that there is not at all is refused by the server; the words must not tell them apart.
    let batch = stage.open("2025-03-26", json!({})).await;
    let call = narthex_testkit::mcp::tools_call("secret_door", json!({}));
    let answer = batch.post(&format!("[{call}]")).await;
    assert!(!answer.text().contains("result"), "{}", answer.text());
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 0);
}

#[tokio::test]
async fn a_page_keeps_its_cursor() {
    let stage = Stage::start().await;
    stage.server.always("tools/list", |request| {
        Answer::complete(
            request,
            json!({"tools": [], "nextCursor": "n2", "ttlMs": 1, "cacheScope": "private"}),
        )
    });
    let client = stage.open("2025-11-25", json!({})).await;
    let list = client.ask("tools/list", json!({"cursor": "n1"})).await;
    assert_eq!(list["result"], json!({"tools": [], "nextCursor": "n2"}));
    assert_eq!(stage.upstream.requests_for("tools/list").pop().unwrap().json()["params"]["cursor"], "n1");
}
