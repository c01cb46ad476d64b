//! A small MCP server over Streamable HTTP, made with the official SDK, to put behind the gateway
//! and to see what reaches an upstream: its tool `whoami` tells which credentials a call came with.

mod app;
mod headers;
mod tools;

use app::{ApiKey, App};
use clap::Parser;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A demo MCP server: echo, add, whoami, slow, big, fail.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Address to listen on; MCP is served at /mcp.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// Refuse requests whose X-Api-Key is not the content of this file.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Open no sessions, and answer in JSON where a stream is not needed: for bare calls, as by curl.
    #[arg(long)]
    stateless: bool,
    /// Listen on an address that is not loopback, and answer for any Host.
    #[arg(long)]
    allow_remote: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "narthex-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), StartError> {
    if !args.listen.ip().is_loopback() && !args.allow_remote {
        return Err(StartError::NotLoopback(args.listen));
    }
    let api_key = args.api_key_file.as_deref().map(ApiKey::read).transpose()?;
    let stop = stop_on_signal()?;
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    let address = listener.local_addr()?;
    let app =
        App { address, any_host: args.allow_remote, api_key, stateless: args.stateless, stop: stop.clone() };
    writeln!(std::io::stdout(), "narthex-demo is ready on http://{address}/mcp")?;
    let serve = axum::serve(listener, app.router());
    Ok(serve.with_graceful_shutdown(stop.cancelled_owned()).await?)
}

fn stop_on_signal() -> Result<CancellationToken, StartError> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let trigger = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        trigger.cancel();
    });
    Ok(stop)
}

/// Why the server did not start or stopped.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0} is not a loopback address; say --allow-remote if that is meant")]
    NotLoopback(SocketAddr),
    #[error(transparent)]
    ApiKey(#[from] app::ApiKeyError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_not_loopback_must_be_meant() {
        let args = Args::parse_from(["narthex-demo", "--listen", "0.0.0.0:0"]);
        assert!(matches!(run(args).await, Err(StartError::NotLoopback(_))));
    }
}
