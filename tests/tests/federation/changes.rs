//! Whoever listens is told of every upstream's changes, and not more often than need be.

use super::client::{Client, Coming};
use super::peer::{Peer, tool};
use super::stage::{Stage, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

async fn peers() -> (Peer, Peer) {
    let new = Peer::modern("new")
        .await
        .tools(&["a"])
        .prompts(&["a"])
        .resources(&["new://a"])
        .templates(&["new://{a}"]);
    let old = Peer::legacy("old")
        .await
        .tools(&["a"])
        .prompts(&["a"])
        .resources(&["old://a"])
        .templates(&["old://{a}"]);
    (new, old)
}

async fn listening(client: &Client, peers: [&Peer; 2]) -> Coming {
    client.tools().await;
    let mut stream = client.listen(&[]).await;
    if client.is_modern() {
        assert_eq!(stream.event().await["method"], "notifications/subscriptions/acknowledged");
    }
    for peer in peers {
        eventually("it is listened to", async || (peer.listeners() > 0).then_some(())).await;
    }
    stream
}

#[tokio::test]
async fn a_change_of_any_list_of_any_upstream_reaches_clients_of_both_eras() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let clients = stage.both().await;
    let mut streams = Vec::new();
    for client in &clients {
        streams.push(listening(client, [&new, &old]).await);
    }
    assert_eq!((new.listeners(), old.listeners()), (1, 1), "one stream serves all clients");
    for peer in [&new, &old] {
        for (what, method, item) in [
            ("tools", "tools/list", tool("b")),
            ("prompts", "prompts/list", json!({"name": "b"})),
            ("resources", "resources/list", json!({"uri": format!("{}://b", peer.id), "name": "b"})),
            (
                "resources",
                "resources/templates/list",
                json!({"uriTemplate": format!("{}://{{b}}", peer.id), "name": "b"}),
            ),
        ] {
            peer.set(method, vec![item.clone()]);
            peer.changed(what);
            for (client, stream) in clients.iter().zip(&mut streams) {
                let told = stream.event().await;
                assert_eq!(
                    told["method"],
                    format!("notifications/{what}/list_changed"),
                    "{} {method}",
                    peer.id
                );
                let subscription = told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
                assert_eq!(subscription, if client.is_modern() { json!(5) } else { Value::Null });
                let names = client.names(method).await;
                let expected = super::client::name_of(&item);
                assert!(
                    names.iter().any(|name| name.ends_with(&expected)),
                    "what is told can be seen: {names:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn many_changes_at_once_are_told_as_few_and_an_upstream_is_believed() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        let mut stream = listening(&client, [&new, &old]).await;
        for n in 0..20 {
            let n = format!("t{n}-{}", client.is_modern());
            new.set("tools/list", vec![tool(&n)]);
            new.changed("tools");
            old.set("tools/list", vec![tool(&n)]);
            old.changed("tools");
        }
        stream.notified("notifications/tools/list_changed").await;
        let more = stream.within(Duration::from_millis(1200)).await;
        assert!(more.len() <= 3, "{more:?}");
        let last = format!("t19-{}", client.is_modern());
        assert_eq!(client.tools().await, [format!("new__{last}"), format!("old__{last}")]);
        new.changed("tools");
        old.changed("prompts");
        // What a list shows is not all that there is to a tool.
        let told = stream.within(Duration::from_millis(3000)).await;
        let methods: BTreeSet<_> = told.iter().filter_map(|event| event["method"].as_str()).collect();
        let each = ["notifications/prompts/list_changed", "notifications/tools/list_changed"];
        assert_eq!(methods, each.into(), "{told:?}");
        assert_eq!(told.len(), 2, "{told:?}");
    }
}

#[tokio::test]
async fn only_what_is_wanted_is_acknowledged_and_told() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let client = stage.modern();
    client.tools().await;
    let wanted = json!({"promptsListChanged": true, "resourceSubscriptions": ["new://a", "nobody://a"]});
    let mut stream =
        client.send_with_id(&json!("sub-1"), "subscriptions/listen", json!({"notifications": wanted})).await;
    stream.stream().await;
    let ack = stream.event().await;
    assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(
        ack["params"]["notifications"],
        json!({"promptsListChanged": true, "resourceSubscriptions": ["new://a"]})
    );
    assert_eq!(ack["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "sub-1");
    new.set("tools/list", vec![tool("b")]);
    new.changed("tools");
    old.set("prompts/list", vec![json!({"name": "b"})]);
    eventually("it is listened to", async || (old.listeners() > 0).then_some(())).await;
    old.changed("prompts");
    let told = stream.event().await;
    assert_eq!(told["method"], "notifications/prompts/list_changed", "{told}");
    assert!(stream.within(Duration::from_millis(500)).await.is_empty());
    // Malformed wishes, and too many.
    let uris: Vec<_> = (0..1001).map(|n| format!("x://{n}")).collect();
    for bad in
        [json!({"notifications": 1}), json!({}), json!({"notifications": {"resourceSubscriptions": uris}})]
    {
        assert_eq!(client.fault("subscriptions/listen", bad).await, (400, json!(-32602)));
    }
}

#[tokio::test]
async fn a_clients_stream_stays_when_an_upstreams_breaks() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        let mut stream = listening(&client, [&new, &old]).await;
        for (peer, name) in [(&new, "x"), (&old, "y"), (&new, "z")] {
            peer.cut();
            eventually("it is listened to again", async || (peer.listeners() > 0).then_some(())).await;
            let name = format!("{name}-{}", client.is_modern());
            peer.set("tools/list", vec![tool(&name)]);
            peer.changed("tools");
            stream.notified("notifications/tools/list_changed").await;
            eventually("it is there", async || {
                client.tools().await.contains(&format!("{}__{name}", peer.id)).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn nobody_is_listened_to_once_no_one_wants_to_know() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let client = stage.modern();
    let stream = client.listen(&["new://a", "old://a"]).await;
    eventually("both are subscribed to", async || {
        (new.count("subscriptions/listen") == 2 && old.count("resources/subscribe") == 1).then_some(())
    })
    .await;
    drop(stream);
    eventually("it is unsubscribed", async || (old.count("resources/unsubscribe") == 1).then_some(())).await;
    eventually("the resource's stream is closed", async || (new.listeners() == 1).then_some(())).await;
}
