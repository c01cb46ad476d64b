//! `Mcp-Param-*`: arguments that the server's schemas want mirrored, which an older client knows nothing of.

use super::stage::Stage;
use narthex_testkit::{Answer, UpstreamRequest};
use serde_json::{Value, json};

fn tool(name: &str, properties: &Value) -> Value {
    json!({"name": name, "inputSchema": {"type": "object", "properties": properties}})
}

fn weather(header: &str) -> Value {
    json!([tool(
        "weather",
        &json!({
            "city": {"type": "string", "x-mcp-header": header},
            "days": {"type": "integer", "x-mcp-header": "Days"},
            "exact": {"type": "boolean", "x-mcp-header": "Exact"},
            "note": {"type": "string"},
        })
    )])
}

fn params_of(request: &UpstreamRequest) -> Vec<(String, String)> {
    let fields = request.headers.0.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let mut fields: Vec<_> = fields.filter(|(name, _)| name.starts_with("mcp-param-")).collect();
    fields.sort();
    fields
}

fn field(name: &str, value: &str) -> (String, String) {
    (format!("mcp-param-{name}"), value.to_owned())
}

#[tokio::test]
async fn arguments_are_mirrored_as_the_schema_says_and_the_tools_are_listed_once() {
    let stage = Stage::start().await;
    stage.server.set_tools(weather("City"));
    let client = stage.open("2025-06-18", json!({})).await;
    let cases = [
        (
            json!({"city": "Rome", "days": 3, "exact": true, "note": "x"}),
            vec![field("city", "Rome"), field("days", "3"), field("exact", "true")],
        ),
        (json!({"city": "Köln"}), vec![field("city", "=?base64?S8O2bG4=?=")]),
        (json!({"city": null, "days": -1}), vec![field("days", "-1")]),
        (json!({"note": "nothing mirrored"}), vec![]),
    ];
    for (arguments, expected) in cases {
        client.call("weather", arguments.clone()).await;
        let call = stage.upstream.requests_for("tools/call").pop().unwrap();
        assert_eq!(params_of(&call), expected, "{arguments}");
    }
    assert_eq!(stage.upstream.requests_for("tools/list").len(), 1);
}

#[tokio::test]
async fn a_list_that_the_client_asked_for_is_not_asked_for_again() {
    let stage = Stage::start().await;
    stage.server.set_tools(weather("City"));
    let client = stage.open("2025-06-18", json!({})).await;
    client.ask("tools/list", json!({})).await;
    client.call("weather", json!({"city": "Rome"})).await;
    assert_eq!(stage.upstream.requests_for("tools/list").len(), 1);
    let call = stage.upstream.requests_for("tools/call").pop().unwrap();
    assert_eq!(params_of(&call), [field("city", "Rome")]);
}

#[tokio::test]
async fn all_pages_of_the_list_are_read() {
    let stage = Stage::start().await;
    stage.server.always("tools/list", |request| match request.json()["params"]["cursor"].as_str() {
        Some("two") => Answer::complete(request, json!({"tools": weather("City")})),
        _ => Answer::complete(request, json!({"tools": [tool("other", &json!({}))], "nextCursor": "two"})),
    });
    let client = stage.open("2025-06-18", json!({})).await;
    client.call("weather", json!({"city": "Rome"})).await;
    let call = stage.upstream.requests_for("tools/call").pop().unwrap();
    assert_eq!(params_of(&call), [field("city", "Rome")]);
}

/// Refuses calls without `Mcp-Param-Town`, as a server does whose schema was changed.
fn changed(stage: &Stage) {
    stage.server.set_tools(weather("Town"));
    stage.server.always("tools/call", |request| match request.header("mcp-param-town") {
        Some(town) => Answer::complete(request, json!({"content": [{"type": "text", "text": town}]})),
        None => Answer::failure(request, 400, -32020, "Mcp-Param-Town is required", Value::Null),
    });
}

#[tokio::test]
async fn a_changed_schema_is_read_again_and_the_call_retried_once() {
    let stage = Stage::start().await;
    stage.server.set_tools(weather("City"));
    let client = stage.open("2025-06-18", json!({})).await;
    client.call("weather", json!({"city": "Rome"})).await;
    changed(&stage);
    stage.upstream.forget();
    let answer = client.call("weather", json!({"city": "Rome"})).await;
    assert_eq!(answer["result"]["content"][0]["text"], "Rome", "{answer}");
    let methods: Vec<_> = stage.upstream.requests().iter().filter_map(UpstreamRequest::rpc_method).collect();
    assert_eq!(methods, ["tools/call", "tools/list", "tools/call"]);
    let calls = stage.upstream.requests_for("tools/call");
    assert_ne!(calls[0].json()["id"], calls[1].json()["id"], "a fresh id");
    assert_eq!(params_of(&calls[1]), [field("town", "Rome")]);
}

#[tokio::test]
async fn a_server_that_refuses_the_headers_again_is_not_asked_a_third_time() {
    let stage = Stage::start().await;
    stage.server.set_tools(weather("City"));
    stage.server.always("tools/call", |r| Answer::failure(r, 400, -32020, "no", Value::Null));
    let client = stage.open("2025-06-18", json!({})).await;
    let answer = client.call("weather", json!({"city": "Rome"})).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 2);
}

#[tokio::test]
async fn without_a_list_the_call_is_made_all_the_same() {
    let stage = Stage::start().await;
    stage.server.always("tools/list", |r| Answer::failure(r, 200, -32603, "no list", Value::Null));
    let client = stage.open("2025-06-18", json!({})).await;
    assert_eq!(client.call("echo", json!({})).await["result"]["content"][0]["text"], "echo {}");
}
