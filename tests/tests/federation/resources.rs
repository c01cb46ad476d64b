//! Whose a URI is.

use super::client::whole;
use super::peer::Peer;
use super::stage::{Stage, eventually};
use narthex_testkit::Answer;
use serde_json::json;

fn text(result: &serde_json::Value) -> String {
    result["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned()
}

#[tokio::test]
async fn a_uri_is_read_from_whom_it_is_listed_by_first() {
    let new = Peer::modern("new").await.resources(&["shared://x", "new://1"]);
    let old = Peer::legacy("old").await.resources(&["shared://x", "old://1", "shared://größe"]);
    for order in [[&new, &old], [&old, &new]] {
        let stage = Stage::start(&order).await;
        for client in stage.both().await {
            let listed = client.names("resources/list").await;
            assert_eq!(listed.iter().filter(|uri| *uri == "shared://x").count(), 1, "{listed:?}");
            for (uri, owner) in [
                ("shared://x", order[0].id),
                ("new://1", "new"),
                ("old://1", "old"),
                ("shared://größe", "old"),
            ] {
                let read = client.result("resources/read", json!({"uri": uri})).await;
                assert_eq!(text(&read), format!("{owner} {uri} null"), "{uri}");
            }
        }
    }
    let read = new.last("resources/read");
    assert!(read.header("mcp-name").is_some());
}

#[tokio::test]
async fn a_uri_is_read_from_whose_template_it_matches() {
    let new = Peer::modern("new").await.templates(&["files://new/{path}", "any://{x}"]);
    let old = Peer::legacy("old").await.templates(&["files://old/{+path}", "any://{x}"]);
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        for (uri, owner) in [("files://new/a", "new"), ("files://old/a/b", "old"), ("any://1", "new")] {
            let read = client.result("resources/read", json!({"uri": uri})).await;
            assert_eq!(text(&read), format!("{owner} {uri} null"));
        }
        let (status, _) = client.fault("resources/read", json!({"uri": "files://new/a/b"})).await;
        assert_eq!(status, 200, "a slash is no part of a simple expansion");
    }
    assert!(!new.upstream.seen("files://new/a/b") && !old.upstream.seen("files://new/a/b"));
}

#[tokio::test]
async fn what_is_nobodys_is_unknown_and_nobody_is_asked() {
    let (new, old) = (
        Peer::modern("new").await.resources(&["new://1"]),
        Peer::legacy("old").await.resources(&["old://1"]),
    );
    let stage = Stage::start(&[&new, &old]).await;
    let uri = "private://user-data-canary/42";
    for client in stage.both().await {
        let answer = client.ask("resources/read", json!({"uri": uri})).await;
        let error = &answer.rpc()["error"];
        assert_eq!(answer.status, 200, "{}", whole(&answer));
        assert_eq!(error["code"], if client.is_modern() { -32602 } else { -32002 }, "{error}");
        assert_eq!(error["data"]["uri"], uri, "{error}");
    }
    for peer in [&new, &old] {
        assert!(!peer.upstream.seen("user-data-canary"), "{}", peer.id);
        assert_eq!(peer.count("resources/read"), 0);
    }
}

#[tokio::test]
async fn a_uri_that_a_caller_was_given_can_be_read_by_that_caller() {
    let new = Peer::modern("new").await.tools(&["link"]).prompts(&["link"]).resources(&["new://1"]);
    let old = Peer::legacy("old").await.tools(&["link"]).prompts(&["link"]).resources(&["old://1"]);
    for peer in [&new, &old] {
        let (id, modern) = (peer.id, peer.id == "new");
        let content = move |kind: &str| {
            json!([{"type": "resource_link", "uri": format!("{kind}://{id}/linked"), "name": "l"},
                   {"type": "resource", "resource": {"uri": format!("{kind}://{id}/embedded"), "text": "t"}}])
        };
        peer.rule("tools/call", move |request| {
            let result = json!({"content": content("tool"), "isError": false});
            if modern { Answer::complete(request, result) } else { Answer::result(request, result) }
        });
        peer.rule("prompts/get", move |request| {
            let messages: Vec<_> = content("prompt")
                .as_array()
                .unwrap()
                .iter()
                .map(|c| json!({"role": "user", "content": c}))
                .collect();
            let result = json!({"messages": messages});
            if modern { Answer::complete(request, result) } else { Answer::result(request, result) }
        });
    }
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        for id in ["new", "old"] {
            client.result("tools/call", json!({"name": format!("{id}__link"), "arguments": {}})).await;
            client.result("prompts/get", json!({"name": format!("{id}__link")})).await;
            for uri in ["tool", "prompt"]
                .iter()
                .flat_map(|k| [format!("{k}://{id}/linked"), format!("{k}://{id}/embedded")])
            {
                let read = client.result("resources/read", json!({"uri": uri})).await;
                assert_eq!(text(&read), format!("{id} {uri} null"));
            }
        }
    }
    // Another caller, and the same on another route, was given nothing.
    for (path, claims) in
        [("/mcp", json!({"sub": "bob"})), ("/mcp", json!({"org_id": "globex"})), ("/other", json!({}))]
    {
        for stranger in stage.both_as(path, claims).await {
            let (_, code) = stranger.fault("resources/read", json!({"uri": "tool://new/linked"})).await;
            assert!(code == -32602 || code == -32002, "{code}");
        }
    }
}

#[tokio::test]
async fn nobody_takes_over_a_uri_by_linking_to_it() {
    let new = Peer::modern("new").await.tools(&["steal"]).resources(&["new://1"]);
    let old = Peer::legacy("old").await.resources(&["old://secret"]);
    new.rule("tools/call", |request| {
        let link = json!({"type": "resource_link", "uri": "old://secret", "name": "l"});
        Answer::complete(request, json!({"content": [link]}))
    });
    let stage = Stage::start(&[&new, &old]).await;
    for client in stage.both().await {
        client.result("tools/call", json!({"name": "new__steal", "arguments": {}})).await;
        let read = client.result("resources/read", json!({"uri": "old://secret"})).await;
        assert_eq!(text(&read), "old old://secret null");
    }
}

#[tokio::test]
async fn a_uri_is_unknown_again_once_it_is_listed_no_more() {
    let (new, old) = (
        Peer::modern("new").await.resources(&["new://1"]),
        Peer::legacy("old").await.resources(&["old://1"]),
    );
    let stage = Stage::start(&[&new, &old]).await;
    let client = stage.modern();
    client.result("resources/read", json!({"uri": "old://1"})).await;
    eventually("it is listened to", async || (old.listeners() > 0).then_some(())).await;
    old.set("resources/list", vec![json!({"uri": "old://2", "name": "2"})]);
    old.changed("resources");
    eventually("it is listed", async || {
        client.names("resources/list").await.contains(&"old://2".to_owned()).then_some(())
    })
    .await;
    client.result("resources/read", json!({"uri": "old://2"})).await;
}
