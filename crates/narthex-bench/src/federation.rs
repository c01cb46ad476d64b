//! Merged routes: what a list of many upstreams costs, read for the first time and kept, and what one upstream
//! that is dead costs calls of the others.

mod route;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::client::Client;
use crate::contender::{Stand, free_address};
use crate::load::Target;
use crate::options::Options;
use crate::process::{Process, pin};
use crate::report::millis;
use crate::run::stand;
use crate::sample::{Latencies, Spread};
use crate::upstream;
use crate::workload::Request;
use route::Route;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How many upstreams the lists are of.
const SIZES: [usize; 3] = [1, 10, 50];
/// Lists that are read from what is kept.
const LISTS: usize = 5000;
/// Connections that ask for them at once, where CPU time is measured.
const LANES: usize = 8;
/// Lists before those.
const UNCOUNTED: usize = 100;
/// Time after those for what a start leaves to be done.
const SETTLING: Duration = Duration::from_secs(2);
/// Upstreams of the route of which one dies.
const SOME: usize = 10;
/// Connections that call tools of those that live.
const CONNECTIONS: usize = 4;
/// Between two calls of the one that dies.
const PAUSE: Duration = Duration::from_millis(5);
/// Longest time for one answer, and for a process to answer at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// What of an answer the client can hold, bytes: more than the longest list.
const ROOM: u32 = 2 << 20;
const RETRY: Duration = Duration::from_millis(20);

/// What was measured.
#[derive(Debug)]
pub struct Results {
    load_average: String,
    lists: Vec<Lists>,
    /// For each round: with all upstreams alive, and with one dead.
    rounds: Vec<(Round, Round)>,
}

/// `tools/list` of a route.
#[derive(Debug)]
struct Lists {
    upstreams: usize,
    bytes: usize,
    /// The first list ever, of a gateway each, ms.
    cold: Vec<f64>,
    kept: Latencies,
    /// CPU time of the gateway for each that is kept, µs.
    cpu: f64,
    /// CPU time of a program that only sends such a list, which it has ready, µs.
    sending: f64,
}

/// Calls of those that live.
#[derive(Debug)]
struct Round {
    calls: Latencies,
    list: Duration,
}

/// Measures it.
///
/// # Errors
/// When a program cannot be started, or a call that should be answered is not.
pub async fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Results, Error> {
    let load_average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim_end().to_owned();
    let directory = tempfile::tempdir().map_err(Error::io("making a temporary directory"))?;
    let stand = stand(options, directory.path().to_owned())?;
    if let Some(placement) = stand.placement {
        pin(placement.load)?;
    }
    let _upstream = stand.start_upstream().await?;
    let mut results = Results { load_average, lists: Vec::new(), rounds: Vec::new() };
    for upstreams in SIZES {
        progress(&format!("tools/list of {upstreams} upstreams"));
        results.lists.push(lists(&stand, upstreams, options.rounds).await?);
    }
    progress("calls while one of ten is dead");
    results.rounds = rounds(&stand, options).await?;
    Ok(results)
}

async fn lists(stand: &Stand, upstreams: usize, rounds: u32) -> Result<Lists, Error> {
    let mut lists =
        Lists { upstreams, bytes: 0, cold: Vec::new(), kept: Latencies::default(), cpu: 0.0, sending: 0.0 };
    for _ in 0..rounds {
        let addresses = vec![stand.upstream; upstreams];
        let mut gateway = Gateway::start(stand, &addresses).await?;
        let mut request = gateway.list();
        let first = gateway.client.timed(&mut request).await?;
        lists.cold.push(first.took.as_secs_f64() * 1e3);
        if let Some(wrong) = first.wrong {
            return Err(wrong);
        }
    }
    let gateway = Gateway::start(stand, &vec![stand.upstream; upstreams]).await?;
    let ready = kept(&gateway.process, gateway.target.address, &gateway.list()).await?;
    let sending = sending(stand, upstreams).await?;
    (lists.bytes, lists.cpu, lists.kept) = (ready.bytes, ready.cpu, ready.took);
    // Their names are a little shorter.
    lists.sending = sending.cpu * ready.bytes as f64 / sending.bytes.max(1) as f64;
    Ok(lists)
}

/// The same list from a program that has it ready and does nothing but send it, on the gateway's CPU.
async fn sending(stand: &Stand, upstreams: usize) -> Result<Ready, Error> {
    let (address, tools) = (free_address()?, (upstreams * upstream::TOOLS).to_string());
    let (cpu, listen) = (stand.placement.map(|placement| placement.proxy), address.to_string());
    let program = stand.programs.join("bench-upstream");
    let arguments = ["--listen", &listen, "--tools", &tools];
    let process = stand.launch(cpu, &program, &arguments, Path::new("/dev/null"))?;
    let target = Target { address, path: "/mcp".to_owned(), tokens: ["none".to_owned()].into() };
    kept(&process, address, &target.sender(&listen, 0).list_modern()).await
}

/// A list that is there, asked for many times.
struct Ready {
    bytes: usize,
    took: Latencies,
    /// CPU time for each, µs.
    cpu: f64,
}

/// Latencies are those of one connection; CPU time is that of many, as with all other figures: one alone has the process
/// woken, and its log written, for each answer.
async fn kept(process: &Process, address: SocketAddr, request: &Request) -> Result<Ready, Error> {
    let mut ready = Ready { bytes: 0, took: Latencies::default(), cpu: 0.0 };
    let (mut client, mut one) = (Connection::open(address).await?, request.clone());
    // It is read, and made, when it is asked for first.
    for _ in 0..UNCOUNTED {
        ready.bytes = client.timed(&mut one).await?.bytes;
    }
    sleep(SETTLING).await;
    for _ in 0..LISTS {
        ready.took.push(client.timed(&mut one).await?.expect()?);
    }
    let mut lanes = Vec::with_capacity(LANES);
    for _ in 0..LANES {
        lanes.push((Connection::open(address).await?, request.clone()));
    }
    let (before, mut tasks) = (process.cpu_time()?, JoinSet::new());
    for (mut client, mut request) in lanes {
        tasks.spawn(async move {
            for _ in 0..LISTS / LANES {
                client.timed(&mut request).await?.expect()?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| Error::Start(error.to_string()))??;
    }
    let cpu = process.cpu_time()?.saturating_sub(before);
    ready.cpu = cpu.as_secs_f64() * 1e6 / (LISTS / LANES * LANES) as f64;
    Ok(ready)
}

async fn rounds(stand: &Stand, options: &Options) -> Result<Vec<(Round, Round)>, Error> {
    let mortal = free_address()?;
    let mut addresses = vec![stand.upstream; SOME - 1];
    addresses.push(mortal);
    let mut dying = start_mortal(stand, mortal).await?;
    let mut gateway = Gateway::start(stand, &addresses).await?;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        gateway.until_whole(&mut dying).await?;
        let alive = round(&mut gateway, options.round()).await?;
        drop(dying);
        gateway.until_degraded().await?;
        let dead = round(&mut gateway, options.round()).await?;
        dying = start_mortal(stand, mortal).await?;
        rounds.push((alive, dead));
    }
    Ok(rounds)
}

async fn start_mortal(stand: &Stand, address: SocketAddr) -> Result<Process, Error> {
    let cpu = stand.placement.map(|placement| placement.load);
    let program = stand.programs.join("bench-upstream");
    let listen = address.to_string();
    let process = stand.launch(cpu, &program, &["--listen", &listen], Path::new("/dev/null"))?;
    Connection::open(address).await?;
    Ok(process)
}

/// Calls of the living by some connections at once, and of the last upstream by one more, whatever comes of it.
async fn round(gateway: &mut Gateway, time: Duration) -> Result<Round, Error> {
    let (address, end) = (gateway.target.address, Instant::now() + time);
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let mut requests: Vec<Request> =
            (0..SOME - 1).map(|upstream| gateway.call((upstream + number) % (SOME - 1))).collect();
        tasks.spawn(async move {
            let (mut client, mut calls) = (Connection::open(address).await?, Latencies::default());
            while Instant::now() < end {
                for request in &mut requests {
                    let timed = client.timed(request).await?;
                    match timed.wrong {
                        None => calls.push(timed.took),
                        Some(wrong) => return Err(wrong),
                    }
                }
            }
            Ok(calls)
        });
    }
    let mut last = gateway.call(SOME - 1);
    let nuisance = tokio::spawn(async move {
        let mut client = Connection::open(address).await?;
        while Instant::now() < end {
            client.timed(&mut last).await?;
            sleep(PAUSE).await;
        }
        Ok::<_, Error>(())
    });
    let mut calls = Latencies::default();
    while let Some(done) = tasks.join_next().await {
        calls.extend(&done.map_err(|error| Error::Start(error.to_string()))??);
    }
    nuisance.await.map_err(|error| Error::Start(error.to_string()))??;
    let mut list = gateway.list();
    let list = gateway.client.timed(&mut list).await?.took;
    Ok(Round { calls, list })
}

/// A gateway with a merged route.
struct Gateway {
    target: Target,
    client: Connection,
    process: Process,
}

impl Gateway {
    async fn start(stand: &Stand, upstreams: &[SocketAddr]) -> Result<Self, Error> {
        let route = Route::write(&stand.directory, free_address()?, free_address()?, upstreams)?;
        let config = route.config.display().to_string();
        let cpu = stand.placement.map(|placement| placement.proxy);
        let arguments = ["run", "--config", &config];
        let mut process = stand.launch(cpu, &stand.narthex, &arguments, &stand.access_log)?;
        let client = Connection::open(route.target.address).await;
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                process.expect_running().map_err(|ended| stand.with_output(&ended, &stand.narthex))?;
                return Err(error);
            }
        };
        Ok(Self { target: route.target, client, process })
    }

    fn list(&self) -> Request {
        self.target.sender(&self.target.address.to_string(), 0).list_modern()
    }

    /// A call of one of an upstream's tools.
    fn call(&self, upstream: usize) -> Request {
        let host = self.target.address.to_string();
        self.target.sender(&host, 0).post_modern(&format!("{}__tool_007", route::name(upstream)))
    }

    /// Until the last upstream's tools are listed, and can be called.
    async fn until_whole(&mut self, dying: &mut Process) -> Result<(), Error> {
        let end = Instant::now() + PATIENCE;
        let mut call = self.call(SOME - 1);
        loop {
            dying.expect_running()?;
            let called = self.client.timed(&mut call).await?.wrong;
            match called {
                None if !self.is_degraded().await? => return Ok(()),
                Some(wrong) if Instant::now() > end => return Err(wrong),
                None if Instant::now() > end => return Err(Error::Overdue(PATIENCE.as_secs())),
                _ => sleep(RETRY).await,
            }
        }
    }

    /// Until the list says that the last upstream is not in it: its server tells of no changes, so that it takes
    /// calls to find out.
    async fn until_degraded(&mut self) -> Result<(), Error> {
        let end = Instant::now() + PATIENCE;
        let mut call = self.call(SOME - 1);
        while !self.is_degraded().await? {
            if Instant::now() > end {
                return Err(Error::Overdue(PATIENCE.as_secs()));
            }
            self.client.timed(&mut call).await?;
            sleep(RETRY).await;
        }
        Ok(())
    }

    async fn is_degraded(&mut self) -> Result<bool, Error> {
        let mut list = self.list();
        Ok(self.client.timed(&mut list).await?.degraded)
    }
}

struct Connection(Client);

/// One call.
struct Timed {
    took: Duration,
    bytes: usize,
    /// The list says that something is not in it.
    degraded: bool,
    /// Why the answer is not a result, if it is not.
    wrong: Option<Error>,
}

impl Timed {
    /// How long it took, if it was answered rightly.
    fn expect(self) -> Result<Duration, Error> {
        self.wrong.map_or(Ok(self.took), Err)
    }
}

impl Connection {
    /// Opens one, as soon as somebody listens there.
    async fn open(address: SocketAddr) -> Result<Self, Error> {
        let end = Instant::now() + PATIENCE;
        loop {
            match Client::connect_with_room(address, ROOM).await {
                Ok(client) => return Ok(Self(client)),
                Err(error) if Instant::now() > end => return Err(Error::io("connecting")(error)),
                Err(_) => sleep(RETRY).await,
            }
        }
    }

    async fn timed(&mut self, request: &mut Request) -> Result<Timed, Error> {
        let (bytes, id) = request.stamped();
        let begun = Instant::now();
        let answer = timeout(PATIENCE, self.0.call(bytes)).await;
        let answer = answer.map_err(|_| Error::Overdue(PATIENCE.as_secs()))?.map_err(Error::io("a call"))?;
        let took = begun.elapsed();
        let degraded = memchr::memmem::find(answer.body, b"dev.narthex/degraded").is_some();
        Ok(Timed { took, bytes: answer.body.len(), degraded, wrong: answer.expect_result(&id).err() })
    }
}

impl Results {
    /// Writes them out.
    #[must_use]
    pub fn markdown(mut self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&mut self, text: &mut String) -> std::fmt::Result {
        if cfg!(debug_assertions) {
            writeln!(text, "> **Not a release build: the figures below mean nothing.**\n")?;
        }
        writeln!(text, "Load average before: {}. Medians (min–max).\n", self.load_average)?;
        writeln!(text, "## tools/list of merged upstreams with 100 tools each, one page\n")?;
        writeln!(
            text,
            "| upstreams | KiB | first ever ms | kept, p50 ms | kept, p99 ms | kept, CPU µs | only sending, CPU µs | ratio |"
        )?;
        writeln!(text, "|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for lists in &mut self.lists {
            let [p50, p99] = [50, 99].map(|percent| millis(lists.kept.percentile(percent)));
            let (cold, kib) = (spread(lists.cold.iter().copied(), 1), lists.bytes / 1024);
            let (cpu, sending) = (lists.cpu, lists.sending);
            let ratio = cpu / sending;
            writeln!(
                text,
                "| {} | {kib} | {cold} | {p50:.2} | {p99:.2} | {cpu:.0} | {sending:.0} | {ratio:.2} |",
                lists.upstreams
            )?;
        }
        writeln!(text, "\n## 1 KiB calls of nine upstreams, {CONNECTIONS} connections, closed loop\n")?;
        writeln!(
            text,
            "| the tenth upstream | calls | p50 ms | p99 ms | tools/list ms |\n|---|---:|---:|---:|---:|"
        )?;
        let (alive, dead): (Vec<_>, Vec<_>) = self.rounds.drain(..).unzip();
        for (state, mut rounds) in [("alive", alive), ("dead, and called", dead)] {
            let calls: u64 = rounds.iter().map(|round| round.calls.count()).sum();
            let mut of =
                |percent| spread(rounds.iter_mut().map(|round| millis(round.calls.percentile(percent))), 2);
            let [p50, p99] = [of(50), of(99)];
            let list = spread(rounds.iter().map(|round| millis(round.list)), 2);
            writeln!(text, "| {state} | {calls} | {p50} | {p99} | {list} |")?;
        }
        Ok(())
    }
}

fn spread(values: impl IntoIterator<Item = f64>, digits: usize) -> String {
    Spread::of(values).map_or_else(
        || "–".to_owned(),
        |Spread { median, min, max }| format!("{median:.digits$} ({min:.digits$}–{max:.digits$})"),
    )
}
