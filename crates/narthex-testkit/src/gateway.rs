//! The real binary, as a process with ports and a directory of its own.

mod output;

use crate::client::RawResponse;
use crate::mcp;
use crate::port::free_port;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use output::Output;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, fs, io};
use tempfile::TempDir;

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

/// How a gateway is started.
pub struct Launch<F> {
    yaml: F,
    env: Vec<(String, String)>,
    args: Vec<String>,
}

impl<F: Fn(&Place) -> String> Launch<F> {
    /// With the configuration that `yaml` gives for the gateway's place.
    #[must_use]
    pub fn new(yaml: F) -> Self {
        Self { yaml, env: Vec::new(), args: Vec::new() }
    }

    /// With this environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this argument after `run --config FILE`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Starts it and waits until `/readyz` says 200.
    ///
    /// # Errors
    /// It ended, or did not become ready within 20 s. Where another process was faster at one of its
    /// ports, it is tried again with others.
    pub async fn start(&self) -> Result<GatewayProcess, StartFailure> {
        let mut failure = StartFailure { output: String::new(), status: None };
        for _ in 0..ATTEMPTS {
            match self.attempt().await {
                Err(lost) if lost.output.contains("in use") => failure = lost,
                outcome => return outcome,
            }
        }
        Err(failure)
    }

    async fn attempt(&self) -> Result<GatewayProcess, StartFailure> {
        let place = Place::new();
        place.write_config(&(self.yaml)(&place));
        let mut gateway = self.spawn(place);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(Some(status)) = gateway.child.try_wait() {
                gateway.output.finish();
                return Err(StartFailure { output: gateway.output(), status: Some(status) });
            }
            if gateway.admin("/readyz").await.is_ok_and(|answer| answer.status == 200) {
                return Ok(gateway);
            }
            tokio::time::sleep(POLL).await;
        }
        Err(StartFailure { output: gateway.output(), status: None })
    }

    fn spawn(&self, place: Place) -> GatewayProcess {
        let binary = binary();
        let mut child = Command::new(&binary)
            .args(["run", "--config"])
            .arg(place.config())
            .args(&self.args)
            .envs(self.env.iter().cloned())
            .current_dir(place.dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let output = Output::capture(&mut child);
        GatewayProcess { child, place, output }
    }
}

/// What a gateway has to itself.
#[derive(Debug)]
pub struct Place {
    /// The port for MCP clients, of 127.0.0.1.
    pub port: u16,
    /// The port for operators, of 127.0.0.1.
    pub admin_port: u16,
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { port: free_port(), admin_port: free_port(), dir }
    }

    /// Its directory, removed with it: the configuration is in it, and secrets and state may be.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir().join("gateway.yaml")
    }

    /// Where MCP clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where operators connect.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.admin_port))
    }

    /// `server.public_url`.
    #[must_use]
    pub fn public_url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The `server:` and `admin:` sections for this place, with `more` (lines indented by two spaces)
    /// in `server:`.
    #[must_use]
    pub fn server_yaml(&self, more: &str) -> String {
        format!(
            "server:\n  listen: {}\n  public_url: {}\n  state_dir: {}\n{more}admin:\n  listen: {}\n",
            self.address(),
            self.public_url(),
            self.dir().join("state").display(),
            self.admin_address(),
        )
    }

    /// Writes a file into the directory, such as a secret, and gives its path.
    #[must_use]
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir().join(name);
        fs::write(&path, content).expect("a writable directory");
        path
    }

    fn write_config(&self, yaml: &str) {
        let new = self.file(".gateway.yaml.new", yaml);
        fs::rename(new, self.config()).expect("a writable directory");
    }
}

/// A gateway that did not become ready.
#[derive(Debug)]
pub struct StartFailure {
    /// What it wrote.
    pub output: String,
    /// How it ended; `None` if it was still running.
    pub status: Option<ExitStatus>,
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "the gateway ended ({status}):\n{}", self.output),
            None => write!(f, "the gateway did not become ready:\n{}", self.output),
        }
    }
}

/// The binary under test: `NARTHEX_BIN`, or the one built beside this test.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("NARTHEX_BIN") {
        return path.into();
    }
    // The test is target/PROFILE/deps/NAME.
    let test = std::env::current_exe().expect("a path of this test");
    test.ancestors().nth(2).expect("a target directory").join("narthex")
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
const ATTEMPTS: usize = 3;

/// Log messages of the gateway.
const RELOADED: &str = "configuration reloaded";
const NOT_RELOADED: &str = "configuration not reloaded";

#[cfg(test)]
mod tests;
