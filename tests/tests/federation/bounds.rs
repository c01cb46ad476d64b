//! What an upstream can make the gateway hold is bounded.

use super::client::items;
use super::peer::{Peer, tool};
use super::stage::{Setup, Stage, mixed};
use narthex_testkit::{Answer, UpstreamRequest};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lists of tools as told: the items, and the next cursor.
fn pages(peer: &Peer, page: impl Fn(usize, &UpstreamRequest) -> (Vec<Value>, Value) + Send + Sync + 'static) {
    let asked = Arc::new(AtomicUsize::new(0));
    let modern = peer.id == "new";
    peer.rule("tools/list", move |request| {
        let (tools, next) = page(asked.fetch_add(1, Ordering::SeqCst), request);
        let mut result = json!({"tools": tools});
        if !next.is_null() {
            result["nextCursor"] = next;
        }
        if modern {
            (result["ttlMs"], result["cacheScope"]) = (60_000.into(), "private".into());
            return Answer::complete(request, result);
        }
        Answer::result(request, result)
    });
}

#[tokio::test]
async fn cursors_that_repeat_end_the_list() {
    let (new, old) = mixed().await;
    pages(&new, |n, _| (vec![tool(&format!("n{n}"))], json!("again")));
    pages(&old, |n, _| (vec![tool(&format!("o{n}"))], json!(["x", "y"][n % 2])));
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        assert_eq!(client.tools().await, ["new__n0", "new__n1", "old__o0", "old__o1", "old__o2"]);
    }
}

#[tokio::test]
async fn pages_without_end_are_not_followed_for_ever() {
    let (new, old) = mixed().await;
    pages(&new, |n, _| (vec![], json!(format!("c{n}"))));
    let stage = Setup::default().catalogue("").start(&[&new, &old]).await;
    let client = stage.modern();
    super::stage::eventually("the endless one is done", async || {
        (client.result("tools/list", json!({})).await["_meta"].get("dev.narthex/degraded").is_none())
            .then_some(())
    })
    .await;
    assert_eq!(client.tools().await, ["old__echo", "old__whoami"]);
    let asked = new.count("tools/list");
    assert!(asked <= 1000, "{asked}");
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(new.count("tools/list"), asked, "and not begun again at once");
}

#[tokio::test]
async fn a_cursor_may_be_empty() {
    let (new, old) = mixed().await;
    for (peer, name) in [(&new, "n"), (&old, "o")] {
        pages(peer, move |_, request| match request.json()["params"]["cursor"].as_str() {
            None => (vec![tool(&format!("{name}1"))], json!("")),
            Some("") => (vec![tool(&format!("{name}2"))], Value::Null),
            Some(other) => panic!("{other}"),
        });
    }
    let stage = Stage::start(&[&new, &old]).await;
    assert_eq!(stage.modern().tools().await, ["new__n1", "new__n2", "old__o1", "old__o2"]);
}

#[tokio::test]
async fn a_list_is_cut_at_so_many_items_and_bytes() {
    let (new, old) = (Peer::modern("new").await.paged(10), Peer::legacy("old").await.paged(10));
    new.set("tools/list", (0..100).map(|n| tool(&format!("t{n}"))).collect());
    let fat = |n: usize| {
        let mut tool = tool(&format!("t{n}"));
        tool["description"] = "x".repeat(2000).into();
        tool
    };
    old.set("tools/list", (0..100).map(fat).collect());
    let stage = Setup::default().catalogue(", items: 25, bytes: 20KiB").start(&[&new, &old]).await;
    for client in stage.both().await {
        let listed = items(&client.result("tools/list", json!({})).await);
        let of =
            |prefix: &str| listed.iter().filter(|t| t["name"].as_str().unwrap().starts_with(prefix)).count();
        assert_eq!(of("new__"), 25);
        assert!((5..=10).contains(&of("old__")), "{}", of("old__"));
    }
    assert!(new.count("tools/list") <= 3 && old.count("tools/list") <= 2, "no page more than needed is read");
    stage.gateway.wait_for_output("too long", 2).await;
}

#[tokio::test]
async fn items_that_are_none_are_left_out() {
    let (new, old) = mixed().await;
    let junk = || {
        vec![
            json!(null),
            json!(1),
            json!("tool"),
            json!([]),
            json!({}),
            json!({"name": 7}),
            json!({"name": null}),
            json!({"title": "no name"}),
            tool("good"),
            tool("good"),
        ]
    };
    new.set("tools/list", junk());
    old.set("tools/list", junk());
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        assert_eq!(client.tools().await, ["new__good", "old__good"]);
    }
}

#[tokio::test]
async fn a_storm_of_changes_makes_no_storm_of_reading() {
    let (new, old) = mixed().await;
    let stage = Stage::start(&[&new, &old]).await;
    stage.modern().tools().await;
    super::stage::eventually("it listens", async || (new.listeners() == 1).then_some(())).await;
    let before = new.count("tools/list");
    for n in 0..300 {
        new.set("tools/list", vec![tool(&format!("t{n}"))]);
        new.changed("tools");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let client = stage.modern();
    super::stage::eventually("the last is there", async || {
        (client.tools().await[0] == "new__t299").then_some(())
    })
    .await;
    let read = new.count("tools/list") - before;
    assert!(read <= 8, "{read} times for 300 changes in 1.5 s");
}
