//! Arguments: refused, redacted, and what is sent beside them.

use super::server::Era;
use super::stage::{Setup, tool};
use serde_json::json;

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

fn weather() -> serde_json::Value {
    let mut tool = tool("weather", "Tells the weather.");
    tool["inputSchema"]["properties"] =
        json!({"city": {"type": "string", "x-mcp-header": "City"}, "note": {"type": "string"}});
    tool
}

#[tokio::test]
async fn arguments_that_are_refused_are_not_sent() {
    let stage = Setup::route("    inspect: { arguments: { secrets: refuse, hidden_text: refuse } }\n")
        .start(&[weather()])
        .await;
    for (path, server) in stage.servers() {
        for client in stage.clients(path).await {
            for bad in
                [json!({"note": format!("x {TOKEN}")}), json!({"note": ["\u{200B}"]}), json!({TOKEN: 1})]
            {
                let answer = client.call("weather", bad.clone()).await;
                let code = answer["error"]["code"].as_i64().unwrap();
                assert!(!(-32768..=-32000).contains(&code), "{path} {bad}: {answer}");
                assert!(!answer.to_string().contains("ghp_"), "{answer}");
            }
            assert_eq!(server.calls(), 0, "{path}");
        }
        // Results have rules of their own.
        server.says("tools/call", format!(r#""content":[{{"type":"text","text":"{TOKEN}"}}]"#));
        for client in stage.clients(path).await {
            let answer = client.call("weather", json!({"note": "fine"})).await;
            assert_eq!(answer["result"]["content"][0]["text"], TOKEN, "{answer}");
        }
    }
    assert_eq!(stage.found("modern", "github_token", "refuse").await, 4.0);
    assert_eq!(stage.found("legacy", "github_token", "refuse").await, 4.0);
}

#[tokio::test]
async fn the_upstream_gets_redacted_arguments_and_header_fields_that_agree_with_them() {
    let stage = Setup::route("    inspect: { secrets: redact }\n").start(&[weather()]).await;
    for (path, server) in stage.servers() {
        for client in stage.clients(path).await {
            let city = format!("Paris {TOKEN}");
            let arguments = json!({"city": city, "note": "\u{200B}fine"});
            let params = json!({"name": "weather", "arguments": arguments});
            let fields: &[(&str, &str)] =
                if client.era == Era::Modern { &[("Mcp-Param-City", &city)] } else { &[] };
            let answer = client.answer_with("tools/call", params, fields).await;
            assert!(answer.rpc()["result"].is_object(), "{path}: {}", answer.text());
            let sent = server.last_call();
            let expected = json!({"city": "Paris [redacted:github_token]", "note": "fine"});
            assert_eq!(sent.json()["params"]["arguments"], expected, "{path} {:?}", client.era);
            let field = (server.era == Era::Modern).then_some("Paris [redacted:github_token]");
            assert_eq!(sent.header("mcp-param-city"), field, "{path} {:?}", client.era);
        }
        assert!(!server.upstream.seen("ghp_16C7"), "{path}");
    }
    // What the client's own fields say is still held against what it said.
    let client = stage.client(Era::Modern, "/modern").await;
    let params = json!({"name": "weather", "arguments": {"city": TOKEN}});
    let asked = stage.modern.calls();
    let answer =
        client.answer_with("tools/call", params, &[("Mcp-Param-City", "[redacted:github_token]")]).await;
    assert_eq!((answer.status, &answer.rpc()["error"]["code"]), (400, &json!(-32020)));
    assert_eq!(stage.modern.calls(), asked);
}

#[tokio::test]
async fn what_is_filled_into_prompts_and_completed_is_looked_into_as_well() {
    let stage =
        Setup::route("    inspect: { secrets: redact, arguments: { secrets: refuse } }\n").start(&[]).await;
    for (path, server) in stage.servers() {
        server.says("prompts/list", r#""prompts":[{"name":"ask","arguments":[{"name":"x"}]}]"#);
        server.says("prompts/get", r#""messages":[]"#);
        server.says("completion/complete", r#""completion":{"values":["a"]}"#);
        let reference = json!({"type": "ref/prompt", "name": "ask"});
        for client in stage.clients(path).await {
            for (method, params) in [
                ("prompts/get", json!({"name": "ask", "arguments": {"x": TOKEN}})),
                ("completion/complete", json!({"ref": reference, "argument": {"name": "x", "value": TOKEN}})),
                (
                    "completion/complete",
                    json!({"ref": reference, "argument": {"name": "x", "value": "a"}, "context": {"arguments": {"y": TOKEN}}}),
                ),
            ] {
                let answer = client.ask(method, params).await;
                let code =
                    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{path} {method}: {answer}"));
                assert!(code > 0, "{path} {method}: {answer}");
            }
            let fine = client.ask(
                "completion/complete",
                json!({"ref": reference, "argument": {"name": "x", "value": "a"}}),
            );
            assert_eq!(fine.await["result"]["completion"]["values"], json!(["a"]), "{path}");
        }
        assert!(!server.upstream.seen(TOKEN));
    }
}
