//! Streams that break, and clients that come back for what they missed.

use super::client::Client;
use super::stage::{LATEST, LEGACY, Setup, Stage, completed, eventually, everything};
use narthex_testkit::{Answer, SseFeed};
use serde_json::{Value, json};

/// A log message of the server's.
fn note(n: usize) -> String {
    json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": n}})
        .to_string()
}

/// Begins a call, hears one message, and leaves: the server's stream, its call's id, the id of the event.
async fn leave(stage: &Stage, client: &Client) -> (SseFeed, Value, String) {
    let before = stage.upstream.requests_for("tools/call").len();
    let feed = stage.next_stream();
    let mut stream = client.begin_call().await;
    let call = stage.upstream.wait_for_method("tools/call", before + 1).await.pop().unwrap();
    feed.event(note(0));
    let (id, message) = stream.message_with_id().await;
    assert_eq!(message["params"]["data"], 0);
    drop(stream);
    // The gateway has one thread, which hears of the end of that connection before this request.
    client.ask("ping", json!({})).await;
    (feed, call.json()["id"].clone(), id)
}

#[tokio::test]
async fn a_stream_of_2025_11_25_begins_with_an_event_to_come_back_to() {
    let stage = Stage::start().await;
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        let feed = stage.next_stream();
        let mut stream = client.begin_call().await;
        feed.event(note(1));
        let first = stream.event().await.unwrap();
        assert!(first.id.is_some(), "{revision}");
        if revision == LATEST {
            assert_eq!((first.data.as_str(), first.event), ("", None));
        } else {
            assert_eq!(
                first.json()["params"]["data"],
                1,
                "older clients take empty data for a broken message"
            );
        }
        drop(feed);
    }
}

#[tokio::test]
async fn leaving_does_not_cancel_and_the_answer_can_be_fetched() {
    let stage = Stage::start().await;
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        let (feed, call, id) = leave(&stage, &client).await;
        feed.event(note(1));
        // It comes back while the call goes on: what it missed, and what follows.
        let mut again = client.listen(Some(&id)).await;
        assert_eq!(again.status, 200, "{revision}");
        let (next, message) = again.message_with_id().await;
        assert_eq!(message["params"]["data"], 1, "{revision}");
        assert!(!feed.is_gone());
        feed.event(note(2));
        assert_eq!(again.message().await["params"]["data"], 2);
        feed.event(completed(&call, "done"));
        drop(feed);
        assert_eq!(again.message().await["result"]["content"][0]["text"], "done");
        assert!(again.ended().await, "{revision}");
        // And once more, from further on, when all is over.
        let mut again = client.listen(Some(&next)).await;
        assert_eq!(again.message().await["params"]["data"], 2);
        assert_eq!(again.message().await["id"], 7);
        assert!(again.ended().await, "{revision}");
    }
}

#[tokio::test]
async fn the_first_event_of_all_brings_everything() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let feed = stage.next_stream();
    let mut stream = client.begin_call().await;
    feed.event(note(0));
    let first = stream.event().await.unwrap();
    let id = stage.upstream.requests_for("tools/call").pop().unwrap().json()["id"].clone();
    feed.event(completed(&id, "done"));
    drop(feed);
    drop(stream);
    let mut again = client.listen(first.id.as_deref()).await;
    assert_eq!(again.message().await["params"]["data"], 0);
    assert_eq!(again.message().await["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn a_question_that_was_missed_can_be_answered_after_coming_back() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    let (feed, call, id) = leave(&stage, &client).await;
    stage.next_text("done");
    let asks = json!({"resultType": "input_required", "inputRequests": {"k": {"method": "roots/list"}}});
    feed.event(json!({"jsonrpc": "2.0", "id": call, "result": asks}).to_string());
    drop(feed);
    let mut again = client.listen(Some(&id)).await;
    let question = again.message().await;
    assert_eq!(question["method"], "roots/list");
    assert_eq!(client.respond(&question["id"], json!({"roots": []})).await.status, 202);
    assert_eq!(again.message().await["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn a_call_that_nobody_comes_back_for_is_given_up() {
    let stage = Setup::limits(&["suspend_timeout: 1s"]).start().await;
    let client = stage.open(LATEST, json!({})).await;
    let (mut feed, ..) = leave(&stage, &client).await;
    feed.gone().await;
    let inflight = "narthex_inflight_requests{route=\"main\"}";
    stage.gateway.wait_for_metric(inflight, |requests| requests == 0.0).await;
}

#[tokio::test]
async fn events_of_others_cannot_be_fetched() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let (feed, _, id) = leave(&stage, &client).await;
    feed.event(note(1));
    let second = stage.open(LATEST, json!({})).await;
    assert_eq!(second.listen(Some(&id)).await.status, 400, "of another session of the same caller");
    let bob = stage.open_as(json!({"sub": "bob"}), LATEST, json!({})).await;
    assert_eq!(bob.listen(Some(&id)).await.status, 400, "of another subject");
    let globex = stage.open_as(json!({"org_id": "globex"}), LATEST, json!({})).await;
    assert_eq!(globex.listen(Some(&id)).await.status, 400, "of another tenant");
    let mut other = stage.client("/other", stage.token("/other", json!({})));
    other.initialize(LATEST, json!({})).await;
    assert_eq!(other.listen(Some(&id)).await.status, 400, "of another route");
    // Its owner, in its session, still can.
    assert_eq!(client.listen(Some(&id)).await.message().await["params"]["data"], 1);
}

#[tokio::test]
async fn event_ids_that_are_not_ours_are_refused() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let (feed, _, id) = leave(&stage, &client).await;
    let flip = |at: usize| {
        let mut bytes = id.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let tampered = [
        flip(0),
        flip(20),
        flip(id.len() / 2),
        flip(id.len() - 2),
        id[..id.len() - 1].to_owned(),
        format!("{id}A"),
        "1".to_owned(),
        "0 1 1".to_owned(),
        client.session.clone(),
        "A".repeat(300),
    ];
    for id in tampered {
        assert_eq!(client.listen(Some(&id)).await.status, 400, "{id}");
    }
    assert!(!feed.is_gone());
    assert!(!stage.upstream.seen(&id));
}

#[tokio::test]
async fn a_gap_is_refused_rather_than_passed_over() {
    let stage = Setup::limits(&["events_per_stream: 3"]).start().await;
    let client = stage.open(LATEST, json!({})).await;
    let (feed, call, id) = leave(&stage, &client).await;
    for n in 1..=3 {
        feed.event(note(n));
    }
    let mut again = client.listen(Some(&id)).await;
    let mut ids = Vec::new();
    for n in 1..=3 {
        let (id, message) = again.message_with_id().await;
        assert_eq!(message["params"]["data"], n);
        ids.push(id);
    }
    drop(again);
    feed.event(note(4));
    feed.event(completed(&call, "done"));
    drop(feed);
    let mut again = client.listen(Some(&ids[2])).await;
    assert_eq!(again.message().await["params"]["data"], 4);
    assert_eq!(again.message().await["id"], 7);
    assert!(again.ended().await);
    assert_eq!(client.listen(Some(&id)).await.status, 400, "what followed it is gone");
    assert_eq!(
        client.listen(Some(&ids[1])).await.message().await["params"]["data"],
        3,
        "the last that is left"
    );
}

#[tokio::test]
async fn the_bytes_of_events_are_bounded_for_each_session() {
    let stage = Setup::limits(&["event_bytes_per_session: 10KiB"]).start().await;
    let client = stage.open(LATEST, json!({})).await;
    let (feed, call, id) = leave(&stage, &client).await;
    let long = json!({"jsonrpc": "2.0", "method": "notifications/message",
                      "params": {"level": "error", "data": "x".repeat(6000)}});
    feed.event(long.to_string());
    feed.event(long.to_string());
    feed.event(completed(&call, "done"));
    drop(feed);
    eventually("the first events are gone", || async {
        (client.listen(Some(&id)).await.status == 400).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_whole_answer_that_needs_no_stream_has_no_events() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    stage.server.next("tools/call", |r| {
        Answer::sse_events(&[serde_json::from_str(&completed(&r.json()["id"], "x")).unwrap()])
    });
    let answer = client.post(&narthex_testkit::mcp::tools_call("echo", json!({}))).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    // A GET without an id is the stream of what belongs to no call, not of that answer.
    let mut listening = client.listen(None).await;
    assert_eq!(listening.status, 200);
    client.delete().await;
    assert!(listening.ended().await);
}
