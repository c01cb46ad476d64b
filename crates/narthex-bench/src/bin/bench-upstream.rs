//! The MCP server that all contenders are measured against.

use clap::Parser;
use narthex_bench::upstream;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Answers MCP requests from prepared bytes.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// How many tools it has.
    #[arg(long, default_value_t = upstream::TOOLS)]
    tools: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    upstream::serve(TcpListener::bind(options.listen).await?, options.tools).await
}
