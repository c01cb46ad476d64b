//! A vault that is down while the gateway runs.

use super::login::approle;
use super::stage::{Config, Stage};
use narthex_tests::Bao;
use serde_json::json;

const UNREACHABLE: &str = "narthex_secrets_refresh_total{result=\"unreachable\"}";
const SUCCESS: &str = "narthex_secrets_last_success_timestamp_seconds";

#[tokio::test]
async fn a_vault_that_was_killed_changes_nothing_until_it_is_back() {
    let (mut bao, dir) = (Bao::durable().await, tempfile::tempdir().unwrap());
    bao.put("narthex/docs", json!({"key": "key-1"})).await;
    bao.put("narthex/new", json!({"key": "key-new"})).await;
    bao.policy("narthex", "path \"secret/data/narthex/*\" { capabilities = [\"read\"] }").await;
    let config = Config::new(&bao.address(), &approle(&bao, dir.path(), "1h").await);
    let stage = Stage::with(&config).await;
    assert_eq!(stage.key().await, "key-1");

    bao.kill();
    stage.gateway.wait_for_metric(UNREACHABLE, |count| count >= 1.0).await;
    let last = stage.count(SUCCESS).await;
    assert!(last > 1_700_000_000.0, "{last}");
    assert_eq!(stage.key().await, "key-1");
    let touched = Config { server: "  # touched\n".to_owned(), ..config.clone() };
    assert!(
        stage.reload(&touched).await,
        "a reload goes on with the last values: {}",
        stage.gateway.output()
    );
    assert_eq!(stage.key().await, "key-1");
    let greedy = Config { key: "{ vault: \"narthex/new#key\" }".to_owned(), ..config.clone() };
    assert!(!stage.reload(&greedy).await, "nobody knows this one");
    assert_eq!(stage.key().await, "key-1");

    bao.restart().await;
    stage.gateway.wait_for_output("status 503, sealed", 1).await;
    assert_eq!(stage.key().await, "key-1");
    bao.unseal().await;
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    // What the file says still is the reference that nobody knew; now the vault does.
    stage.until_key("key-new").await;
    assert!(stage.reload(&config).await, "{}", stage.gateway.output());
    stage.until_key("key-2").await;
    assert!(stage.count(SUCCESS).await > last);
}

#[tokio::test]
async fn a_vault_that_has_forgotten_everything_is_logged_in_to_again() {
    let (mut bao, dir) = (Bao::start().await, tempfile::tempdir().unwrap());
    bao.put("narthex/docs", json!({"key": "key-1"})).await;
    bao.policy_for("narthex", "narthex/docs").await;
    let token = dir.path().join("token");
    std::fs::write(&token, bao.token("narthex", json!({"ttl": "1h"})).await).unwrap();
    let auth = format!("{{ token: {{ file: {} }} }}", token.display());
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    bao.kill();
    bao.restart().await;
    let refused = "narthex_secrets_refresh_total{result=\"login\"}";
    stage.gateway.wait_for_metric(refused, |count| count >= 1.0).await;
    assert_eq!(stage.key().await, "key-1", "the last value counts on");
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    bao.policy_for("narthex", "narthex/docs").await;
    std::fs::write(&token, bao.token("narthex", json!({"ttl": "1h"})).await).unwrap();
    stage.until_key("key-2").await;
}
