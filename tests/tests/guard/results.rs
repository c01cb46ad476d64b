//! Results: refused, too large, and never asked for twice.

use super::stage::{Setup, tool};
use narthex_testkit::Answer;
use serde_json::json;

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

#[tokio::test]
async fn a_refused_result_is_an_error_and_the_tool_is_called_once() {
    let stage = Setup::route("    inspect: { secrets: refuse }\n").start(&[tool("get", "Gets.")]).await;
    for (path, server) in stage.servers() {
        server.says("tools/call", format!(r#""content":[{{"type":"text","text":"canary {TOKEN}"}}]"#));
        for (number, client) in stage.clients(path).await.into_iter().enumerate() {
            let answer = client.answer("tools/call", json!({"name": "get", "arguments": {}})).await;
            let code = answer.rpc()["error"]["code"].as_i64().unwrap();
            assert!(answer.status == 200 && !(-32768..=-32000).contains(&code), "{path}: {}", answer.text());
            assert!(!answer.text().contains("canary") && !answer.text().contains("ghp_"));
            assert_eq!(server.calls(), number + 1, "{path}");
        }
    }
}

#[tokio::test]
async fn a_result_over_its_size_is_refused() {
    let stage = Setup::route("    inspect: { max_result: 64KiB }\n").start(&[tool("get", "Gets.")]).await;
    for (path, server) in stage.servers() {
        for (size, passes) in [(60 << 10, true), (70 << 10, false), (1 << 20, false)] {
            server.says(
                "tools/call",
                format!(r#""content":[{{"type":"text","text":"{}"}}]"#, "x".repeat(size)),
            );
            for client in stage.clients(path).await {
                let answer = client.call("get", json!({})).await;
                assert_eq!(answer["result"].is_object(), passes, "{path} {size}");
                assert!(passes || answer["error"]["code"].as_i64().unwrap() > 0, "{path} {size}");
            }
        }
        assert_eq!(server.calls(), 6);
    }
    assert_eq!(stage.found("modern", "too_long", "refuse").await, 4.0);
}

#[tokio::test]
async fn a_description_over_its_size_is_quarantined() {
    let long = [tool("short", &"ab ".repeat(300)), tool("long", &"ab ".repeat(400))];
    let stage = Setup::route("    inspect: { max_description: 1KiB }\n").start(&long).await;
    for (path, _) in stage.servers() {
        for client in stage.clients(path).await {
            assert_eq!(client.tools().await, ["short"], "{path}");
        }
        let waiting = stage.waiting(&path[1..]).await;
        assert_eq!((waiting.len(), &*waiting[0].0, &*waiting[0].1), (1, "long", "suspicious"));
        assert_eq!(stage.approve(&path[1..], "long", &waiting[0].2).await.status, 204);
        for client in stage.clients(path).await {
            stage.shows(&client, &["short", "long"]).await;
        }
    }
}

#[tokio::test]
async fn what_errors_say_is_looked_into() {
    let stage = Setup::route("    inspect: { secrets: redact }\n").start(&[tool("get", "Gets.")]).await;
    for server in [&stage.modern, &stage.legacy] {
        server.rule(|request| {
            (request.rpc_method().as_deref() == Some("tools/call")).then(|| {
                let data = json!({"why": format!("{TOKEN}\u{200B}")});
                Answer::failure(request, 200, -32603, &format!("no \u{202E}{TOKEN}"), data)
            })
        });
    }
    for (path, _) in stage.servers() {
        for client in stage.clients(path).await {
            let answer = client.call("get", json!({})).await;
            assert_eq!(answer["error"]["message"], "no [redacted:github_token]", "{path}: {answer}");
            assert_eq!(
                answer["error"]["data"],
                json!({"why": "[redacted:github_token]"}),
                "{path}: {answer}"
            );
            assert_eq!(answer["error"]["code"], -32603);
        }
    }
}

#[tokio::test]
async fn what_is_read_and_prompted_is_looked_into() {
    let stage = Setup::route("    inspect: { secrets: redact }\n").start(&[]).await;
    for (path, server) in stage.servers() {
        server.says("prompts/list", r#""prompts":[{"name":"ask"}]"#);
        server.says("resources/list", r#""resources":[{"name":"r","uri":"x://r"}]"#);
        server.says("resources/read", format!(r#""contents":[{{"uri":"x://r","text":"{TOKEN}"}}]"#));
        server.says(
            "prompts/get",
            format!(r#""messages":[{{"role":"user","content":{{"type":"text","text":"{TOKEN}\u200b"}}}}]"#),
        );
        for client in stage.clients(path).await {
            let read = client.ask("resources/read", json!({"uri": "x://r"})).await;
            assert_eq!(read["result"]["contents"][0]["text"], "[redacted:github_token]", "{path}: {read}");
            let got = client.ask("prompts/get", json!({"name": "ask"})).await;
            assert_eq!(
                got["result"]["messages"][0]["content"]["text"], "[redacted:github_token]",
                "{path}: {got}"
            );
        }
    }
}
