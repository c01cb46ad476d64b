//! Gateways with a store.

use narthex_testkit::{GatewayProcess, Launch, Place, RecordingUpstream, StartFailure, mcp};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What says on `/metrics` that the store was told of the keys in use: the one thing that is kept of a gateway
/// that nobody has logged in at.
pub(super) const WRITES: &str = "narthex_store_operations_total{operation=\"write\",result=\"ok\"}";

/// A key, as it is written in its file.
pub(super) fn key(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// One open route, and `store:` with these lines, indented by two spaces.
pub(super) fn yaml(place: &Place, upstream: &RecordingUpstream, store: &str) -> String {
    let store = if store.is_empty() { String::new() } else { format!("store:\n{store}\n") };
    format!(
        "{}{store}tenants: {{ acme: {{ routes: [open] }} }}\nupstreams: {{ main: {{ url: {} }} }}\n\
         routes: {{ open: {{ path: /open, upstream: main, auth: none, tenant: acme }} }}\n",
        place.server_yaml(""),
        upstream.url("/mcp"),
    )
}

/// A gateway with these lines under `store:`, and its upstream.
pub(super) async fn start(
    store: impl Fn(&Place) -> String,
) -> Result<(GatewayProcess, RecordingUpstream), StartFailure> {
    let upstream = RecordingUpstream::start().await;
    let launch = Launch::new(|place: &Place| yaml(place, &upstream, &store(place)));
    let gateway = launch.start().await?;
    Ok((gateway, upstream))
}

/// A call on the route that needs no store.
pub(super) async fn call(gateway: &GatewayProcess) -> u16 {
    let body = mcp::tools_call("echo", json!({"text": "hello"}));
    mcp::call(gateway.address(), "/open", None, &body).await.unwrap().status
}

pub(super) async fn reasons(gateway: &GatewayProcess) -> Vec<String> {
    let ready = gateway.admin("/readyz").await.unwrap();
    serde_json::from_value(ready.json()["reasons"].clone()).unwrap_or_default()
}

/// What is in the gateway's `state_dir`, sorted.
pub(super) fn state(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.dir().join("state")).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The binary under test.
fn binary() -> PathBuf {
    let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("narthex");
    std::env::var_os("NARTHEX_BIN").map_or(built, Into::into)
}

/// `narthex check`: its exit code and all it says.
pub(super) fn check(dir: &Path) -> (Option<i32>, String) {
    let output = Command::new(binary()).arg("check").current_dir(dir).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// Another process on the configuration of `place`. Killed when dropped.
pub(super) struct Another(Child);

impl Another {
    pub(super) fn start(place: &Place, args: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["run", "--config"]).arg(place.config()).args(args).current_dir(place.dir());
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Another {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether it comes true within 20 s.
pub(super) async fn eventually(is_true: impl AsyncFn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_true().await {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}
