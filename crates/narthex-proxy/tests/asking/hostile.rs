//! What others could make of a question, and what must not get out.

use super::client::{Client, call, link, pages, question, retry, text};
use super::consents::Consents;
use super::peer::Peer;
use super::stage::{Setup, Stage};
use narthex_credentials::ConnectError;
use narthex_testkit::RawResponse;
use serde_json::{Value, json};
use std::collections::HashSet;

fn refused(answer: &RawResponse) -> (u16, Value) {
    (answer.status, answer.rpc()["error"]["code"].clone())
}

async fn two() -> (Consents, Peer, Peer, Stage) {
    let consents = Consents::start().await;
    let (gh, jira) = (Peer::modern("gh", &consents).await, Peer::legacy("jira", &consents).await);
    let stage = Setup { patience: "1s", ..Setup::default() }.start(&consents, &[&gh, &jira]).await;
    (consents, gh, jira, stage)
}

#[tokio::test]
async fn a_state_is_good_for_its_user_and_call_only() {
    let (consents, gh, jira, stage) = two().await;
    let (alice, bob) = (Client::modern(&stage, "alice", pages()), Client::modern(&stage, "bob", pages()));
    let asked = alice.call("gh__echo").await;
    let url = question(&asked)["url"].as_str().unwrap().to_owned();
    stage.connect(&consents, "alice", &url).await;
    let good = retry(call("gh__echo"), &asked, "accept");
    let with = |member: &str, value: &str| {
        let mut params = good.clone();
        params[member] = value.into();
        params
    };
    let state = good["requestState"].as_str().unwrap();
    let mut flipped = state.to_owned().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let inner = r#"narthex:connect:{"upstream":"gh","round":1,"tool":false,"responses":{}}"#;
    for (what, client, params) in [
        ("another user", &bob, good.clone()),
        ("another tool", &alice, with("name", "gh__of_alice")),
        ("another upstream's tool", &alice, with("name", "jira__echo")),
        ("the tool that connects", &alice, with("name", "gh__connect")),
        ("tampered with", &alice, with("requestState", std::str::from_utf8(&flipped).unwrap())),
        ("what is within", &alice, with("requestState", inner)),
        ("cut", &alice, with("requestState", &state[1..])),
    ] {
        let answer = client.ask("tools/call", params).await;
        assert_eq!(refused(&answer), (400, json!(-32602)), "{what}: {}", answer.text());
    }
    let prompt = alice.ask("prompts/get", retry(json!({"name": "gh__echo"}), &asked, "accept")).await;
    assert_eq!(refused(&prompt), (400, json!(-32602)), "another method");
    assert_eq!((gh.count("tools/call"), jira.count("tools/call")), (0, 0));
    let answer = alice.ask("tools/call", good.clone()).await;
    assert_eq!(text(&answer), "echo for alice of read");
    // Shown again, it is a call like any other: it holds no leave to call, and nothing that was done is done again.
    stage.disconnect("alice", "gh").await;
    question(&alice.ask("tools/call", good).await);
    assert_eq!(gh.count("tools/call"), 1);
}

#[tokio::test]
async fn a_link_is_of_no_use_to_anybody_else() {
    let (consents, _gh, _jira, stage) = two().await;
    let alice = Client::modern(&stage, "alice", pages());
    let url = question(&alice.call("gh__echo").await)["url"].as_str().unwrap().to_owned();
    let stolen = stage.try_to_connect(&consents, "bob", &url).await;
    assert_eq!(stolen.unwrap_err(), ConnectError::NotYours);
    let bob = Client::modern(&stage, "bob", json!({}));
    let his = link(&bob.said("gh__echo").await);
    assert_ne!(his, url, "each gets a link of their own");
    // Bob's page with Alice looking at it is no better.
    assert_eq!(stage.try_to_connect(&consents, "alice", &his).await.unwrap_err(), ConnectError::NotYours);
    stage.connect(&consents, "alice", &url).await;
    assert!(bob.said("gh__echo").await.contains("/connect/"), "what she connects is not his");
    assert_eq!(stage.try_to_connect(&consents, "alice", &url).await.unwrap_err(), ConnectError::Expired);
}

#[tokio::test]
async fn a_crowd_of_first_calls_gets_one_link() {
    let (consents, gh, _jira, stage) = two().await;
    let alice = Client::modern(&stage, "alice", json!({}));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let client = alice.clone();
        calls.spawn(async move { link(&client.said("gh__echo").await) });
    }
    let links: HashSet<String> = calls.join_all().await.into_iter().collect();
    assert_eq!(links.len(), 1, "{links:?}");
    assert_eq!((gh.upstream.count(), consents.calls()), (0, 0));
}

#[tokio::test]
async fn nothing_that_is_secret_gets_out() {
    let (consents, gh, jira, stage) = two().await;
    let (modern, plain) =
        (Client::modern(&stage, "alice", pages()), Client::modern(&stage, "alice", json!({})));
    let legacy = Client::legacy(&stage, "alice", "2025-11-25", pages()).await;
    let mut said = String::new();
    let asked = modern.call("gh__echo").await;
    let url = question(&asked)["url"].as_str().unwrap().to_owned();
    let ticket = url.rsplit('/').next().unwrap().to_owned();
    said += &legacy.call("gh__echo").await.text();
    said += &plain.call("jira__echo").await.text();
    stage.connect(&consents, "alice", &url).await;
    stage.connect(&consents, "alice", &link(&plain.said("jira__connect").await)).await;
    for client in [&modern, &plain, &legacy] {
        for name in ["gh__echo", "gh__needs_write", "jira__needs_write", "jira__echo"] {
            said += &client.call(name).await.text();
        }
    }
    for canary in ["at-canary", "rt-canary", "code-canary", "client-secret-canary", "challenge-canary"] {
        assert!(!said.contains(canary), "{canary} in {said}");
    }
    let log = stage.log();
    assert!(!log.contains(&ticket) && !log.contains("canary"), "{log}");
    assert!(!stage.metrics().contains("canary"));
    for client in [&modern, &plain, &legacy] {
        assert!(!gh.upstream.seen(&client.token) && !jira.upstream.seen(&client.token), "no passthrough");
    }
}
