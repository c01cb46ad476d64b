//! Products, as processes.

use narthex_testkit::free_port;
use std::ffi::{OsStr, OsString};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A process and all that it started. Dropping it ends them.
pub struct Peer {
    child: Child,
    port: u16,
    again: Again,
}

/// What it takes to start a program once more.
struct Again {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
}

impl Peer {
    /// Starts a server that listens on the port given to `command`, and waits until it does.
    ///
    /// # Panics
    /// It does not listen, whichever port it gets.
    pub async fn listening(command: impl Fn(u16) -> Command) -> Self {
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let mut peer = Self::spawn(&mut command(port), port);
            if peer.until_listening().await {
                return peer;
            }
        }
        panic!("{:?} does not listen", command(0));
    }

    /// Starts a server at a port that was chosen before, and waits until it listens there.
    ///
    /// # Panics
    /// It does not listen.
    pub async fn at(port: u16, mut command: Command) -> Self {
        let mut peer = Self::spawn(&mut command, port);
        assert!(peer.until_listening().await, "{command:?} does not listen");
        peer
    }

    /// Starts `command` in a process group of its own; `port` is where it will listen.
    ///
    /// # Panics
    /// There is no such program.
    pub fn spawn(command: &mut Command, port: u16) -> Self {
        let spawned = command.process_group(0).stdin(Stdio::null()).spawn();
        let child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}. {SETUP}"));
        let again = Again {
            program: command.get_program().to_owned(),
            arguments: command.get_args().map(OsStr::to_owned).collect(),
            environment: command
                .get_envs()
                .map(|(name, value)| (name.to_owned(), value.map(OsStr::to_owned)))
                .collect(),
        };
        Self { child, port, again }
    }

    /// Ends it and all that it started at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.signal("KILL");
        let _ = self.child.wait();
    }

    /// Starts what was killed where it was, without a word, and waits until it listens.
    ///
    /// # Panics
    /// It does not listen.
    pub async fn restart(&mut self) {
        let mut command = Command::new(&self.again.program);
        command.args(&self.again.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        for (name, value) in &self.again.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        *self = Self::spawn(&mut command, self.port);
        assert!(self.until_listening().await, "{command:?} does not listen again");
    }

    async fn until_listening(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && !self.has_ended() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The port at which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, with `path`, at 127.0.0.1.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The same at `localhost`, for what looks at the name.
    #[must_use]
    pub fn localhost_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Sends a signal (`KILL`, `TERM`) to it and to all that it started.
    pub fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", name, "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.child.wait();
    }
}

/// What `command` prints.
///
/// # Panics
/// It fails, or does not end within a minute.
pub async fn run(command: Command) -> String {
    let name = format!("{:?} {:?}", command.get_program(), command.get_args().collect::<Vec<_>>());
    let output = output(command, PATIENCE).await;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// What `command` prints and how it ends, within `patience`.
pub(crate) async fn output(command: Command, patience: Duration) -> Output {
    let name = format!("{:?}", command.get_program());
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    match tokio::time::timeout(patience, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => panic!("{name}: {error}. {SETUP}"),
        Err(_) => panic!("{name} does not end"),
    }
}

/// The Node that the products ask for.
#[must_use]
pub fn node() -> PathBuf {
    installed("node_modules/.bin/node")
}

/// A file of `tests/real`.
///
/// # Panics
/// It is not there: the real peers are not installed.
#[must_use]
pub fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("real").join(name);
    assert!(path.exists(), "{} is not there. {SETUP}", path.display());
    path
}

/// A binary of this repository, built beside this test.
///
/// # Panics
/// It is not there.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    // A test is target/PROFILE/deps/NAME.
    let test = std::env::current_exe().unwrap_or_default();
    let path = test.ancestors().nth(2).unwrap_or(&test).join(name);
    assert!(path.exists(), "{} is not there: run cargo build -p {name}", path.display());
    path
}

const SETUP: &str = "To install the real peers, run tests/real/setup.sh";
const ATTEMPTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
