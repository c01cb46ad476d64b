//! Servers that others made, all on one route: every client sees one server with all that they have.

use super::hosts::Host;
use super::peers::inspector;
use super::visitors::{Era, VISITORS, Visitor};
use narthex_tests::{Front, Peer, installed, node, run, servers};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The servers, and the gateway in front of them.
struct Together {
    front: Front,
    _peers: Vec<Peer>,
    dir: TempDir,
}

impl Together {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("key");
        fs::write(&key_file, Front::KEY).unwrap();
        let (python_2, python_1, fastmcp, npm, rmcp, sse) = tokio::join!(
            servers::python(),
            servers::python_1(),
            servers::fastmcp(),
            servers::npm(),
            servers::demo(&key_file),
            servers::http_sse(),
        );
        let peers = vec![python_2, python_1, fastmcp, npm, rmcp, sse];
        let all = hosts(dir.path());
        let mut urls: Vec<_> = peers.iter().zip(&all).map(|(peer, host)| peer.url(path(host))).collect();
        urls.extend(commands(dir.path()).await);
        let upstreams: Vec<_> =
            all.iter().zip(&urls).map(|(host, url)| (host.name, url.as_str(), protocol(host))).collect();
        Self { front: Front::merging(&upstreams, "{}").await, _peers: peers, dir }
    }

    fn visit(&self, host: &Host, visitor: &Visitor) -> Value {
        let mut visit = host.plan.clone();
        if host.name == "python-2" {
            visit["sample"] = python_2_sample(visitor);
        }
        visit["url"] = self.front.url("mcp").into();
        visit["token"] = self.front.token("mcp").into();
        visit
    }
}

#[tokio::test]
async fn every_client_uses_what_each_server_of_a_merged_route_has() {
    let together = Together::start().await;
    let (hosts, mut failures) = (hosts(together.dir.path()), Vec::new());
    for visitor in &VISITORS {
        let visits: Vec<_> = hosts.iter().map(|host| together.visit(host, visitor)).collect();
        for (host, seen) in hosts.iter().zip(visitor.visit(&visits).await) {
            if let Some(wrong) = host.wrong(&seen, visitor.revision()) {
                failures.push(format!("{} with {}: {wrong}", visitor.name, host.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), together.front.gateway.output());
}

#[tokio::test]
async fn the_inspector_lists_and_uses_what_each_server_of_a_merged_route_has() {
    let together = Together::start().await;
    let (url, token) = (together.front.url("mcp"), together.front.token("mcp"));
    let lists = [("tools", "name"), ("prompts", "name"), ("resources", "uri")];
    let mut listed = Vec::new();
    for (list, key) in lists {
        let answer = inspector(&url, &token, &["--method", &format!("{list}/list")]).await;
        assert_eq!(answer["_meta"]["dev.narthex/degraded"], Value::Null, "{answer}");
        let names = answer[list].as_array().into_iter().flatten();
        listed.extend(names.filter_map(|item| item[key].as_str().map(str::to_owned)));
    }
    for host in hosts(together.dir.path()) {
        let named = [&host.plan["call"]["name"], &host.plan["prompt"], &host.plan["resource"]];
        for name in named.into_iter().filter_map(Value::as_str) {
            assert!(listed.iter().any(|listed| listed == name), "{name} is not among {listed:?}");
        }
        let call = call_of(&host);
        let said = inspector(&url, &token, &call.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let text = said["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{}: {said}", host.name));
        assert!(host.sees.iter().any(|(what, seen)| *what == "call" && text.contains(seen)), "{said}");
        if let Some(uri) = host.plan["resource"].as_str() {
            let read = inspector(&url, &token, &["--method", "resources/read", "--uri", uri]).await;
            assert_eq!(read["contents"][0]["uri"], uri, "{read}");
        }
        if let Some(name) = host.plan["prompt"].as_str() {
            let got = inspector(&url, &token, &["--method", "prompts/get", "--prompt-name", name]).await;
            assert_eq!(got["messages"][0]["role"], "user", "{got}");
        }
    }
}

/// The arguments of the Inspector that call the host's tool.
fn call_of(host: &Host) -> Vec<String> {
    let call = &host.plan["call"];
    let name = call["name"].as_str().unwrap_or_default();
    let mut command = ["--method", "tools/call", "--tool-name", name].map(str::to_owned).to_vec();
    for (name, value) in call["arguments"].as_object().into_iter().flatten() {
        command.extend(["--tool-arg".to_owned(), format!("{name}={}", value.as_str().unwrap_or_default())]);
    }
    command
}

/// In the order of the route. A URI that several have is the first one's.
fn hosts(dir: &Path) -> Vec<Host> {
    let host = |name, plan, sees| Host {
        name,
        eras: &[Era::Stateful, Era::Stateless],
        plan: prefixed(name, plan),
        sees,
    };
    vec![
        host("python-2", python_2(), PYTHON_2),
        host("python-1", python_1(), PYTHON_1),
        host("fastmcp", fastmcp(), FASTMCP),
        host("npm", npm(), NPM),
        host("rmcp", json!({"call": {"name": "echo", "arguments": {"text": "hi"}}}), &[("call", "hi")]),
        host("sse", sse(), SSE),
        host("child", child(), CHILD),
        host("files", call("read_text_file", &json!({"path": dir.join("note.txt")})), &[("call", "a note")]),
        host("memory", call("read_graph", &json!({})), &[("call", "entities")]),
        host("time", call("get_current_time", &json!({"timezone": "UTC"})), &[("call", "UTC")]),
        host("git", call("git_log", &json!({"repo_path": dir})), &[("call", "the first of all")]),
    ]
}

fn call(name: &str, arguments: &Value) -> Value {
    json!({"call": {"name": name, "arguments": arguments}})
}

/// The last of the hosts, which are child processes of the gateway.
async fn commands(dir: &Path) -> Vec<String> {
    fs::write(dir.join("note.txt"), "a note").unwrap();
    git(dir, &["init", "--quiet"]).await;
    git(dir, &["commit", "--quiet", "--allow-empty", "-m", "the first of all"]).await;
    let (node, path) = (node().display().to_string(), dir.display().to_string());
    let npm = |server: &str| {
        installed(&format!("node_modules/@modelcontextprotocol/{server}/dist/index.js")).display().to_string()
    };
    let python = |server: &str| installed(&format!(".venv-stdio/bin/{server}")).display().to_string();
    let memory = format!(
        "{}\n    env: {{ MEMORY_FILE_PATH: {path}/memory.jsonl }}",
        json!([node, npm("server-memory")])
    );
    vec![
        // What it asks its client, it asks the one that it belongs to.
        format!("{}\n    instances: per_caller", json!([node, npm("server-everything"), "stdio"])),
        json!([node, npm("server-filesystem"), path]).to_string(),
        memory,
        json!([python("mcp-server-time"), "--local-timezone", "Europe/Vienna"]).to_string(),
        json!([python("mcp-server-git"), "--repository", path]).to_string(),
    ]
}

async fn git(dir: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(["-c", "user.name=n", "-c", "user.email=n@example.com"]).args(arguments);
    run(command).await;
}

fn path(host: &Host) -> &'static str {
    if host.name == "sse" { "/sse" } else { "/mcp" }
}

fn protocol(host: &Host) -> &'static str {
    match host.name {
        "sse" => "2024-11-05",
        "child" | "files" | "memory" | "time" | "git" => "2025-11-25",
        _ => "auto",
    }
}

/// The plan with the names that the tools and prompts of `host` have on the route.
fn prefixed(host: &str, mut plan: Value) -> Value {
    let names = [
        "/call/name",
        "/elicit/name",
        "/sample/name",
        "/prompt",
        "/complete/prompt",
        "/changes/tool",
        "/updates/tool",
    ];
    for pointer in names {
        if let Some(name) = plan.pointer_mut(pointer) {
            *name = format!("{host}__{}", name.as_str().unwrap_or_default()).into();
        }
    }
    plan
}

fn python_2() -> Value {
    json!({
        "call": {"name": "test_simple_text", "arguments": {}},
        "elicit": {"name": "test_streaming_elicitation", "arguments": {}},
        "resource": "test://static-text", "prompt": "test_simple_prompt",
        "changes": {"tool": "test_trigger_tool_change"},
    })
}

/// It has a tool of its own for each era, and a client that has sessions has them with it, too.
fn python_2_sample(visitor: &Visitor) -> Value {
    if visitor.speaks.contains(&Era::Stateless) {
        return json!({"name": "python-2__test_input_required_result_sampling", "arguments": {}});
    }
    json!({"name": "python-2__test_sampling", "arguments": {"prompt": "A word, please"}})
}

/// Its `test_sampling` asks outside of the call, which no bridge can tell from nothing at all (docs/bridge.md).
fn python_1() -> Value {
    json!({
        "call": {"name": "test_simple_text", "arguments": {}},
        "elicit": {"name": "test_elicitation", "arguments": {"message": "A word, please"}},
        "prompt": "test_simple_prompt",
    })
}

fn fastmcp() -> Value {
    json!({
        "call": {"name": "greet", "arguments": {"name": "you"}}, "elicit": {"name": "ask", "arguments": {}},
        "resource": "fastmcp://text", "prompt": "simple",
    })
}

fn npm() -> Value {
    json!({
        "call": {"name": "echo", "arguments": {"message": "hi"}},
        "elicit": {"name": "trigger-elicitation-request", "arguments": {}},
        "sample": {"name": "trigger-sampling-request", "arguments": {"prompt": "A word, please"}},
        "resource": "demo://resource/static/document/features.md", "prompt": "simple-prompt",
        "complete": {"prompt": "completable-prompt", "argument": {"name": "department", "value": "S"}},
        "updates": {
            "uri": "demo://resource/static/document/features.md", "tool": "toggle-subscriber-updates",
        },
    })
}

/// The same server as `npm`, whose resources are therefore `npm`'s.
fn child() -> Value {
    json!({
        "call": {"name": "echo", "arguments": {"message": "hi"}},
        "elicit": {"name": "trigger-elicitation-request", "arguments": {}},
        "sample": {"name": "trigger-sampling-request", "arguments": {"prompt": "A word, please"}},
        "prompt": "simple-prompt",
        "complete": {"prompt": "completable-prompt", "argument": {"name": "department", "value": "S"}},
    })
}

fn sse() -> Value {
    json!({
        "call": {"name": "greet", "arguments": {"name": "Ann"}}, "elicit": {"name": "ask", "arguments": {}},
        "resource": "sse://text", "prompt": "simple",
    })
}

const PYTHON_2: &[(&str, &str)] = &[
    ("call", "This is a simple text response for testing."),
    ("elicit", "elicitation accept"),
    ("sample", "A word of the model."),
    ("resource", "This is the content of the static text resource."),
    ("prompt", "This is a simple prompt for testing."),
    ("changes", "tools"),
];
const PYTHON_1: &[(&str, &str)] = &[
    ("call", "This is a simple text response for testing."),
    ("elicit", r#"User response: action=accept, content={"response":"word"}"#),
    ("prompt", "This is a simple prompt for testing."),
];
const FASTMCP: &[(&str, &str)] = &[
    ("call", "Hello, you!"),
    ("elicit", "You said word."),
    ("resource", "A text of FastMCP alone."),
    ("prompt", "A prompt of FastMCP."),
];
const NPM: &[(&str, &str)] = &[
    ("call", "Echo: hi"),
    ("elicit", "- Name: word"),
    ("sample", "A word of the model."),
    ("resource", "Everything Server"),
    ("prompt", "This is a simple prompt without arguments."),
    ("complete", "Sales"),
    ("updates", "demo://resource/static/document/features.md"),
];
const CHILD: &[(&str, &str)] = &[
    ("call", "Echo: hi"),
    ("elicit", "- Name: word"),
    ("sample", "A word of the model."),
    ("prompt", "This is a simple prompt without arguments."),
    ("complete", "Sales"),
];
const SSE: &[(&str, &str)] = &[
    ("call", "Hello, Ann!"),
    ("elicit", "You said word."),
    ("resource", "A text of HTTP+SSE alone."),
    ("prompt", "A prompt of HTTP+SSE."),
];
