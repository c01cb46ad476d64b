//! What there is to be seen of an upstream that is not connected.

use super::client::{Client, call, link, pages, text};
use super::consents::Consents;
use super::peer::Peer;
use super::stage::{Setup, Stage, eventually};
use serde_json::json;

/// One client of each era.
async fn both(stage: &Stage, sub: &str) -> [Client; 2] {
    [Client::modern(stage, sub, pages()), Client::legacy(stage, sub, "2025-11-25", pages()).await]
}

#[tokio::test]
async fn what_is_not_connected_is_one_tool_and_no_outage() {
    let consents = Consents::start().await;
    let (gh, jira) = (Peer::modern("gh", &consents).await, Peer::legacy("jira", &consents).await);
    let docs = Peer::open("docs").await;
    let stage = Setup::default().start(&consents, &[&gh, &docs, &jira]).await;
    for client in both(&stage, "alice").await {
        let tools = client.tools().await;
        assert_eq!(
            tools,
            ["gh__connect", "docs__of_anybody", "docs__echo", "docs__needs_write", "jira__connect"]
        );
        assert_eq!(client.names("prompts/list").await, ["docs__hello"]);
        assert_eq!(client.said("docs__echo").await, "echo for anybody of ", "others are what they were");
        let answer = client.ask("tools/list", json!({})).await;
        let listed = answer.rpc()["result"].clone();
        let tool = &listed["tools"][0];
        assert_eq!(tool["annotations"]["readOnlyHint"], false);
        assert_eq!(tool["annotations"]["openWorldHint"], true);
        let description = tool["description"].as_str().unwrap();
        let host = gh.upstream.address().to_string();
        assert!(description.contains("The gh") && description.contains(&host), "{description}");
        if client.session.is_none() {
            assert_eq!(listed["ttlMs"], 0, "it may be another list in a moment");
        }
    }
    assert_eq!((gh.upstream.count(), jira.upstream.count()), (0, 0), "nobody is asked without a credential");
}

#[tokio::test]
async fn a_client_begins_with_nothing_connected_on_a_route_of_one_upstream_too() {
    let consents = Consents::start().await;
    for peer in [Peer::modern("one", &consents).await, Peer::legacy("one", &consents).await] {
        let stage = Setup::default().start(&consents, &[&peer]).await;
        for client in both(&stage, "alice").await {
            assert_eq!(client.tools().await, ["connect"]);
            assert!(client.names("prompts/list").await.is_empty());
            assert!(client.names("resources/list").await.is_empty());
        }
        let discovered = Client::modern(&stage, "alice", pages()).ask("server/discover", json!({})).await;
        let capabilities = &discovered.rpc()["result"]["capabilities"];
        assert_eq!(capabilities["tools"]["listChanged"], true, "{}", discovered.text());
        assert!(capabilities["prompts"].is_object() && capabilities["resources"].is_object());
    }
}

#[tokio::test]
async fn what_one_user_has_connected_no_other_user_sees() {
    let consents = Consents::start().await;
    let (gh, jira) = (Peer::modern("gh", &consents).await, Peer::legacy("jira", &consents).await);
    let stage = Setup::default().start(&consents, &[&gh, &jira]).await;
    let alice = both(&stage, "alice").await;
    let bob = both(&stage, "bob").await;
    for upstream in ["gh", "jira"] {
        let silent = Client::modern(&stage, "alice", json!({}));
        let link = link(&silent.said(&format!("{upstream}__connect")).await);
        stage.connect(&consents, "alice", &link).await;
    }
    let hers = [
        ["gh__of_alice", "gh__echo", "gh__needs_write"],
        ["jira__of_alice", "jira__echo", "jira__needs_write"],
    ]
    .concat();
    for client in &alice {
        eventually("her tools", async || (client.tools().await == hers).then_some(())).await;
        assert_eq!(client.said("gh__echo").await, "echo for alice of read");
        assert_eq!(client.said("jira__echo").await, "echo for alice of read");
    }
    for client in &bob {
        assert_eq!(client.tools().await, ["gh__connect", "jira__connect"]);
    }
    let bobs = Client::modern(&stage, "bob", json!({}));
    let link = link(&text(&bobs.ask("tools/call", call("gh__echo")).await));
    stage.connect(&consents, "bob", &link).await;
    for client in &bob {
        eventually("his tools", async || {
            let tools = client.tools().await;
            (tools == ["gh__of_bob", "gh__echo", "gh__needs_write", "jira__connect"]).then_some(())
        })
        .await;
        assert_eq!(client.said("gh__echo").await, "echo for bob of read");
    }
    for client in &alice {
        assert_eq!(client.tools().await, hers, "and hers stay hers");
    }
}

#[tokio::test]
async fn a_tenant_that_is_shown_nothing_of_it_is_not_shown_how_to_connect_it() {
    let consents = Consents::start().await;
    let (gh, docs) = (Peer::modern("gh", &consents).await, Peer::open("docs").await);
    for (tenant, shown) in [
        ("    expose: { main: { include: [\"docs__*\"] } }\n", false),
        ("    expose: { main: { exclude: [\"gh__*\"] } }\n", false),
        ("    expose: { main: { exclude: [gh__connect] } }\n", false),
        ("    expose: { main: { include: [\"docs__*\", gh__echo] } }\n", true),
        ("    expose: { main: { exclude: [\"gh__of_*\"] } }\n", true),
    ] {
        let stage = Setup { tenant, ..Setup::default() }.start(&consents, &[&gh, &docs]).await;
        let sub = format!("user-{}", stage.address.port());
        for client in both(&stage, &sub).await {
            let tools = client.tools().await;
            assert_eq!(tools.contains(&"gh__connect".to_owned()), shown, "{tenant}: {tools:?}");
            let called = client.call("gh__connect").await;
            let code = &called.rpc()["error"]["code"];
            assert_eq!(*code == -32602, !shown, "{tenant}: {}", called.text());
        }
        // What it calls so itself, or whatever else, is not shown for that.
        if shown {
            let silent = Client::modern(&stage, &sub, json!({}));
            stage.connect(&consents, &sub, &link(&silent.said("gh__connect").await)).await;
            eventually("her tools", async || {
                silent.tools().await.contains(&"gh__echo".to_owned()).then_some(())
            })
            .await;
            assert!(!silent.tools().await.contains(&"gh__connect".to_owned()));
            assert!(!silent.tools().await.contains(&format!("gh__of_{sub}")));
        }
    }
}
