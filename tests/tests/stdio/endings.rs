//! How children end, with all that they started.

use super::stage::{PER_CALLER, Setup, Stage, gone, lives, until};
use narthex_testkit::Signal;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// Has the child start processes that try to get away; their ids, its own and its keeper's.
async fn family(stage: &Stage) -> Vec<u32> {
    let alice = stage.alice();
    let mut pids: Vec<u32> = serde_json::from_value(alice.value("family").await).unwrap();
    let child = alice.pid().await;
    let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
    let keeper = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    pids.extend([child, keeper]);
    assert_eq!(pids.len(), 5);
    assert!(pids.iter().all(|pid| lives(*pid)), "{pids:?}");
    assert_ne!(keeper, stage.gateway.id());
    pids
}

#[tokio::test]
async fn a_reload_without_the_upstream_ends_the_child_and_all_that_it_started() {
    for arguments in ["", ", stubborn"] {
        let stage = Stage::start(Setup { arguments, ..Setup::default() }).await;
        let pids = family(&stage).await;
        stage.remove().await;
        gone(&pids, Duration::from_secs(9)).await;
        stage.exited("ended").await;
        let given_back = async || stage.count("narthex_child_resident_bytes", "").await == 0.0;
        until("its memory is not counted", given_back).await;
    }
}

#[tokio::test]
async fn a_gateway_that_is_killed_takes_its_children_with_it() {
    for arguments in ["", ", stubborn"] {
        let stage = Stage::start(Setup { arguments, ..Setup::default() }).await;
        let pids = family(&stage).await;
        stage.gateway.signal(Signal::SIGKILL);
        gone(&pids, Duration::from_secs(9)).await;
    }
}

#[tokio::test]
async fn a_gateway_that_drains_answers_first_and_ends_its_children() {
    let mut stage = Stage::start(Setup { upstream: "    timeout: 20s\n", ..Setup::default() }).await;
    let pids = family(&stage).await;
    let (alice, bob) = (stage.alice(), stage.client("bob"));
    let waiting =
        tokio::spawn(async move { alice.text("hold", json!({"text": "last words", "count": 2})).await });
    let other = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        bob.call("hold", json!({"text": "b", "count": 2})).await
    });
    tokio::time::sleep(Duration::from_millis(600)).await;
    stage.gateway.signal(Signal::SIGTERM);
    assert_eq!(waiting.await.unwrap(), "last words");
    other.await.unwrap();
    assert!(stage.gateway.wait_for_exit(Duration::from_secs(20)).await.is_some());
    gone(&pids, Duration::from_secs(9)).await;
}

#[tokio::test]
async fn a_child_that_dies_leaves_nothing_behind() {
    let stage = Stage::start(Setup { upstream: PER_CALLER, ..Setup::default() }).await;
    let pids = family(&stage).await;
    assert_eq!(stage.alice().call("die", json!({})).await.status, 502);
    gone(&pids, Duration::from_secs(5)).await;
    let waited_for = async || !pids.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists());
    until("somebody has waited for all of them", waited_for).await;
}

#[tokio::test]
async fn a_changed_upstream_is_another_child_and_the_old_one_goes() {
    let stage = Stage::start(Setup::default()).await;
    let old = stage.alice().pid().await;
    stage.reload(Setup { upstream: "    env: { MODE: rw }\n", ..Setup::default() }).await;
    let new = stage.alice().pid().await;
    assert_ne!(new, old);
    gone(&[old], Duration::from_secs(9)).await;
    assert!(lives(new));
    assert_eq!(stage.alice().value("env").await["MODE"], "rw");
}

#[tokio::test]
async fn a_child_that_does_not_mind_the_end_of_its_input_gets_sigterm() {
    let stage = Stage::start(Setup { arguments: ", lingering", ..Setup::default() }).await;
    let child = stage.alice().pid().await;
    stage.remove().await;
    // After 2 s; SIGKILL would come at 5 s.
    gone(&[child], Duration::from_millis(4500)).await;
}
