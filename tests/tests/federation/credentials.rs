//! Credentials of a caller's own at the upstreams of a merged route.

use super::peer::{Peer, tool};
use super::stage::{Setup, eventually};
use narthex_testkit::{Endpoint, Trouble};
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn exchanged() -> Setup {
    Setup::default().upstream(&[
        "credential:",
        "  token_exchange:",
        "    token_url: {idp}/token",
        "    client: { id: narthex, secret: { file: \"{dir}/client-secret\" } }",
    ])
}

#[tokio::test]
async fn a_revoked_credential_is_replaced_when_its_caller_comes_back() {
    let (new, old) = (Peer::modern("new").await.tools(&["a"]), Peer::legacy("old").await.tools(&["a"]));
    let stage = exchanged().start(&[&new, &old]).await;
    let clients = stage.both().await;
    for client in &clients {
        assert_eq!(client.tools().await, ["new__a", "old__a"]);
    }
    for peer in [&new, &old] {
        eventually("it listens", async || (peer.listeners() > 0).then_some(())).await;
        // Whatever it was sent so far is revoked.
        let revoked: Vec<String> = peer.upstream.requests().iter().filter_map(bearer).collect();
        let refused: Mutex<usize> = Mutex::default();
        peer.refuse(move |request| {
            let is_revoked = bearer(request).is_some_and(|bearer| revoked.contains(&bearer));
            *refused.lock().unwrap() += usize::from(is_revoked);
            is_revoked
        });
        peer.set("tools/list", vec![tool("b")]);
        peer.changed("tools");
    }
    for client in &clients {
        eventually("a credential that is good", async || {
            let tools = client.tools().await;
            assert_eq!(tools.len(), 2, "it is no outage: {tools:?}");
            (tools == ["new__b", "old__b"]).then_some(())
        })
        .await;
    }
}

fn bearer(request: &narthex_testkit::UpstreamRequest) -> Option<String> {
    request.header("authorization").map(str::to_owned)
}

#[tokio::test]
async fn credentials_of_several_upstreams_are_obtained_at_the_same_time() {
    const EACH: Duration = Duration::from_millis(500);
    let (a, b) = (Peer::modern("a").await.tools(&["x"]), Peer::modern("b").await.tools(&["x"]));
    let (c, d) = (Peer::modern("c").await.tools(&["x"]), Peer::modern("d").await.tools(&["x"]));
    let stage = exchanged().start(&[&a, &b, &c, &d]).await;
    // Not one that has to wait for the keys, too.
    let stranger = super::client::Client::modern(&stage, "/mcp", serde_json::json!({"sub": "bob"}));
    assert_eq!(stranger.tools().await.len(), 4);
    stage.idp.trouble(Endpoint::Token, Trouble::Slow(EACH));
    let (client, begun) = (stage.modern(), Instant::now());
    client.tools().await;
    let took = begun.elapsed();
    assert!(took >= EACH && took < EACH * 3, "{took:?}");
    eventually("all of them", async || (client.tools().await.len() == 4).then_some(())).await;
}
