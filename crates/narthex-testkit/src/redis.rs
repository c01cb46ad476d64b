//! A real `redis-server` of a test's own.

use crate::{Pki, free_port};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `redis-server` on 127.0.0.1 that keeps what it is told on disk. Dropping it kills it.
pub struct RedisServer {
    child: Option<Child>,
    dir: TempDir,
    port: u16,
    settings: Vec<String>,
    /// Of its certificate.
    files: Option<TempDir>,
}

impl RedisServer {
    /// One that lets everybody in.
    ///
    /// # Panics
    /// It does not start: `redis-server` may not be installed (`make real-peers` does that).
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One with further settings, as in its configuration file: `["maxmemory 2mb"]`.
    ///
    /// # Panics
    /// See [`start`](Self::start).
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Self {
        Self::launch(settings, |port| vec![format!("port {port}")])
    }

    /// One that speaks TLS only, with a certificate for `localhost` and 127.0.0.1.
    ///
    /// # Panics
    /// See [`start`](Self::start).
    #[must_use]
    pub fn start_with_tls(pki: &Pki, settings: &[&str]) -> Self {
        let files = tempfile::tempdir().expect("a directory");
        let dir = files.path();
        let (cert, key) = pki.leaf(&["localhost", "127.0.0.1"]).write(dir, "redis");
        let ca = pki.write_ca(dir);
        let tls = [("cert-file", cert), ("key-file", key), ("ca-cert-file", ca)];
        let tls = tls.map(|(setting, path)| format!("tls-{setting} {}", path.display()));
        let mut server = Self::launch(settings, |port| {
            let mut all =
                vec!["port 0".to_owned(), format!("tls-port {port}"), "tls-auth-clients no".to_owned()];
            all.extend(tls.clone());
            all
        });
        // It reads them again at each start.
        server.files = Some(files);
        server
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, on the same port, with what it had on disk.
    ///
    /// # Panics
    /// See [`start`](Self::start).
    pub fn start_again(&mut self) {
        self.kill();
        let mut command = Command::new("redis-server");
        for setting in &self.settings {
            let mut words = setting.split(' ');
            command.arg(format!("--{}", words.next().unwrap_or_default())).args(words);
        }
        command.args(["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
        command.arg("--dir").arg(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server: is it installed?");
        self.child = Some(child);
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets it hang: it has its connections and answers nothing.
    pub fn hang(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn launch(settings: &[&str], listen: impl Fn(u16) -> Vec<String>) -> Self {
        let port = free_port();
        let mut all = listen(port);
        all.extend(settings.iter().map(|&setting| setting.to_owned()));
        let dir = tempfile::tempdir().expect("a directory");
        let mut server = Self { child: None, dir, port, settings: all, files: None };
        server.start_again();
        server
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let id = i32::try_from(child.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("a process of ours");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
