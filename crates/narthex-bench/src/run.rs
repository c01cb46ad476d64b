//! The order of things: contenders take turns within a round, rounds within a workload, so that what
//! changes on the machine changes for all of them.

use crate::Error;
use crate::contender::{Contender, Running, Stand, free_address};
use crate::gateway::Size;
use crate::load::{Bound, Load, Pace};
use crate::memory::{Memory, measure};
use crate::options::Options;
use crate::process::{Placement, pin};
use crate::workload::Workload;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::path::PathBuf;
use std::time::Duration;

/// Most calls of one round: bounds the latencies kept.
const MAX_CALLS: u64 = 20_000_000;

/// Figures of one round of one contender.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Calls answered.
    pub calls: u64,
    /// Calls answered in a second.
    pub rate: f64,
    /// CPU time of the contender's process for one call; `None` without a process.
    pub cpu: Option<Duration>,
    /// Share of one CPU that its process used, `0.0..`; near 1 it could not go faster.
    pub busy: Option<f64>,
    /// The most memory it held, bytes.
    pub peak: Option<u64>,
    /// Median latency.
    pub p50: Duration,
    /// 99th percentile of the latency.
    pub p99: Duration,
}

/// All rounds of one contender in one part of the run; or why there are none.
#[derive(Debug)]
pub struct Row {
    /// Whose.
    pub contender: Contender,
    /// Its rounds, in order.
    pub rounds: Result<Vec<Round>, String>,
}

/// What the run gave.
#[derive(Debug)]
pub struct Results {
    /// `/proc/loadavg` before anything was started: how quiet the machine was.
    pub load_average: String,
    /// CPUs used, if pinned.
    pub placement: Option<Placement>,
    /// A row for each contender, for each workload.
    pub workloads: Vec<(Workload, Vec<Row>)>,
    /// Pairs of rows of Narthex: what is more than passed through, and what is passed through like it.
    pub compared: Vec<[(Workload, Row); 2]>,
    /// A row for each contender at the fixed rate.
    pub paced: Vec<Row>,
    /// Memory of each contender.
    pub memory: Vec<(Contender, Result<Memory, String>)>,
}

/// Runs everything that `options` ask for. `progress` is told what is being done.
///
/// # Errors
/// When the upstream or a contender cannot be started. What goes wrong later is reported in the
/// contender's row.
pub async fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Results, Error> {
    raise_file_limit();
    let load_average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim_end().to_owned();
    let directory = tempfile::tempdir().map_err(Error::io("making a temporary directory"))?;
    let stand = stand(options, directory.path().to_owned())?;
    for &contender in &options.only {
        stand.expect_program(contender)?;
    }
    if let Some(placement) = stand.placement {
        pin(placement.load)?;
    }
    let _upstream = stand.start_upstream().await?;
    let mut results = Results {
        load_average,
        placement: stand.placement,
        workloads: Vec::new(),
        compared: Vec::new(),
        paced: Vec::new(),
        memory: Vec::new(),
    };
    if !options.no_memory {
        for &contender in options.only.iter().filter(|contender| **contender != Contender::Direct) {
            progress(&format!("memory: {}", contender.title()));
            let running = stand.start(contender).await?;
            let memory = measure(&running, options.streams).await.map_err(|error| error.to_string());
            results.memory.push((contender, memory));
        }
    }
    let mut running = Vec::new();
    for &contender in &options.only {
        running.push(stand.start(contender).await?);
    }
    for &workload in &options.workloads {
        progress(workload.title());
        let turns: Vec<_> = (0..running.len()).map(|index| (index, workload)).collect();
        results.workloads.push((workload, rounds(&mut running, &turns, Pace::Closed, options).await));
    }
    let ours = running.iter().position(|running| running.contender == Contender::Narthex);
    if let Some(ours) = ours.filter(|_| !options.no_compared) {
        progress("Narthex beside itself");
        results.compared = compared(&mut running, ours, options).await;
    }
    if !options.no_rate {
        progress(&format!("{} calls/s", options.rate));
        let turns: Vec<_> = (0..running.len()).map(|index| (index, Workload::Call)).collect();
        results.paced = rounds(&mut running, &turns, Pace::Rate(options.rate), options).await;
    }
    Ok(results)
}

pub(crate) fn stand(options: &Options, directory: PathBuf) -> Result<Stand, Error> {
    let this = std::env::current_exe().map_err(Error::io("finding this program"))?;
    let programs = this.parent().map(PathBuf::from).unwrap_or_default();
    Ok(Stand {
        narthex: options.narthex.clone().unwrap_or_else(|| programs.join("narthex")),
        programs,
        access_log: options.access_log.clone(),
        directory,
        placement: Placement::find(),
        callers: options.callers,
        upstream: free_address()?,
        size: Size::default(),
    })
}

/// Interleaved rounds of each pair.
async fn compared(running: &mut [Running], ours: usize, options: &Options) -> Vec<[(Workload, Row); 2]> {
    let mut pairs = Vec::new();
    for (more, plain) in Workload::COMPARED {
        let mut rows = rounds(running, &[(ours, more), (ours, plain)], Pace::Closed, options).await;
        if let (Some(second), Some(first)) = (rows.pop(), rows.pop()) {
            pairs.push([(more, first), (plain, second)]);
        }
    }
    pairs
}

/// Interleaved rounds: a row for each turn, which says who is called and with what. The turn that begins
/// changes from round to round.
async fn rounds(
    running: &mut [Running],
    turns: &[(usize, Workload)],
    pace: Pace,
    options: &Options,
) -> Vec<Row> {
    let row =
        |(index, _): &(usize, Workload)| Row { contender: running[*index].contender, rounds: Ok(Vec::new()) };
    let mut rows: Vec<Row> = turns.iter().map(row).collect();
    for number in 0..options.rounds as usize {
        for turn in 0..rows.len() {
            let turn = (number + turn) % rows.len();
            let (index, workload) = turns[turn];
            if number > 0 && is_ceiling(rows[turn].contender, pace) {
                continue;
            }
            let Ok(done) = &mut rows[turn].rounds else { continue };
            match round(&mut running[index], workload, pace, options).await {
                Ok(round) => done.push(round),
                Err(error) => rows[turn].rounds = Err(error.to_string()),
            }
        }
    }
    rows
}

/// Without a proxy, a closed loop shows how many calls the load generator and the upstream can do on
/// their CPU: what no proxy can exceed. One round is enough for that.
fn is_ceiling(contender: Contender, pace: Pace) -> bool {
    contender == Contender::Direct && matches!(pace, Pace::Closed)
}

/// One round on new connections, after a warm-up.
pub(crate) async fn round(
    running: &mut Running,
    workload: Workload,
    pace: Pace,
    options: &Options,
) -> Result<Round, Error> {
    if let Some(process) = &mut running.process {
        process.expect_running()?;
    }
    let mut load = Load::connect(running.target(workload), workload, options.connections).await?;
    load.run(pace, Bound { time: options.warm_up(), calls: MAX_CALLS }).await?;
    let before = running.process.as_ref().map(|process| {
        process.reset_peak();
        process.cpu_time()
    });
    let mut tally = load.run(pace, Bound { time: options.round(), calls: MAX_CALLS }).await?;
    let calls = tally.latencies.count();
    let (mut cpu, mut busy, mut peak) = (None, None, None);
    if let (Some(process), Some(before)) = (&running.process, before) {
        let used = process.cpu_time()?.saturating_sub(before?);
        cpu = Some(used.div_f64(calls.max(1) as f64));
        busy = Some(used.div_duration_f64(tally.elapsed));
        peak = Some(process.peak()?);
    }
    Ok(Round {
        calls,
        rate: calls as f64 / tally.elapsed.as_secs_f64(),
        cpu,
        busy,
        peak,
        p50: tally.latencies.percentile(50),
        p99: tally.latencies.percentile(99),
    })
}

/// A stream takes two descriptors in a proxy; the programs started inherit the limit.
pub(crate) fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Refused: opening the streams will say so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
