//! The products, as processes.

pub(crate) use narthex_tests::Peer;
pub(crate) use narthex_tests::servers::{demo as demo_server, npm as npm_server, python as python_server};
use narthex_tests::{installed, node, run};
use serde_json::Value;
use std::process::{Command, Stdio};

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
