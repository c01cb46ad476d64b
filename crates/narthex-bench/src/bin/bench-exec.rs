//! Becomes another program after tying itself to a CPU and to its parent's life: what is under test
//! is where it should be from its first instruction, and does not outlive a driver that was killed.

use clap::Parser;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Starts PROGRAM on one CPU, to end with this process's parent.
#[derive(Parser)]
struct Options {
    /// The CPU to run on; without it, all that this process may use.
    #[arg(long)]
    cpu: Option<usize>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<String>,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    set_pdeathsig(Signal::SIGKILL)?;
    if let Some(cpu) = options.cpu {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
    }
    let Some((program, arguments)) = options.program.split_first() else { return Ok(()) };
    Err(Command::new(program).args(arguments).exec())
}
