//! Connect, call, refresh, revoke, step up, move.

use super::stage::{Stage, token_of};
use narthex_testkit::visitor::parameter;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_user_connects_calls_and_disconnects() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    assert!(!stage.works(&ann).await);
    let page = stage.connect(&mut ann).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("GitHub"), "{}", page.text());
    assert!(stage.works(&ann).await);
    let presented = stage.github.presented();
    assert!(presented.iter().all(|token| token.starts_with("access-canary")), "{presented:?}");
    assert!(!stage.github.server().seen(ann.token.as_bytes()), "her own token stays here");
    // Others have nothing of it.
    let bob = stage.user("bob").await;
    assert!(!stage.works(&bob).await);

    let page = ann.browser.get("/connections").await.unwrap();
    assert!(page.text().contains("GitHub") && page.text().contains("since"), "{}", page.text());
    let form = [("csrf", &*token_of(&page, "/connections")), ("upstream", "github"), ("action", "revoke")];
    let answer = ann.browser.post("/connections", &form).await.unwrap();
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(!stage.works(&ann).await);
    assert_eq!(stage.github.alive(), 0, "the authorization server was told");
    assert_eq!(stage.github.requests_at("/as/revoke").len(), 1);
}

#[tokio::test]
async fn what_the_gateway_asks_the_authorization_server_for_is_what_mcp_demands() {
    let stage = Stage::start().await;
    stage.github.say_of_itself("scopes_supported", json!(["repo", "user"]));
    let mut ann = stage.user("ann").await;
    let link = stage.link(&ann, "/mcp").await;
    let url = stage.press(&mut ann, &link).await;
    let public_url = stage.gateway.place().public_url();
    for (name, value) in [
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("resource", stage.github.url().as_str()),
        ("redirect_uri", &format!("{public_url}/connect/callback")),
        ("scope", "repo user"),
    ] {
        assert_eq!(parameter(&url, name).as_deref(), Some(value), "{url}");
    }
    assert!(parameter(&url, "state").unwrap().len() >= 32);
    let registered = stage.github.requests_at("/as/register");
    assert_eq!(registered.len(), 1);
    assert_eq!(registered[0].json()["application_type"], "native");
    let back = stage.approve(&url).await;
    assert_eq!(ann.browser.get(&back).await.unwrap().status, 200);
    let asked = String::from_utf8(stage.github.requests_at("/as/token")[0].body.clone()).unwrap();
    assert!(asked.contains("code_verifier=") && asked.contains("resource="), "{asked}");
}

#[tokio::test]
async fn tokens_that_end_are_refreshed_and_nobody_notices() {
    let stage = Stage::start().await;
    // In whole seconds, of which the first may be nearly over when it is counted: good for one at least.
    stage.github.set_lifetime(2);
    let mut ann = stage.user("ann").await;
    stage.connect(&mut ann).await;
    let distinct = || stage.github.presented().into_iter().collect::<BTreeSet<_>>();
    let end = Instant::now() + Duration::from_secs(60);
    // However long a call takes: each one works, be its token just made or just over.
    while distinct().len() < 4 {
        assert!(Instant::now() < end, "{:?}\n{}", distinct(), stage.gateway.output());
        assert!(stage.works(&ann).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refreshes = stage.github.requests_at("/as/token").len() - 1;
    assert!(refreshes >= 3, "{refreshes}");
    assert_eq!(stage.github.alive(), 1, "each refresh token was good once");
}

#[tokio::test]
async fn a_token_that_ended_early_is_replaced_within_the_call() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    stage.connect(&mut ann).await;
    assert!(stage.works(&ann).await);
    stage.github.end_access();
    assert!(stage.works(&ann).await);
    assert_eq!(stage.github.requests_at("/as/token").len(), 2);
}

#[tokio::test]
async fn more_scopes_are_asked_for_when_the_upstream_wants_them() {
    let stage = Stage::start().await;
    stage.github.say_of_itself("scopes_supported", json!(["read"]));
    let mut ann = stage.user("ann").await;
    stage.connect(&mut ann).await;
    assert!(stage.works(&ann).await);
    stage.github.want_scope("write");
    let link = stage.link(&ann, "/mcp").await;
    let page = ann.browser.get(&link).await.unwrap();
    assert!(page.text().contains("read") && page.text().contains("write"), "{}", page.text());
    let url = stage.press(&mut ann, &link).await;
    assert_eq!(parameter(&url, "scope").as_deref(), Some("read write"));
    let back = stage.approve(&url).await;
    assert_eq!(ann.browser.get(&back).await.unwrap().status, 200);
    assert!(stage.works(&ann).await);
}

#[tokio::test]
async fn a_connection_outlives_a_reload() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    stage.connect(&mut ann).await;
    let config = std::fs::read_to_string(stage.gateway.place().config()).unwrap();
    assert!(stage.gateway.reload(&config.replace("title: GitHub", "title: Hub")).await);
    assert!(stage.works(&ann).await);
    let page = ann.browser.get("/connections").await.unwrap();
    assert!(page.text().contains("Hub") && page.text().contains("since"), "{}", page.text());
}

#[tokio::test]
async fn a_user_sees_and_connects_what_their_tenant_may_use_only() {
    let stage = Stage::start().await;
    let mut gus = stage.user_of("gus", "/other").await;
    let page = gus.browser.get("/connections").await.unwrap();
    assert!(!page.text().contains("GitHub") && page.text().contains("other"), "{}", page.text());
    let form = [("csrf", &*token_of(&page, "/connections")), ("upstream", "github"), ("action", "connect")];
    let answer = gus.browser.post("/connections", &form).await.unwrap();
    assert!(
        answer.status >= 400 || !answer.text().contains("/connect/"),
        "{} {}",
        answer.status,
        answer.text()
    );
    let form = [("csrf", &*token_of(&page, "/connections")), ("upstream", "other"), ("action", "connect")];
    let answer = gus.browser.post("/connections", &form).await.unwrap();
    let link = answer.header("location").unwrap().to_owned();
    let url = stage.press(&mut gus, &link).await;
    let back = stage.approve(&url).await;
    assert_eq!(gus.browser.get(&back).await.unwrap().status, 200);
    let answer = stage.call(&gus, "/other").await;
    assert!(answer.text().contains("\"isError\":false"), "{}", answer.text());
}
