//! A vault of our own, which records what it is asked and answers as no good one would.

use super::stage::{Config, Ended, narthex};
use narthex_testkit::{Answer, Pki, RecordingUpstream, UpstreamOptions, UpstreamRequest};
use serde_json::json;
use std::time::{Duration, Instant};

const TOKEN: &[(&str, &str)] = &[("token", "token-canary")];
const AUTH: &str = "{ token: { file: token } }";

/// What a good vault answers.
fn good(request: &UpstreamRequest) -> Answer {
    match request.path.as_str() {
        "/v1/auth/token/lookup-self" => Answer::json(200, json!({"data": {"ttl": 0, "renewable": false}})),
        "/v1/sys/health" => Answer::json(200, json!({})),
        path if path.starts_with("/v1/auth/") && path.ends_with("/login") => Answer::json(
            200,
            json!({"auth": {"client_token": "token-canary", "lease_duration": 60, "renewable": true}}),
        ),
        "/v1/auth/token/revoke-self" => Answer::no_content(),
        _ => {
            Answer::json(200, json!({"data": {"data": {"key": "value-canary"}, "metadata": {"version": 1}}}))
        }
    }
}

/// A good vault, but for the secret itself.
async fn vault(read: impl Fn(&UpstreamRequest) -> Answer + Send + Sync + 'static) -> RecordingUpstream {
    let vault = RecordingUpstream::start().await;
    vault.always(
        move |request| if request.path.starts_with("/v1/secret/") { read(request) } else { good(request) },
    );
    vault
}

async fn check(config: Config) -> Ended {
    check_with(config, TOKEN).await
}

async fn check_with(config: Config, files: &'static [(&'static str, &'static str)]) -> Ended {
    let ended = tokio::task::spawn_blocking(move || narthex(&["check"], &config, files)).await.unwrap();
    assert!(!ended.text.contains("canary"), "{ended:?}");
    ended
}

fn asked(vault: &RecordingUpstream) -> Vec<String> {
    let mut asked: Vec<_> = vault.requests().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    asked.sort();
    asked
}

#[tokio::test]
async fn nothing_is_asked_for_but_what_the_configuration_names_each_once() {
    let vault = vault(good).await;
    let address = format!("{}/behind", vault.url(""));
    vault.always(|request| {
        let path = request.path.strip_prefix("/behind").unwrap().to_owned();
        good(&UpstreamRequest { path, ..request.clone() })
    });
    let mut config = Config::new(
        &address,
        "{ approle: { role_id: narthex, secret_id: { file: token }, mount: my/role } }",
    );
    config.vault = config.vault.replace("refresh: 1s", "mount: kv/v2, namespace: team/a");
    config.key = "{ vault: 'a/b c#key' }".to_owned();
    for (name, reference) in [("two", "'a/b c#key'"), ("three", "{ path: ä, field: key, mount: other }")] {
        config.upstreams.push_str(&format!(
            "  {name}:\n    url: http://127.0.0.1:9/\n    credential: {{ header: {{ name: x-key, value: {{ vault: {reference} }} }} }}\n"
        ));
    }
    let ended = check(config).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected = [
        "GET /behind/v1/kv/v2/data/a/b%20c",
        "GET /behind/v1/other/data/%C3%A4",
        "POST /behind/v1/auth/my/role/login",
        "POST /behind/v1/auth/token/revoke-self",
    ];
    assert_eq!(asked(&vault), expected);
    for request in vault.requests() {
        assert_eq!(request.header("x-vault-namespace"), Some("team/a"));
        assert_eq!(request.header("x-vault-request"), Some("true"));
        let logs_in = request.path.ends_with("/login");
        assert_eq!(request.header("x-vault-token"), (!logs_in).then_some("token-canary"), "{}", request.path);
    }
}

#[tokio::test]
async fn a_vault_of_which_nothing_is_wanted_is_not_asked() {
    let vault = vault(good).await;
    let config = Config { key: "{ file: token }".to_owned(), ..Config::new(&vault.url(""), AUTH) };
    let ended = check(config).await;
    assert_eq!((ended.code, vault.connections()), (Some(0), 0), "{ended:?}");
    assert!(ended.text.contains("nothing is read from this vault"), "{ended:?}");
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_what_may_not_is_not() {
    for (status, asked, code) in [
        (503, 2, 0),
        (500, 2, 0),
        (502, 2, 0),
        (429, 2, 0),
        (473, 2, 0),
        (472, 2, 0),
        (412, 2, 0),
        (400, 1, 1),
        (404, 1, 1),
        (403, 1, 1),
        (405, 1, 1),
    ] {
        let vault = vault(good).await;
        vault.next(Answer::json(200, json!({"data": {"ttl": 0, "renewable": false}})));
        vault.next(Answer::json(status, json!({"errors": ["canary"]})));
        if asked == 2 {
            vault.next(Answer::status(200));
        }
        let ended = check(Config::new(&vault.url(""), AUTH)).await;
        assert_eq!(ended.code, Some(code), "{status}: {ended:?}");
        let reads = vault.requests().iter().filter(|r| r.path.starts_with("/v1/secret/")).count();
        assert_eq!(reads, asked, "{status}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    for broken in [Answer::close, Answer::reset] {
        let vault = vault(good).await;
        vault.next(broken());
        vault.next(broken());
        let ended = check(Config::new(&vault.url(""), AUTH)).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = vault(good).await;
    for status in [301, 302, 307, 308] {
        let to = elsewhere.url("/v1/secret/data/narthex/docs");
        let vault = vault(move |_| Answer::status(status).header("Location", &to)).await;
        let ended = check(Config::new(&vault.url(""), AUTH)).await;
        assert_eq!(ended.code, Some(1), "{status}: {ended:?}");
        assert!(ended.text.contains("it answers with a redirect"), "{status}: {ended:?}");
    }
    assert_eq!(elsewhere.connections(), 0, "the token went nowhere else");
}

#[tokio::test]
async fn an_answer_that_is_none_is_refused_without_showing_it() {
    let giant = format!(
        "{{\"data\":{{\"data\":{{\"key\":\"{}\"}},\"metadata\":{{\"version\":1}}}}}}",
        "canary".repeat(1 << 18)
    );
    let deep = "[".repeat(100_000);
    for (body, says) in [
        ("canary".to_owned(), "no answer of a KV version 2"),
        (String::new(), "no answer of a KV version 2"),
        (deep, "no answer of a KV version 2"),
        (giant, "answer is too large"),
        (json!({"data": {"key": "canary"}}).to_string(), "no answer of a KV version 2"),
        (
            json!({"data": {"data": {"key": "c".repeat(65_537)}, "metadata": {"version": 1}}}).to_string(),
            "larger than 65536 bytes",
        ),
    ] {
        let vault = vault(move |_| Answer::full(200, "application/json", body.clone())).await;
        let ended = check(Config::new(&vault.url(""), AUTH)).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.text.contains(says), "{says}: {ended:?}");
    }
}

#[tokio::test]
async fn a_vault_that_says_nothing_is_given_up_in_time() {
    let vault = vault(|_| Answer::hang()).await;
    let begun = Instant::now();
    let ended = check(Config::new(&vault.url(""), AUTH)).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text.contains("the vault cannot be asked: timed out"), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_vault_that_repeats_what_it_was_sent_is_not_quoted() {
    let vault = RecordingUpstream::start().await;
    vault.always(|request| {
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        Answer::json(400, json!({"errors": [format!("cannot take {sent}")]}))
    });
    let auth = "{ approle: { role_id: narthex, secret_id: { file: token } } }";
    let ended = check(Config::new(&vault.url(""), auth)).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text.contains("no login at the vault: status 400"), "{ended:?}");
}

#[tokio::test]
async fn the_vaults_certificate_must_chain_to_the_authority_that_is_configured() {
    let (pki, other) = (Pki::new(), Pki::new());
    let options = UpstreamOptions::default().tls(&pki, &pki.leaf(&["localhost"]));
    let vault = RecordingUpstream::start_with(options).await;
    vault.always(good);
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(&vault.url(""), AUTH);
    let with_ca = |pki: &Pki, name: &str| {
        let sub = dir.path().join(name);
        std::fs::create_dir(&sub).unwrap();
        format!("refresh: 1m, ca: {{ file: {} }}", pki.write_ca(&sub).display())
    };
    let plain = config.vault.clone();
    for (ca, code, says) in [
        (with_ca(&pki, "good"), 0, ": ok"),
        (with_ca(&other, "other"), 1, "the vault cannot be asked: no answer"),
        ("refresh: 1m".to_owned(), 1, "the vault cannot be asked: no answer"),
        ("refresh: 1m, ca: { file: token }".to_owned(), 1, "cannot be asked at all"),
        ("refresh: 1m, ca: { file: none.pem }".to_owned(), 1, "none.pem: entity not found"),
    ] {
        config.vault = plain.replace("refresh: 1s", &ca);
        let ended = check(config.clone()).await;
        assert_eq!(ended.code, Some(code), "{ca}: {ended:?}");
        assert!(ended.text.contains(says), "{ca}: {ended:?}");
    }
}
