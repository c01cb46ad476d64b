//! Children that misbehave.

use super::stage::{PER_CALLER, Setup, Stage, TOKEN, until};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_child_that_exits_at_start_is_started_less_and_less_often_and_callers_are_told_at_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    // What it notes of its starts comes before the exit.
    let arguments = format!(", counted, {}", log.path().display());
    let stage =
        Stage::start(Setup { arguments: &arguments, upstream: "    restart: { min: 1s, max: 4s }\n" }).await;
    let alice = stage.alice();
    let starts = || std::fs::read_to_string(log.path()).unwrap().lines().count();
    let mut waited = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        // It dies in its first call, each time.
        let answer = alice.call("die", json!({})).await;
        assert!([502, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
        if answer.status == 503 {
            waited += 1;
            assert!(answer.header("retry-after").is_some(), "{}", answer.text());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // At 0 s, 1 s and 3 s.
    assert!((2..=3).contains(&starts()), "{} starts", starts());
    assert!(waited > 10, "{waited}");
    stage.gateway.wait_for_output("child_waits", 1).await;

    let never = Stage::start(Setup { arguments: ", exit", ..Setup::default() }).await;
    let begun = Instant::now();
    assert_eq!(never.alice().call("pid", json!({})).await.status, 502);
    assert_eq!(never.alice().call("pid", json!({})).await.status, 503);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_in_the_log() {
    let stage = Stage::start(Setup { arguments: "", upstream: "    cwd: /no/such/directory\n" }).await;
    assert_eq!(stage.alice().call("pid", json!({})).await.status, 502);
    stage.gateway.wait_for_output("child_not_started", 1).await;
    stage.exited("not_started").await;
}

#[tokio::test]
async fn when_a_child_dies_in_mid_call_all_its_calls_fail_at_once_and_are_not_sent_again() {
    let heard = tempfile::NamedTempFile::new().unwrap();
    let upstream = format!("    timeout: 30s\n    env: {{ HEARD: {} }}\n", heard.path().display());
    let stage = Stage::start(Setup { upstream: &upstream, ..Setup::default() }).await;
    let alice = stage.alice();
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let alice = alice.clone();
            tokio::spawn(
                async move { alice.call("hold", json!({"text": n.to_string(), "count": 1000})).await },
            )
        })
        .collect();
    let held = async || std::fs::read_to_string(heard.path()).unwrap().matches("\"hold\"").count() == 20;
    until("all are held", held).await;
    let begun = Instant::now();
    assert_eq!(alice.call("die", json!({})).await.status, 502);
    for call in waiting {
        let answer = call.await.unwrap();
        assert_eq!((answer.status, answer.rpc()["error"]["code"].as_i64()), (502, Some(-32603)));
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(alice.text("echo", json!({"text": "new"})).await, "new");
    let heard = std::fs::read_to_string(heard.path()).unwrap();
    assert_eq!((heard.matches("\"hold\"").count(), heard.matches("\"die\"").count()), (20, 1));
    stage.exited("exited").await;
}

#[tokio::test]
async fn floods_on_stdout_and_stderr_cost_memory_nothing_and_other_callers_little() {
    let stage = Stage::start(Setup { upstream: PER_CALLER, ..Setup::default() }).await;
    let (alice, bob) = (stage.alice(), stage.client("bob"));
    bob.pid().await;
    alice.pid().await;
    let before = stage.gateway.resident_bytes().unwrap();
    let flooding = tokio::spawn(async move {
        assert_eq!(alice.text("stderr", json!({"lines": 20_000})).await, "after the flood");
        assert_eq!(alice.text("noise", json!({"lines": 20_000})).await, "after the noise");
        alice.text("flood", json!({"lines": 50_000})).await
    });
    let mut slowest = Duration::ZERO;
    while !flooding.is_finished() {
        let begun = Instant::now();
        assert_eq!(bob.text("echo", json!({"text": "b"})).await, "b");
        slowest = slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(flooding.await.unwrap(), "flooded");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let after = stage.gateway.resident_bytes().unwrap();
    assert!(after < before + (48 << 20), "{before} {after}");
    // The rest is counted.
    stage.gateway.wait_for_output("lines of stderr were not logged", 1).await;
    let output = stage.gateway.output();
    let logged = output.matches("stderr").count();
    assert!(logged > 5 && logged < 500, "{logged} lines");
    assert!(!output.contains('\u{1b}') && !output.contains(TOKEN), "escaped, and without the credential");
}

#[tokio::test]
async fn a_line_of_a_hundred_mebibytes_ends_the_child_and_is_not_held() {
    let upstream = "    timeout: 30s\n    limits: { message: 1MiB }\n    restart: { min: 50ms }\n";
    let stage = Stage::start(Setup { upstream, ..Setup::default() }).await;
    let alice = stage.alice();
    alice.pid().await;
    let before = stage.gateway.resident_bytes().unwrap();
    assert_eq!(alice.call("long", json!({"mib": 100})).await.status, 502);
    stage.exited("message").await;
    let after = stage.gateway.resident_bytes().unwrap();
    assert!(after < before + (32 << 20), "{before} {after}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(alice.text("echo", json!({"text": "x"})).await, "x");
}

#[tokio::test]
async fn a_child_that_does_not_read_or_answer_is_given_up_in_time_and_blocks_nobody_else() {
    let upstream = format!("{PER_CALLER}    timeout: 2s\n");
    let stage = Stage::start(Setup { upstream: &upstream, ..Setup::default() }).await;
    let (alice, bob) = (stage.alice(), stage.client("bob"));
    bob.pid().await;
    alice.pid().await;
    let begun = Instant::now();
    let silent = alice.call("silent", json!({})).await;
    assert_eq!(silent.status, 504, "{}", silent.text());
    // From here on it reads nothing. Far more is said to it than its pipe and its queue hold.
    let mut memory = Vec::new();
    for _ in 0..3 {
        let deaf: Vec<_> = (0..20)
            .map(|_| {
                let (alice, text) = (alice.clone(), "x".repeat(500_000));
                tokio::spawn(async move { alice.call("deaf", json!({"text": text})).await.status })
            })
            .collect();
        assert_eq!(bob.text("echo", json!({"text": "b"})).await, "b");
        for call in deaf {
            let status = call.await.unwrap();
            assert!([503, 504].contains(&status), "{status}");
        }
        memory.push(stage.gateway.resident_bytes().unwrap());
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(bob.text("echo", json!({"text": "b"})).await, "b");
    assert!(memory[2] < memory[0] + (32 << 20), "what was given up is kept: {memory:?}");
}
