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
    /// See and decide which definitions of tools are approved. Works on the files, with or without a running
    /// gateway, which takes a change up within a second.
    #[command(subcommand)]
    Pins(PinsCommand),
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

/// `narthex pins`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PinsCommand {
    /// List what is approved and what is quarantined.
    List(PinsArgs),
    /// Show what differs between what is quarantined and what is approved.
    Diff(PinsDiffArgs),
    /// Approve a definition that is quarantined, or all of them.
    Approve(PinsApproveArgs),
    /// Remove the pin of a tool that is gone, or all pins of an upstream.
    Forget(PinsForgetArgs),
    /// Exit 1 if anything is quarantined.
    Check(PinsArgs),
}

/// `narthex pins list` and `check`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PinsArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
}

/// `narthex pins diff`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PinsDiffArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// Of this upstream alone.
    pub(crate) upstream: Option<String>,
    /// Of this tool alone.
    pub(crate) tool: Option<String>,
}

/// `narthex pins approve`.
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["sha256", "all"]))]
pub(crate) struct PinsApproveArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The upstream's name.
    #[arg(requires = "tool", conflicts_with = "all", value_name = "UPSTREAM")]
    pub(crate) of: Option<String>,
    /// The tool's name.
    #[arg(requires = "sha256")]
    pub(crate) tool: Option<String>,
    /// The SHA-256 of the definition, all 64 digits, as `narthex pins diff` shows it.
    #[arg(long, value_name = "HEX", requires = "tool")]
    pub(crate) sha256: Option<String>,
    /// Approve all that is quarantined, but for what looks like an attack.
    #[arg(long)]
    pub(crate) all: bool,
    /// With --all: of this upstream alone.
    #[arg(long, requires = "all", conflicts_with = "sha256")]
    pub(crate) upstream: Option<String>,
    /// With --all: do it; without, it is only said what would be approved.
    #[arg(long, requires = "all", conflicts_with = "sha256")]
    pub(crate) yes: bool,
}

/// `narthex pins forget`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PinsForgetArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// The upstream's name. Without a tool, all of its pins: it is then looked at as if for the first time.
    pub(crate) upstream: String,
    /// The tool's name.
    pub(crate) tool: Option<String>,
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
