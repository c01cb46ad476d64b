//! The benchmark driver: starts an upstream, a bare Pingora proxy and Narthex side by side, puts load
//! on them in turns, and prints what it cost them. See `docs/benchmarks.md`.

use clap::Parser as _;
use narthex_bench::options::Options;
use narthex_bench::{Error, federation, report, run, scale};
use std::io::Write as _;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse().resolved();
    let measured = tokio::select! {
        measured = measure(&options) => measured,
        // Leaving the run drops, and so kills, what it started.
        () = asked_to_stop() => {
            say("stopped");
            return ExitCode::FAILURE;
        }
    };
    match measured {
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The report.
async fn measure(options: &Options) -> Result<String, Error> {
    let progress = |what: &str| say(&format!("… {what}"));
    if options.federation {
        return Ok(federation::run(options, progress).await?.markdown());
    }
    if options.scale {
        return Ok(scale::run(options, progress).await?.markdown());
    }
    Ok(report::markdown(&run::run(options, progress).await?, options))
}

async fn asked_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn say(line: &str) {
    // A closed standard error is no reason to stop measuring.
    let _ = writeln!(std::io::stderr(), "{line}");
}
