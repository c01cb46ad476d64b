//! What was given outlives the process, and the keys of the store; and whoever steals the store has nothing.

use super::stage::{CALLBACK, Stage, error};
use narthex_testkit::{RawResponse, Signal};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

async fn refresh(stage: &Stage, token: &str) -> RawResponse {
    stage.token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "web")]).await
}

/// The gateway of a stage, started again. Killed when dropped.
struct Again(Child);

impl Again {
    async fn start(stage: &Stage) -> Self {
        let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("narthex");
        let binary = std::env::var_os("NARTHEX_BIN").map_or(built, PathBuf::from);
        let place = stage.gateway.place();
        let mut command = Command::new(binary);
        command.args(["run", "--config"]).arg(place.config()).current_dir(place.dir());
        let again = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        while !stage.gateway.admin("/readyz").await.is_ok_and(|ready| ready.status == 200) {
            assert!(Instant::now() < end, "it does not start again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        again
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_was_given_outlives_a_killed_gateway() {
    let mut stage = Stage::start().await;
    let tokens = stage.tokens("ann").await;
    let old = tokens["refresh_token"].as_str().unwrap();
    let next = refresh(&stage, old).await.json();
    stage.gateway.signal(Signal::SIGKILL);
    assert!(stage.gateway.wait_for_exit(Duration::from_secs(10)).await.is_some());
    let _again = Again::start(&stage).await;
    assert_eq!(stage.call(next["access_token"].as_str().unwrap(), "/mcp").await.status, 200);
    let later = refresh(&stage, next["refresh_token"].as_str().unwrap()).await;
    assert_eq!(later.status, 200, "{}", later.text());
    // And what was used before is still known to be used: it ends all that came of it.
    let reused = refresh(&stage, old).await;
    assert_eq!((reused.status, error(&reused).as_str()), (400, "invalid_grant"));
    let ended = refresh(&stage, later.json()["refresh_token"].as_str().unwrap()).await;
    assert_eq!((ended.status, error(&ended).as_str()), (400, "invalid_grant"));
}

#[tokio::test]
async fn what_was_given_outlives_a_change_of_the_stores_keys() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    fs::write(file("a"), "a".repeat(64)).unwrap();
    fs::write(file("b"), "b".repeat(64)).unwrap();
    let keys = |names: &[&str]| {
        let keys: Vec<_> = names.iter().map(|name| format!("{{ file: {} }}", file(name))).collect();
        format!("store: {{ keys: [{}] }}", keys.join(", "))
    };
    let stage = Stage::with(&keys(&["a"])).await;
    let config = fs::read_to_string(stage.gateway.place().config()).unwrap();
    let mut tokens = stage.tokens("ann").await;
    for names in [["a", "b"], ["b", "a"], ["b", "a"]] {
        let changed = config.replace(&keys(&["a"]), &keys(&names)) + &format!("# {tokens}\n");
        assert!(stage.gateway.reload(&changed).await, "{}", stage.gateway.output());
        let next = refresh(&stage, tokens["refresh_token"].as_str().unwrap()).await;
        assert_eq!(next.status, 200, "{names:?}: {}", next.text());
        tokens = next.json();
        assert_eq!(stage.call(tokens["access_token"].as_str().unwrap(), "/mcp").await.status, 200);
    }
    // With a key that opens nothing, nothing is there.
    fs::write(file("c"), "c".repeat(64)).unwrap();
    assert!(stage.gateway.reload(&config.replace(&keys(&["a"]), &keys(&["c"]))).await);
    let gone = refresh(&stage, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!((gone.status, error(&gone).as_str()), (400, "invalid_grant"));
}

#[tokio::test]
async fn a_stolen_vault_file_of_a_gateway_in_use_reveals_nothing() {
    let stage = Stage::start().await;
    let tokens = stage.tokens("ann").await;
    let next = refresh(&stage, tokens["refresh_token"].as_str().unwrap()).await.json();
    let state = stage.gateway.place().dir().join("state");
    let file = fs::read(state.join("store.redb")).unwrap();
    let key = fs::read_to_string(state.join("store.key")).unwrap();
    let mut secrets: Vec<&str> = vec!["ann", "acme", "staff", "mcp:read", CALLBACK, "refresh", "grant", &key];
    for tokens in [&tokens, &next] {
        secrets.extend(["access_token", "refresh_token"].map(|name| tokens[name].as_str().unwrap()));
    }
    let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    for secret in secrets {
        // Three letters come about by chance in so many bytes.
        let secret = if secret.len() > 3 { secret.to_owned() } else { format!("\"{secret}\"") };
        assert!(!holds(&secret), "{secret}");
    }
    assert!(holds("values") && holds("v1:"), "it is the store");
}
