//! Who is told when a user connects something, or ends a connection.

use super::client::{Client, link, pages};
use super::consents::Consents;
use super::peer::Peer;
use super::stage::{Setup, eventually};
use serde_json::json;
use std::time::Duration;

const TOOLS: &str = "notifications/tools/list_changed";

#[tokio::test]
async fn a_users_clients_are_told_and_nobody_elses() {
    let consents = Consents::start().await;
    let (gh, jira) = (Peer::modern("gh", &consents).await, Peer::legacy("jira", &consents).await);
    let stage = Setup::default().start(&consents, &[&gh, &jira]).await;
    let alice = [
        Client::modern(&stage, "alice", pages()),
        Client::legacy(&stage, "alice", "2025-11-25", pages()).await,
        Client::legacy(&stage, "alice", "2025-06-18", json!({})).await,
    ];
    let bob = Client::modern(&stage, "bob", pages());
    let mut streams = Vec::new();
    for client in &alice {
        client.tools().await;
        streams.push(client.listen().await);
    }
    bob.tools().await;
    let mut bobs = bob.listen().await;
    let plain = Client::modern(&stage, "alice", json!({}));
    for upstream in ["gh", "jira"] {
        let url = link(&plain.said(&format!("{upstream}__connect")).await);
        stage.connect(&consents, "alice", &url).await;
        for (client, stream) in alice.iter().zip(&mut streams) {
            stream.hears(TOOLS).await;
            assert!(client.tools().await.contains(&format!("{upstream}__of_alice")), "{upstream}");
        }
        for stream in &mut streams {
            stream.within(Duration::from_millis(200)).await;
        }
        stage.disconnect("alice", upstream).await;
        for (client, stream) in alice.iter().zip(&mut streams) {
            stream.hears(TOOLS).await;
            let tools = client.tools().await;
            assert!(tools.contains(&format!("{upstream}__connect")), "{upstream}: {tools:?}");
            assert!(!tools.iter().any(|tool| tool.ends_with("of_alice")), "{upstream}: {tools:?}");
            assert!(client.names("prompts/list").await.is_empty());
        }
    }
    let heard = bobs.within(Duration::from_millis(300)).await;
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn what_was_opened_for_one_connection_is_not_used_for_the_next() {
    let consents = Consents::start().await;
    let jira = Peer::legacy("jira", &consents).await;
    let stage = Setup::default().start(&consents, &[&jira]).await;
    let client = Client::modern(&stage, "alice", json!({}));
    let connect = async || {
        let url = link(&client.said("connect").await);
        stage.connect(&consents, "alice", &url).await;
        eventually("her tools", async || (client.tools().await.len() == 3).then_some(())).await;
        assert_eq!(client.said("echo").await, "echo for alice of read");
    };
    connect().await;
    let opened = jira.count("initialize");
    stage.disconnect("alice", "jira").await;
    eventually("they are gone", async || (client.tools().await == ["connect"]).then_some(())).await;
    assert!(client.said("echo").await.contains("/connect/"), "and cannot be called");
    connect().await;
    assert!(jira.count("initialize") > opened, "another session");
}

#[tokio::test]
async fn a_connection_that_ends_in_mid_call_ends_for_the_next_call() {
    let consents = Consents::start().await;
    let gh = Peer::modern("gh", &consents).await;
    let stage = Setup::default().start(&consents, &[&gh]).await;
    let client = Client::modern(&stage, "alice", json!({}));
    let url = link(&client.said("connect").await);
    stage.connect(&consents, "alice", &url).await;
    eventually("her tools", async || (client.tools().await.len() == 3).then_some(())).await;
    gh.slow_next(Duration::from_millis(500));
    let running = {
        let client = client.clone();
        tokio::spawn(async move { client.said("echo").await })
    };
    eventually("it runs", async || (gh.count("tools/call") == 1).then_some(())).await;
    stage.disconnect("alice", "gh").await;
    assert!(client.said("echo").await.contains("/connect/"), "the next one is not made");
    assert_eq!(running.await.unwrap(), "echo for alice of read", "what was begun goes on");
    assert_eq!(gh.count("tools/call"), 1);
}
