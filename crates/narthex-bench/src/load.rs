//! The load: keep-alive connections that send one call after the other and check every answer.

use crate::Error;
use crate::client::Client;
use crate::sample::Latencies;
use crate::workload::{Request, Sender, Workload};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// How long a round may take beyond its bound before it is given up.
const OVERTIME: Duration = Duration::from_secs(10);

/// Where calls go and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// The listener.
    pub address: SocketAddr,
    /// The endpoint's path.
    pub path: String,
    /// One token for each caller; never empty.
    pub tokens: Arc<[String]>,
}

impl Target {
    /// The sender that caller number `caller` is, modulo the number of callers.
    #[must_use]
    pub fn sender<'a>(&'a self, host: &'a str, caller: usize) -> Sender<'a> {
        let token = &self.tokens[caller % self.tokens.len()];
        Sender { host, path: &self.path, token, session: None, state: None }
    }
}

/// When a round ends: at whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Time.
    pub time: Duration,
    /// Calls over all connections.
    pub calls: u64,
}

/// When a connection sends its next call.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As soon as the answer to the last one is there (closed loop).
    Closed,
    /// So many calls a second over all connections, evenly spread.
    Rate(u32),
}

/// What a round gave.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Time from the first call to the last answer.
    pub elapsed: Duration,
    /// One for each call.
    pub latencies: Latencies,
}

/// Open connections.
#[derive(Debug)]
pub struct Load {
    lanes: Vec<Lane>,
}

/// One connection and the callers that take turns on it.
#[derive(Debug)]
struct Lane {
    client: Client,
    requests: Vec<Request>,
    turn: usize,
}

impl Load {
    /// Opens `connections` connections to `target`, with its callers dealt out over them.
    ///
    /// # Errors
    /// When a connection, or a session that `workload` needs, cannot be opened.
    pub async fn connect(target: &Target, workload: Workload, connections: usize) -> Result<Self, Error> {
        let mut lanes = Vec::with_capacity(connections);
        for number in 0..connections {
            lanes.push(Lane::connect(target, workload, number, connections).await?);
        }
        Ok(Self { lanes })
    }

    /// Sends calls until `bound`.
    ///
    /// # Errors
    /// At the first answer that is not a result for its call, and when the bound is overstepped by
    /// more than 10 s. The connections are closed then.
    pub async fn run(&mut self, pace: Pace, bound: Bound) -> Result<Tally, Error> {
        let start = Instant::now();
        let lanes = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX).max(1);
        let calls = bound.calls.div_ceil(u64::from(lanes));
        let mut tasks = JoinSet::new();
        for (number, lane) in (0..).zip(self.lanes.drain(..)) {
            let schedule = Schedule::new(pace, start, number, lanes);
            tasks.spawn(lane.run(schedule, start + bound.time, calls));
        }
        let mut latencies = Latencies::default();
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                let (lane, part) = ended.map_err(|error| Error::Answer(error.to_string()))??;
                latencies.extend(&part);
                self.lanes.push(lane);
            }
            Ok::<_, Error>(start.elapsed())
        };
        let limit = bound.time + OVERTIME;
        let elapsed = timeout(limit, all).await.map_err(|_| Error::Overdue(limit.as_secs()))??;
        Ok(Tally { elapsed, latencies })
    }
}

impl Lane {
    async fn connect(target: &Target, workload: Workload, first: usize, step: usize) -> Result<Self, Error> {
        let host = target.address.to_string();
        let mut client =
            Client::connect(target.address).await.map_err(Error::io(format!("connecting to {host}")))?;
        let mut requests = Vec::new();
        for caller in (first..target.tokens.len().max(first + 1)).step_by(step) {
            let sender = target.sender(&host, caller);
            let session =
                if workload.in_session() { open_session(&mut client, &sender).await? } else { None };
            let state = if workload == Workload::Retry {
                Some(first_answer(&mut client, &sender).await?)
            } else {
                None
            };
            let sender = Sender { session: session.as_deref(), state: state.as_deref(), ..sender };
            requests.push(workload.request(&sender));
        }
        Ok(Self { client, requests, turn: 0 })
    }

    async fn run(
        mut self,
        mut schedule: Schedule,
        end: Instant,
        calls: u64,
    ) -> Result<(Self, Latencies), Error> {
        let mut latencies = Latencies::default();
        let mut now = Instant::now();
        while latencies.count() < calls {
            let Some(start) = schedule.next(now, end).await else { break };
            self.call().await?;
            now = Instant::now();
            latencies.push(now - start);
        }
        Ok((self, latencies))
    }

    async fn call(&mut self) -> Result<(), Error> {
        self.turn = (self.turn + 1) % self.requests.len();
        let (bytes, id) = self.requests[self.turn].stamped();
        self.client.call(bytes).await.map_err(Error::io("a call"))?.expect_result(&id)
    }
}

/// Opens a session as `sender`; its id, if the server gives one.
///
/// # Errors
/// When `initialize` is refused.
pub async fn open_session(client: &mut Client, sender: &Sender<'_>) -> Result<Option<String>, Error> {
    let mut request = sender.initialize();
    let (bytes, id) = request.stamped();
    let answer = client.call(bytes).await.map_err(Error::io("initialize"))?;
    answer.expect_result(&id)?;
    Ok(answer.header("mcp-session-id"))
}

/// Makes the call that a retry follows; the `requestState` that comes of it.
///
/// # Errors
/// When the answer holds none.
async fn first_answer(client: &mut Client, sender: &Sender<'_>) -> Result<String, Error> {
    let mut request = Workload::Retry.request(sender);
    let (bytes, id) = request.stamped();
    let answer = client.call(bytes).await.map_err(Error::io("a call that asks"))?;
    answer.expect_result(&id)?;
    let body: serde_json::Value =
        serde_json::from_slice(answer.body).map_err(|error| Error::Answer(error.to_string()))?;
    let state = body["result"]["requestState"].as_str();
    state.map(str::to_owned).ok_or_else(|| Error::Answer(format!("no requestState in {body}")))
}

/// When one connection sends.
enum Schedule {
    Closed,
    Every { due: Instant, step: Duration },
}

impl Schedule {
    fn new(pace: Pace, start: Instant, number: u32, lanes: u32) -> Self {
        match pace {
            Pace::Closed => Self::Closed,
            Pace::Rate(rate) => {
                let gap = Duration::from_secs(1) / rate.max(1);
                Self::Every { due: start + gap * number, step: gap * lanes }
            }
        }
    }

    /// Waits for the next call's turn and returns when its latency starts; `None` after `end`.
    ///
    /// A call that is due while the one before it is still out counts from when it was due, so that a
    /// stall is not hidden; otherwise the clock starts at the sending, which leaves out the timer's
    /// grain of a millisecond.
    async fn next(&mut self, now: Instant, end: Instant) -> Option<Instant> {
        let start = match self {
            Self::Closed => now,
            Self::Every { due, step } => {
                let turn = *due;
                *due += *step;
                if turn >= end {
                    return None;
                }
                if turn > now {
                    sleep_until(turn.into()).await;
                    Instant::now()
                } else {
                    turn
                }
            }
        };
        (start < end).then_some(start)
    }
}
