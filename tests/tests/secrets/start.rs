//! What cannot be read stops the start, and the check, with its name.

use super::stage::{Config, narthex};
use narthex_testkit::free_port;
use narthex_tests::Bao;
use serde_json::json;
use std::time::{Duration, Instant};

const TOKEN: &[(&str, &str)] = &[("token", "bao-root-token-canary")];
const AUTH: &str = "{ token: { file: token } }";

fn reading(bao: &Bao, key: &str) -> Config {
    Config { key: key.to_owned(), ..Config::new(&bao.address(), AUTH) }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_stops_the_start_with_its_name() {
    let bao = Bao::start().await;
    bao.put("narthex/docs", json!({"key": "canary-1", "number": 5, "empty": "", "lines": "canary\nX-Evil: 1", "map": {"a": "canary"}}))
        .await;
    bao.put("gone", json!({"key": "canary-2"})).await;
    bao.api("DELETE", "secret/data/gone", None).await;
    bao.put("destroyed", json!({"key": "canary-3"})).await;
    bao.done("PUT", "secret/destroy/destroyed", json!({"versions": [1]})).await;
    bao.done("POST", "sys/mounts/old", json!({"type": "kv", "options": {"version": "1"}})).await;
    bao.done("POST", "old/data/docs", json!({"key": "canary-4"})).await;
    for (key, name, says) in [
        ("{ vault: 'narthex/none#key' }", "secret/narthex/none#key", "there is no such secret"),
        ("{ vault: 'narthex/docs#kee' }", "secret/narthex/docs#kee", "has no such field"),
        ("{ vault: 'narthex/docs#number' }", "secret/narthex/docs#number", "is not text"),
        ("{ vault: 'narthex/docs#map' }", "secret/narthex/docs#map", "is not text"),
        ("{ vault: 'narthex/docs#empty' }", "secret/narthex/docs#empty", "empty"),
        ("{ vault: 'narthex/docs#lines' }", "secret/narthex/docs#lines", "a line break"),
        ("{ vault: 'gone#key' }", "secret/gone#key", "is deleted"),
        ("{ vault: 'destroyed#key' }", "secret/destroyed#key", "is deleted"),
        ("{ vault: { path: docs, field: key, mount: nowhere } }", "nowhere/docs#key", "no secrets engine"),
        ("{ vault: { path: docs, field: key, mount: old } }", "old/docs#key", "no answer of a KV version 2"),
    ] {
        let ended = narthex(&["run"], &reading(&bao, key), TOKEN);
        assert_eq!(ended.code, Some(1), "{key}: {ended:?}");
        let error = ended.text.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(
            error.contains(&format!("secret vault {name}: ")) && error.contains(says),
            "{key}: {ended:?}"
        );
        assert!(!ended.text.contains("canary"), "{key}: {ended:?}");
    }
}

#[tokio::test]
async fn every_secret_that_cannot_be_read_is_logged() {
    let bao = Bao::start().await;
    let mut config = reading(&bao, "{ vault: 'a#key' }");
    config.upstreams =
        "  second:\n    url: http://127.0.0.1:9/\n    credential: { header: { name: x-key, value: { vault: 'b#key' } } }\n".to_owned();
    let ended = narthex(&["run"], &config, TOKEN);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text.contains("secret/a#key") && ended.text.contains("secret/b#key"), "{ended:?}");
}

#[tokio::test]
async fn check_reads_the_vault_unless_told_not_to() {
    let bao = Bao::start().await;
    bao.put("narthex/docs", json!({"key": "canary-1"})).await;
    let good = reading(&bao, "{ vault: 'narthex/docs#key' }");
    let bad = reading(&bao, "{ vault: 'narthex/none#key' }");
    assert_eq!(narthex(&["check"], &good, TOKEN).code, Some(0));
    let ended = narthex(&["check"], &bad, TOKEN);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.text.contains("error: upstream main: ") || ended.text.contains("error: secret vault"),
        "{ended:?}"
    );
    assert_eq!(narthex(&["check", "--no-environment"], &bad, &[]).code, Some(0));
}

#[tokio::test]
async fn a_login_that_is_refused_says_so() {
    let bao = Bao::start().await;
    bao.put("narthex/docs", json!({"key": "canary-1"})).await;
    bao.policy_for("narthex", "narthex/docs").await;
    let role = bao.approle("narthex", "10m", "1h").await;
    let approle = |id: &str| format!("{{ approle: {{ role_id: {id}, secret_id: {{ file: token }} }} }}");
    for (auth, content, says) in [
        (AUTH.to_owned(), "s.canary-wrong-token", "the token is not good"),
        (AUTH.to_owned(), "", "secret file"),
        ("{ token: { file: none } }".to_owned(), "", "cannot be read"),
        ("{ token: { env: NARTHEX_TEST_NO_SUCH_VARIABLE } }".to_owned(), "", "not set"),
        (approle(&role.role_id), "canary-wrong-secret-id", "invalid role or secret ID"),
        (approle("wrong"), &role.secret_id, "invalid role or secret ID"),
        (
            format!(
                "{{ approle: {{ role_id: {}, secret_id: {{ file: token }}, mount: none }} }}",
                role.role_id
            ),
            "canary-x",
            "status 40",
        ),
    ] {
        let ended = narthex(&["check"], &Config::new(&bao.address(), &auth), &[("token", content)]);
        assert_eq!(ended.code, Some(1), "{auth}: {ended:?}");
        assert!(
            ended.text.contains("secret vault secret/narthex/docs#key: no login at the vault: "),
            "{auth}: {ended:?}"
        );
        assert!(ended.text.contains(says), "{auth}: {ended:?}");
        assert!(!ended.text.contains("canary") && !ended.text.contains(&role.secret_id), "{auth}: {ended:?}");
    }
}

#[tokio::test]
async fn a_vault_that_is_not_there_or_sealed_stops_the_start_soon_and_says_which() {
    let begun = Instant::now();
    let away = format!("http://127.0.0.1:{}", free_port());
    let ended = narthex(&["run"], &Config::new(&away, AUTH), TOKEN);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text.contains("secret/narthex/docs#key: the vault cannot be asked"), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());

    let bao = Bao::start().await;
    bao.seal().await;
    let ended = narthex(&["run"], &Config::new(&bao.address(), AUTH), TOKEN);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text.contains("the vault cannot be asked: status 503, sealed"), "{ended:?}");
}
