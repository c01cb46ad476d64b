//! A real Prometheus: `promtool` and a server that scrapes the gateway as deploy/prometheus says.

use super::metrics_page::busy_gateway;
use super::repository::{read, root};
use super::stage::{PATIENCE, eventually};
use narthex_testkit::{free_port, mcp};
use serde_json::Value;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs `promtool`, which has to be content.
pub(super) fn promtool(args: &[&str], input: Option<&str>) {
    let mut command = Command::new("promtool");
    command
        .args(args)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool: scripts/install-deps.sh installs it");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {args:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn the_rules_and_the_scrape_configuration_are_good() {
    promtool(&["check", "rules", "deploy/prometheus/rules.yaml"], None);
    promtool(&["test", "rules", "deploy/prometheus/rules_test.yaml"], None);
    promtool(&["check", "config", "deploy/prometheus/prometheus.yml"], None);
}

/// Killed when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// deploy/prometheus in `dir`, for a gateway whose admin listener is at `admin`.
fn adapt(dir: &Path, admin: SocketAddr) {
    let config = read("deploy/prometheus/prometheus.yml");
    let adapted = config.replace("\"127.0.0.1:9090\"", &format!("\"{admin}\"")).replace(": 15s", ": 1s");
    assert_eq!(adapted.matches(&admin.to_string()).count(), 1, "{config}");
    std::fs::write(dir.join("prometheus.yml"), adapted).unwrap();
    std::fs::write(dir.join("rules.yaml"), read("deploy/prometheus/rules.yaml")).unwrap();
}

fn start(dir: &Path, port: u16) -> Server {
    let mut command = Command::new("prometheus");
    command.current_dir(dir).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Server(child.expect("prometheus: scripts/install-deps.sh installs it"))
}

/// The value of an instant query that gives one series.
async fn value(server: SocketAddr, query: &str) -> Option<String> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = mcp::get(server, &format!("/api/v1/query?query={query}"), None).await.ok()?;
    answer.json()["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_prometheus_server_scrapes_the_gateway_and_evaluates_the_rules() {
    let stage = busy_gateway().await;
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    adapt(dir.path(), stage.gateway.admin_address());
    let _running = start(dir.path(), port);
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    for (query, expected) in [
        ("up{job=\"narthex\"}", "1"),
        ("sum(narthex_http_requests_total{route=\"tools\"})", "7"),
        ("narthex_config_last_reload_successful", "1"),
        ("count(process_resident_memory_bytes{job=\"narthex\"})", "1"),
    ] {
        let scraped =
            eventually(PATIENCE, async || value(server, query).await.as_deref() == Some(expected)).await;
        assert!(scraped.is_some(), "{query}: {:?}, not {expected}", value(server, query).await);
    }
    let rules = mcp::get(server, "/api/v1/rules", None).await.unwrap().json();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 10, "{rules:?}");
    assert!(rules.iter().all(|rule| rule["lastError"].is_null()), "{rules:?}");
}
