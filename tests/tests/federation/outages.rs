//! An upstream that is not there costs nobody but those who call it.

use super::client::{Client, items, whole};
use super::peer::Peer;
use super::stage::{Setup, Stage, eventually, mixed};
use narthex_testkit::{Answer, RawResponse, free_port};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DEGRADED: &str = "dev.narthex/degraded";

fn degraded(page: &Value) -> Value {
    page["_meta"][DEGRADED].clone()
}

/// A fault of a dead upstream's tool, as the era has it.
fn is_outage(client: &Client, answer: &RawResponse) -> bool {
    let status = if client.is_modern() { matches!(answer.status, 502..=504) } else { answer.status == 200 };
    status && answer.rpc()["error"]["code"] == -32603 && answer.rpc()["id"] == 5
}

#[tokio::test]
async fn an_upstream_that_is_dead_from_the_start_is_left_out_and_named() {
    let (new, old) = mixed().await;
    let url = format!("url: http://127.0.0.1:{}/mcp", free_port());
    let setup = Setup::default().with("dead", &[&url, "catalogue: { timeout: 1s }"]);
    let stage = setup.start(&[&new, &old]).await;
    for client in stage.both().await {
        let page = client.result("tools/list", json!({})).await;
        assert_eq!(items(&page).len(), 4);
        assert_eq!(degraded(&page), json!(["dead"]), "{page}");
        if client.is_modern() {
            assert_eq!(page["ttlMs"], 0, "what is missing may be back at any time: {page}");
        }
        assert_eq!(client.call("new__echo", json!({})).await, "new echo {}");
        let answer = client.ask("tools/call", json!({"name": "dead__echo", "arguments": {}})).await;
        assert!(is_outage(&client, &answer), "{}", whole(&answer));
    }
}

type Trouble = fn() -> Answer;

/// The ways in which an upstream may be of no use.
fn troubles() -> Vec<(&'static str, Trouble)> {
    vec![
        ("hangs", Answer::hang),
        ("500", || Answer::full(500, "text/html", "<h1>oops</h1>")),
        ("503", || Answer::status(503)),
        ("no MCP", || Answer::full(200, "text/html", "<h1>welcome</h1>")),
        ("no JSON-RPC", || Answer::json(200, json!({"ok": true}))),
        ("404", || Answer::full(404, "text/plain", "no such page")),
        ("closes", Answer::close),
        ("garbage", || Answer::raw("SSH-2.0-x\r\n")),
    ]
}

#[tokio::test]
async fn an_upstream_of_no_use_is_left_out_and_waited_for_but_once() {
    for (name, trouble) in troubles() {
        let (new, old) = mixed().await;
        let bad = Peer::modern("bad").await.tools(&["echo"]);
        bad.trouble(move |_| trouble());
        let stage = Stage::start(&[&new, &bad, &old]).await;
        let clients = [stage.modern(), stage.modern()];
        let begun = Instant::now();
        let page = clients[0].result("tools/list", json!({})).await;
        let first = begun.elapsed();
        assert_eq!(degraded(&page), json!(["bad"]), "{name}: {page}");
        assert_eq!(items(&page).len(), 4, "{name}");
        assert!(first < Duration::from_millis(2500), "{name}: {first:?}");
        let begun = Instant::now();
        for client in &clients {
            client.result("tools/list", json!({})).await;
            client.call("new__echo", json!({})).await;
            client.call("old__echo", json!({})).await;
        }
        let legacy = stage.legacy().await;
        assert_eq!(degraded(&legacy.result("tools/list", json!({})).await), json!(["bad"]), "{name}");
        assert!(
            begun.elapsed() < Duration::from_millis(900),
            "{name}: nobody waits again: {:?}",
            begun.elapsed()
        );
        for client in [&clients[0], &legacy] {
            let answer = client.ask("tools/call", json!({"name": "bad__echo", "arguments": {}})).await;
            assert!(is_outage(client, &answer), "{name}: {}", whole(&answer));
        }
    }
}

#[tokio::test]
async fn several_slow_upstreams_are_waited_for_together() {
    let old = Peer::legacy("old").await.tools(&["echo"]).resources(&["old://1"]);
    let (a, b, c) = (Peer::modern("a").await, Peer::modern("b").await, Peer::legacy("c").await);
    for slow in [&a, &b, &c] {
        slow.trouble(|_| Answer::hang());
    }
    for first in ["tools/list", "resources/read", "tools/call"] {
        let stage = Setup::route(&["names: { prefix: none }"]).start(&[&a, &b, &c, &old]).await;
        let client = stage.modern();
        let begun = Instant::now();
        let params = json!({"name": "echo", "arguments": {}, "uri": "old://1"});
        let params = if first == "resources/read" { json!({"uri": "old://1"}) } else { params };
        client.result(first, if first == "tools/list" { json!({}) } else { params }).await;
        assert!(begun.elapsed() < Duration::from_millis(2200), "{first}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn an_upstream_that_dies_and_comes_back_is_told_of_once_each_to_clients_of_both_eras() {
    for modern in [true, false] {
        let (new, other) = mixed().await;
        let lost =
            if modern { Peer::modern("lost").await } else { Peer::legacy("lost").await }.tools(&["echo"]);
        let stage = Stage::start(&[&new, &other, &lost]).await;
        let clients = stage.both().await;
        let mut streams = Vec::new();
        for client in &clients {
            assert_eq!(client.tools().await.len(), 5);
            streams.push(client.listen(&[]).await);
        }
        eventually("it is listened to", async || (lost.listeners() > 0).then_some(())).await;
        let stopped = lost.stop().await;
        for stream in &mut streams {
            stream.notified("notifications/tools/list_changed").await;
        }
        for client in &clients {
            let page = client.result("tools/list", json!({})).await;
            assert_eq!((items(&page).len(), degraded(&page)), (4, json!(["lost"])), "{page}");
            let answer = client.ask("tools/call", json!({"name": "lost__echo", "arguments": {}})).await;
            assert!(is_outage(client, &answer), "{}", whole(&answer));
            assert_eq!(client.call("new__echo", json!({})).await, "new echo {}");
        }
        let lost = stopped.resume().await;
        for (client, stream) in clients.iter().zip(&mut streams) {
            stream.notified("notifications/tools/list_changed").await;
            let page = client.result("tools/list", json!({})).await;
            assert_eq!((items(&page).len(), degraded(&page)), (5, Value::Null), "{page}");
            assert_eq!(client.call("lost__echo", json!({})).await, "lost echo {}");
            let more = stream.within(Duration::from_millis(800)).await;
            assert!(more.is_empty(), "told once: {more:?}");
        }
        drop(lost);
    }
}

#[tokio::test]
async fn an_older_upstream_that_forgets_its_sessions_is_never_missed() {
    let (new, old) = mixed().await;
    let stage = Stage::start(&[&new, &old]).await;
    let clients = stage.both().await;
    for client in &clients {
        assert_eq!(client.call("old__echo", json!({})).await, "old echo {}");
    }
    let mut stream = clients[0].listen(&[]).await;
    eventually("it is listened to", async || (old.listeners() > 0).then_some(())).await;
    old.forget_sessions();
    for _ in 0..40 {
        for client in &clients {
            assert_eq!(client.tools().await.len(), 4);
            assert_eq!(client.call("old__echo", json!({})).await, "old echo {}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    old.set("tools/list", vec![super::peer::tool("fresh")]);
    eventually("it is listened to again", async || (old.listeners() > 0).then_some(())).await;
    old.changed("tools");
    stream.notified("notifications/tools/list_changed").await;
    assert!(clients[0].tools().await.contains(&"old__fresh".to_owned()));
}

#[tokio::test]
async fn a_client_that_comes_while_all_are_down_finds_them_later() {
    let (new, old) = (
        Peer::modern("new").await.tools(&["echo"]).prompts(&["hi"]),
        Peer::legacy("old").await.tools(&["echo"]),
    );
    new.trouble(|_| Answer::status(503));
    old.trouble(|_| Answer::status(503));
    let stage = Stage::start(&[&new, &old]).await;
    let found = stage.modern().result("server/discover", json!({})).await;
    let hello = stage.modern().initialize().await.rpc()["result"].clone();
    for said in [&found, &hello] {
        for family in ["tools", "prompts", "resources"] {
            assert_eq!(
                said["capabilities"][family]["listChanged"], true,
                "a client would never look: {said}"
            );
        }
    }
    let legacy = stage.legacy().await;
    let mut stream = legacy.listen(&[]).await;
    new.recover();
    old.recover();
    stream.notified("notifications/tools/list_changed").await;
    eventually("both are back", async || (legacy.tools().await.len() == 2).then_some(())).await;
}
