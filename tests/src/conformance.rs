//! The conformance suite of the MCP project (npm `@modelcontextprotocol/conformance`), run and read.

mod compare;
mod outcome;

pub use compare::{Difference, differences, differing, report};
pub use outcome::{Check, Outcome, Scenario};

use crate::peer::output;
use crate::{installed, node};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The last revision with sessions.
pub const STATEFUL: &str = "2025-11-25";
/// The first revision without sessions.
pub const STATELESS: &str = "2026-07-28";

/// Runs what `revision` requires of a server against the one at `url`, which has to be of `localhost`
/// for the scenario on DNS rebinding.
///
/// # Panics
/// The suite cannot be run; whether scenarios pass is for the caller to look at.
pub async fn server(url: &str, revision: &str) -> Outcome {
    let dir = temporary();
    let mut command = suite("server", dir.path());
    command.args(["--url", url, "--requirements", revision]);
    let printed = print(command).await;
    Outcome::read(dir.path(), &printed)
}

/// Runs `scenario` at `revision` against the client that `command` (of a shell) starts.
///
/// # Panics
/// The suite cannot be run.
pub async fn client(command: &str, scenario: &str, revision: &str) -> Scenario {
    let dir = temporary();
    let mut run = suite("client", dir.path());
    // Scenarios of extensions are of no revision.
    run.args(["--command", command, "--scenario", scenario, "--spec-version", revision, "--force"]);
    let printed = print(run).await;
    let outcome = Outcome::read(dir.path(), &printed);
    match outcome.scenarios.into_values().next() {
        Some(scenario) => scenario,
        None => panic!("{scenario} left no checks:\n{printed}"),
    }
}

fn temporary() -> TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary directory: {error}"))
}

fn suite(kind: &str, results: &Path) -> Command {
    let mut command = Command::new(node());
    let script = installed("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    command.arg(script).arg(kind).arg("-o").arg(results);
    command
}

async fn print(command: Command) -> String {
    let output = output(command, PATIENCE).await;
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

const PATIENCE: Duration = Duration::from_secs(180);
