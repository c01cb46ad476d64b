//! A resource is subscribed to at its owner, and nowhere else.

use super::peer::Peer;
use super::stage::{Stage, eventually};
use narthex_testkit::UpstreamRequest;
use serde_json::{Value, json};
use std::time::Duration;

async fn peers() -> (Peer, Peer) {
    (
        Peer::modern("new").await.resources(&["new://a", "new://b"]),
        Peer::legacy("old").await.resources(&["old://a", "old://b"]),
    )
}

/// What a server was told of resources to subscribe to.
fn uris(peer: &Peer) -> Vec<String> {
    let of = |request: &UpstreamRequest| {
        let params = request.json()["params"].clone();
        let listened =
            params["notifications"]["resourceSubscriptions"].as_array().cloned().unwrap_or_default();
        let one =
            (request.rpc_method().as_deref() == Some("resources/subscribe")).then(|| params["uri"].clone());
        listened.into_iter().chain(one).filter_map(|uri| uri.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    peer.upstream.requests().iter().flat_map(of).collect()
}

#[tokio::test]
async fn updates_come_from_the_owner_with_the_clients_own_subscription() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        client.tools().await;
        let mut stream = client.listen(&["new://a", "old://a"]).await;
        if client.is_modern() {
            let ack = stream.event().await;
            assert_eq!(
                ack["params"]["notifications"]["resourceSubscriptions"],
                json!(["new://a", "old://a"])
            );
        }
        assert!(uris(&new).iter().all(|uri| uri == "new://a"), "{:?}", uris(&new));
        assert!(uris(&old).iter().all(|uri| uri == "old://a"), "{:?}", uris(&old));
        for peer in [&new, &old] {
            // Of what is another's, or was not subscribed to, it may say nothing.
            for uri in [format!("{}://b", peer.id), "new://never".to_owned(), "elsewhere://x".to_owned()] {
                peer.tell("notifications/resources/updated", &json!({"uri": uri}));
            }
            let other = if peer.id == "new" { "old://a" } else { "new://a" };
            peer.tell("notifications/resources/updated", &json!({"uri": other}));
            peer.tell("notifications/resources/updated", &json!({"uri": format!("{}://a", peer.id)}));
            let told = stream.event().await;
            assert_eq!(told["params"]["uri"], format!("{}://a", peer.id), "{told}");
            let subscription = told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
            assert_eq!(subscription, if client.is_modern() { json!(5) } else { Value::Null });
        }
        let more = stream.within(Duration::from_millis(400)).await;
        assert!(more.is_empty(), "{more:?}");
        if !client.is_modern() {
            for uri in ["new://a", "old://a"] {
                client.result("resources/unsubscribe", json!({"uri": uri})).await;
            }
            eventually("it is unsubscribed", async || {
                (old.count("resources/unsubscribe") >= 1).then_some(())
            })
            .await;
            new.tell("notifications/resources/updated", &json!({"uri": "new://a"}));
            old.tell("notifications/resources/updated", &json!({"uri": "old://a"}));
            let more = stream.within(Duration::from_millis(400)).await;
            assert!(more.is_empty(), "{more:?}");
        }
    }
}

#[tokio::test]
async fn what_is_nobodys_is_not_subscribed_to() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let [modern, legacy] = stage.both().await;
    let mut stream = modern.listen(&["secret://canary", "new://a"]).await;
    let ack = stream.event().await;
    assert_eq!(ack["params"]["notifications"]["resourceSubscriptions"], json!(["new://a"]));
    let fault = legacy.fault("resources/subscribe", json!({"uri": "secret://canary"})).await;
    assert!(fault.0 == 200 && fault.1.is_i64(), "{fault:?}");
    assert!(!new.upstream.seen("secret://canary") && !old.upstream.seen("secret://canary"));
}

#[tokio::test]
async fn a_broken_subscription_is_made_again_and_the_client_told_to_look() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        client.tools().await;
        let mut stream = client.listen(&["new://a", "old://a"]).await;
        if client.is_modern() {
            stream.event().await;
        }
        for peer in [&new, &old] {
            let uri = format!("{}://a", peer.id);
            peer.cut();
            let told = stream.notified("notifications/resources/updated").await;
            assert_eq!(told["params"]["uri"], uri, "it may have been missed");
            let told = async {
                loop {
                    peer.tell("notifications/resources/updated", &json!({"uri": uri}));
                    if !stream.within(Duration::from_millis(300)).await.is_empty() {
                        break;
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(20), told).await.expect("updates come again");
        }
    }
}
