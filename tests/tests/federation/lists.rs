//! Lists of several upstreams, whole and in order.

use super::client::{items, name_of};
use super::peer::{Peer, tool};
use super::stage::{Setup, Stage, eventually, mixed};
use serde_json::{Value, json};

fn numbered(count: usize) -> Vec<Value> {
    (0..count).map(|n| tool(&format!("t{n:05}"))).collect()
}

#[tokio::test]
async fn the_order_is_that_of_the_configuration_and_of_each_upstream() {
    let new = Peer::modern("zeta").await.tools(&["c", "a", "b"]);
    let old = Peer::legacy("alpha").await.tools(&["y", "x"]);
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        for _ in 0..3 {
            assert_eq!(client.tools().await, ["zeta__c", "zeta__a", "zeta__b", "alpha__y", "alpha__x"]);
        }
    }
}

#[tokio::test]
async fn an_upstream_with_many_pages_is_whole_in_pages_of_the_gateways_own() {
    let (new, old) = (Peer::modern("new").await.paged(100), Peer::legacy("old").await.paged(7));
    new.set("tools/list", numbered(5000));
    old.set("tools/list", numbered(30));
    let setup = Setup::route(&["page_size: 999"]).catalogue("");
    let stage = setup.start(&[&new, &old]).await;
    let mut expected: Vec<_> = (0..5000).map(|n| format!("new__t{n:05}")).collect();
    expected.extend((0..30).map(|n| format!("old__t{n:05}")));
    for client in stage.both().await {
        let first = client.result("tools/list", json!({})).await;
        assert_eq!(items(&first).len(), 999);
        assert_eq!(client.tools().await, expected);
    }
    assert_eq!((new.count("tools/list"), old.count("tools/list")), (50, 5), "each page was read once");
}

#[tokio::test]
async fn a_list_is_gone_on_with_when_an_upstream_goes_or_comes_between_pages() {
    let first = Peer::modern("first").await.tools(&["a", "b", "c"]);
    let second = Peer::legacy("second").await.tools(&["a", "b", "c"]);
    let third = Peer::modern("third").await.tools(&["a", "b", "c"]);
    let stage = Setup::route(&["page_size: 2"]).start(&[&first, &second, &third]).await;
    let clients = stage.both().await;
    let mut begun = Vec::new();
    for client in &clients {
        let page = client.result("tools/list", json!({})).await;
        begun.push(page["nextCursor"].clone());
        // And one whose cursor is in the middle of the one that goes.
        let page = client.result("tools/list", json!({"cursor": page["nextCursor"]})).await;
        assert_eq!(items(&page).iter().map(name_of).collect::<Vec<_>>(), ["first__c", "second__a"]);
        begun.push(page["nextCursor"].clone());
    }
    let stopped = second.stop().await;
    let rest = async |client: &super::client::Client, cursor: &Value| {
        let (mut all, mut cursor) = (Vec::new(), cursor.clone());
        loop {
            let page = client.result("tools/list", json!({"cursor": cursor})).await;
            all.extend(items(&page).iter().map(name_of));
            match page.get("nextCursor") {
                Some(next) => cursor = next.clone(),
                None => return all,
            }
        }
    };
    eventually("the second is missed", async || (clients[0].tools().await.len() == 6).then_some(())).await;
    for (at, client) in clients.iter().enumerate() {
        assert_eq!(rest(client, &begun[2 * at]).await, ["first__c", "third__a", "third__b", "third__c"]);
        assert_eq!(rest(client, &begun[2 * at + 1]).await, ["third__a", "third__b", "third__c"]);
    }
    let _second = stopped.resume().await;
    eventually("the second is back", async || (clients[0].tools().await.len() == 9).then_some(())).await;
    for (at, client) in clients.iter().enumerate() {
        let expected = ["second__b", "second__c", "third__a", "third__b", "third__c"];
        assert_eq!(rest(client, &begun[2 * at + 1]).await, expected, "none lost, none twice");
    }
}

#[tokio::test]
async fn all_four_lists_are_merged() {
    let new = Peer::modern("new")
        .await
        .tools(&["t"])
        .prompts(&["p"])
        .resources(&["new://r"])
        .templates(&["new://{t}"]);
    let old = Peer::legacy("old")
        .await
        .tools(&["t"])
        .prompts(&["p"])
        .resources(&["old://r"])
        .templates(&["old://{t}"]);
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        for (method, expected) in [
            ("tools/list", ["new__t", "old__t"]),
            ("prompts/list", ["new__p", "old__p"]),
            ("resources/list", ["new://r", "old://r"]),
            ("resources/templates/list", ["new://{t}", "old://{t}"]),
        ] {
            assert_eq!(client.names(method).await, expected);
        }
    }
}

#[tokio::test]
async fn what_is_in_an_item_stays_as_it_is() {
    let (new, old) = mixed().await;
    let odd = json!({"name": "odd", "title": "Odd", "inputSchema": {"type": "object", "properties": {"n": {"const": 1.0}}},
        "outputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}, "icons": [], "x": {"y": [null, 1e3]}});
    new.set("tools/list", vec![odd.clone()]);
    old.set("tools/list", vec![odd.clone()]);
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        let listed = items(&client.result("tools/list", json!({})).await);
        for (item, prefix) in listed.iter().zip(["new", "old"]) {
            let mut expected = odd.clone();
            expected["name"] = format!("{prefix}__odd").into();
            assert_eq!(*item, expected);
        }
    }
}
