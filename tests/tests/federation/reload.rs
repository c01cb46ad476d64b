//! A changed configuration holds for sessions and streams that are open.

use super::client::items;
use super::peer::Peer;
use super::stage::{Setup, Stage, eventually};
use serde_json::json;
use std::time::Duration;

async fn peers() -> (Peer, Peer) {
    (Peer::modern("new").await.tools(&["read", "write"]), Peer::legacy("old").await.tools(&["read", "write"]))
}

#[tokio::test]
async fn a_tool_that_is_denied_is_unknown_at_once() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let clients = stage.both().await;
    let mut streams = Vec::new();
    for client in &clients {
        assert_eq!(client.tools().await.len(), 4);
        assert_eq!(client.call("old__write", json!({})).await, "old write {}");
        streams.push(client.listen(&[]).await);
    }
    for route in ["tools: [{ match: [\"*__write\"], deny: true }]", "expose: { exclude: [\"*__write\"] }"] {
        stage.reload(&Setup::route(&[route]), &[&new, &old]).await;
        for (client, stream) in clients.iter().zip(&mut streams) {
            assert_eq!(client.tools().await, ["new__read", "old__read"], "{route}");
            for name in ["new__write", "old__write"] {
                assert_eq!(client.call_fault(name).await, (200, json!(-32602)), "{route}");
            }
            stream.notified("notifications/tools/list_changed").await;
        }
        stage.reload(&Setup::default(), &[&new, &old]).await;
        for (client, stream) in clients.iter().zip(&mut streams) {
            assert_eq!(client.tools().await.len(), 4);
            stream.notified("notifications/tools/list_changed").await;
        }
    }
}

#[tokio::test]
async fn upstreams_that_come_and_go_are_told_of_to_those_who_listen() {
    let (new, old) = peers().await;
    let third = Peer::modern("third").await.tools(&["read"]);
    let stage = Stage::start(&[&new, &old]).await;
    let clients = stage.both().await;
    let mut streams = Vec::new();
    for client in &clients {
        assert_eq!(client.tools().await.len(), 4);
        streams.push(client.listen(&[]).await);
    }
    for (peers, count) in [(vec![&new], 2), (vec![&new, &old, &third], 5), (vec![&old, &third], 3)] {
        stage.reload(&Setup::default(), &peers).await;
        for (client, stream) in clients.iter().zip(&mut streams) {
            let page = client.result("tools/list", json!({})).await;
            assert_eq!(items(&page).len(), count, "{page}");
            stream.notified("notifications/tools/list_changed").await;
        }
    }
    // What a new one tells of reaches those who listened before.
    third.set("tools/list", vec![super::peer::tool("fresh")]);
    eventually("it is listened to", async || (third.listeners() > 0).then_some(())).await;
    third.changed("tools");
    for stream in &mut streams {
        stream.notified("notifications/tools/list_changed").await;
    }
    eventually("nobody listens to what is gone", async || (new.listeners() == 0).then_some(())).await;
    for client in &clients {
        assert_eq!(client.call_fault("new__read").await, (200, json!(-32602)));
        assert_eq!(client.call("third__fresh", json!({})).await, "third fresh {}");
    }
}

#[tokio::test]
async fn what_does_not_change_is_not_told() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        client.tools().await;
        let mut stream = client.listen(&[]).await;
        if client.is_modern() {
            stream.event().await;
        }
        eventually("it is listened to", async || {
            (new.listeners() == 1 && old.listeners() == 1).then_some(())
        })
        .await;
        let (lists, initialized) = (new.count("tools/list"), old.count("initialize"));
        let page = if client.is_modern() { "page_size: 50" } else { "page_size: 60" };
        stage.reload(&Setup::route(&[page]), &[&new, &old]).await;
        let told = stream.within(Duration::from_millis(800)).await;
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(client.tools().await.len(), 4);
        assert_eq!(
            (new.count("tools/list"), old.count("initialize")),
            (lists, initialized),
            "nothing is read again"
        );
    }
}

#[tokio::test]
async fn a_changed_credential_is_used_from_then_on() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let clients = stage.both().await;
    let mut streams = Vec::new();
    for client in &clients {
        client.tools().await;
        streams.push(client.listen(&[]).await);
    }
    let other = Setup::default()
        .upstream(&["credential: { header: { name: x-other-key, value: { file: \"{dir}/key\" } } }"]);
    stage.reload(&other, &[&new, &old]).await;
    for client in &clients {
        assert_eq!(client.tools().await.len(), 4);
        client.call("new__read", json!({})).await;
        client.call("old__read", json!({})).await;
    }
    for peer in [&new, &old] {
        let calls = peer.upstream.requests_for("tools/call");
        assert!(
            calls.len() == 2
                && calls.iter().all(|r| r.header("x-other-key").is_some() && r.header("x-api-key").is_none())
        );
    }
    new.set("tools/list", vec![super::peer::tool("fresh")]);
    eventually("it is listened to", async || {
        let listens = new.upstream.requests_for("subscriptions/listen");
        listens.iter().any(|request| request.header("x-other-key").is_some()).then_some(())
    })
    .await;
    new.changed("tools");
    for stream in &mut streams {
        stream.notified("notifications/tools/list_changed").await;
    }
}
