//! The driver's command line.

use crate::contender::Contender;
use crate::workload::Workload;
use std::path::PathBuf;
use std::time::Duration;

/// Measures Narthex beside a bare Pingora proxy and prints Markdown. Asserts nothing.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "bench")]
pub struct Options {
    /// The narthex program [default: the one beside this program]
    #[arg(long, env = "NARTHEX_BIN")]
    pub narthex: Option<PathBuf>,
    /// Whom to measure.
    #[arg(long, value_delimiter = ',', default_value = "direct,bare,narthex")]
    pub only: Vec<Contender>,
    /// What to measure them with [default: all that is passed through]
    #[arg(long, value_delimiter = ',')]
    pub workloads: Vec<Workload>,
    /// Rounds of each workload; the contenders take turns within a round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Length of a round, seconds.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub seconds: f64,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 32, value_parser = count)]
    pub connections: usize,
    /// Callers, each with a token of its own.
    #[arg(long, default_value_t = 64, value_parser = count)]
    pub callers: usize,
    /// Calls a second in the fixed-rate part.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Idle streams opened in the memory part.
    #[arg(long, default_value_t = 1000, value_parser = count)]
    pub streams: usize,
    /// Measure merged routes instead: lists of 1, 10 and 50 upstreams, and what one that is dead costs the others.
    #[arg(long)]
    pub federation: bool,
    /// Measure instead whether a call costs the same with up to 10,000 routes, 100,000 tenants, 10,000 callers and
    /// 100,000 sessions, and what starts and reloads cost.
    #[arg(long, conflicts_with = "federation")]
    pub scale: bool,
    /// Leave out the part that compares Narthex with itself: bridged calls, and retries with a state.
    #[arg(long)]
    pub no_compared: bool,
    /// Leave out the fixed-rate part.
    #[arg(long)]
    pub no_rate: bool,
    /// Leave out the memory part.
    #[arg(long)]
    pub no_memory: bool,
    /// Where Narthex's standard output, its access log, goes.
    #[arg(long, default_value = "/dev/null")]
    pub access_log: PathBuf,
    /// Two rounds of half a second and 100 streams: does it work at all?
    #[arg(long)]
    pub quick: bool,
}

impl Options {
    /// These options with what `--quick` stands for put in.
    #[must_use]
    pub fn resolved(mut self) -> Self {
        if self.quick {
            (self.rounds, self.seconds, self.streams) = (2, 0.5, 100);
        }
        if self.workloads.is_empty() {
            self.workloads = Workload::PLAIN.to_vec();
        }
        self
    }

    /// Length of a round.
    #[must_use]
    pub fn round(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Length of the warm-up before a round.
    #[must_use]
    pub fn warm_up(&self) -> Duration {
        self.round() / 10
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.05..=60.0).contains(&seconds) { Ok(seconds) } else { Err("0.05 to 60".to_owned()) }
}

fn count(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|error| format!("{error}"))?;
    if (1..=10_000).contains(&count) { Ok(count) } else { Err("1 to 10000".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn quick_shortens_and_no_workload_means_all_plain_ones() {
        let options = Options::parse_from(["bench", "--quick"]).resolved();
        assert_eq!((options.rounds, options.streams), (2, 100));
        assert_eq!(options.workloads, Workload::PLAIN);
    }

    #[test]
    fn what_has_no_bound_is_refused() {
        for arguments in
            [["--seconds", "0"], ["--seconds", "1e9"], ["--rounds", "0"], ["--streams", "1000000"]]
        {
            assert!(Options::try_parse_from([&["bench"], &arguments[..]].concat()).is_err(), "{arguments:?}");
        }
    }
}
