//! An upstream with several endpoints.

use super::client::Client;
use super::peer::Peer;
use super::stage::{Setup, Stage, eventually};
use serde_json::json;

/// Three endpoints that are alike, as one upstream `many`, and another upstream beside.
async fn stage(modern: bool) -> (Stage, Vec<Peer>, Peer) {
    let mut peers = Vec::new();
    for id in ["e1", "e2", "e3"] {
        let peer = if modern { Peer::modern(id).await } else { Peer::legacy(id).await };
        peers.push(peer.tools(&["echo", "add"]));
    }
    let beside = Peer::modern("beside").await.tools(&["echo"]);
    let urls: Vec<_> = peers.iter().map(|peer| peer.upstream.url("/mcp")).collect();
    let urls = format!("urls: [{}]", urls.join(", "));
    let lines = [
        urls.as_str(),
        "timeout: 5s",
        "health: { interval: 200ms, timeout: 1s }",
        "catalogue: { timeout: 1s }",
        "breaker: { failures: 2, cooldown: 1s }",
    ];
    let stage = Setup::default().with("many", &lines).start(&[&beside]).await;
    (stage, peers, beside)
}

/// Who answered a call.
async fn answered(client: &Client) -> String {
    client.call("many__echo", json!({})).await.split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn calls_of_modern_upstreams_are_spread() {
    let (stage, peers, _beside) = stage(true).await;
    let client = stage.modern();
    assert_eq!(client.tools().await, ["beside__echo", "many__echo", "many__add"]);
    for _ in 0..60 {
        answered(&client).await;
    }
    for peer in &peers {
        assert!((8..=35).contains(&peer.count("tools/call")), "{}: {}", peer.id, peer.count("tools/call"));
    }
    let lists: usize = peers.iter().map(|peer| peer.count("tools/list")).sum();
    assert_eq!(lists, 1, "they are alike: one list is enough");
}

#[tokio::test]
async fn a_session_sticks_to_its_endpoint_and_is_moved_when_that_dies() {
    let (stage, mut peers, _beside) = stage(false).await;
    let mut clients = Vec::new();
    for n in 0..9 {
        let subject = json!({"sub": format!("user-{n}")});
        clients.push(Client::modern(&stage, "/mcp", subject.clone()));
        clients.push(Client::legacy(&stage, "/mcp", subject).await);
    }
    let mut homes = Vec::new();
    for client in &clients {
        let home = answered(client).await;
        for _ in 0..3 {
            assert_eq!(answered(client).await, home, "it sticks");
        }
        homes.push(home);
    }
    let dead = homes[0].clone();
    assert!(homes.iter().any(|home| *home != dead), "they are spread: {homes:?}");
    let opened: Vec<_> = peers.iter().map(|peer| (peer.id, peer.count("initialize"))).collect();
    let at = peers.iter().position(|peer| peer.id == dead).unwrap();
    let stopped = peers.remove(at).stop().await;
    eventually("the others have its callers", async || {
        let mut all = true;
        for (client, home) in clients.iter().zip(&homes).filter(|(_, home)| **home == dead) {
            let answer = client.ask("tools/call", json!({"name": "many__echo", "arguments": {}})).await;
            let said = answer.tool_text().unwrap_or_default();
            all &= !said.is_empty() && !said.starts_with(home.as_str());
        }
        all.then_some(())
    })
    .await;
    for (client, home) in clients.iter().zip(&homes).filter(|(_, home)| **home != dead) {
        assert_eq!(answered(client).await, *home, "nobody else is disturbed");
    }
    let moved = homes.iter().filter(|home| **home == dead).count();
    for peer in &peers {
        let before = opened.iter().find(|(id, _)| *id == peer.id).unwrap().1;
        // Each of those moved has a session of its own, and perhaps the one that lists do.
        assert!(peer.count("initialize") - before <= moved + 2, "{}", peer.id);
    }
    assert_eq!(clients[0].tools().await.len(), 3, "and nothing is missed");
    let back = stopped.resume().await;
    eventually("its callers are back home", async || {
        let mut all = true;
        for (client, home) in clients.iter().zip(&homes).filter(|(_, home)| **home == dead) {
            all &= answered(client).await == *home;
        }
        all.then_some(())
    })
    .await;
    drop(back);
}

#[tokio::test]
async fn with_one_endpoint_dead_no_modern_call_is_lost_for_long() {
    let (stage, mut peers, _beside) = stage(true).await;
    let client = stage.modern();
    client.tools().await;
    peers.remove(0).stop().await;
    eventually("only the living are called", async || {
        for _ in 0..12 {
            let answer = client.ask("tools/call", json!({"name": "many__echo", "arguments": {}})).await;
            answer.tool_text()?;
        }
        Some(())
    })
    .await;
    let page = client.result("tools/list", json!({})).await;
    assert!(page["_meta"].get("dev.narthex/degraded").is_none(), "{page}");
}
