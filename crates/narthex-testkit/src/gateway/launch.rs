//! How the process is started.

use super::output::Output;
use super::place::Place;
use super::{GatewayProcess, PATIENCE, POLL};
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

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

const ATTEMPTS: usize = 3;
