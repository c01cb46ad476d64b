//! A vault that is down while the gateway runs.

use super::login::approle;
use super::stage::{Config, Stage};
use narthex_testkit::{Answer, RecordingUpstream, Signal};
use narthex_tests::Bao;
use serde_json::json;
use std::time::{Duration, Instant};

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

/// A vault of our own, and a configuration for it that looks there but once.
async fn one_that_can_hang() -> (RecordingUpstream, Config) {
    let vault = RecordingUpstream::start().await;
    let value = json!({"data": {"data": {"key": "key-1"}, "metadata": {"version": 1}}});
    vault.always(move |request| match request.path.as_str() {
        "/v1/auth/token/lookup-self" => Answer::json(200, json!({"data": {"ttl": 0}})),
        _ => Answer::json(200, value.clone()),
    });
    let mut config = Config::new(&vault.url(""), "{ token: { env: PATH } }");
    config.vault = config.vault.replace("refresh: 1s", "refresh: 1h");
    (vault, config)
}

#[tokio::test]
async fn a_vault_that_hangs_during_a_reload_holds_nothing_else_up() {
    let (vault, config) = one_that_can_hang().await;
    let mut stage = Stage::with(&config).await;
    vault.always(|_| Answer::hang());
    let asked = vault.count();
    stage.gateway.signal(Signal::SIGHUP);
    vault.wait_for(asked + 1).await;
    assert_eq!(stage.key().await, "key-1");
    let up = "narthex_upstream_up{upstream=\"main\"}";
    stage.gateway.wait_for_metric(up, |up| up == 1.0).await;
    assert_eq!(stage.count("narthex_config_reloads_total{result=\"ok\"}").await, 1.0, "it still waits");
    let begun = Instant::now();
    stage.gateway.signal(Signal::SIGTERM);
    let status = stage.gateway.wait_for_exit(Duration::from_secs(20)).await;
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_reload_waits_for_a_vault_that_hangs_no_longer_than_it_may_and_then_goes_on_with_the_last_values() {
    let (vault, config) = one_that_can_hang().await;
    let stage = Stage::with(&config).await;
    vault.always(|_| Answer::hang());
    let begun = Instant::now();
    let touched = Config { server: "  # touched\n".to_owned(), ..config };
    assert!(stage.reload(&touched).await, "{}", stage.gateway.output());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(stage.key().await, "key-1");
}
