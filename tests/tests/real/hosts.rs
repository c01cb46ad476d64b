//! Servers that others made, all behind one gateway, and what there is to see at each.

use super::visitors::Era;
use narthex_tests::{Front, Peer, servers};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

/// A server and what a visitor finds there.
pub(crate) struct Host {
    pub(crate) name: &'static str,
    pub(crate) eras: &'static [Era],
    pub(crate) plan: Value,
    /// For `call`, `elicit`, `resource` and the like: what is in their text.
    pub(crate) sees: &'static [(&'static str, &'static str)],
}

/// All servers, and the gateway in front of them.
pub(crate) struct Hosts {
    pub(crate) hosts: Vec<Host>,
    pub(crate) front: Front,
    _peers: Vec<Peer>,
    _key: TempDir,
}

const BOTH: &[Era] = &[Era::Stateful, Era::Stateless];

impl Hosts {
    /// Starts them.
    pub(crate) async fn start() -> Self {
        let key = tempfile::tempdir().unwrap();
        let key_file = key.path().join("key");
        fs::write(&key_file, Front::KEY).unwrap();
        let (python_2, python_1, fastmcp, npm, rmcp, modern_only, legacy_only) = tokio::join!(
            servers::python(),
            servers::python_1(),
            servers::fastmcp(),
            servers::npm(),
            servers::demo(&key_file),
            servers::modern_only(),
            servers::legacy_only(),
        );
        let peers = vec![python_2, python_1, fastmcp, npm, rmcp, modern_only, legacy_only];
        let hosts = hosts();
        let urls: Vec<_> = peers.iter().map(|peer| peer.url("/mcp")).collect();
        let routes: Vec<_> =
            hosts.iter().map(|host| host.name).zip(urls.iter().map(String::as_str)).collect();
        Self { front: Front::of_all(&routes).await, hosts, _peers: peers, _key: key }
    }

    /// A visit of `host`, through the gateway.
    pub(crate) fn visit(&self, host: &Host) -> Value {
        let mut visit = host.plan.clone();
        visit["url"] = self.front.url(host.name).into();
        visit["token"] = self.front.token(host.name).into();
        visit
    }
}

impl Host {
    /// What is wrong with what a visitor saw here, if something is; `revisions` are those that it may
    /// have ended up with.
    pub(crate) fn wrong(&self, seen: &Value, expected: &str) -> Option<String> {
        if let Some(error) = seen["error"].as_str() {
            return Some(error.to_owned());
        }
        let revision = seen["protocolVersion"].as_str().unwrap_or_default();
        if revision != expected {
            return Some(format!("the revision is {revision}, not {expected}"));
        }
        let lists = [
            ("tools", &self.plan["call"]["name"]),
            ("resources", &self.plan["resource"]),
            ("prompts", &self.plan["prompt"]),
        ];
        let unlisted = lists.iter().find(|(list, item)| !item.is_null() && !has(&seen[list], item));
        if let Some((list, item)) = unlisted {
            return Some(format!("{item} is not among the {list}: {}", seen[list]));
        }
        let wrong = self.sees.iter().find(|(what, text)| !is_in(&seen[what], text));
        wrong.map(|(what, text)| format!("{what}: {text:?} is not in {}", seen[what]))
    }
}

/// Whether the text, or one of the texts, has it in it.
fn is_in(seen: &Value, text: &str) -> bool {
    match seen {
        Value::Array(texts) => texts.iter().any(|seen| is_in(seen, text)),
        seen => seen.as_str().is_some_and(|seen| seen.contains(text)),
    }
}

fn has(list: &Value, item: &Value) -> bool {
    list.as_array().is_some_and(|list| list.contains(item))
}

/// In the order in which they are started.
fn hosts() -> Vec<Host> {
    let ask = json!({"name": "test_elicitation", "arguments": {"message": "A word, please"}});
    let streaming = json!({"name": "test_streaming_elicitation", "arguments": {}});
    vec![
        // Its `test_elicitation` works for sessions only.
        Host { name: "python-2", eras: BOTH, plan: everything(&streaming), sees: EVERYTHING_STREAMING },
        Host { name: "python-1", eras: &[Era::Stateful], plan: everything(&ask), sees: EVERYTHING },
        Host { name: "fastmcp", eras: BOTH, plan: fastmcp(), sees: SEES_FASTMCP },
        Host { name: "npm", eras: &[Era::Stateful], plan: npm(), sees: SEES_NPM },
        Host { name: "rmcp", eras: BOTH, plan: rmcp(), sees: &[("call", "hi")] },
        Host { name: "modern-only", eras: &[Era::Stateless], plan: everything(&ask), sees: EVERYTHING },
        Host { name: "legacy-only", eras: &[Era::Stateful], plan: everything(&ask), sees: EVERYTHING },
    ]
}

fn everything(elicit: &Value) -> Value {
    json!({
        "call": {"name": "test_simple_text", "arguments": {}}, "elicit": elicit,
        "resource": "test://static-text", "prompt": "test_simple_prompt",
    })
}

fn fastmcp() -> Value {
    json!({
        "call": {"name": "greet", "arguments": {"name": "you"}}, "elicit": {"name": "ask", "arguments": {}},
        "resource": "test://static-text", "prompt": "simple",
    })
}

fn npm() -> Value {
    json!({
        "call": {"name": "echo", "arguments": {"message": "hi"}},
        "elicit": {"name": "trigger-elicitation-request", "arguments": {}},
        "resource": "demo://resource/static/document/features.md", "prompt": "simple-prompt",
    })
}

/// The demo of this repository: it has tools only, and asks nothing.
fn rmcp() -> Value {
    json!({"call": {"name": "echo", "arguments": {"text": "hi"}}})
}

const EVERYTHING: &[(&str, &str)] = &[
    ("call", "This is a simple text response for testing."),
    ("elicit", r#"User response: action=accept, content={"response":"word"}"#),
    ("resource", "This is the content of the static text resource."),
    ("prompt", "This is a simple prompt for testing."),
];
const EVERYTHING_STREAMING: &[(&str, &str)] = &[
    ("call", "This is a simple text response for testing."),
    ("elicit", "elicitation accept"),
    ("resource", "This is the content of the static text resource."),
    ("prompt", "This is a simple prompt for testing."),
];
const SEES_FASTMCP: &[(&str, &str)] = &[
    ("call", "Hello, you!"),
    ("elicit", "You said word."),
    ("resource", "A text of FastMCP."),
    ("prompt", "A prompt of FastMCP."),
];
const SEES_NPM: &[(&str, &str)] = &[
    ("call", "Echo: hi"),
    ("elicit", "- Name: word"),
    ("resource", "Everything Server"),
    ("prompt", "This is a simple prompt without arguments."),
];
