//! `subscriptions/listen` in front of a server that has a GET stream and `resources/subscribe`.

use super::stage::{Client, Coming, Stage, fault, whole};
use narthex_testkit::{Answer, Opened};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn wanted(uris: &[&str]) -> Value {
    json!({"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": uris})
}

/// Begins to listen; what was acknowledged.
async fn listen(client: &Client, notifications: Value) -> (Coming, Value) {
    let mut coming = client.send("subscriptions/listen", json!({"notifications": notifications})).await;
    coming.stream().await;
    let first = coming.event().await;
    assert_eq!(first["method"], ACKNOWLEDGED, "{first}");
    assert_eq!(first["params"]["_meta"][SUBSCRIPTION], 5, "{first}");
    (coming, first["params"]["notifications"].clone())
}

/// The first listener of a session, for whom the stream is opened.
async fn first(stage: &Stage, client: &Client, notifications: Value) -> (Opened, Coming, Value) {
    let (coming, honoured) = listen(client, notifications).await;
    let stream = stage.server.opened().await;
    assert_eq!(stream.request.method, "GET");
    (stream, coming, honoured)
}

fn sent(stage: &Stage, method: &str) -> Vec<Value> {
    let requests = stage.server.upstream().requests_for(method);
    requests.iter().map(|request| request.json()["params"]["uri"].clone()).collect()
}

#[tokio::test]
async fn the_first_word_is_what_will_be_heard_and_all_that_follows_is_stamped() {
    let stage = Stage::start().await;
    let (stream, mut coming, honoured) = first(&stage, &stage.alice(), wanted(&["a://1", "a://2"])).await;
    assert_eq!(honoured, wanted(&["a://1", "a://2"]));
    assert_eq!(sent(&stage, "resources/subscribe"), ["a://1", "a://2"]);
    stream.notify("notifications/resources/list_changed", json!({}));
    stream.notify("notifications/resources/updated", json!({"uri": "a://3"}));
    stream.notify("notifications/message", json!({"level": "emergency", "data": "x"}));
    stream.notify("notifications/resources/updated", json!({"uri": "a://2", "_meta": {"own/key": 1}}));
    stream.notify("notifications/tools/list_changed", json!({}));
    let stamp = |mut params: Value| {
        params["_meta"][SUBSCRIPTION] = 5.into();
        params
    };
    let heard = coming.event().await;
    assert_eq!(heard["method"], "notifications/resources/updated", "and nothing that was not wanted");
    assert_eq!(heard["params"], stamp(json!({"uri": "a://2", "_meta": {"own/key": 1}})));
    let heard = coming.event().await;
    assert_eq!(
        (&heard["method"], &heard["params"]),
        (&json!("notifications/tools/list_changed"), &stamp(json!({})))
    );
}

#[tokio::test]
async fn only_what_the_server_can_tell_is_honoured() {
    let stage = Stage::start().await;
    stage
        .server
        .offer(json!({"tools": {"listChanged": true}, "prompts": {}, "resources": {"listChanged": true}}));
    let (_stream, _coming, honoured) = first(&stage, &stage.alice(), wanted(&["a://1"])).await;
    assert_eq!(honoured, json!({"toolsListChanged": true}));
    assert!(sent(&stage, "resources/subscribe").is_empty());
}

#[tokio::test]
async fn a_resource_that_the_server_refuses_is_not_among_what_is_honoured() {
    let stage = Stage::start().await;
    stage.server.rule(|request| {
        let refused = request.json()["params"]["uri"] == "a://bad";
        refused.then(|| Answer::error(request, -32602, "no"))
    });
    let (_stream, coming, honoured) = first(&stage, &stage.alice(), wanted(&["a://bad", "a://good"])).await;
    assert_eq!(honoured["resourceSubscriptions"], json!(["a://good"]));
    drop(coming);
    stage.server.hears(|m| m["method"] == "resources/unsubscribe").await;
    assert_eq!(sent(&stage, "resources/unsubscribe"), ["a://good"]);
}

#[tokio::test]
async fn a_server_without_a_get_stream_tells_nothing() {
    let stage = Stage::start().await;
    stage.server.rule(|request| (request.method == "GET").then(|| Answer::status(405)));
    let (_coming, honoured) = listen(&stage.alice(), wanted(&["a://1"])).await;
    assert_eq!(honoured, json!({}));
    assert!(sent(&stage, "resources/subscribe").is_empty());
}

#[tokio::test]
async fn a_resource_is_subscribed_to_once_and_for_as_long_as_anyone_listens() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (stream, mut one, _) = first(&stage, &alice, wanted(&["a://shared", "a://one"])).await;
    let (mut two, _) = listen(&alice, wanted(&["a://shared", "a://two"])).await;
    assert_eq!(sent(&stage, "resources/subscribe"), ["a://one", "a://shared", "a://two"]);
    stream.notify("notifications/resources/updated", json!({"uri": "a://shared"}));
    for coming in [&mut one, &mut two] {
        assert_eq!(coming.event().await["params"]["uri"], "a://shared");
    }
    drop(one);
    stage.server.hears(|m| m["method"] == "resources/unsubscribe").await;
    stream.notify("notifications/resources/updated", json!({"uri": "a://shared"}));
    assert_eq!(two.event().await["params"]["uri"], "a://shared", "still wanted by the other");
    assert_eq!(sent(&stage, "resources/unsubscribe"), ["a://one"]);
    drop(two);
    stage.server.upstream().wait_until(|| sent(&stage, "resources/unsubscribe").len() == 3).await;
    let mut ended = sent(&stage, "resources/unsubscribe");
    ended.sort_by_key(Value::to_string);
    assert_eq!(ended, ["a://one", "a://shared", "a://two"]);
    let mut stream = stream;
    stream.feed.gone().await;
    assert_eq!(stage.server.unclaimed().await, 0, "one stream for both");
}

#[tokio::test]
async fn nobody_hears_what_is_said_in_anothers_session() {
    let stage = Stage::start().await;
    let (alices, mut alice, _) = first(&stage, &stage.alice(), wanted(&["a://1"])).await;
    let (bobs, mut bob, _) = first(&stage, &stage.client("bob"), wanted(&["a://1"])).await;
    assert_ne!(alices.request.header("mcp-session-id"), bobs.request.header("mcp-session-id"));
    assert_eq!(sent(&stage, "resources/subscribe").len(), 2);
    alices.notify("notifications/resources/updated", json!({"uri": "a://1", "for": "alice"}));
    bobs.notify("notifications/resources/updated", json!({"uri": "a://1", "for": "bob"}));
    assert_eq!(alice.event().await["params"]["for"], "alice");
    assert_eq!(bob.event().await["params"]["for"], "bob");
}

#[tokio::test]
async fn listeners_that_begin_at_once_share_the_one_stream_that_the_server_allows() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    alice.result("server/discover", json!({})).await;
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    stage.server.rule(move |request| {
        let again = request.method == "GET" && taken.swap(true, SeqCst);
        again.then(|| Answer::status(409))
    });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let alice = alice.clone();
        tasks.spawn(async move { listen(&alice, wanted(&[])).await });
    }
    let listening = tasks.join_all().await;
    let stream = stage.server.opened().await;
    stream.notify("notifications/tools/list_changed", json!({}));
    for (mut coming, honoured) in listening {
        assert_eq!(honoured, json!({"toolsListChanged": true, "promptsListChanged": true}));
        assert_eq!(coming.event().await["method"], "notifications/tools/list_changed");
    }
}

#[tokio::test]
async fn whoever_comes_back_at_once_waits_until_the_server_lets_the_old_stream_go() {
    let stage = Stage::start().await;
    let refusals = std::sync::atomic::AtomicUsize::new(2);
    stage.server.rule(move |request| {
        let taken = || refusals.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        (request.method == "GET" && taken()).then(|| Answer::status(409))
    });
    let (_stream, _coming, honoured) = first(&stage, &stage.alice(), wanted(&[])).await;
    assert_eq!(honoured["toolsListChanged"], true);
}

#[tokio::test]
async fn a_listener_that_leaves_takes_nothing_from_one_that_comes() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (_stream, _stays, _) = first(&stage, &alice, json!({"toolsListChanged": true})).await;
    for _ in 0..10 {
        let (leaving, _) = listen(&alice, wanted(&["a://1"])).await;
        drop(leaving);
        let (coming, _) = listen(&alice, wanted(&["a://1"])).await;
        drop(coming);
    }
    let (_last, _) = listen(&alice, wanted(&["a://1"])).await;
    // One more that leaves: what is said of it comes after all that was left to say.
    drop(listen(&alice, wanted(&["a://2"])).await);
    stage.server.hears(|m| m["method"] == "resources/unsubscribe" && m["params"]["uri"] == "a://2").await;
    let requests = stage.server.upstream().requests();
    let of_it = requests.iter().rfind(|request| request.json()["params"]["uri"] == "a://1").unwrap();
    assert_eq!(of_it.rpc_method().as_deref(), Some("resources/subscribe"), "{:?}", stage.server.said());
}

#[tokio::test]
async fn a_broken_stream_is_opened_again_and_a_gap_is_told() {
    let stage = Stage::start().await;
    let (stream, mut coming, _) = first(&stage, &stage.alice(), wanted(&["a://1"])).await;
    stream.feed.raw("retry: 10\ndata:\n\n");
    stream.cut();
    let again = stage.server.opened().await;
    assert_eq!(again.request.header("last-event-id"), None);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(coming.event().await["method"].as_str().unwrap_or_default().to_owned());
    }
    told.sort();
    let lists = ["prompts/list_changed", "resources/updated", "tools/list_changed"];
    assert_eq!(
        told,
        lists.map(|name| format!("notifications/{name}")),
        "anything may have changed meanwhile"
    );
    again.feed.raw("id: 7\nretry: 10\ndata:\n\n");
    again.cut();
    let third = stage.server.opened().await;
    assert_eq!(third.request.header("last-event-id"), Some("7"), "the server knows what was missed");
    third.notify("notifications/prompts/list_changed", json!({}));
    assert_eq!(coming.event().await["method"], "notifications/prompts/list_changed");
}

#[tokio::test]
async fn nothing_is_asked_of_a_client_that_only_listens() {
    let stage = Stage::start().await;
    let (stream, _coming, _) = first(&stage, &stage.alice(), wanted(&[])).await;
    stream.ask("e", "elicitation/create", super::stage::form());
    stream.ask("p", "ping", json!({}));
    assert_eq!(stage.server.hears(|m| m["id"] == "e").await["error"]["code"], -32601);
    assert_eq!(stage.server.hears(|m| m["id"] == "p").await["result"], json!({}));
}

#[tokio::test]
async fn a_change_that_a_call_brings_is_heard_by_who_listens() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (_stream, mut listening, _) = first(&stage, &alice, wanted(&[])).await;
    let (call, coming) = alice.feed(&stage, super::stage::fed()).await;
    call.notify("notifications/tools/list_changed", json!({}));
    call.text("changed");
    assert_eq!(listening.event().await["method"], "notifications/tools/list_changed");
    let answer = coming.whole().await;
    assert!(!answer.text().contains("list_changed"), "{}", whole(&answer));
}

#[tokio::test]
async fn nobody_listens_longer_than_the_token_is_good_for() {
    let stage = Stage::start().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let brief = Client::new(&stage.gateway, &stage.idp, "/mcp", json!({"exp": now + 2}));
    let (mut stream, mut coming, _) = first(&stage, &brief, wanted(&["a://1"])).await;
    let last = coming.event().await;
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(5), &json!("complete")), "{last}");
    assert!(coming.0.sse_event().await.unwrap().is_none(), "and that was all");
    stage.server.hears(|m| m["method"] == "resources/unsubscribe").await;
    stream.feed.gone().await;
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_refused() {
    let stage = Stage::start().await;
    for wrong in [
        json!({}),
        json!({"notifications": []}),
        json!({"notifications": {"toolsListChanged": 1}}),
        json!({"notifications": {"resourceSubscriptions": "a://1"}}),
    ] {
        let answer = stage.alice().ask("subscriptions/listen", wrong.clone()).await;
        assert_eq!(fault(&answer), (400, json!(-32602)), "{wrong}: {}", whole(&answer));
    }
}

#[tokio::test]
async fn nobody_listens_for_more_resources_than_a_thousand() {
    let stage = Stage::start().await;
    let uris: Vec<String> = (0..1001).map(|n| format!("a:{n}")).collect();
    let wanted = json!({"notifications": {"resourceSubscriptions": uris}});
    let answer = stage.alice().ask("subscriptions/listen", wanted).await;
    assert_eq!(fault(&answer), (400, json!(-32602)), "{}", whole(&answer));
    assert_eq!(sent(&stage, "resources/subscribe").len(), 0);
}
