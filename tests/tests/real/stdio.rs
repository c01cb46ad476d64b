//! MCP servers that others made, over standard input and output, unmodified, for clients of both eras.

use narthex_testkit::{GatewayProcess, MockIdp, RawResponse, mcp};
use narthex_tests::{installed, node, run};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// An identity provider and a gateway before a command.
struct Stage {
    gateway: GatewayProcess,
    token: String,
    _idp: MockIdp,
}

impl Stage {
    /// Before the server that `command` starts, with these lines in its upstream, indented by four.
    async fn before(command: &[&str], upstream: &str) -> Self {
        let idp = MockIdp::start().await;
        let command = serde_json::to_string(command).unwrap();
        let gateway = GatewayProcess::start(|place| {
            format!(
                "{server}auth:\n  issuers:\n    - {issuer}tenants:\n  acme: {{ routes: [child] }}\n\
                 upstreams:\n  child:\n    command: {command}\n    timeout: 30s\n{upstream}\
                 routes:\n  child: {{ path: /mcp, upstream: child, scopes: [mcp:read] }}\n",
                server = place.server_yaml(""),
                issuer = idp.issuer_yaml(6),
            )
        })
        .await;
        let token = idp.token(&format!("{}/mcp", gateway.place().public_url()));
        Self { gateway, token, _idp: idp }
    }

    /// What a client of 2026-07-28, with these capabilities, gets.
    async fn modern(&self, method: &str, params: Value, able: Value) -> RawResponse {
        let name = params["name"].as_str().or_else(|| params["uri"].as_str()).map(str::to_owned);
        let headers = mcp::stateless_headers(method, name.as_deref());
        let body = mcp::stateless_request_by(5, method, params, able);
        let bytes = mcp::post("/mcp", Some(&self.token), &headers, &body);
        mcp::exchange(self.gateway.address(), &bytes).await.unwrap()
    }

    /// What a client of 2025-11-25 gets in a session of its own.
    async fn legacy(&self, method: &str, params: Value) -> RawResponse {
        let (address, token) = (self.gateway.address(), Some(self.token.as_str()));
        let session = mcp::open_session(address, "/mcp", token, mcp::STATEFUL).await.unwrap();
        let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
        let bytes = mcp::post("/mcp", token, &headers, &mcp::request(7, method, params));
        mcp::exchange(address, &bytes).await.unwrap()
    }

    /// The text that a tool gives, to clients of both eras alike if `pure`.
    async fn call(&self, tool: &str, arguments: Value, pure: bool) -> String {
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.modern("tools/call", params.clone(), json!({})).await;
        let text = answer.tool_text().unwrap_or_else(|| self.fail(&answer));
        if pure {
            let answer = self.legacy("tools/call", params).await;
            assert_eq!(answer.tool_text().unwrap_or_else(|| self.fail(&answer)), text);
        }
        text
    }

    /// The names of the tools, which clients of both eras see.
    async fn tools(&self) -> Vec<String> {
        let names = |answer: RawResponse| {
            let tools =
                answer.rpc()["result"]["tools"].as_array().cloned().unwrap_or_else(|| self.fail(&answer));
            tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let seen = names(self.modern("tools/list", json!({}), json!({})).await);
        assert_eq!(names(self.legacy("tools/list", json!({})).await), seen);
        seen
    }

    fn fail<T>(&self, answer: &RawResponse) -> T {
        panic!("{} {}\n{}", answer.status, answer.text(), self.gateway.output())
    }
}

fn npm(server: &str) -> String {
    installed(&format!("node_modules/@modelcontextprotocol/{server}/dist/index.js")).display().to_string()
}

fn python(server: &str) -> String {
    installed(&format!(".venv-stdio/bin/{server}")).display().to_string()
}

#[tokio::test]
async fn the_everything_server_works_for_both_eras_and_asks_and_reports_progress() {
    let (node, script) = (node().display().to_string(), npm("server-everything"));
    let stage = Stage::before(&[&node, &script, "stdio"], "    instances: per_caller\n").await;
    assert!(stage.tools().await.contains(&"echo".to_owned()));
    assert_eq!(stage.call("echo", json!({"message": "hi"}), true).await, "Echo: hi");
    let params = json!({"name": "trigger-long-running-operation", "arguments": {"duration": 1, "steps": 3},
        "_meta": {"progressToken": "mine"}});
    let answer = stage.modern("tools/call", params, json!({})).await;
    let seen: Vec<Value> = answer.events().iter().map(narthex_testkit::SseEvent::json).collect();
    let progress = seen.iter().filter(|m| m["params"]["progressToken"] == "mine").count();
    assert_eq!(progress, 3, "{}", answer.text());
    // What it asks of its client is asked of the caller whose child it is.
    let params = json!({"name": "trigger-elicitation-request", "arguments": {}});
    let asked = stage.modern("tools/call", params.clone(), json!({"elicitation": {"form": {}}})).await.rpc();
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let requests = asked["result"]["inputRequests"].as_object().unwrap();
    let (key, request) = requests.iter().next().unwrap();
    assert_eq!(request["method"], "elicitation/create", "{asked}");
    let mut again = params;
    again["inputResponses"] = json!({ key: {"action": "decline"} });
    again["requestState"] = asked["result"]["requestState"].clone();
    let answered = stage.modern("tools/call", again, json!({"elicitation": {"form": {}}})).await;
    let text = answered.tool_text().unwrap_or_else(|| stage.fail(&answered));
    assert!(text.to_lowercase().contains("declin"), "{text}");
}

#[tokio::test]
async fn the_filesystem_server_serves_its_directory_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("note.txt"), "a note").unwrap();
    let (node, script) = (node().display().to_string(), npm("server-filesystem"));
    let path = dir.path().display().to_string();
    let stage = Stage::before(&[&node, &script, &path], "").await;
    let note = dir.path().join("note.txt");
    assert_eq!(stage.call("read_text_file", json!({"path": note}), true).await, "a note");
    let denied = stage.call("read_text_file", json!({"path": "/etc/passwd"}), true).await;
    assert!(denied.contains("denied"), "{denied}");
    assert!(stage.tools().await.len() > 5);
}

#[tokio::test]
async fn the_memory_server_remembers_for_all_who_share_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("memory.jsonl");
    let (node, script) = (node().display().to_string(), npm("server-memory"));
    let env = format!("    env: {{ MEMORY_FILE_PATH: {} }}\n", file.display());
    let stage = Stage::before(&[&node, &script], &env).await;
    let entity = json!({"name": "Narthex", "entityType": "gateway", "observations": ["stands in front"]});
    stage.call("create_entities", json!({"entities": [entity]}), false).await;
    assert!(stage.call("read_graph", json!({}), true).await.contains("stands in front"));
    assert!(std::fs::read_to_string(file).unwrap().contains("stands in front"));
}

#[tokio::test]
async fn the_time_server_tells_the_time() {
    let stage = Stage::before(&[&python("mcp-server-time"), "--local-timezone", "Europe/Vienna"], "").await;
    assert_eq!(stage.tools().await, ["get_current_time", "convert_time"]);
    let arguments = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Kolkata"});
    assert!(stage.call("convert_time", arguments, true).await.contains("17:30"));
}

async fn git(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(["-c", "user.name=n", "-c", "user.email=n@example.com"]).args(arguments);
    run(command).await
}

#[tokio::test]
async fn the_git_server_reads_a_repository() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "--quiet"]).await;
    git(dir.path(), &["commit", "--quiet", "--allow-empty", "-m", "the first of all"]).await;
    let path = dir.path().display().to_string();
    let stage = Stage::before(&[&python("mcp-server-git"), "--repository", &path], "").await;
    let log = stage.call("git_log", json!({"repo_path": path}), true).await;
    assert!(log.contains("the first of all"), "{log}");
}
