//! `resources/subscribe`, for which 2026-07-28 listens anew.

use super::stage::{LATEST, LEGACY, Stage};
use super::standalone::{Listens, changing, tell};
use narthex_testkit::{Answer, SseFeed};
use serde_json::{Value, json};

fn updated(feed: &SseFeed, uri: &str) {
    let meta = json!({"io.modelcontextprotocol/subscriptionId": 1});
    tell(feed, "notifications/resources/updated", json!({"uri": uri, "_meta": meta}));
}

#[tokio::test]
async fn a_subscription_is_confirmed_once_the_server_has_acknowledged_it() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &["x:refused"]);
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        let mut stream = client.listen(None).await;
        let (_, mut first) = listens.next().await;
        assert_eq!(client.ask("resources/subscribe", json!({"uri": "x:a"})).await["result"], json!({}));
        let (wanted, mut feed) = listens.next().await;
        assert_eq!(wanted["resourceSubscriptions"], json!(["x:a"]), "{revision}");
        assert_eq!(wanted["toolsListChanged"], true);
        first.gone().await;
        updated(&feed, "x:b");
        updated(&feed, "x:a");
        let message = stream.message().await;
        assert_eq!(message["method"], "notifications/resources/updated");
        assert_eq!(message["params"], json!({"uri": "x:a"}), "{revision}: only what it is subscribed to");
        // A second one is heard of as well, on one stream.
        assert_eq!(client.ask("resources/subscribe", json!({"uri": "x:b"})).await["result"], json!({}));
        let (wanted, both) = listens.next().await;
        assert_eq!(wanted["resourceSubscriptions"], json!(["x:a", "x:b"]));
        feed.gone().await;
        updated(&both, "x:b");
        assert_eq!(stream.message().await["params"]["uri"], "x:b");
        client.delete().await;
    }
}

#[tokio::test]
async fn what_the_server_does_not_acknowledge_is_refused() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &["x:refused"]);
    let client = stage.open(LATEST, json!({})).await;
    let answer = client.ask("resources/subscribe", json!({"uri": "x:refused"})).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(listens.next().await.0["resourceSubscriptions"], json!(["x:refused"]));
    assert_eq!(client.ask("resources/subscribe", json!({"uri": "x:a"})).await["result"], json!({}));
    assert_eq!(listens.next().await.0["resourceSubscriptions"], json!(["x:a"]), "it is not asked for again");
    for params in [json!({}), json!({"uri": 7})] {
        assert_eq!(client.ask("resources/subscribe", params).await["error"]["code"], -32602);
    }
}

#[tokio::test]
async fn a_server_without_subscriptions_is_not_asked_for_one() {
    let stage = Stage::start().await;
    for capabilities in [json!({"resources": {"listChanged": true}}), json!({"resources": {}}), json!({})] {
        let _listens = Listens::of(&stage, &[]);
        stage.server.set_capabilities(capabilities.clone());
        stage.upstream.forget();
        let client = stage.open(LATEST, json!({})).await;
        let answer = client.ask("resources/subscribe", json!({"uri": "x:a"})).await;
        assert_eq!(answer["error"]["code"], -32602, "{capabilities}: {answer}");
        let asked = stage.upstream.requests_for("subscriptions/listen");
        assert!(
            asked.iter().all(|r| r.json()["params"]["notifications"].get("resourceSubscriptions").is_none())
        );
        assert_eq!(stage.upstream.requests_for("resources/subscribe").len(), 0);
    }
}

#[tokio::test]
async fn what_is_unsubscribed_is_no_longer_told_of() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    let client = stage.open(LATEST, json!({})).await;
    for uri in ["x:a", "x:b"] {
        client.ask("resources/subscribe", json!({"uri": uri})).await;
    }
    let mut stream = client.listen(None).await;
    for _ in 0..3 {
        listens.next().await;
    }
    assert_eq!(client.ask("resources/unsubscribe", json!({"uri": "x:a"})).await["result"], json!({}));
    let (wanted, feed) = listens.next().await;
    assert_eq!(wanted["resourceSubscriptions"], json!(["x:b"]));
    updated(&feed, "x:a");
    updated(&feed, "x:b");
    assert_eq!(stream.message().await["params"]["uri"], "x:b");
    // Once more changes nothing, and is no error.
    let count = stage.upstream.count();
    assert_eq!(client.ask("resources/unsubscribe", json!({"uri": "x:a"})).await["result"], json!({}));
    assert_eq!(stage.upstream.count(), count);
}

#[tokio::test]
async fn a_broken_subscription_tells_that_the_resource_may_have_changed() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    stage.server.set_capabilities(json!({"resources": {"subscribe": true}}));
    let client = stage.open(LATEST, json!({})).await;
    let mut stream = client.listen(None).await;
    client.ask("resources/subscribe", json!({"uri": "x:a"})).await;
    listens.next().await.1.cut();
    let message = stream.message().await;
    assert_eq!(
        (&message["method"], &message["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!("x:a"))
    );
    let (wanted, _feed) = listens.next().await;
    assert_eq!(wanted, json!({"resourceSubscriptions": ["x:a"]}));
}

#[tokio::test]
async fn a_server_that_fails_to_listen_confirms_nothing() {
    let stage = Stage::start().await;
    stage.server.set_capabilities(changing());
    let client = stage.open(LATEST, json!({})).await;
    let cases: [fn(&narthex_testkit::UpstreamRequest) -> Answer; 4] = [
        |request| Answer::failure(request, 404, -32601, "no", Value::Null),
        |_| Answer::status(500),
        |_| Answer::close(),
        |request| Answer::complete(request, json!({})),
    ];
    for answer in cases {
        stage.server.next("subscriptions/listen", answer);
        let answer = client.ask("resources/subscribe", json!({"uri": "x:a"})).await;
        assert!(answer["error"]["code"].is_i64(), "{answer}");
    }
    // The GET stream is there all the same, silent.
    stage.server.next("subscriptions/listen", |_| Answer::status(500));
    assert_eq!(client.listen(None).await.status, 200);
}
