//! A secret that changes in the vault is used without a restart.

use super::login::approle;
use super::stage::{Config, Stage, eventually};
use narthex_testkit::{Answer, MockIdp, Signal, mcp};
use narthex_tests::Bao;
use serde_json::{Value, json};

/// A vault with the secret `narthex/docs`, and a way to log in there.
async fn vault(dir: &std::path::Path, docs: Value) -> (Bao, String) {
    let bao = Bao::start().await;
    bao.put("narthex/docs", docs).await;
    bao.policy("narthex", "path \"secret/data/narthex/*\" { capabilities = [\"read\"] }").await;
    let auth = approle(&bao, dir, "10m").await;
    (bao, auth)
}

#[tokio::test]
async fn another_value_is_used_without_a_restart_and_without_the_end_of_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let (bao, auth) = vault(dir.path(), json!({"key": "key-1"})).await;
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    assert_eq!(stage.key().await, "key-1");
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut client = stage.connect().await;
    let call = mcp::post("/tools", Some(&stage.token()), &[], &mcp::tools_call("echo", json!({})));
    client.send(call).await.unwrap();
    assert_eq!(client.response_head().await.unwrap().status, 200);
    for version in 2..5 {
        let key = format!("key-{version}");
        bao.put("narthex/docs", json!({"key": key})).await;
        let took = stage.until_key(&key).await;
        println!("version {version} written: used after {} ms", took.as_millis());
        feed.event(
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"n": version}})
                .to_string(),
        );
        let event = client.sse_event().await.unwrap().expect("the stream is open");
        assert_eq!(event.json()["params"]["n"], version);
    }
    drop(feed);
    assert_eq!(client.sse_event().await.unwrap(), None, "it ends as the upstream ends it");
    assert_eq!(stage.count("narthex_config_reloads_total{result=\"ok\"}").await, 4.0);
    assert_eq!(stage.count("narthex_vault_logins_total{kind=\"login\",result=\"ok\"}").await, 1.0);
    assert!(!stage.gateway.output().contains("key-"), "{}", stage.gateway.output());
}

#[tokio::test]
async fn what_uses_another_secret_or_none_keeps_what_it_has_obtained() {
    let dir = tempfile::tempdir().unwrap();
    let (bao, auth) = vault(dir.path(), json!({"key": "key-1"})).await;
    bao.put("narthex/client", json!({"secret": MockIdp::CLIENT.1})).await;
    let idp = MockIdp::start().await;
    let mut config = Config::new(&bao.address(), &auth);
    config.upstreams = format!(
        "  obtained:\n    url: http://127.0.0.1:9/mcp\n    credential:\n      client_credentials: {{ token_url: \"{}/token\", client: {{ id: narthex, secret: {{ vault: 'narthex/client#secret' }} }} }}\n",
        idp.issuer()
    );
    config.routes = "  obtained: { path: /obtained, upstream: obtained }\n".to_owned();
    config.granted = ", obtained".to_owned();
    let stage = Stage::beside(&config, idp).await;
    let call = async || {
        let token = stage.token_for("/obtained");
        let body = mcp::tools_call("echo", json!({}));
        mcp::call(stage.gateway.address(), "/obtained", Some(&token), &body).await.unwrap().status
    };
    // Nobody answers there, but a token for it is obtained first.
    call().await;
    assert_eq!(stage.idp.token_calls().len(), 1);
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    stage.until_key("key-2").await;
    call().await;
    assert_eq!(stage.idp.token_calls().len(), 1, "its token was not thrown away");
    // Its own secret is another now, which the identity provider does not know.
    bao.put("narthex/client", json!({"secret": "another-secret"})).await;
    let asked = eventually(async || {
        call().await;
        stage.idp.token_calls().len() > 1
    });
    assert!(asked.await.is_some(), "{}", stage.gateway.output());
    assert_eq!(stage.idp.token_calls().last().unwrap().issued, None);
}

#[tokio::test]
async fn a_new_version_without_another_value_reloads_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (bao, auth) = vault(dir.path(), json!({"key": "key-1", "note": "a"})).await;
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    bao.put("narthex/docs", json!({"key": "key-1", "note": "b"})).await;
    let looks = "narthex_secrets_refresh_total{result=\"ok\"}";
    let before = stage.count(looks).await;
    stage.gateway.wait_for_metric(looks, |count| count >= before + 3.0).await;
    assert_eq!(stage.count("narthex_config_reloads_total{result=\"ok\"}").await, 1.0);
}

#[tokio::test]
async fn a_secret_that_was_removed_counts_on_until_a_reload_which_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (bao, auth) = vault(dir.path(), json!({"key": "key-1"})).await;
    let config = Config::new(&bao.address(), &auth);
    let stage = Stage::with(&config).await;
    bao.api("DELETE", "secret/metadata/narthex/docs", None).await;
    stage
        .gateway
        .wait_for_metric("narthex_secrets_refresh_total{result=\"missing\"}", |count| count >= 1.0)
        .await;
    assert_eq!(stage.key().await, "key-1");
    assert_eq!(stage.count("narthex_config_last_reload_successful").await, 1.0);
    let touched = Config { server: "  # touched\n".to_owned(), ..config.clone() };
    assert!(!stage.reload(&touched).await, "a reload wants all of them");
    let output = stage.gateway.output();
    assert!(output.contains("secret vault secret/narthex/docs#key: there is no such secret"), "{output}");
    assert_eq!(stage.key().await, "key-1");
    // Version 1 again, with another value: versions alone do not tell.
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    stage.until_key("key-2").await;
}

#[tokio::test]
async fn a_value_that_cannot_be_used_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (bao, auth) = vault(dir.path(), json!({"key": "key-1"})).await;
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    bao.put("narthex/docs", json!({"key": "key-2\r\nX-Evil: 1"})).await;
    stage.gateway.wait_for_metric("narthex_config_last_reload_successful", |ok| ok == 0.0).await;
    assert_eq!(stage.key().await, "key-1");
    assert!(!stage.gateway.output().contains("X-Evil"));
    bao.put("narthex/docs", json!({"key": "key-3"})).await;
    stage.until_key("key-3").await;
    assert_eq!(stage.count("narthex_config_last_reload_successful").await, 1.0);
}

#[tokio::test]
async fn a_policy_that_is_taken_away_is_told_apart_from_a_secret_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (bao, auth) = vault(dir.path(), json!({"key": "key-1"})).await;
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    bao.policy("narthex", "path \"secret/data/elsewhere\" { capabilities = [\"read\"] }").await;
    stage
        .gateway
        .wait_for_metric("narthex_secrets_refresh_total{result=\"denied\"}", |count| count >= 2.0)
        .await;
    assert_eq!(stage.key().await, "key-1");
    let logins = stage.count("narthex_vault_logins_total{kind=\"login\",result=\"ok\"}").await;
    assert_eq!(logins, 1.0, "the login is good, so there is no use in another");
}

#[tokio::test]
async fn a_hangup_looks_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (bao, auth) = vault(dir.path(), json!({"key": "key-1"})).await;
    let mut config = Config::new(&bao.address(), &auth);
    config.vault = config.vault.replace("refresh: 1s", "refresh: 1h");
    let stage = Stage::with(&config).await;
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    assert_eq!(stage.key().await, "key-1");
    stage.gateway.signal(Signal::SIGHUP);
    stage.until_key("key-2").await;
}
