//! A gateway whose upstream wants a key that is in a vault.

use narthex_testkit::{GatewayProcess, Launch, MockIdp, Place, RawClient, RecordingUpstream, mcp};
use narthex_tests::built;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a test says in the configuration.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// `secrets.vault`, in flow style.
    pub(super) vault: String,
    /// The reference to the upstream's key, in flow style.
    pub(super) key: String,
    /// Further upstreams, indented by two spaces.
    pub(super) upstreams: String,
    /// Further routes, indented by two spaces; acme may use those in `granted`.
    pub(super) routes: String,
    pub(super) granted: String,
    /// Lines of `server:`, indented by two spaces.
    pub(super) server: String,
}

impl Config {
    /// The key `narthex/docs#key` of the vault at `address`, looked at every second; `auth` in flow style.
    pub(super) fn new(address: &str, auth: &str) -> Self {
        Self {
            vault: format!("{{ address: \"{address}\", auth: {auth}, refresh: 1s }}"),
            key: "{ vault: \"narthex/docs#key\" }".to_owned(),
            upstreams: String::new(),
            routes: String::new(),
            granted: String::new(),
            server: String::new(),
        }
    }

    fn yaml(&self, server: &str, issuer: &str, upstream: &str) -> String {
        let Self { vault, key, upstreams, routes, granted, .. } = self;
        format!(
            "{server}secrets:\n  vault: {vault}\nauth:\n  issuers:\n    - {issuer}tenants:\n  acme: {{ routes: [tools{granted}] }}\n\
             upstreams:\n  main:\n    url: {upstream}\n    credential: {{ header: {{ name: x-api-key, value: {key} }} }}\n{upstreams}\
             routes:\n  tools: {{ path: /tools, upstream: main, scopes: [mcp:read] }}\n{routes}"
        )
    }
}

/// An identity provider, an upstream, and a gateway between them.
pub(super) struct Stage {
    pub(super) idp: MockIdp,
    pub(super) upstream: RecordingUpstream,
    pub(super) gateway: GatewayProcess,
}

impl Stage {
    pub(super) async fn with(config: &Config) -> Self {
        let idp = MockIdp::start().await;
        Self::beside(config, idp).await
    }

    pub(super) async fn beside(config: &Config, idp: MockIdp) -> Self {
        let upstream = RecordingUpstream::start().await;
        let yaml = |place: &Place| {
            config.yaml(&place.server_yaml(&config.server), &idp.issuer_yaml(6), &upstream.url("/mcp"))
        };
        let started = Launch::new(yaml).start().await;
        let gateway = started.unwrap_or_else(|failure| panic!("{failure}"));
        Self { idp, upstream, gateway }
    }

    /// Whether it takes up `config`.
    pub(super) async fn reload(&self, config: &Config) -> bool {
        let server = self.gateway.place().server_yaml(&config.server);
        let yaml = config.yaml(&server, &self.idp.issuer_yaml(6), &self.upstream.url("/mcp"));
        self.gateway.reload(&yaml).await
    }

    pub(super) fn token(&self) -> String {
        self.token_for("/tools")
    }

    pub(super) fn token_for(&self, path: &str) -> String {
        self.idp.token(&format!("{}{path}", self.gateway.place().public_url()))
    }

    /// The key that the upstream is shown by a call.
    pub(super) async fn key(&self) -> String {
        let body = mcp::tools_call("echo", json!({"text": "hello"}));
        let answer = mcp::call(self.gateway.address(), "/tools", Some(&self.token()), &body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let requests = self.upstream.requests();
        requests.last().unwrap().header("x-api-key").unwrap_or_default().to_owned()
    }

    /// Calls until the upstream is shown `key`; how long it took.
    pub(super) async fn until_key(&self, key: &str) -> Duration {
        let took = eventually(async || self.key().await == key).await;
        took.unwrap_or_else(|| panic!("{key} is not used:\n{}", self.gateway.output()))
    }

    pub(super) async fn connect(&self) -> RawClient {
        RawClient::connect(self.gateway.address()).await.unwrap()
    }

    pub(super) async fn count(&self, sample: &str) -> f64 {
        self.gateway.metric(sample).await.unwrap_or(-1.0)
    }
}

/// How `narthex` ended, and all that it wrote.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

/// Runs `narthex COMMAND` in a directory with `config` and these files.
pub(super) fn narthex(command: &[&str], config: &Config, files: &[(&str, &str)]) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let issuer = "issuer: https://idp.example.com\n      tenant: { claim: org_id }\n";
    let server = format!(
        "server: {{ listen: \"127.0.0.1:{}\", public_url: http://localhost:8080 }}\nadmin: {{ listen: \"127.0.0.1:{}\" }}\n",
        narthex_testkit::free_port(),
        narthex_testkit::free_port()
    );
    let yaml = config.yaml(&server, issuer, "http://127.0.0.1:9/mcp");
    fs::write(dir.path().join("gateway.yaml"), yaml).unwrap();
    run(command, dir.path())
}

fn run(command: &[&str], dir: &Path) -> Ended {
    let program = std::env::var_os("NARTHEX_BIN").map_or_else(|| built("narthex"), Into::into);
    let mut narthex = Command::new(program);
    narthex.args(command).current_dir(dir).stdin(Stdio::null());
    narthex.env_remove("NARTHEX_CONFIG").env_remove("STATE_DIRECTORY");
    let output = narthex.output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ended { code: output.status.code(), text }
}

/// How long it took until `done`; `None`: longer than a test waits.
pub(super) async fn eventually(mut done: impl AsyncFnMut() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if done().await {
            return Some(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

const PATIENCE: Duration = Duration::from_secs(30);
