//! What is counted and logged of a merged route.

use super::stage::{Stage, eventually, mixed};
use serde_json::{Value, json};

#[tokio::test]
async fn the_record_names_the_upstream_that_answered_and_the_tool_as_it_is_shown() {
    let (new, old) = mixed().await;
    let stage = Stage::start(&[&new, &old]).await;
    for (n, client) in stage.both().await.iter().enumerate() {
        client.tools().await;
        for (id, name) in [("new", "add"), ("old", "whoami")] {
            let request = format!("req-{n}-{id}");
            let params = json!({"name": format!("{id}__{name}"), "arguments": {}});
            client.ask_with(&[("X-Request-Id", &request)], "tools/call", params).await;
            let line = logged(&stage, &request).await;
            assert_eq!(line["upstream"], id, "{line}");
            assert_eq!(line["tool"], format!("{id}__{name}"), "{line}");
            assert!(line["upstream_ms"].is_number(), "{line}");
        }
        for (kind, method, params) in [
            ("list", "tools/list", json!({})),
            ("unknown", "tools/call", json!({"name": "new__made-up", "arguments": {}})),
        ] {
            let request = format!("req-{n}-{kind}");
            client.ask_with(&[("X-Request-Id", &request)], method, params).await;
            let line = logged(&stage, &request).await;
            assert!(line.get("upstream").is_none_or(|upstream| upstream == "-"), "nobody was asked: {line}");
        }
    }
    let metrics = stage.gateway.metrics().await;
    for sample in [
        r#"narthex_tool_calls_total{code="200",route="main",tenant="acme",tool="new__add"} 2"#,
        r#"narthex_tool_calls_total{code="200",route="main",tenant="acme",tool="old__whoami"} 2"#,
    ] {
        assert!(metrics.lines().any(|line| line == sample), "{sample}:\n{metrics}");
    }
    assert!(!metrics.contains("made-up"), "a caller makes no series up");
    for upstream in ["new", "old"] {
        let labels = format!(r#"method="tools/call",route="main",tenant="acme",upstream="{upstream}"}} 2"#);
        assert!(metrics.lines().any(|line| line.contains(&labels)), "{labels}:\n{metrics}");
    }
}

async fn logged(stage: &Stage, request: &str) -> Value {
    let is_it = |line: &Value| line["request_id"] == request;
    eventually("a line", async || {
        let output = stage.gateway.stdout();
        output.lines().filter_map(|line| serde_json::from_str(line).ok()).find(is_it)
    })
    .await
}
