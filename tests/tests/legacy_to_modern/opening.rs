//! `initialize`, answered by what a server without sessions says of itself.

use super::stage::{LATEST, LEGACY, Stage, everything};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

#[tokio::test]
async fn a_known_revision_is_kept_and_any_other_becomes_2025_11_25() {
    let stage = Stage::start().await;
    let cases = LEGACY.map(|revision| (revision, revision));
    for (asked, settled) in cases.into_iter().chain([("2024-11-05", LATEST), ("1.0", LATEST), ("", LATEST)]) {
        let mut client = stage.client("/mcp", stage.token("/mcp", json!({})));
        let answer = client.initialize(asked, json!({})).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{asked}");
        let message = answer.json();
        assert_eq!(message["id"], "init", "{asked}");
        assert_eq!(message["result"]["protocolVersion"], settled, "{asked}");
    }
}

#[tokio::test]
async fn the_session_id_is_sealed_and_tells_nothing() {
    let stage = Stage::start().await;
    let first = stage.open(LATEST, everything()).await;
    let second = stage.open(LATEST, everything()).await;
    assert_ne!(first.session, second.session);
    for session in [&first.session, &second.session] {
        assert!(session.len() > 60 && session.bytes().all(|byte| byte.is_ascii_graphic()), "{session}");
    }
    assert_eq!(first.ask("ping", json!({})).await["result"], json!({}));
    assert!(!stage.upstream.seen(&first.session), "the upstream saw the session id");
    assert_eq!(
        stage.upstream.requests().iter().find_map(|r| r.header("mcp-session-id").map(str::to_owned)),
        None
    );
}

#[tokio::test]
async fn what_the_server_can_do_is_told_without_what_is_not_bridged() {
    let stage = Stage::start().await;
    let capabilities = json!({
        "tools": {"listChanged": true}, "prompts": {}, "resources": {"subscribe": true}, "completions": {},
        "logging": {}, "tasks": {"list": {}}, "extensions": {"io.example/x": {}}, "experimental": {"y": {}},
    });
    stage.server.next("server/discover", Answer::mcp); // Asked to find out the era.
    stage.server.always("server/discover", move |request| {
        let info = json!({"name": "weather", "version": "3.1", "title": "Weather"});
        Answer::complete(
            request,
            json!({
                "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "instructions": "Ask \"nicely\".",
                "ttlMs": 5, "cacheScope": "private", "_meta": {"io.modelcontextprotocol/serverInfo": info},
            }),
        )
    });
    let mut client = stage.client("/mcp", stage.token("/mcp", json!({})));
    let answer = client.initialize(LATEST, json!({})).await.json();
    assert_eq!(
        answer["result"],
        json!({
            "protocolVersion": LATEST, "instructions": "Ask \"nicely\".",
            "serverInfo": {"name": "weather", "version": "3.1", "title": "Weather"},
            "capabilities": {"tools": {"listChanged": true}, "prompts": {}, "resources": {"subscribe": true},
                             "completions": {}, "logging": {}},
        })
    );
}

#[tokio::test]
async fn a_server_that_does_not_name_itself_gets_a_name() {
    let stage = Stage::start().await;
    stage.server.always("server/discover", |request| {
        Answer::complete(request, json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}))
    });
    let mut client = stage.client("/mcp", stage.token("/mcp", json!({})));
    let info = client.initialize(LATEST, json!({})).await.json()["result"]["serverInfo"].clone();
    assert!(info["name"].is_string() && info["version"].is_string(), "{info}");
}

#[tokio::test]
async fn an_initialize_without_capabilities_is_refused_and_opens_nothing() {
    let stage = Stage::start().await;
    stage.open(LATEST, json!({})).await;
    let client = stage.client("/mcp", stage.token("/mcp", json!({})));
    for params in [json!({"protocolVersion": LATEST}), json!({"protocolVersion": LATEST, "capabilities": 1})]
    {
        let answer = client.post(&mcp::request(1, "initialize", params)).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (200, &json!(-32602)),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("mcp-session-id"), None);
    }
}

#[tokio::test]
async fn the_server_sees_no_initialize_once_it_is_known() {
    let stage = Stage::start().await;
    stage.open(LATEST, json!({})).await;
    assert_eq!(stage.upstream.requests_for("initialize").len(), 1, "to find out");
    stage.upstream.forget();
    stage.open("2025-06-18", json!({})).await;
    let methods: Vec<_> = stage.upstream.requests().iter().filter_map(|r| r.rpc_method()).collect();
    assert_eq!(methods, ["server/discover"]);
}

#[tokio::test]
async fn a_second_initialize_in_a_session_opens_another() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let mut again = client.clone();
    let answer = again.initialize("2025-06-18", json!({})).await;
    assert_eq!(answer.json()["result"]["protocolVersion"], "2025-06-18");
    assert_ne!(again.session, client.session);
    assert_eq!(client.ask("ping", json!({})).await["result"], json!({}), "the first lives on");
}

#[tokio::test]
async fn a_server_that_cannot_say_what_it_is_opens_no_session() {
    let stage = Stage::start().await;
    stage.open(LATEST, json!({})).await;
    for answer in
        [json!({}), json!({"supportedVersions": "x", "capabilities": {}}), json!({"supportedVersions": []})]
    {
        stage.server.next("server/discover", move |request| Answer::complete(request, answer));
        let mut client = stage.client("/mcp", stage.token("/mcp", json!({})));
        let answer = client.initialize(LATEST, json!({})).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (200, &json!(-32603)),
            "{}",
            answer.text()
        );
        assert_eq!((client.session.as_str(), &answer.json()["id"]), ("", &Value::from("init")));
    }
}

#[tokio::test]
async fn delete_ends_the_session_for_good() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, json!({})).await;
    let count = stage.upstream.count();
    let answer = client.delete().await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(client.delete().await.status, 404);
    let ping = client.post(&mcp::request(1, "ping", json!({}))).await;
    assert_eq!((ping.status, &ping.json()["id"]), (404, &json!(1)), "{}", ping.text());
    assert_eq!(client.listen(None).await.status, 404);
    assert_eq!(stage.upstream.count(), count, "a server without sessions hears nothing of it");
}
