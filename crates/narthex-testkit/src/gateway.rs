//! The real binary, as a process with ports and a directory of its own.

mod launch;
mod output;
mod place;

pub use launch::{Launch, StartFailure};
pub use place::Place;

use crate::client::RawResponse;
use crate::mcp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use output::Output;
use std::net::SocketAddr;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};
use std::{fs, io};

/// A running gateway. Dropping it kills it.
pub struct GatewayProcess {
    child: Child,
    place: Place,
    output: Output,
}

impl GatewayProcess {
    /// Starts the gateway with the configuration that `yaml` gives for its place, and waits until it
    /// is ready.
    ///
    /// # Panics
    /// It does not become ready; the message has its output.
    pub async fn start(yaml: impl Fn(&Place) -> String) -> Self {
        match Launch::new(yaml).start().await {
            Ok(gateway) => gateway,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Where it listens for MCP clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.place.address()
    }

    /// Where it listens for operators.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.place.admin_address()
    }

    /// Its ports and its directory.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far, standard output first.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// What it has written to standard output: the logs.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.output.stdout()
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.output.stderr()
    }

    /// Waits until `needle` has been written `times` times.
    ///
    /// # Panics
    /// Not within 20 s; the message has the output.
    pub async fn wait_for_output(&self, needle: &str, times: usize) {
        if !until(|| async { self.output().matches(needle).count() >= times }).await {
            panic!("the gateway did not write {needle:?} {times} times:\n{}", self.output());
        }
    }

    /// Puts another configuration in the place of the old in one step (rename), as editors do. The
    /// gateway may take it up at any time; [`Self::reload`] waits for that.
    pub fn write_config(&self, yaml: &str) {
        self.place.write_config(yaml);
    }

    /// Puts another configuration in the place of the old and waits until the gateway has taken it up
    /// (`true`) or refused it (`false`).
    ///
    /// # Panics
    /// Neither within 20 s.
    pub async fn reload(&self, yaml: &str) -> bool {
        let (taken, refused) = (self.count(RELOADED), self.count(NOT_RELOADED));
        self.write_config(yaml);
        let decided = || async { self.count(RELOADED) > taken || self.count(NOT_RELOADED) > refused };
        if !until(decided).await {
            panic!("the gateway did not look at its configuration:\n{}", self.output());
        }
        self.count(RELOADED) > taken
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(pid(&self.child), signal).expect("a process of ours");
    }

    /// Waits until it has ended; `None` if it has not within `patience`.
    pub async fn wait_for_exit(&mut self, patience: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            tokio::time::sleep(POLL).await;
        }
        None
    }

    /// The text of `/metrics`.
    ///
    /// # Panics
    /// The admin listener does not answer.
    pub async fn metrics(&self) -> String {
        self.admin("/metrics").await.expect("metrics").text()
    }

    /// The value of a sample of `/metrics`, given as it is written there:
    /// `narthex_denied_total{reason="scope"}`.
    pub async fn metric(&self, sample: &str) -> Option<f64> {
        metric(&self.metrics().await, sample)
    }

    /// Waits until a sample of `/metrics` has a value that is right.
    ///
    /// # Panics
    /// Not within 20 s.
    pub async fn wait_for_metric(&self, sample: &str, right: impl Fn(f64) -> bool) {
        if !until(|| async { self.metric(sample).await.is_some_and(&right) }).await {
            panic!("{sample} did not get right:\n{}", self.metrics().await);
        }
    }

    /// GETs a path of the admin listener.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn admin(&self, path: &str) -> io::Result<RawResponse> {
        mcp::get(self.admin_address(), path, None).await
    }

    /// Memory in use now (resident set), bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    }

    fn count(&self, message: &str) -> usize {
        self.output().matches(message).count()
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

fn metric(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.trim().parse().ok())
}

async fn until<F: Future<Output = bool>>(done: impl Fn() -> F) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if done().await {
            return true;
        }
        tokio::time::sleep(POLL).await;
    }
    false
}

const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// Log messages of the gateway.
const RELOADED: &str = "configuration reloaded";
const NOT_RELOADED: &str = "configuration not reloaded";

#[cfg(test)]
mod tests;
