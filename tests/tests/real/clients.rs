//! Clients that others made, and servers that others made, with the gateway between them.

use super::peers::{Peer, demo_server, inspector, npm_server, python_client, python_server};
use super::stage::{KEY, Stage};
use serde_json::{Value, json};
use std::fs;

#[tokio::test]
async fn the_python_client_works_with_the_python_server_in_every_mode() {
    let server = python_server().await;
    let stage = Stage::before_peer(&server).await;
    let token = stage.token().await;
    let modes = [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")];
    for (mode, revision) in modes {
        let seen = python_client(&stage.url(), &token, mode, "test_simple_text", "{}").await;
        assert_eq!(seen["protocolVersion"], revision, "{mode}: {seen}");
        assert!(names(&seen["tools"]).contains(&"test_tool_with_progress"), "{mode}: {seen}");
        assert_eq!(text(&seen["result"]), "This is a simple text response for testing.", "{mode}");
    }
}

#[tokio::test]
async fn the_python_client_works_with_the_npm_server() {
    let server = npm_server().await;
    let stage = Stage::before_peer(&server).await;
    let token = stage.token().await;
    // The server is older than that, but behind the gateway no client has to care.
    for (mode, revision) in [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")] {
        let seen = python_client(&stage.url(), &token, mode, "echo", r#"{"message": "hi"}"#).await;
        assert_eq!(seen["protocolVersion"], revision, "{mode}: {seen}");
        assert_eq!(text(&seen["result"]), "Echo: hi", "{mode}");
    }
}

#[tokio::test]
async fn the_python_client_works_with_the_rust_server_which_sees_only_our_credential() {
    let (server, _key) = demo().await;
    let stage = Stage::before_peer(&server).await;
    let token = stage.token().await;
    for mode in ["legacy", "auto", "2026-07-28"] {
        let seen = python_client(&stage.url(), &token, mode, "whoami", "{}").await;
        let told = &seen["result"]["structuredContent"];
        assert_eq!(
            told["credentials"],
            json!({"x-api-key": [format!("{}***", &KEY[..3])]}),
            "{mode}: {seen}"
        );
    }
}

#[tokio::test]
async fn the_inspector_lists_and_uses_tools_resources_and_prompts_of_the_npm_server() {
    let server = npm_server().await;
    let stage = Stage::before_peer(&server).await;
    let (url, token) = (stage.url(), stage.token().await);
    let tools = inspector(&url, &token, &["--method", "tools/list"]).await;
    assert!(listed(&tools["tools"]).contains(&"echo"), "{tools}");
    let call = ["--method", "tools/call", "--tool-name", "get-sum", "--tool-arg", "a=2", "b=40"];
    let sum = inspector(&url, &token, &call).await;
    assert!(text(&sum).contains("42"), "{sum}");
    let resources = inspector(&url, &token, &["--method", "resources/list"]).await;
    let uri = resources["resources"][0]["uri"].as_str().unwrap_or_else(|| panic!("{resources}"));
    let resource = inspector(&url, &token, &["--method", "resources/read", "--uri", uri]).await;
    assert_eq!(resource["contents"][0]["uri"], uri, "{resource}");
    let prompts = inspector(&url, &token, &["--method", "prompts/list"]).await;
    assert!(listed(&prompts["prompts"]).contains(&"simple-prompt"), "{prompts}");
    let get = ["--method", "prompts/get", "--prompt-name", "simple-prompt"];
    let prompt = inspector(&url, &token, &get).await;
    assert_eq!(prompt["messages"][0]["role"], "user", "{prompt}");
}

#[tokio::test]
async fn the_inspector_works_with_the_python_server_and_the_rust_server() {
    let server = python_server().await;
    let stage = Stage::before_peer(&server).await;
    let call = ["--method", "tools/call", "--tool-name", "test_simple_text"];
    let answer = inspector(&stage.url(), &stage.token().await, &call).await;
    assert_eq!(text(&answer), "This is a simple text response for testing.");
    let (server, _key) = demo().await;
    let stage = Stage::before_peer(&server).await;
    let call = ["--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=2", "b=40"];
    let answer = inspector(&stage.url(), &stage.token().await, &call).await;
    assert_eq!(answer["structuredContent"], json!({"sum": 42}), "{answer}");
}

/// The Rust server, which wants the gateway's credential; the directory has the key.
async fn demo() -> (Peer, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, KEY).unwrap();
    (demo_server(&key).await, dir)
}

/// The text of a tool's result.
fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn listed(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
}
