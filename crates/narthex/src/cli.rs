//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("NARTHEX_REVISION"), ")");

/// A secure door in front of MCP servers.
#[derive(Debug, Parser)]
#[command(name = "narthex", version = VERSION, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve (also what happens without a command).
    Run(RunArgs),
    /// Check a configuration: exit 0 if it can be used, 1 if not, with every error at its line.
    Check(CheckArgs),
    /// Print the JSON Schema of gateway.yaml.
    Schema,
    /// Print a development token of the embedded issuer.
    Token(TokenArgs),
    /// Run an upstream's child process: what the gateway itself calls.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    StdioExec(StdioExecArgs),
}

/// Which configuration.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArg {
    /// The configuration file.
    #[arg(short, long, env = "NARTHEX_CONFIG", default_value = "gateway.yaml")]
    pub(crate) config: PathBuf,
}

/// `narthex run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Take the listening sockets over from the running process, which gets SIGQUIT next.
    #[arg(long)]
    pub(crate) upgrade: bool,
}

/// `narthex check`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Do not read secrets, keys and certificates.
    #[arg(long)]
    pub(crate) no_environment: bool,
}

/// `narthex token`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The route that the token is for (its resource becomes the audience).
    #[arg(long)]
    pub(crate) route: Option<String>,
    /// The tenant.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The subject.
    #[arg(long, default_value = "developer")]
    pub(crate) subject: String,
    /// The client id.
    #[arg(long, default_value = "narthex-cli")]
    pub(crate) client: String,
    /// Scopes, separated by spaces or commas. Default: those that the route and its tools need.
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// Seconds until it expires.
    #[arg(long, default_value_t = 3600)]
    pub(crate) lifetime: u64,
}

/// `narthex stdio-exec`.
#[cfg(target_os = "linux")]
#[derive(Args, Clone, Debug)]
pub(crate) struct StdioExecArgs {
    /// The keeper, if this is what is to become the child.
    #[arg(long)]
    pub(crate) within: Option<i32>,
    /// Open files.
    #[arg(long)]
    pub(crate) files: u64,
    /// CPU time, seconds.
    #[arg(long)]
    pub(crate) cpu: Option<u64>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<std::ffi::OsString>,
}

impl Cli {
    pub(crate) fn command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}
