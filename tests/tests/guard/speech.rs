//! What servers say while a call goes on: progress, logs, questions.

use super::server::{Era, Server, message, result};
use super::stage::{Setup, tool};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
const ROUTE: &str = "    inspect: { secrets: redact }\n";

/// Has a call answered by progress and a log message, and then a result.
fn chatters(server: &Server) {
    server.rule(|request| {
        (request.rpc_method().as_deref() == Some("tools/call")).then(|| {
            let token = request.json()["params"]["_meta"]["progressToken"].clone();
            let said = format!("at {TOKEN}\u{200B}");
            let progress = json!({"progressToken": token, "progress": 1, "message": said});
            let log = json!({"level": "warning", "data": {"text": said, "n": 1}});
            let (answer, feed) = Answer::sse();
            feed.event(mcp::notification("notifications/progress", progress));
            feed.event(mcp::notification("notifications/message", log));
            feed.event(message(request, r#""content":[]"#));
            answer
        })
    });
}

#[tokio::test]
async fn notifications_are_looked_into() {
    let stage = Setup::route(ROUTE).start(&[tool("get", "Gets.")]).await;
    for (path, server) in stage.servers() {
        chatters(server);
        for client in stage.clients(path).await {
            let mut ear = client.begin("get").await;
            let progress = ear.hears("notifications/progress").await;
            let clean = "at [redacted:github_token]";
            assert_eq!(progress["params"]["message"], clean, "{path} {:?}", client.era);
            assert_eq!(progress["params"]["progressToken"], "p-1");
            let log = ear.hears("notifications/message").await;
            assert_eq!(log["params"]["data"], json!({"text": clean, "n": 1}), "{path} {:?}", client.era);
            assert!(ear.message().await["result"].is_object());
        }
    }
}

fn question() -> Value {
    json!({"mode": "form", "message": format!("sure\u{200B}? {TOKEN}"),
           "requestedSchema": {"type": "object", "properties": {"a": {"type": "string", "description": "x\u{202E}y"}}}})
}

#[tokio::test]
async fn questions_are_looked_into() {
    let stage = Setup::route(ROUTE).start(&[tool("get", "Gets.")]).await;
    stage.modern.rule(|request| {
        (request.rpc_method().as_deref() == Some("tools/call")).then(|| {
            let asks = json!({"q": {"method": "elicitation/create", "params": question()}});
            Answer::input_required(request, asks, json!("state"))
        })
    });
    stage.legacy.rule(|request| {
        (request.rpc_method().as_deref() == Some("tools/call")).then(|| {
            let (answer, feed) = Answer::sse();
            feed.event(mcp::request("q", "elicitation/create", question()));
            // The stream has to stay open.
            std::mem::forget(feed);
            answer
        })
    });
    for (path, _) in stage.servers() {
        for client in stage.clients(path).await {
            let params = if client.era == Era::Modern {
                let answer = client.call("get", json!({})).await;
                let asks =
                    answer["result"]["inputRequests"].as_object().unwrap_or_else(|| panic!("{answer}"));
                asks.values().next().unwrap()["params"].clone()
            } else {
                client.begin("get").await.hears("elicitation/create").await["params"].clone()
            };
            assert_eq!(params["message"], "sure? [redacted:github_token]", "{path} {:?}", client.era);
            assert_eq!(params["requestedSchema"]["properties"]["a"]["description"], "xy", "{path}");
        }
    }
}

#[tokio::test]
async fn a_question_that_is_refused_is_not_asked() {
    let stage = Setup::route("    inspect: { secrets: refuse }\n").start(&[tool("get", "Gets.")]).await;
    stage.modern.rule(|request| {
        (request.rpc_method().as_deref() == Some("tools/call")).then(|| {
            let asks = json!({"q": {"method": "elicitation/create", "params": question()}});
            Answer::input_required(request, asks, json!("state"))
        })
    });
    for client in stage.clients("/modern").await {
        let answer = client.call("get", json!({})).await;
        assert!(answer["error"]["code"].as_i64().is_some_and(|code| code > 0), "{answer}");
    }
}

/// A tool of an older server that runs as a task, and the task's result.
fn works(server: &Server) {
    let mut slow = tool("slow", "Takes its time.");
    slow["execution"] = json!({"taskSupport": "required"});
    server.tools(&[slow]);
    server.rule(|request| {
        let task = json!({"taskId": "t-1", "status": "completed", "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-01T00:00:00Z", "ttl": 60000, "statusMessage": format!("{TOKEN}")});
        let members = |value: &Value| value.to_string().trim_matches(['{', '}']).to_owned();
        match request.rpc_method()?.as_str() {
            "initialize" => {
                let capabilities = json!({"tools": {}, "tasks": {"requests": {"tools": {"call": {}}}, "cancel": {}, "list": {}}});
                let info = json!({"name": "slow", "version": "1"});
                let account = json!({"protocolVersion": "2025-11-25", "serverInfo": info, "capabilities": capabilities});
                Some(Answer::result(request, account).header("Mcp-Session-Id", "guard-session"))
            }
            "tools/call" => Some(Answer::result(request, json!({"task": task}))),
            "tasks/get" => Some(result(request, &members(&task))),
            "tasks/result" => {
                Some(result(request, &format!(r#""content":[{{"type":"text","text":"{TOKEN}\u200b"}}]"#)))
            }
            _ => None,
        }
    });
}

#[tokio::test]
async fn the_result_of_a_task_is_looked_into() {
    let stage = Setup::route(ROUTE).start(&[]).await;
    works(&stage.legacy);
    let client = stage.client(Era::Modern, "/legacy").await;
    let told = json!({"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
    let client = client.able(told["io.modelcontextprotocol/clientCapabilities"].clone());
    let created = client.call("slow", json!({})).await;
    let handle =
        created["result"]["taskId"].as_str().unwrap_or_else(|| panic!("no task: {created}")).to_owned();
    assert!(!created.to_string().contains("ghp_"), "{created}");
    let got = client.ask("tasks/get", json!({"taskId": handle})).await;
    assert_eq!(got["result"]["taskId"], handle, "{got}");
    assert_eq!(got["result"]["result"]["content"][0]["text"], "[redacted:github_token]", "{got}");
    assert!(!got.to_string().contains("ghp_"), "{got}");
}
