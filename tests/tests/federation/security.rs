//! What callers show the gateway stays there, and what it gives them is theirs alone.

use super::client::{Client, fault, whole};
use super::peer::Peer;
use super::stage::{KEY, Stage};
use narthex_testkit::mcp;
use serde_json::json;
use std::time::Duration;

async fn peers() -> (Peer, Peer) {
    let new = Peer::modern("new").await.tools(&["echo"]).prompts(&["hi"]).resources(&["new://1"]);
    let old = Peer::legacy("old").await.tools(&["echo"]).prompts(&["hi"]).resources(&["old://1"]);
    (new, old)
}

#[tokio::test]
async fn no_token_reaches_an_upstream_a_log_or_a_metric() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let clients = stage.both().await;
    let mut streams = Vec::new();
    let mut said = String::new();
    for client in &clients {
        for id in ["new", "old"] {
            for (method, params) in [
                ("tools/list", json!({})),
                ("tools/call", json!({"name": format!("{id}__echo"), "arguments": {}})),
                ("prompts/get", json!({"name": format!("{id}__hi")})),
                ("resources/read", json!({"uri": format!("{id}://1")})),
                (
                    "completion/complete",
                    json!({"ref": {"type": "ref/prompt", "name": format!("{id}__hi")}, "argument": {"name": "a", "value": ""}}),
                ),
            ] {
                let cookies = [
                    ("Cookie", "canary-cookie-1"),
                    ("X-Api-Key", "canary-key-1"),
                    ("Proxy-Authorization", "canary-proxy-1"),
                ];
                let answer = client.ask_with(&cookies, method, params).await;
                assert_eq!(answer.status, 200, "{}", whole(&answer));
                said.push_str(&whole(&answer));
            }
        }
        streams.push(client.listen(&["new://1", "old://1"]).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut needles: Vec<String> =
        vec!["canary-cookie-1".into(), "canary-key-1".into(), "canary-proxy-1".into()];
    for client in &clients {
        needles.push(client.token.clone());
        needles.extend(client.token.split('.').filter(|part| part.len() > 20).map(str::to_owned));
    }
    let session = clients[1].session.clone().unwrap();
    let written = stage.gateway.output() + &stage.gateway.metrics().await;
    for needle in needles.iter().chain([&session]) {
        assert!(!new.upstream.seen(needle) && !old.upstream.seen(needle), "{needle}");
        assert!(!written.contains(needle.as_str()), "{needle}");
    }
    for secret in [KEY, "session-canary"] {
        assert!(!written.contains(secret) && !said.contains(secret), "{secret}");
    }
    assert!(
        new.upstream
            .requests()
            .iter()
            .chain(&old.upstream.requests())
            .all(|r| r.header("x-api-key") == Some(KEY))
    );
}

#[tokio::test]
async fn a_session_is_good_for_its_caller_and_route_only() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let alice = stage.legacy().await;
    for (path, claims) in
        [("/mcp", json!({"sub": "bob"})), ("/mcp", json!({"org_id": "globex"})), ("/other", json!({}))]
    {
        let mut other = Client::modern(&stage, path, claims);
        other.session = alice.session.clone();
        for method in ["tools/list", "tools/call", "ping"] {
            let answer = other.ask(method, json!({"name": "new__echo"})).await;
            assert_eq!(answer.status, 404, "{path} {method}: {}", whole(&answer));
        }
        let headers = [
            ("Mcp-Session-Id", alice.session.as_deref().unwrap()),
            ("MCP-Protocol-Version", mcp::STATEFUL),
            ("Accept", "text/event-stream"),
        ];
        for verb in ["GET", "DELETE"] {
            let bytes = mcp::bodiless(verb, path, Some(&other.token), &headers);
            assert_eq!(
                mcp::exchange(stage.gateway.address(), &bytes).await.unwrap().status,
                404,
                "{path} {verb}"
            );
        }
    }
    for session in ["x", "old-session-canary-1", ""] {
        let forged = Client { session: Some(session.to_owned()), ..alice.clone() };
        let (status, _) = forged.fault("tools/list", json!({})).await;
        assert!(matches!(status, 400 | 404), "{session:?}: {status}");
    }
    assert_eq!(alice.tools().await, ["new__echo", "old__echo"], "it still is alice's");
}

#[tokio::test]
async fn an_ended_session_is_over() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let alice = stage.legacy().await;
    assert_eq!(alice.call("old__echo", json!({})).await, "old echo {}");
    let headers =
        [("Mcp-Session-Id", alice.session.as_deref().unwrap()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let bytes = mcp::bodiless("DELETE", "/mcp", Some(&alice.token), &headers);
    assert_eq!(mcp::exchange(stage.gateway.address(), &bytes).await.unwrap().status, 204);
    assert_eq!(alice.fault("tools/list", json!({})).await.0, 404);
}

#[tokio::test]
async fn two_callers_share_no_session_at_an_older_upstream() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let mut sessions = Vec::new();
    for claims in [json!({}), json!({"sub": "bob"}), json!({"org_id": "globex"})] {
        for client in stage.both_as("/mcp", claims).await {
            client.call("old__echo", json!({})).await;
            sessions.push(old.last("tools/call").header("mcp-session-id").unwrap().to_owned());
        }
    }
    let listing = old.last("tools/list").header("mcp-session-id").unwrap().to_owned();
    sessions.push(listing);
    let count = sessions.len();
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), count, "{sessions:?}");
}

#[tokio::test]
async fn requests_that_are_none_are_refused_as_elsewhere() {
    let (new, old) = peers().await;
    let stage = Stage::start(&[&new, &old]).await;
    let [modern, legacy] = stage.both().await;
    for (method, params) in [
        ("tools/call", json!({})),
        ("tools/call", json!({"name": 7})),
        ("prompts/get", json!({"name": null})),
        ("resources/read", json!({})),
        ("resources/read", json!({"uri": ["x"]})),
        ("completion/complete", json!({"ref": 1})),
    ] {
        for client in [&modern, &legacy] {
            let answer = client.ask(method, params.clone()).await;
            let (status, code) = fault(&answer);
            assert!(status < 500 && code == -32602, "{method} {params}: {}", whole(&answer));
        }
    }
    assert_eq!(modern.fault("no/such", json!({})).await, (404, json!(-32601)));
    assert_eq!(legacy.fault("no/such", json!({})).await, (200, json!(-32601)));
    for removed in ["ping", "logging/setLevel", "resources/subscribe"] {
        assert_eq!(
            modern.fault(removed, json!({"uri": "new://1", "level": "info"})).await,
            (404, json!(-32601)),
            "{removed}"
        );
    }
    for newer in ["server/discover", "subscriptions/listen"] {
        assert_eq!(legacy.fault(newer, json!({"notifications": {}})).await, (200, json!(-32601)), "{newer}");
    }
    legacy.result("ping", json!({})).await;
    legacy.result("logging/setLevel", json!({"level": "debug"})).await;
    assert_eq!(legacy.fault("logging/setLevel", json!({"level": "loud"})).await.1, json!(-32602));
    let unasked = json!({"jsonrpc": "2.0", "id": "made-up", "result": {}}).to_string();
    assert!(legacy.post(&unasked).await.status < 500, "it is nobody's");
}
