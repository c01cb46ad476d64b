//! `narthex`: the gateway's binary.

mod authority;
mod check;
mod cli;
mod connections;
mod desk;
mod development;
mod housekeeping;
mod keys;
mod listening;
mod pins;
mod reload;
mod run;
mod signals;
mod signing;
mod store;
mod subjects;
mod token;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.command() {
        cli::Command::Run(run) => run::run(&run),
        cli::Command::Check(check) => check::check(&check),
        cli::Command::Pins(pins) => pins::pins(&pins),
        cli::Command::Schema => check::schema(),
        cli::Command::Token(token) => token::token(&token),
        #[cfg(target_os = "linux")]
        cli::Command::StdioExec(args) => stdio_exec(args),
    }
}

#[cfg(target_os = "linux")]
fn stdio_exec(args: cli::StdioExecArgs) -> ExitCode {
    use narthex_upstreams::stdio::keeper::{Kept, enter, keep};
    let kept = Kept { files: args.files, cpu: args.cpu, command: args.command };
    match args.within {
        Some(keeper) => enter(&kept, keeper),
        None => keep(&kept),
    }
}
