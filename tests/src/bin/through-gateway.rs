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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args().skip(1).collect();
    let Some(url) = args.pop() else {
        return ExitCode::FAILURE;
    };
    let option = |name| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let revision = option("--as");
    let protocol = option("--protocol").map_or("auto", String::as_str);
    let front = Front::speaking(&[("mcp", &url, protocol)]).await;
    let mut driver = Command::new(installed(".venv/bin/python"));
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
