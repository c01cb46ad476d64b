//! What a reload changes, it changes for the next request.

use super::stage::{Config, PATIENCE, Stage, eventually};
use narthex_testkit::mcp;
use serde_json::json;
use std::fs;

#[tokio::test]
async fn a_removed_route_is_gone_and_a_new_one_is_there() {
    let stage = Stage::new().await;
    let mut config = Config::new();
    let extra = |path: &str| format!("  extra:\n    path: {path}\n    upstream: main\n");
    (config.routes, config.granted) = (extra("/extra"), ", extra".to_owned());
    let extra_token = stage.idp.token(&stage.resource("/extra"));
    assert_eq!(stage.status("/extra", &extra_token).await, 404);

    stage.reload(&config).await;
    assert_eq!(stage.status("/extra", &extra_token).await, 200);
    let metadata = "/.well-known/oauth-protected-resource/extra";
    assert_eq!(mcp::get(stage.gateway.address(), metadata, None).await.unwrap().status, 200);

    stage.reload(&Config::new()).await;
    assert_eq!(stage.status("/extra", &extra_token).await, 404);
    assert_eq!(mcp::get(stage.gateway.address(), metadata, None).await.unwrap().status, 404);
    assert_eq!(stage.status("/tools", &stage.token()).await, 200);
}

#[tokio::test]
async fn a_changed_scope_holds_for_the_next_request_of_a_live_session() {
    let stage = Stage::new().await;
    let token = stage.token();
    let session =
        mcp::open_session(stage.gateway.address(), "/tools", Some(&token), mcp::STATEFUL).await.unwrap();
    let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let call = mcp::post("/tools", Some(&token), &headers, &mcp::tools_call("echo", json!({})));
    // On one connection, which stays open all the while.
    let mut client = stage.connect().await;
    for (scopes, expected) in [("mcp:read", 200), ("mcp:admin", 403), ("mcp:read", 200)] {
        stage.gateway.wait_for_metric("narthex_config_last_reload_successful", |ok| ok == 1.0).await;
        let config = Config {
            scopes: scopes.to_owned(),
            server: format!("  # {scopes} {expected}\n"),
            ..Config::new()
        };
        stage.reload(&config).await;
        client.send(&call).await.unwrap();
        let answer = client.response().await.unwrap();
        assert_eq!(answer.status, expected, "{scopes}: {}", answer.text());
        if expected == 403 {
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(
                challenge.contains("insufficient_scope") && challenge.contains("mcp:admin"),
                "{challenge}"
            );
        }
    }
}

#[tokio::test]
async fn what_takes_effect_at_the_next_start_only_is_said_to() {
    for (name, server, is_said) in [
        ("threads", "  threads: 3\n", true),
        ("grace period", "  grace_period: 7s\n", true),
        ("connections", "  limits: { connections: 7 }\n", true),
        ("body", "  limits: { body: 1MiB }\n", false),
    ] {
        let stage = Stage::new().await;
        stage.reload(&Config { server: server.to_owned(), ..Config::new() }).await;
        let log = stage.gateway.stderr();
        assert_eq!(log.contains("takes effect at the next start"), is_said, "{name}:\n{log}");
        assert_eq!(stage.status("/tools", &stage.token()).await, 200, "{name}");
    }
}

#[tokio::test]
async fn another_content_of_a_secret_file_is_used_without_a_change_of_the_configuration() {
    let secrets = tempfile::tempdir().unwrap();
    let key = secrets.path().join("key");
    fs::write(&key, "first-key\n").unwrap();
    let credential = format!(
        "    credential: {{ header: {{ name: x-api-key, value: {{ file: {} }} }} }}\n",
        key.display()
    );
    let stage = Stage::with(&Config { upstream: credential, ..Config::new() }).await;
    let token = stage.token();
    let sent = async || {
        assert_eq!(stage.status("/tools", &token).await, 200);
        stage.upstream.requests().last().unwrap().header("x-api-key").map(str::to_owned)
    };
    assert_eq!(sent().await.as_deref(), Some("first-key"));
    fs::write(&key, "second-key\n").unwrap();
    let took = eventually(PATIENCE, async || sent().await.as_deref() == Some("second-key")).await;
    println!("secret file written: used after {} ms", took.expect("the second key").as_millis());
    fs::remove_file(&key).unwrap();
    stage.gateway.wait_for_metric("narthex_config_last_reload_successful", |ok| ok == 0.0).await;
    assert_eq!(sent().await.as_deref(), Some("second-key"), "a secret that is gone changes nothing");
    assert!(!stage.gateway.output().contains("second-key"));
}

#[tokio::test]
async fn the_gauges_of_a_removed_upstream_end() {
    let spare = "  spare:\n    url: http://127.0.0.1:9/mcp\n";
    let with = Config { upstreams: spare.to_owned(), ..Config::new() };
    let stage = Stage::with(&with).await;
    let shown = async || stage.gateway.metrics().await.contains("narthex_upstream_up{upstream=\"spare\"}");
    eventually(PATIENCE, async || shown().await).await.expect("a gauge of the spare upstream");
    stage.reload(&Config::new()).await;
    eventually(PATIENCE, async || !shown().await).await.expect("no gauge of the spare upstream");
}
