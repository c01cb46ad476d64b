//! What a route, or a tenant's part of it, does not show is not there.

use super::client::{Client, whole};
use super::peer::Peer;
use super::stage::{Setup, Stage};
use serde_json::{Value, json};

async fn peers() -> (Peer, Peer) {
    let new = Peer::modern("new").await.tools(&["read", "write", "drop"]).prompts(&["hi", "secret"]);
    let old = Peer::legacy("old").await.tools(&["read", "write", "drop"]).prompts(&["hi", "secret"]);
    let new =
        new.resources(&["new://open/1", "new://secret/1"]).templates(&["new://open/{x}", "new://secret/{x}"]);
    let old =
        old.resources(&["old://open/1", "old://secret/1"]).templates(&["old://open/{x}", "old://secret/{x}"]);
    (new, old)
}

fn setup() -> Setup {
    Setup::route(&[
        "expose:",
        "  include: [\"*__read\", \"*__write\", \"*__drop\"]",
        "  exclude: [\"*__drop\"]",
        "  prompts: { exclude: [\"*__secret\"] }",
        "  resources: { exclude: [\"*://secret/*\"] }",
    ])
    .globex(&["expose:", "  main: { include: [\"*__read\"], prompts: { include: [nothing] }, resources: { include: [\"new://*\"] } }"])
}

#[tokio::test]
async fn what_is_hidden_is_not_listed_and_is_answered_as_what_does_not_exist() {
    let (new, old) = peers().await;
    let stage = setup().start(&[&new, &old]).await;
    for client in stage.both().await {
        assert_eq!(client.tools().await, ["new__read", "new__write", "old__read", "old__write"]);
        assert_eq!(client.names("prompts/list").await, ["new__hi", "old__hi"]);
        assert_eq!(client.names("resources/list").await, ["new://open/1", "old://open/1"]);
        assert_eq!(client.names("resources/templates/list").await, ["new://open/{x}", "old://open/{x}"]);
        for (method, member, hidden, missing) in [
            ("tools/call", "name", "new__drop", "new__nope"),
            ("tools/call", "name", "old__drop", "old__nope"),
            ("prompts/get", "name", "new__secret", "new__nope42"),
            ("prompts/get", "name", "old__secret", "old__nope42"),
            ("resources/read", "uri", "new://secret/1", "gone://secret/1"),
            ("resources/read", "uri", "old://secret/7", "gone://secret/7"),
        ] {
            same(&client, method, member, hidden, missing).await;
        }
        let complete = |uri: &str| json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "x", "value": ""}});
        let hidden = client.fault("completion/complete", complete("new://secret/{x}")).await;
        assert_eq!(hidden, client.fault("completion/complete", complete("gone://secret/{x}")).await);
    }
    for peer in [&new, &old] {
        for method in ["tools/call", "prompts/get", "resources/read", "completion/complete"] {
            assert_eq!(peer.count(method), 0, "{}: {method}", peer.id);
        }
    }
}

/// Both are answered the same, but for the name itself.
async fn same(client: &Client, method: &str, member: &str, hidden: &str, missing: &str) {
    let mut said = Vec::new();
    for name in [hidden, missing] {
        let answer = client.ask(method, json!({member: name})).await;
        let mut headers = format!("{:?}", answer.headers);
        if let Some(id) = answer.header("x-request-id") {
            headers = headers.replace(id, "ID");
        }
        if let Some(length) = answer.header("content-length") {
            headers = headers.replace(&format!("{length:?}"), "LENGTH");
        }
        said.push((answer.status, headers, answer.text().replace(name, "NAME")));
        assert!(answer.rpc()["error"].is_object(), "{}", whole(&answer));
    }
    assert_eq!(said[0], said[1], "{method} {hidden}");
}

#[tokio::test]
async fn a_tenant_is_shown_what_both_the_route_and_its_own_part_show() {
    let (new, old) = peers().await;
    let stage = setup().start(&[&new, &old]).await;
    for client in stage.both_as("/mcp", json!({"org_id": "globex"})).await {
        assert_eq!(client.tools().await, ["new__read", "old__read"]);
        assert_eq!(client.names("prompts/list").await, [""; 0]);
        assert_eq!(client.names("resources/list").await, ["new://open/1"]);
        for hidden in ["new__write", "old__write", "new__drop"] {
            assert_eq!(client.call_fault(hidden).await, (200, json!(-32602)), "{hidden}");
        }
        assert_eq!(client.fault("prompts/get", json!({"name": "new__hi"})).await.1, json!(-32602));
        let code = if client.is_modern() { -32602 } else { -32002 };
        for hidden in ["old://open/1", "new://secret/1"] {
            assert_eq!(
                client.fault("resources/read", json!({"uri": hidden})).await.1,
                json!(code),
                "{hidden}"
            );
        }
        assert_eq!(client.call("old__read", json!({})).await, "old read {}");
        client.result("resources/read", json!({"uri": "new://open/1"})).await;
    }
    // On the other route, nothing of it is said.
    for client in stage.both_as("/other", json!({"org_id": "globex"})).await {
        assert_eq!(client.tools().await.len(), 6);
    }
}

#[tokio::test]
async fn a_tool_that_only_a_scope_is_missing_for_is_listed_and_challenged() {
    let (new, old) = peers().await;
    let setup = Setup::route(&[
        "scopes: [mcp:read]",
        "tools: [{ match: [\"*__write\"], scopes: [mcp:write] }, { match: [\"*__drop\"], deny: true }]",
    ]);
    let stage = setup.start(&[&new, &old]).await;
    for client in stage.both_as("/mcp", json!({"scope": "mcp:read"})).await {
        assert_eq!(client.tools().await, ["new__read", "new__write", "old__read", "old__write"]);
        for name in ["new__write", "old__write"] {
            let answer = client.ask("tools/call", json!({"name": name, "arguments": {}})).await;
            assert_eq!(answer.status, 403, "{}", whole(&answer));
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(
                challenge.contains("insufficient_scope") && challenge.contains("mcp:write"),
                "{challenge}"
            );
        }
        assert_eq!(client.call_fault("new__drop").await, (200, json!(-32602)));
    }
    assert_eq!((new.count("tools/call"), old.count("tools/call")), (0, 0));
}

#[tokio::test]
async fn one_upstream_alone_can_be_shown_in_part_too() {
    let (new, old) = peers().await;
    for peer in [&new, &old] {
        let stage = alone(peer).await;
        for client in stage.both_as("/alone", json!({})).await {
            assert_eq!(client.tools().await, ["get", "write"]);
            assert_eq!(client.names("prompts/list").await, ["hi"]);
            assert_eq!(client.call("get", json!({})).await, format!("{} read {{}}", peer.id));
            assert_eq!(client.call_fault("drop").await, (200, json!(-32602)));
            assert_eq!(client.call_fault("read").await, (200, json!(-32602)));
            let found = match client.is_modern() {
                true => client.result("server/discover", json!({})).await,
                false => client.initialize().await.rpc()["result"].clone(),
            };
            assert_ne!(found["serverInfo"]["name"], "narthex", "it is still the upstream: {found}");
            let info: &Value = &found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"];
            assert_ne!(info, "narthex");
        }
    }
}

/// A gateway with a route of that upstream alone besides the usual.
async fn alone(peer: &Peer) -> Stage {
    let lines = [
        "  alone:",
        "    path: /alone",
        &format!("    upstream: {}", peer.id),
        "    expose: { exclude: [drop], rename: { read: get }, prompts: { exclude: [secret] } }",
    ];
    let setup = Setup { routes: lines.map(|line| format!("{line}\n")).concat(), ..Setup::default() };
    setup.start(&[peer]).await
}
