//! Cursors are the caller's own, for the list and the route that they were given for.

use super::client::Client;
use super::peer::Peer;
use super::stage::{Setup, eventually};
use serde_json::{Value, json};

async fn stage() -> (super::stage::Stage, Peer, Peer) {
    let new = Peer::modern("new").await.tools(&["a", "b", "c"]).prompts(&["a", "b", "c"]);
    let old = Peer::legacy("old").await.tools(&["a", "b", "c"]).prompts(&["a", "b", "c"]);
    (Setup::route(&["page_size: 2"]).start(&[&new, &old]).await, new, old)
}

async fn cursor(client: &Client) -> String {
    client.result("tools/list", json!({})).await["nextCursor"].as_str().expect("a cursor").to_owned()
}

/// Asks for one page only: a cursor to the next may be refused while the list changes.
async fn first_page_has(client: &Client, tool: &str) -> bool {
    let page = client.result("tools/list", json!({})).await;
    page["tools"].as_array().expect("tools").iter().any(|found| found["name"] == tool)
}

#[tokio::test]
async fn a_cursor_that_is_not_the_callers_own_is_refused() {
    let (stage, new, old) = stage().await;
    for client in stage.both().await {
        let good = cursor(&client).await;
        let mut flipped = good.clone().into_bytes();
        let middle = flipped.len() / 2;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        for bad in [flipped.as_str(), &good[1..], &good[..good.len() - 1], "", "at-2", "0", &"x".repeat(5000)]
        {
            let fault = client.fault("tools/list", json!({"cursor": bad})).await;
            assert_eq!(fault, (200, json!(-32602)), "{bad:?}");
        }
        for bad in [json!(2), json!({}), json!([good]), json!(true)] {
            assert_eq!(client.fault("tools/list", json!({"cursor": bad})).await.1, json!(-32602), "{bad}");
        }
        for method in ["prompts/list", "resources/list", "resources/templates/list"] {
            let fault = client.fault(method, json!({"cursor": good})).await;
            assert_eq!(fault, (200, json!(-32602)), "{method}");
        }
        let strangers =
            [("/mcp", json!({"sub": "bob"})), ("/mcp", json!({"org_id": "globex"})), ("/other", json!({}))];
        for (path, claims) in strangers {
            for stranger in stage.both_as(path, claims.clone()).await {
                let fault = stranger.fault("tools/list", json!({"cursor": good})).await;
                assert_eq!(fault, (200, json!(-32602)), "{path} {claims}");
            }
        }
        assert!(
            client.result("tools/list", json!({"cursor": good})).await["tools"].is_array(),
            "it is still good"
        );
    }
    assert!(
        new.upstream
            .requests()
            .iter()
            .chain(&old.upstream.requests())
            .all(|r| r.json()["params"]["cursor"] == Value::Null)
    );
}

#[tokio::test]
async fn a_cursor_behind_a_tool_that_is_gone_is_refused() {
    let (stage, new, _old) = stage().await;
    for client in stage.both().await {
        let good = cursor(&client).await;
        new.set("tools/list", ["a", "c"].map(super::peer::tool).to_vec());
        new.changed("tools");
        eventually("the list has changed", async || (!first_page_has(&client, "new__b").await).then_some(()))
            .await;
        assert_eq!(client.fault("tools/list", json!({"cursor": good})).await, (200, json!(-32602)));
        new.set("tools/list", ["a", "b", "c"].map(super::peer::tool).to_vec());
        new.changed("tools");
        eventually("it is back", async || first_page_has(&client, "new__b").await.then_some(())).await;
    }
}
