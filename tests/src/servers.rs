//! MCP servers that others made, at `/mcp` of a free port. Each is gone with its [`Peer`].

use crate::{Peer, built, installed, node};
use std::path::Path;
use std::process::{Command, Stdio};

/// The everything-server of PyPI's `mcp` 2, which speaks every revision.
pub async fn python() -> Peer {
    everything(".venv/bin/mcp-everything-server").await
}

/// The everything-server of PyPI's `mcp` 1, which speaks the revisions with sessions.
pub async fn python_1() -> Peer {
    everything(".venv-legacy/bin/mcp-everything-server").await
}

/// A server of PyPI's `fastmcp` 4, which speaks every revision: `tests/real/visit/fastmcp_server.py`.
pub async fn fastmcp() -> Peer {
    python_script(".venv-fastmcp/bin/python", "visit/fastmcp_server.py").await
}

/// A server of 2026-07-28 that runs tools as tasks: `tests/real/tasks/fastmcp_server.py`.
pub async fn fastmcp_tasks() -> Peer {
    python_script(".venv-tasks/bin/python", "tasks/fastmcp_server.py").await
}

/// A server of 2025-11-25 whose tools only run as tasks: `tests/real/tasks/python_1_server.py`.
pub async fn python_1_tasks() -> Peer {
    python_script(".venv-legacy/bin/python", "tasks/python_1_server.py").await
}

/// A server of PyPI's `mcp` 1 over HTTP+SSE, the transport of 2024-11-05, at `/sse`:
/// `tests/real/fixtures/sse_server.py`.
pub async fn http_sse() -> Peer {
    let (python, script) = (installed(".venv-legacy/bin/python"), installed("fixtures/sse_server.py"));
    Peer::listening(|port| {
        let mut command = Command::new(&python);
        command.arg(&script).arg("--port").arg(port.to_string());
        quiet(command)
    })
    .await
}

/// The everything-server of npm, which speaks the revisions with sessions.
pub async fn npm() -> Peer {
    let script = installed("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    Peer::listening(|port| {
        let mut command = Command::new(node());
        command.arg(&script).arg("streamableHttp").env("PORT", port.to_string());
        quiet(command)
    })
    .await
}

/// The everything server of `tests/real/fixtures` that refuses all but 2026-07-28.
pub async fn modern_only() -> Peer {
    fixture("fixtures/modern_only.mjs").await
}

/// The everything server of `tests/real/fixtures` that refuses all but sessions.
pub async fn legacy_only() -> Peer {
    fixture("fixtures/legacy_only.mjs").await
}

/// The demo server of this repository, made with the Rust SDK; it wants the key in `key_file`.
pub async fn demo(key_file: &Path) -> Peer {
    let program = built("narthex-demo");
    Peer::listening(|port| {
        let mut command = Command::new(&program);
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--api-key-file"]).arg(key_file);
        quiet(command)
    })
    .await
}

async fn everything(program: &str) -> Peer {
    let program = installed(program);
    Peer::listening(|port| {
        let mut command = Command::new(&program);
        command.args(["--port", &port.to_string(), "--log-level", "ERROR"]);
        quiet(command)
    })
    .await
}

async fn python_script(python: &str, script: &str) -> Peer {
    let (python, script) = (installed(python), installed(script));
    Peer::listening(|port| {
        let mut command = Command::new(&python);
        command.arg(&script).arg("--port").arg(port.to_string()).env("PYTHONDONTWRITEBYTECODE", "1");
        quiet(command)
    })
    .await
}

async fn fixture(script: &str) -> Peer {
    let script = installed(script);
    Peer::listening(|port| {
        let mut command = Command::new(node());
        command.arg(&script).args(["--port", &port.to_string()]);
        quiet(command)
    })
    .await
}

fn quiet(mut command: Command) -> Command {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}
