//! The products, as processes.

use narthex_testkit::free_port;
use serde_json::Value;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process and all that it started. Dropping it ends them.
pub(crate) struct Peer {
    child: Child,
    port: u16,
}

impl Peer {
    /// Starts a server that listens on the port given to `command`, and waits until it does.
    async fn listening(command: impl Fn(u16) -> Command) -> Self {
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let mut peer = Self::spawn(&mut command(port), port);
            if peer.until_listening().await {
                return peer;
            }
        }
        panic!("{:?} does not listen", command(0));
    }

    /// Starts `command` in a process group of its own.
    pub(crate) fn spawn(command: &mut Command, port: u16) -> Self {
        let spawned = command.process_group(0).stdin(Stdio::null()).spawn();
        let child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}. {SETUP}"));
        Self { child, port }
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
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Where it listens, with `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a signal to it and to all that it started.
    pub(crate) fn signal(&self, name: &str) {
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

/// How the identity provider makes its tokens.
#[derive(Clone, Copy)]
pub(crate) struct Tokens {
    pub(crate) alg: &'static str,
    pub(crate) format: &'static str,
}

/// JWTs signed with RSA.
pub(crate) const JWT: Tokens = Tokens { alg: "RS256", format: "jwt" };

/// The identity provider: npm's `oidc-provider`.
pub(crate) struct Idp(Peer);

impl Idp {
    pub(crate) async fn start(tokens: Tokens) -> Self {
        let script = installed("idp.mjs");
        let peer = Peer::listening(|port| {
            let mut command = Command::new(node());
            command.arg(&script).args(["--port", &port.to_string()]);
            command.args(["--alg", tokens.alg, "--format", tokens.format]).stdout(Stdio::null());
            // It says at each start that it keeps everything in memory.
            command.stderr(Stdio::null());
            command
        });
        Self(peer.await)
    }

    /// `iss`.
    pub(crate) fn issuer(&self) -> String {
        self.0.url("")
    }

    /// Ends it, as a crash would.
    pub(crate) fn stop(&self) {
        self.0.signal("KILL");
    }

    /// A token for `user` by authorization code, PKCE and resource indicator (RFC 8707).
    pub(crate) async fn token(&self, resource: &str, scope: &str, user: &str) -> String {
        let script = installed("get_code_token.mjs");
        let mut command = Command::new(node());
        command.arg(script).args(["--issuer", &self.issuer(), "--resource", resource]);
        command.args(["--scope", scope, "--user", user]);
        run(command).await.trim().to_owned()
    }

    /// A token of the client `machine` for itself (client credentials).
    pub(crate) async fn machine_token(&self, resource: &str) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "-u", "machine:machine-secret", "-d", "grant_type=client_credentials"]);
        command.args(["-d", "scope=mcp:read mcp:write", "--data-urlencode", &format!("resource={resource}")]);
        command.arg(self.0.url("/token"));
        let answer: Value = serde_json::from_str(&run(command).await).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }
}

/// The everything-server of PyPI's `mcp`, which speaks every revision.
pub(crate) async fn python_server() -> Peer {
    let program = installed(".venv/bin/mcp-everything-server");
    Peer::listening(|port| {
        let mut command = Command::new(&program);
        command.args(["--port", &port.to_string(), "--log-level", "ERROR"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    })
    .await
}

/// The everything-server of npm, which speaks the revisions with sessions.
pub(crate) async fn npm_server() -> Peer {
    let script = installed("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    Peer::listening(|port| {
        let mut command = Command::new(node());
        command.arg(&script).arg("streamableHttp").env("PORT", port.to_string());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    })
    .await
}

/// The demo server of this repository, made with the Rust SDK; it wants the key in `key_file`.
pub(crate) async fn demo_server(key_file: &Path) -> Peer {
    let program = built("narthex-demo");
    Peer::listening(|port| {
        let mut command = Command::new(&program);
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--api-key-file"]).arg(key_file);
        command.stdout(Stdio::null());
        command
    })
    .await
}

/// What the client of PyPI's `mcp` sees at `url`.
pub(crate) async fn python_client(url: &str, token: &str, mode: &str, tool: &str, arguments: &str) -> Value {
    let mut command = Command::new(installed(".venv/bin/python"));
    command.arg(installed("py_client.py")).args([url, "--mode", mode]).env("NARTHEX_TOKEN", token);
    command.args(["--tool", tool, "--arguments", arguments]);
    serde_json::from_str(&run(command).await).unwrap()
}

/// What the MCP Inspector's command line prints for `request`.
pub(crate) async fn inspector(url: &str, token: &str, request: &[&str]) -> Value {
    let mut command = Command::new(node());
    command.arg(installed("node_modules/.bin/mcp-inspector")).args(["--cli", url, "--transport", "http"]);
    command.args(["--header", &format!("Authorization: Bearer {token}")]).args(request);
    let printed = run(command).await;
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// What `command` prints.
async fn run(command: Command) -> String {
    let name = format!("{:?}", command.get_program());
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await;
    let output = output.unwrap_or_else(|_| panic!("{name} does not end")).unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// The Node that the products ask for.
fn node() -> PathBuf {
    installed("node_modules/.bin/node")
}

/// A file of `tests/real`.
pub(crate) fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("real").join(name);
    assert!(path.exists(), "{} is not there. {SETUP}", path.display());
    path
}

/// A binary of this repository, built beside this test.
pub(crate) fn built(name: &str) -> PathBuf {
    // The test is target/PROFILE/deps/NAME.
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join(name);
    assert!(path.exists(), "{} is not there: run cargo build -p {name}", path.display());
    path
}

const SETUP: &str = "To install the real peers, run tests/real/setup.sh";
const ATTEMPTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
