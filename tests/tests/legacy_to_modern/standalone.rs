//! The GET stream, fed by `subscriptions/listen`.

use super::stage::{LATEST, LEGACY, Setup, Stage, eventually};
use narthex_testkit::{Answer, SseFeed, UpstreamRequest};
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// Tells of changes to everything.
pub(crate) fn changing() -> Value {
    json!({"tools": {"listChanged": true}, "prompts": {"listChanged": true},
           "resources": {"listChanged": true, "subscribe": true}})
}

/// The streams of `subscriptions/listen` that a server has opened, in order, each acknowledged.
pub(crate) struct Listens {
    streams: Mutex<Receiver<(Value, SseFeed)>>,
}

impl Listens {
    /// Lets the server acknowledge what is wanted, but for resources that `refused` names.
    pub(crate) fn of(stage: &Stage, refused: &'static [&'static str]) -> Self {
        let (sender, streams): (Sender<(Value, SseFeed)>, _) = channel();
        let sender = Arc::new(Mutex::new(sender));
        stage.server.set_capabilities(changing());
        stage.server.always("subscriptions/listen", move |request| {
            let (answer, feed) = acknowledged(request, refused);
            let _ = sender.lock().unwrap().send((request.json()["params"]["notifications"].clone(), feed));
            answer
        });
        Self { streams: Mutex::new(streams) }
    }

    /// The next one: what was wanted, and its stream.
    pub(crate) async fn next(&self) -> (Value, SseFeed) {
        eventually("subscriptions/listen", || async { self.streams.lock().unwrap().try_recv().ok() }).await
    }
}

fn acknowledged(request: &UpstreamRequest, refused: &[&str]) -> (Answer, SseFeed) {
    let (answer, feed) = Answer::sse();
    let message = request.json();
    let mut wanted = message["params"]["notifications"].clone();
    if let Some(uris) = wanted["resourceSubscriptions"].as_array_mut() {
        uris.retain(|uri| !refused.contains(&uri.as_str().unwrap_or_default()));
    }
    let meta = json!({"io.modelcontextprotocol/subscriptionId": message["id"]});
    tell(&feed, "notifications/subscriptions/acknowledged", json!({"notifications": wanted, "_meta": meta}));
    (answer, feed)
}

/// Sends a notification.
#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
pub(crate) fn tell(feed: &SseFeed, method: &str, params: Value) {
    feed.event(json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
}

/// Sends a notification of a change, as one of that stream.
pub(crate) fn changed(feed: &SseFeed, what: &str) {
    let meta = json!({"io.modelcontextprotocol/subscriptionId": 1});
    tell(feed, &format!("notifications/{what}/list_changed"), json!({"_meta": meta}));
}

#[tokio::test]
async fn changes_are_told_on_the_get_stream() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        let mut stream = client.listen(None).await;
        assert_eq!(stream.status, 200, "{revision}");
        let (wanted, feed) = listens.next().await;
        let all = json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true});
        assert_eq!(wanted, all, "{revision}");
        for what in ["tools", "prompts", "resources"] {
            changed(&feed, what);
            let message = stream.message().await;
            let expected = json!({"jsonrpc": "2.0", "method": format!("notifications/{what}/list_changed")});
            assert_eq!(message, expected, "{revision}: nothing of the subscription is left");
        }
        client.delete().await;
    }
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_told() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    stage.server.set_capabilities(json!({"tools": {"listChanged": true}, "prompts": {}}));
    let client = stage.open(LATEST, json!({})).await;
    let mut stream = client.listen(None).await;
    let (wanted, feed) = listens.next().await;
    assert_eq!(wanted, json!({"toolsListChanged": true}));
    changed(&feed, "prompts");
    tell(&feed, "notifications/message", json!({"level": "error", "data": 1}));
    tell(&feed, "notifications/resources/updated", json!({"uri": "x:y"}));
    feed.event(json!({"jsonrpc": "2.0", "id": 4, "method": "roots/list"}).to_string());
    changed(&feed, "tools");
    assert_eq!(stream.message().await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_server_that_tells_of_nothing_is_not_asked_to_and_the_stream_is_silent() {
    let stage = Stage::start().await;
    stage.server.set_capabilities(json!({"tools": {}}));
    let client = stage.open(LATEST, json!({})).await;
    let mut stream = client.listen(None).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stage.upstream.requests_for("subscriptions/listen").len(), 0);
    client.delete().await;
    assert!(stream.ended().await);
}

#[tokio::test]
async fn a_session_has_one_get_stream() {
    let stage = Stage::start().await;
    let _listens = Listens::of(&stage, &[]);
    let client = stage.open(LATEST, json!({})).await;
    let first = client.listen(None).await;
    assert_eq!(first.status, 200);
    assert_eq!(client.listen(None).await.status, 409);
    let other = stage.open(LATEST, json!({})).await;
    assert_eq!(other.listen(None).await.status, 200, "another session has its own");
    drop(first);
    eventually("another one", || async { (client.listen(None).await.status == 200).then_some(()) }).await;
}

#[tokio::test]
async fn leaving_the_get_stream_ends_the_subscription() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    let client = stage.open(LATEST, json!({})).await;
    let stream = client.listen(None).await;
    let (_, mut feed) = listens.next().await;
    drop(stream);
    feed.gone().await;
}

#[tokio::test]
async fn ending_the_session_ends_stream_and_subscription() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    let client = stage.open(LATEST, json!({})).await;
    let mut stream = client.listen(None).await;
    let (_, mut feed) = listens.next().await;
    assert_eq!(client.delete().await.status, 204);
    assert!(stream.ended().await);
    feed.gone().await;
}

#[tokio::test]
async fn a_broken_subscription_is_opened_again_and_everything_may_have_changed() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    let client = stage.open(LATEST, json!({})).await;
    let mut stream = client.listen(None).await;
    let (wanted, feed) = listens.next().await;
    changed(&feed, "tools");
    stream.message().await;
    feed.cut();
    let (again, feed) = listens.next().await;
    assert_eq!(again, wanted);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(stream.message().await["method"].as_str().unwrap().to_owned());
    }
    told.sort();
    assert_eq!(
        told,
        ["prompts", "resources", "tools"].map(|what| format!("notifications/{what}/list_changed"))
    );
    changed(&feed, "prompts");
    assert_eq!(stream.message().await["method"], "notifications/prompts/list_changed");
}

#[tokio::test]
async fn what_is_missed_between_two_get_streams_is_told_on_the_next() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    let client = stage.open(LATEST, json!({})).await;
    // Whoever is subscribed to something is listened for between streams as well.
    client.ask("resources/subscribe", json!({"uri": "x:y"})).await;
    let (_, feed) = listens.next().await;
    let updated = |n: i32| tell(&feed, "notifications/resources/updated", json!({"uri": "x:y", "n": n}));
    updated(1);
    let mut stream = client.listen(None).await;
    let (id, message) = stream.message_with_id().await;
    assert_eq!(message["params"]["n"], 1);
    let (_, feed) = listens.next().await;
    drop(stream);
    let again = eventually("the next stream", || async {
        let stream = client.listen(Some(&id)).await;
        (stream.status == 200).then_some(stream)
    });
    let mut stream = again.await;
    let (_, newest) = listens.next().await;
    drop(feed);
    tell(&newest, "notifications/resources/updated", json!({"uri": "x:y", "n": 2}));
    assert_eq!(stream.message().await["params"]["n"], 2, "and the first not again");
}

#[tokio::test]
async fn a_change_of_the_tools_makes_their_schemas_be_read_again() {
    let stage = Stage::start().await;
    let listens = Listens::of(&stage, &[]);
    let client = stage.open(LATEST, json!({})).await;
    let mut stream = client.listen(None).await;
    let (_, feed) = listens.next().await;
    client.call("echo", json!({})).await;
    client.call("echo", json!({})).await;
    assert_eq!(stage.upstream.requests_for("tools/list").len(), 1);
    changed(&feed, "tools");
    stream.message().await;
    client.call("echo", json!({})).await;
    assert_eq!(stage.upstream.requests_for("tools/list").len(), 2);
}

#[tokio::test]
async fn an_expiring_token_ends_the_get_stream_and_the_subscription() {
    let stage = Setup::default().start().await;
    let listens = Listens::of(&stage, &[]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let client = stage.open_as(json!({"exp": now + 3}), LATEST, json!({})).await;
    let mut stream = client.listen(None).await;
    assert_eq!(stream.status, 200);
    let (_, mut feed) = listens.next().await;
    feed.gone().await;
    assert!(stream.event().await.is_none());
}
