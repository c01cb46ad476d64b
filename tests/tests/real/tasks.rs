//! Tasks between the eras, with servers and clients that others made.

use narthex_tests::{Front, installed, run, servers};
use serde_json::{Value, json};
use std::process::Command;

/// What the client `script` saw at the route `mcp`.
async fn seen(front: &Front, python: &str, script: &str) -> Value {
    let mut command = Command::new(installed(python));
    command.arg(installed(script)).arg(front.url("mcp")).env("NARTHEX_TOKEN", front.token("mcp"));
    let printed = run(command).await;
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{script}: {printed}"))
}

#[tokio::test]
async fn an_older_client_runs_tasks_at_a_server_with_the_extension() {
    let server = servers::fastmcp_tasks().await;
    let front = Front::speaking(&[("mcp", &server.url("/mcp"), "2026-07-28")]).await;
    let seen = seen(&front, ".venv-legacy/bin/python", "tasks/python_1_client.py").await;
    assert!(seen["fail"].as_str().is_some_and(|said| said.contains("burnt")), "{seen}");
    let expected = json!({"revision": "2025-11-25", "offered": true, "support": ["optional"],
        "created": "working", "ended": "completed", "slow": "Hello, you!", "ask": "You said word.",
        "cancelled": "cancelled", "fail": seen["fail"]});
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_client_with_the_extension_runs_tasks_at_an_older_server() {
    let server = servers::python_1_tasks().await;
    let front = Front::of(&server.url("/mcp")).await;
    let seen = seen(&front, ".venv-tasks/bin/python", "tasks/fastmcp_client.py").await;
    assert!(seen["fail"].as_str().is_some_and(|said| said.contains("burnt")), "{seen}");
    let expected = json!({"revision": "2026-07-28", "created": "working", "slow": "Hello, you!",
        "ended": "completed", "waited": "Hello, me!", "ask": "You said word.", "cancelled": "cancelled",
        "fail": seen["fail"]});
    assert_eq!(seen, expected);
}
