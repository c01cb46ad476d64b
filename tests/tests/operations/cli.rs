//! The command line: what it says, and with which exit code.

use super::repository;
use super::stage::{PATIENCE, eventually};
use narthex_testkit::{Launch, free_port, mcp};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The binary under test: `NARTHEX_BIN`, or the one built beside this test.
pub(super) fn binary() -> PathBuf {
    std::env::var_os("NARTHEX_BIN").map_or_else(
        || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("narthex"),
        PathBuf::from,
    )
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs `narthex` in `dir`.
pub(super) fn narthex(dir: &Path, args: &[&str]) -> Ended {
    let mut command = Command::new(binary());
    command.env_remove("NARTHEX_CONFIG").env_remove("STATE_DIRECTORY").current_dir(dir).args(args);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A directory with this `gateway.yaml`.
pub(super) fn dir_with(yaml: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("gateway.yaml"), yaml).unwrap();
    dir
}

/// A configuration with the embedded issuer, on ports of its own.
pub(super) fn embedded(port: u16, admin_port: u16) -> String {
    format!(
        "\
server:
  listen: 127.0.0.1:{port}
  public_url: http://localhost:{port}
admin:
  listen: 127.0.0.1:{admin_port}
auth:
  embedded: development
tenants:
  acme:
    routes: [demo]
upstreams:
  demo:
    url: http://127.0.0.1:9/mcp
routes:
  demo:
    path: /mcp
    upstream: demo
    scopes: [mcp:read]
"
    )
}

#[test]
fn a_good_file_is_ok_and_checking_it_starts_and_writes_nothing() {
    let dir = dir_with(&embedded(1, 2));
    let checked = narthex(dir.path(), &["check"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), "gateway.yaml: ok\n"), "{checked:?}");
    assert_eq!(checked.stderr, "");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["gateway.yaml"]);
}

#[test]
fn what_is_probably_not_meant_is_said_of_a_good_file() {
    let yaml = embedded(1, 2).replace("routes:\n  demo", "  idle:\n    command: [server]\nroutes:\n  demo");
    let dir = dir_with(&yaml);
    let checked = narthex(dir.path(), &["check"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), "gateway.yaml: ok\n"), "{checked:?}");
    assert!(checked.stderr.starts_with("warning: no route uses upstream `idle`\n"), "{checked:?}");
}

#[test]
fn the_configurations_of_this_repository_are_good() {
    let root = repository::root();
    for file in ["gateway.yaml", "crates/narthex-config/tests/fixtures/every-key.yaml"] {
        // Their secrets are not on this machine.
        let checked = narthex(&root, &["check", "--no-environment", "--config", file]);
        assert_eq!(checked.code, Some(0), "{file}: {checked:?}");
    }
}

#[test]
fn the_committed_schema_is_the_one_that_the_binary_prints() {
    let printed = narthex(Path::new("."), &["schema"]);
    assert_eq!(printed.code, Some(0));
    assert_eq!(printed.stdout, repository::read("docs/gateway.schema.json"));
    assert!(serde_json::from_str::<Value>(&printed.stdout).unwrap().is_object());
}

#[test]
fn the_version_is_said() {
    let said = narthex(Path::new("."), &["--version"]);
    assert_eq!(said.code, Some(0));
    let mut words = said.stdout.split_whitespace();
    assert_eq!(words.next(), Some("narthex"), "{said:?}");
    assert!(words.next().unwrap().split('.').all(|part| part.parse::<u32>().is_ok()), "{said:?}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    for args in [
        &["serve"][..],
        &["check", "--confg", "x"],
        &["schema", "x"],
        &["token", "--lifetime", "soon"],
        &["pins"],
    ] {
        let refused = narthex(Path::new("."), args);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{args:?}: {refused:?}");
        assert!(!refused.stderr.is_empty(), "{args:?}");
    }
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[tokio::test]
async fn without_a_command_it_serves() {
    let cases: [(&str, &[&str]); 4] = [
        ("nothing", &[]),
        ("a configuration", &["--config", "gateway.yaml"]),
        ("run", &["run"]),
        ("run and a configuration", &["run", "-c", "gateway.yaml"]),
    ];
    for (name, args) in cases {
        let (port, admin_port) = (free_port(), free_port());
        let dir = dir_with(&embedded(port, admin_port));
        let mut command = Command::new(binary());
        command.env_remove("NARTHEX_CONFIG").current_dir(dir.path()).args(args);
        let _running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let admin = SocketAddr::from(([127, 0, 0, 1], admin_port));
        let ready = eventually(PATIENCE, async || {
            mcp::get(admin, "/readyz", None).await.is_ok_and(|answer| answer.status == 200)
        });
        assert!(ready.await.is_some(), "{name}");
    }
}

#[test]
fn a_missing_secret_stops_the_start_and_is_named() {
    let credential = |secret: &str| {
        format!("http://127.0.0.1:9/mcp\n    credential: {{ header: {{ name: x-key, value: {secret} }} }}")
    };
    for (name, secret, named) in [
        ("environment", "{ env: NOT_THERE_4711 }", "NOT_THERE_4711"),
        ("file", "{ file: not-there/key }", "not-there/key"),
    ] {
        let yaml = embedded(free_port(), free_port()).replace("http://127.0.0.1:9/mcp", &credential(secret));
        let dir = dir_with(&yaml);
        for command in ["run", "check"] {
            let refused = narthex(dir.path(), &[command]);
            assert_eq!(refused.code, Some(1), "{name}, {command}: {refused:?}");
            assert!(refused.stderr.contains(named), "{name}, {command}: {refused:?}");
        }
        assert_eq!(narthex(dir.path(), &["check", "--no-environment"]).code, Some(0), "{name}");
    }
}

#[test]
fn an_empty_secret_file_stops_the_start() {
    let yaml = embedded(free_port(), free_port()).replace(
        "http://127.0.0.1:9/mcp",
        "http://127.0.0.1:9/mcp\n    credential: { header: { name: x-key, value: { file: empty } } }",
    );
    let dir = dir_with(&yaml);
    for content in ["", "\n"] {
        fs::write(dir.path().join("empty"), content).unwrap();
        let refused = narthex(dir.path(), &["run"]);
        assert_eq!(refused.code, Some(1), "{content:?}: {refused:?}");
        assert!(refused.stderr.contains("empty"), "{content:?}: {refused:?}");
    }
}

#[test]
fn the_embedded_issuer_is_for_loopback_listeners_only() {
    for listen in ["0.0.0.0", "[::]", "192.0.2.1"] {
        let yaml =
            embedded(8080, 9090).replace("listen: 127.0.0.1:8080", &format!("listen: '{listen}:8080'"));
        let dir = dir_with(&yaml);
        for command in ["run", "check", "token"] {
            let refused = narthex(dir.path(), &[command]);
            assert_eq!(
                (refused.code, refused.stdout.as_str()),
                (Some(1), ""),
                "{listen}, {command}: {refused:?}"
            );
            assert!(refused.stderr.contains("loopback"), "{listen}, {command}: {refused:?}");
        }
    }
}

#[test]
fn tokens_are_given_by_the_embedded_issuer_only() {
    let yaml = embedded(8080, 9090).replace(
        "  embedded: development\n",
        "  issuers:\n    - issuer: https://idp.example.com\n      tenant: { claim: org }\n",
    );
    let refused = narthex(dir_with(&yaml).path(), &["token"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("embedded"), "{refused:?}");
}

#[test]
fn tokens_are_given_for_what_is_configured_only() {
    let dir = dir_with(&embedded(8080, 9090));
    let token = narthex(dir.path(), &["token"]);
    assert_eq!(token.code, Some(0), "{token:?}");
    assert_eq!(token.stdout.trim_end().split('.').count(), 3, "{token:?}");
    assert_eq!(narthex(dir.path(), &["token", "--route", "demo", "--scope", "mcp:read"]).code, Some(0));
    let refused = narthex(dir.path(), &["token", "--route", "elsewhere"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("elsewhere"), "{refused:?}");
}

#[tokio::test]
async fn a_port_that_is_taken_ends_the_start_with_its_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let failure = Launch::new(move |place| {
        let admin = place.admin_port;
        format!(
            "server: {{ listen: {address}, public_url: \"http://localhost:1\" }}\n\
             admin: {{ listen: \"127.0.0.1:{admin}\" }}\n"
        )
    });
    let Err(failure) = failure.start().await else { panic!("it started on a taken port") };
    let text = failure.to_string();
    assert!(text.contains(&format!("cannot listen on {address}")), "{text}");
}
