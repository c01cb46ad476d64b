//! Programs that people have, used as their makers say: the MCP Inspector's pages in a real Chromium, and Claude Code.

use super::human::Human;
use narthex_testkit::{GatewayProcess, Launch, Place, free_port};
use narthex_tests::{Peer, installed, node, run, servers};
use serde_json::Value;
use std::process::Command;

/// The gateway of a developer: a user of its own, the everything server of PyPI's `mcp` at `/mcp`, and one tool that
/// takes more than the route.
pub(crate) struct Desk {
    pub(crate) gateway: GatewayProcess,
    _server: Peer,
}

impl Desk {
    /// `clients` says in `auth.authority` which clients there may be, `origin` which pages may call.
    pub(crate) async fn with(clients: &str, origin: Option<&str>) -> Self {
        let server = servers::python().await;
        let gateway = GatewayProcess::start(|place| yaml(place, clients, origin, &server)).await;
        Self { gateway, _server: server }
    }

    /// The same, whose process has these environment variables.
    pub(crate) async fn launched(clients: &str, env: &[(&str, &str)]) -> Self {
        let server = servers::python().await;
        let launch = Launch::new(|place: &Place| yaml(place, clients, None, &server));
        let launch = env.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        let gateway = launch.start().await.unwrap_or_else(|failure| panic!("{failure}"));
        Self { gateway, _server: server }
    }

    /// The URL of the route.
    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.gateway.place().public_url())
    }

    /// What `script` prints when it is given `options` and the URL.
    async fn driven_by(&self, mut command: Command, script: &str, options: &[&str]) -> Value {
        command.arg(installed(script)).args(options).arg(self.url());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let printed = run(command).await;
        let seen: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        assert!(seen["error"].is_null(), "{seen:#}\n{}", self.gateway.output());
        seen
    }

    /// What Claude Code prints, step by step, while a person follows it in a browser.
    pub(crate) async fn claude_code(&self, options: &[&str]) -> Value {
        let mut python = Command::new(installed(".venv/bin/python"));
        python.env("HUMAN", Value::from(Human::at_chromium().command()).to_string());
        let options = [&["--tool", "test_simple_text"], options].concat();
        self.driven_by(python, "oauth/claude_code.py", &options).await
    }
}

fn yaml(place: &Place, clients: &str, origin: Option<&str>, server: &Peer) -> String {
    let origins = origin.map_or(String::new(), |origin| format!("  allowed_origins: [\"{origin}\"]\n"));
    format!(
        "{server_yaml}auth:\n  authority:\n{clients}    grants:\n      - scopes: [mcp:read, mcp:write]\n    \
         login:\n      users:\n        - {{ name: alice, tenant: acme }}\n\
         tenants:\n  acme:\n    routes: [tools]\nupstreams:\n  tools:\n    url: {url}\n\
         routes:\n  tools:\n    path: /mcp\n    upstream: tools\n    scopes: [mcp:read]\n    tools:\n      \
         - match: [test_multiple_content_types]\n        scopes: [mcp:write]\n",
        server_yaml = place.server_yaml(&origins),
        url = server.url("/mcp"),
    )
}

/// The texts of the pages that a person was shown.
pub(crate) fn texts(pages: &Value) -> Vec<&str> {
    pages.as_array().into_iter().flatten().filter_map(|page| page["text"].as_str()).collect()
}

#[tokio::test]
async fn the_inspector_logs_in_calls_and_asks_for_the_scope_that_a_tool_takes() {
    let desk = Desk::with("    dynamic_registration: {}\n", None).await;
    for era in ["legacy", "modern"] {
        let options = ["--era", era, "--tool", "test_simple_text", "--more", "test_multiple_content_types"];
        let seen = desk.driven_by(Command::new(node()), "oauth/inspector.mjs", &options).await;
        let said = |at: usize| seen["results"][at].as_str().unwrap_or_default();
        assert!(seen["tools"].as_str().is_some_and(|tools| tools != "Tools (0)"), "{era}: {seen:#}");
        assert!(said(0).contains("This is a simple text response"), "{era}: {seen:#}");
        assert!(said(1).contains("Multiple content types test"), "{era}: {seen:#}");
        let texts = texts(&seen["pages"]);
        let consents: Vec<_> = texts.iter().filter(|text| text.contains("Allow MCP Inspector")).collect();
        assert_eq!(consents.len(), 2, "{era}: {seen:#}");
        assert!(!consents[0].contains("mcp:write") && consents[1].contains("mcp:write"), "{era}: {seen:#}");
        // Who is logged in is not asked again who they are.
        assert_eq!(texts.iter().filter(|text| text.contains("Continue as")).count(), 1, "{era}: {seen:#}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_goes_through_the_inspectors_guided_flow_and_calls() {
    let port = free_port().to_string();
    let origin = format!("http://localhost:{port}");
    let desk = Desk::with("    dynamic_registration: {}\n", Some(&origin)).await;
    let options = ["--port", &port, "--tool", "test_simple_text"];
    let seen = desk.driven_by(Command::new(node()), "oauth/inspector_1.mjs", &options).await;
    assert!(
        seen["result"].as_str().is_some_and(|result| {
            result.contains("Tool Result: Success") && result.contains("This is a simple text response")
        }),
        "{seen:#}"
    );
    let sent: Vec<_> = seen["requests"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for own in [
        "GET /.well-known/oauth-protected-resource/mcp",
        "GET /.well-known/oauth-authorization-server",
        "POST /oauth/register",
        "POST /oauth/token",
        "POST /mcp",
    ] {
        assert!(sent.contains(&own), "{own}: {seen:#}");
    }
}

/// Claude Code was a stranger, logged in, called, and is a stranger again.
pub(crate) fn assert_logged_in_and_out(seen: &Value, desk: &Desk) {
    for (step, says) in [
        ("before", "Needs authentication"),
        ("login", "Authenticated with"),
        ("connected", "Connected"),
        ("said", "This is a simple text response"),
        ("after", "Needs authentication"),
    ] {
        let said = seen[step].as_str().unwrap_or_default();
        assert!(said.contains(says), "{step}: {seen:#}\n{}", desk.gateway.output());
    }
}

#[tokio::test]
async fn claude_code_registers_logs_in_calls_and_logs_out() {
    let desk = Desk::with("    dynamic_registration: {}\n", None).await;
    let seen = desk.claude_code(&[]).await;
    assert_logged_in_and_out(&seen, &desk);
    let texts = texts(&seen["browser"]["pages"]);
    assert!(texts.first().is_some_and(|text| text.contains("Allow Claude Code")), "{seen:#}");
}

#[tokio::test]
async fn claude_code_that_was_registered_before_comes_back_at_the_port_it_was_given() {
    let clients = "    clients:\n      claude-code:\n        name: Claude Code of Acme\n        \
                   redirect_uris: [\"http://localhost/callback\"]\n";
    let desk = Desk::with(clients, None).await;
    let port = free_port().to_string();
    let seen = desk.claude_code(&["--client-id", "claude-code", "--callback-port", &port]).await;
    assert_logged_in_and_out(&seen, &desk);
    let texts = texts(&seen["browser"]["pages"]);
    assert!(texts.first().is_some_and(|text| text.contains("Allow Claude Code of Acme")), "{seen:#}");
    let back = seen["browser"]["url"].as_str().unwrap_or_default();
    assert!(back.starts_with(&format!("http://localhost:{port}/callback?")), "{seen:#}");
}
