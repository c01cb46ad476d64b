//! The conformance suite's command for a client: the suite's server becomes the upstream of a gateway,
//! and the client of PyPI's `mcp` is driven against that gateway.
//!
//! ```text
//! through-gateway [--as REVISION] [--protocol REVISION] URL
//! ```
//!
//! `--as` has the client speak another revision than the one that the suite's server speaks.
//! `--protocol` tells the gateway what the server speaks, so that it need not find out.
//! `NARTHEX_BIN` has to name the gateway's binary.

use narthex_tests::{Front, installed};
use std::io::Write;
use std::process::{Command, ExitCode};

/// The client that the suite says the gateway is at the server's authorization server: its id, and what it
/// authenticates with.
fn client(context: &str) -> Option<(String, &'static str, String)> {
    let context: serde_json::Value = serde_json::from_str(context).ok()?;
    let text = |name: &str| context[name].as_str().map(str::to_owned);
    let id = text("client_id")?;
    match text("private_key_pem") {
        Some(key) => Some((id, "private_key", key)),
        None => Some((id, "secret", text("client_secret")?)),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args().skip(1).collect();
    let Some(url) = args.pop() else {
        return ExitCode::FAILURE;
    };
    let option = |name| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let revision = option("--as");
    let protocol = option("--protocol").map_or("auto", String::as_str);
    let client = std::env::var("MCP_CONFORMANCE_CONTEXT").ok().and_then(|context| client(&context));
    let mut driver = Command::new(installed(".venv/bin/python"));
    let front = match &client {
        // The gateway signs in; its own client has nothing to do with that.
        Some((id, how, secret)) => {
            driver.env("MCP_CONFORMANCE_SCENARIO", "initialize").env_remove("MCP_CONFORMANCE_CONTEXT");
            Front::signed_in(&url, id, how, secret).await
        }
        None => Front::speaking(&[("mcp", &url, protocol)]).await,
    };
    driver.arg(installed(".venv/conformance/client.py")).arg(front.relayed("mcp"));
    if let Some(revision) = revision {
        driver.env("MCP_CONFORMANCE_PROTOCOL_VERSION", revision);
    }
    // The relay is of this process, which therefore must not block.
    let ended = tokio::process::Command::from(driver).kill_on_drop(true).status().await;
    if ended.is_ok_and(|status| status.success()) {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(std::io::stderr(), "the gateway said:\n{}", front.gateway.output());
    ExitCode::FAILURE
}
