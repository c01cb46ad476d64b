//! The login's life.

use super::login::approle;
use super::stage::{Config, Stage, eventually};
use narthex_tests::Bao;
use serde_json::json;
use std::fs;

const LOGINS: &str = "narthex_vault_logins_total{kind=\"login\",result=\"ok\"}";
const RENEWALS: &str = "narthex_vault_logins_total{kind=\"renewal\",result=\"ok\"}";

async fn bao() -> Bao {
    let bao = Bao::start().await;
    bao.put("narthex/docs", json!({"key": "key-1"})).await;
    bao.policy_for("narthex", "narthex/docs").await;
    bao
}

#[tokio::test]
async fn a_lease_of_five_seconds_is_renewed_and_goes_on() {
    let (bao, dir) = (bao().await, tempfile::tempdir().unwrap());
    let auth = approle(&bao, dir.path(), "5s").await;
    let mut config = Config::new(&bao.address(), &auth);
    // So that nothing but the renewal keeps it alive.
    config.vault = config.vault.replace("refresh: 1s", "refresh: 1h");
    let stage = Stage::with(&config).await;
    let login = bao.logins().await;
    stage.gateway.wait_for_metric(RENEWALS, |count| count >= 3.0).await;
    assert_eq!(
        (bao.logins().await, stage.count(LOGINS).await),
        (login, 1.0),
        "after 9 s it is the same token"
    );
}

#[tokio::test]
async fn a_token_that_has_reached_its_longest_life_is_followed_by_another_login() {
    let (bao, dir) = (bao().await, tempfile::tempdir().unwrap());
    let role = bao.approle("narthex", "4s", "7s").await;
    let file = dir.path().join("secret-id");
    fs::write(&file, &role.secret_id).unwrap();
    let auth =
        format!("{{ approle: {{ role_id: {}, secret_id: {{ file: {} }} }} }}", role.role_id, file.display());
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    stage.gateway.wait_for_metric(LOGINS, |count| count >= 2.0).await;
    assert!(stage.count(RENEWALS).await >= 1.0);
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    stage.until_key("key-2").await;
    // It never was without one.
    for result in ["login", "denied", "unreachable"] {
        let sample = format!("narthex_secrets_refresh_total{{result=\"{result}\"}}");
        assert_eq!(stage.count(&sample).await, 0.0, "{result}: {}", stage.gateway.output());
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_followed_by_another_login() {
    let (bao, dir) = (bao().await, tempfile::tempdir().unwrap());
    let auth = approle(&bao, dir.path(), "3s").await;
    bao.done("POST", "auth/approle/role/narthex", json!({"token_type": "batch", "token_ttl": "3s"})).await;
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    stage.gateway.wait_for_metric(LOGINS, |count| count >= 3.0).await;
    assert_eq!(stage.count(RENEWALS).await, 0.0);
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    stage.until_key("key-2").await;
}

#[tokio::test]
async fn a_revoked_login_is_noticed_and_followed_by_another() {
    let (bao, dir) = (bao().await, tempfile::tempdir().unwrap());
    let auth = approle(&bao, dir.path(), "1h").await;
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    bao.revoke_logins().await;
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    stage.until_key("key-2").await;
    assert_eq!(stage.count(LOGINS).await, 2.0);
    assert_eq!(bao.logins().await.len(), 1);
}

#[tokio::test]
async fn a_login_that_other_settings_replace_is_given_up() {
    let (bao, dir) = (bao().await, tempfile::tempdir().unwrap());
    let auth = approle(&bao, dir.path(), "1h").await;
    let config = Config::new(&bao.address(), &auth);
    let stage = Stage::with(&config).await;
    let first = bao.logins().await;
    let other = Config { vault: config.vault.replace("refresh: 1s", "refresh: 2s"), ..config };
    assert!(stage.reload(&other).await, "{}", stage.gateway.output());
    let replaced = eventually(async || {
        let now = bao.logins().await;
        now.len() == 1 && now != first
    });
    assert!(replaced.await.is_some(), "{:?}", bao.logins().await);
    assert_eq!(stage.key().await, "key-1");
}
