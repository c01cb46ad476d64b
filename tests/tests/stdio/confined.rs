//! What a child can see and use.

use super::stage::{PER_CALLER, Setup, Stage, TOKEN};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn nothing_of_the_gateways_environment_or_the_callers_token_reaches_a_child() {
    let heard = tempfile::NamedTempFile::new().unwrap();
    let upstream = format!("{PER_CALLER}    env: {{ MODE: ro, HEARD: {} }}\n", heard.path().display());
    let stage = Stage::start(Setup { upstream: &upstream, ..Setup::default() }).await;
    let alice = stage.alice();
    let environment = alice.value("env").await;
    let mut names: Vec<&str> = environment.as_object().unwrap().keys().map(String::as_str).collect();
    // What the interpreter and its launcher make up themselves.
    names.retain(|name| {
        !name.contains("PYENV") && !["LC_CTYPE", "PWD", "SHLVL", "_", "OLDPWD", "LANG"].contains(name)
    });
    assert_eq!(names, ["HEARD", "HOME", "MODE", "PATH", "TOKEN"], "{environment}");
    assert_eq!((environment["TOKEN"].as_str(), environment["MODE"].as_str()), (Some(TOKEN), Some("ro")));
    assert!(!environment.to_string().contains("of-the-gateway"));

    let heard = std::fs::read_to_string(heard.path()).unwrap();
    assert!(heard.contains("\"env\""), "{heard}");
    for secret in [alice.token.as_str(), "of-the-gateway", TOKEN, "uthorization"] {
        assert!(!heard.contains(secret), "{heard}");
    }
    let command_lines = alice.value("argv").await.to_string();
    assert!(command_lines.contains("stdio-exec"), "{command_lines}");
    for secret in [alice.token.as_str(), TOKEN] {
        assert!(!command_lines.contains(secret) && !stage.gateway.output().contains(secret));
    }
}

#[tokio::test]
async fn a_child_has_three_open_files_and_may_open_so_many() {
    let upstream = "    limits: { files: 40 }\n";
    let stage = Stage::start(Setup { upstream, ..Setup::default() }).await;
    // The fourth is the listing itself.
    assert_eq!(stage.alice().value("fds").await, json!([0, 1, 2, 3]));
    assert_eq!(stage.alice().text("files", json!({})).await, "37");
}

#[tokio::test]
async fn a_child_that_eats_memory_is_killed_with_its_reason_and_the_next_call_has_another() {
    let upstream = "    limits: { memory: 100MiB }\n    restart: { min: 100ms }\n";
    let stage = Stage::start(Setup { upstream, ..Setup::default() }).await;
    let alice = stage.alice();
    let first = alice.pid().await;
    let refused = alice.call("eat", json!({})).await;
    assert_eq!(
        (refused.status, refused.rpc()["error"]["code"].as_i64()),
        (502, Some(-32603)),
        "{}",
        refused.text()
    );
    stage.exited("memory").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_ne!(alice.pid().await, first);
    assert_eq!(stage.count("narthex_child_starts_total", "again=\"true\",").await, 1.0);
    // What it uses is seen within a second or two, and what it used is not counted any more.
    let sample = "narthex_child_resident_bytes{upstream=\"main\"}";
    stage.gateway.wait_for_metric(sample, |bytes| (1e6..1e8).contains(&bytes)).await;
}

#[tokio::test]
async fn a_child_that_spins_is_ended_by_the_kernel() {
    let upstream = "    timeout: 30s\n    limits: { cpu: 1s }\n";
    let stage = Stage::start(Setup { upstream, ..Setup::default() }).await;
    let begun = Instant::now();
    let refused = stage.alice().call("spin", json!({})).await;
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert!(begun.elapsed() < Duration::from_secs(20));
    stage.exited("cpu").await;
}

#[tokio::test]
async fn a_changed_secret_is_a_new_child_with_the_new_one() {
    let stage = Stage::start(Setup::default()).await;
    let alice = stage.alice();
    let old = alice.pid().await;
    stage.reload(Setup { upstream: "    # The same.\n", ..Setup::default() }).await;
    assert_eq!(alice.pid().await, old, "nothing has changed for it");
    let yaml = std::fs::read_to_string(stage.gateway.place().config()).unwrap();
    let _ = stage.gateway.place().file("token", "another-credential");
    assert!(stage.gateway.reload(&format!("{yaml}# Read anew.\n")).await);
    super::stage::gone(&[old], Duration::from_secs(10)).await;
    assert_eq!(alice.value("env").await["TOKEN"], "another-credential");
}
