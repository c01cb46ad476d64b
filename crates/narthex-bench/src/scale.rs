//! Scale: whether a call costs the same however much is configured or has been seen, and what it takes to start with
//! and to take up a long configuration.

use crate::Error;
use crate::client::Client;
use crate::contender::{Contender, Running, Stand};
use crate::gateway::{Size, tenant};
use crate::load::{Pace, open_session};
use crate::options::Options;
use crate::process::pin;
use crate::report::{mib, micros, millis, spread};
use crate::run::{raise_file_limit, round, stand};
use crate::sample::Spread;
use crate::workload::{Sender, Workload};
use std::fmt::Write as _;
use std::fs::{OpenOptions, create_dir};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What grows.
const DIMENSIONS: [(&str, Vary); 5] = [
    ("routes", |count| (Size { routes: count, ..Size::default() }, Before::Nothing)),
    ("tenants", |count| (Size { tenants: count, ..Size::default() }, Before::Nothing)),
    ("callers, each with a token and a limit of its own", |count| {
        (Size { callers: Some(count), ..Size::default() }, Before::Nothing)
    }),
    ("sessions opened before", |count| (Size::default(), Before::Sessions(count))),
    // A limit has 100,000 keys for each tenant.
    ("limiter keys in use", |count| (Size { tenants: 16, ..Size::default() }, Before::Callers(count))),
];
/// The size of the configuration, and what happens before the calls, for a count.
type Vary = fn(usize) -> (Size, Before);

/// What happens before the calls.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    /// So many sessions are opened.
    Sessions(usize),
    /// So many others call, once each.
    Callers(usize),
}

/// The counts of each of [`DIMENSIONS`]. Ten thousand tokens take half a minute to sign.
const COUNTS: [[usize; 3]; DIMENSIONS.len()] =
    [[1, 100, 10_000], [8, 1000, 100_000], [64, 1000, 10_000], [1, 1000, 100_000], [1, 1000, 1_000_000]];
/// How long after a change of its file a gateway has certainly begun to read it.
const NOTICED: Duration = Duration::from_secs(2);
/// How long its CPU clock stands still when it has done, but for its housekeeping.
const QUIET: Duration = Duration::from_millis(500);
/// CPU time within [`QUIET`] that is housekeeping.
const IDLE: Duration = Duration::from_millis(5);
/// Number of the first caller that is not measured.
const OTHERS: usize = 1 << 32;
/// Length of a round in which the configuration changes, seconds, at least; and between two changes.
const LONG: f64 = 5.0;
const BETWEEN: Duration = Duration::from_secs(1);
/// Longest time for a reload.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Debug)]
pub struct Results {
    load_average: String,
    dimensions: Vec<(&'static str, Vec<Case>)>,
}

/// One gateway.
#[derive(Debug)]
struct Case {
    count: usize,
    running: Running,
    config: PathBuf,
    /// From its launch to its first answer, and the CPU time of that.
    started: (Duration, Duration),
    /// CPU time of each reload.
    reloads: Vec<f64>,
    /// Resident memory after the first call, bytes.
    resident: u64,
    /// CPU time of a call in each round, µs.
    calls: Vec<f64>,
    /// The 99th percentile of latencies at a fixed rate, ms: as ever, and while the configuration is taken up again and
    /// again. Measured with routes only.
    p99: Option<(f64, f64)>,
}

/// Measures it.
///
/// # Errors
/// When a program cannot be started, or a call that should be answered is not.
pub async fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Results, Error> {
    raise_file_limit();
    let load_average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim_end().to_owned();
    let directory = tempfile::tempdir().map_err(Error::io("making a temporary directory"))?;
    let stand = stand(options, directory.path().to_owned())?;
    if let Some(placement) = stand.placement {
        pin(placement.load)?;
    }
    let _upstream = stand.start_upstream().await?;
    let mut results = Results { load_average, dimensions: Vec::new() };
    for ((name, vary), counts) in DIMENSIONS.into_iter().zip(COUNTS) {
        progress(name);
        let mut cases = Vec::new();
        for (number, count) in counts.into_iter().enumerate() {
            let (size, before) = vary(count);
            let directory = stand.directory.join(format!("{}-{number}", results.dimensions.len()));
            create_dir(&directory).map_err(Error::io("making a directory"))?;
            cases.push(start(&stand.with(directory, size), count, before).await?);
        }
        rounds(&mut cases, options).await?;
        for case in &mut cases {
            for _ in 0..options.rounds.min(3) {
                let reload = reload(case).await?;
                case.reloads.push(reload);
            }
            if name == DIMENSIONS[0].0 {
                case.p99 = Some(latencies(case, options).await?);
            }
        }
        // The processes end here: they would take memory and time from the next.
        results.dimensions.push((name, cases.into_iter().map(Case::ended).collect()));
    }
    Ok(results)
}

async fn start(stand: &Stand, count: usize, before: Before) -> Result<Case, Error> {
    let running = stand.start(Contender::Narthex).await?;
    let process = running.process.as_ref().ok_or_else(|| Error::Start("no process".to_owned()))?;
    let started = (running.started, process.cpu_time()?);
    let resident = process.resident()?;
    match before {
        Before::Nothing => {}
        Before::Sessions(count) => open_sessions(&running, count).await?,
        Before::Callers(count) => call_as_others(&running, stand.size.tenants, count).await?,
    }
    let config = stand.directory.join("gateway.yaml");
    Ok(Case { count, running, config, started, reloads: Vec::new(), resident, calls: Vec::new(), p99: None })
}

async fn open_sessions(running: &Running, count: usize) -> Result<(), Error> {
    let target = &running.target;
    let host = target.address.to_string();
    let mut client = Client::connect(target.address).await.map_err(Error::io("connecting"))?;
    for caller in 0..count {
        open_session(&mut client, &target.sender(&host, caller)).await?;
    }
    Ok(())
}

/// Has `count` callers call once each, none of them one of those that are measured.
async fn call_as_others(running: &Running, tenants: usize, count: usize) -> Result<(), Error> {
    const LANES: usize = 8;
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let (target, issuer) = (running.target.clone(), Arc::clone(&running.issuer));
        lanes.spawn(async move {
            let (host, now) = (target.address.to_string(), SystemTime::now());
            let audience = format!("http://{host}{}", target.path);
            let mut client = Client::connect(target.address).await.map_err(Error::io("connecting"))?;
            for caller in (lane..count).step_by(LANES) {
                let token = issuer.es256.token(OTHERS + caller, &tenant(caller % tenants), &audience, now)?;
                let sender = Sender { token: &token, ..target.sender(&host, 0) };
                let mut request = Workload::Call.request(&sender);
                let (bytes, id) = request.stamped();
                client.call(bytes).await.map_err(Error::io("a call"))?.expect_result(&id)?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = lanes.join_next().await {
        done.map_err(|error| Error::Answer(error.to_string()))??;
    }
    Ok(())
}

async fn rounds(cases: &mut [Case], options: &Options) -> Result<(), Error> {
    for number in 0..options.rounds as usize {
        for turn in 0..cases.len() {
            let at = (number + turn) % cases.len();
            let Some(case) = cases.get_mut(at) else { continue };
            let round = round(&mut case.running, Workload::Session, Pace::Closed, options).await?;
            case.calls.extend(round.cpu.map(micros));
        }
    }
    Ok(())
}

fn cpu_time(case: &Case) -> Result<Duration, Error> {
    let process = case.running.process.as_ref();
    process.ok_or_else(|| Error::Start("no process".to_owned()))?.cpu_time()
}

/// CPU time, ms, of taking up the configuration once more, with another comment at its end.
async fn reload(case: &Case) -> Result<f64, Error> {
    let before = cpu_time(case)?;
    change(&case.config)?;
    sleep(NOTICED).await;
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = cpu_time(case)?;
        sleep(QUIET).await;
        let now = cpu_time(case)?;
        if now.saturating_sub(seen) < IDLE {
            return Ok(millis(now.saturating_sub(before)));
        }
        if Instant::now() > end {
            return Err(Error::Overdue(PATIENCE.as_secs()));
        }
    }
}

fn change(config: &Path) -> Result<(), Error> {
    let mut file = OpenOptions::new().append(true).open(config).map_err(Error::io("opening"))?;
    file.write_all(b"# again\n").map_err(Error::io("writing"))
}

/// See [`Case::p99`].
async fn latencies(case: &mut Case, options: &Options) -> Result<(f64, f64), Error> {
    let options = Options { seconds: options.seconds.max(LONG), ..options.clone() };
    let (config, pace) = (case.config.clone(), Pace::Rate(options.rate));
    let quiet = round(&mut case.running, Workload::Session, pace, &options).await?;
    let changes = async {
        loop {
            if let Err(error) = change(&config) {
                return error;
            }
            sleep(BETWEEN).await;
        }
    };
    let reloading = tokio::select! {
        round = round(&mut case.running, Workload::Session, pace, &options) => round?,
        error = changes => return Err(error),
    };
    Ok((millis(quiet.p99), millis(reloading.p99)))
}

impl Case {
    fn ended(mut self) -> Self {
        self.running.process = None;
        self
    }
}

impl Results {
    /// Writes them out.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        if cfg!(debug_assertions) {
            writeln!(text, "> **Not a release build: the figures below mean nothing.**\n")?;
        }
        writeln!(text, "Load average before: {}. Medians (min–max).\n", self.load_average)?;
        writeln!(
            text,
            "| what | how many | CPU µs/call | of the first | start ms (CPU ms) | reload CPU ms | p99 ms (while reloading) | MiB |"
        )?;
        writeln!(text, "|---|---:|---:|---:|---:|---:|---:|---:|")?;
        for (name, cases) in &self.dimensions {
            let first = cases.first().and_then(|case| Spread::of(case.calls.iter().copied()));
            for case in cases {
                let calls = Spread::of(case.calls.iter().copied());
                let ratio = calls.zip(first).map_or(0.0, |(calls, first)| calls.median / first.median);
                let (wall, cpu) = case.started;
                let p99 = case
                    .p99
                    .map_or_else(|| "–".to_owned(), |(quiet, busy)| format!("{quiet:.2} ({busy:.2})"));
                writeln!(
                    text,
                    "| {name} | {} | {} | {ratio:.2} | {:.0} ({:.0}) | {} | {p99} | {:.1} |",
                    case.count,
                    spread(&case.calls, 1),
                    millis(wall),
                    millis(cpu),
                    spread(&case.reloads, 1),
                    mib(case.resident),
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dimension_begins_small_and_grows() {
        for ((name, vary), counts) in DIMENSIONS.into_iter().zip(COUNTS) {
            assert!(counts.is_sorted() && counts[0] * 100 <= counts[2], "{name}");
            assert_ne!(format!("{:?}", vary(counts[0])), format!("{:?}", vary(counts[2])), "{name}");
        }
    }
}
