//! Memory of a contender that has just started, and with idle streams open.

use crate::Error;
use crate::client::Client;
use crate::contender::Running;
use crate::load::{Target, open_session};
use crate::workload::Sender;
use std::time::Duration;
use tokio::time::timeout;

/// Longest time for one stream to open: without descriptors left nobody is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a contender holds, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// After its start and one call.
    pub idle: u64,
    /// With the streams open.
    pub loaded: u64,
    /// How many streams were opened.
    pub streams: usize,
}

impl Memory {
    /// Growth for each open stream with its connections, bytes.
    #[must_use]
    pub fn per_stream(&self) -> u64 {
        self.loaded.saturating_sub(self.idle) / self.streams.max(1) as u64
    }
}

/// Opens `streams` GET streams, each on a connection and in a session of its own, and leaves them
/// idle. Wants a contender that was started for this: memory that was used before hides growth.
///
/// # Errors
/// When a stream is refused. [`Error::Start`] for a contender without a process.
pub async fn measure(running: &Running, streams: usize) -> Result<Memory, Error> {
    let process =
        running.process.as_ref().ok_or_else(|| Error::Start("there is no process to measure".to_owned()))?;
    let idle = process.resident()?;
    let mut open = Vec::with_capacity(streams);
    for caller in 0..streams {
        let opening = timeout(PATIENCE, open_stream(&running.target, caller));
        open.push(opening.await.map_err(|_| Error::Overdue(PATIENCE.as_secs()))??);
    }
    Ok(Memory { idle, loaded: process.resident()?, streams: open.len() })
}

pub(crate) async fn open_stream(target: &Target, caller: usize) -> Result<Client, Error> {
    let host = target.address.to_string();
    let mut client = Client::connect(target.address).await.map_err(Error::io("connecting"))?;
    let sender = target.sender(&host, caller);
    let session = open_session(&mut client, &sender).await?;
    let request = Sender { session: session.as_deref(), ..sender }.listen();
    match client.open(&request).await.map_err(Error::io("opening a stream"))? {
        200 => Ok(client),
        status => Err(Error::Answer(format!("stream {caller}: status {status}"))),
    }
}
