//! A client sends its user, who approves, logs in and comes back with a code; and what must not happen on the
//! way.

use super::stage::{CORP, Person, Stage, TWO, USERS, claims, parameter};
use narthex_testkit::{Endpoint, LoginScript, MockIdp};
use serde_json::json;

#[tokio::test]
async fn a_user_of_the_company_approves_logs_in_and_the_client_gets_a_token_that_works() {
    let stage = Stage::start(CORP).await;
    let mut alice = Person::default();
    let page = alice.go(&stage.request()).await;
    assert_eq!(page.page.status, 200, "{}", page.page.text());
    assert!(page.page.text().contains("The IDE") && page.page.text().contains("Look at the orders"));
    let end = alice.press(&page, "decision", "approve").await;
    assert_eq!(end.parameter("state").as_deref(), Some("st-1"), "{:#?}\n{}", alice.trail, end.page.text());
    assert_eq!(end.parameter("iss").as_deref(), Some(stage.gateway.place().public_url().as_str()));
    let answer = stage.redeem(&end.parameter("code").unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let said = claims(&token);
    assert_eq!((&said["sub"], &said["tenant"]), (&json!("corp|alice"), &json!("acme")));
    assert_eq!(said["aud"], json!(stage.url("/main")));
    assert_eq!(said["groups"], json!(["staff"]));
    assert_eq!(stage.call(&token).await.status, 200);
    assert_eq!(stage.upstream.requests().len(), 1);
}

#[tokio::test]
async fn nobody_is_sent_to_the_identity_provider_before_the_client_was_approved() {
    let stage = Stage::start(CORP).await;
    let mut alice = Person::default();
    // Somebody who is logged in at the provider already, and has a session here.
    let page = alice.go(&stage.url("/connections")).await;
    assert_eq!(page.page.status, 200, "{}", page.page.text());
    let visits = stage.idp.hits(Endpoint::Authorize);
    assert_eq!(visits, 1);
    for _ in 0..3 {
        let page = alice.go(&stage.request()).await;
        assert!(page.page.text().contains("decision"), "{}", page.page.text());
        assert!(page.url.contains("/oauth/authorize"));
    }
    let page = Person::default().go(&stage.request()).await;
    assert!(page.page.text().contains("decision"));
    assert_eq!(stage.idp.hits(Endpoint::Authorize), visits);
}

#[tokio::test]
async fn who_says_no_sends_the_client_no_code_and_goes_to_no_provider() {
    let stage = Stage::start(CORP).await;
    let mut alice = Person::default();
    let page = alice.go(&stage.request()).await;
    let end = alice.press(&page, "decision", "deny").await;
    assert_eq!(end.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(end.parameter("code"), None);
    assert_eq!(stage.idp.hits(Endpoint::Authorize), 0);
}

#[tokio::test]
async fn development_users_log_in_with_a_button_or_a_password() {
    let stage = Stage::start(USERS).await;
    for (name, password, subject) in
        [("alice", "", "local|alice"), ("bob", "correct-horse-canary", "local|bob")]
    {
        let mut person = Person::default();
        let page = person.go(&stage.request()).await;
        let page = person.press(&page, "decision", "approve").await;
        assert!(page.page.text().contains("Development."));
        let end = person.press_with(&page, "user", name, &[("password", password)]).await;
        let answer =
            stage.redeem(&end.parameter("code").unwrap_or_else(|| panic!("{}", end.page.text()))).await;
        assert_eq!(claims(answer.json()["access_token"].as_str().unwrap())["sub"], json!(subject));
    }
    let mut mallory = Person::default();
    let page = mallory.go(&stage.url("/login")).await;
    let page = mallory.press_with(&page, "user", "bob", &[("password", "wrong")]).await;
    assert_eq!(page.page.status, 422);
    assert!(!stage.gateway.output().contains("correct-horse-canary"));
}

#[tokio::test]
async fn with_several_providers_users_choose_and_are_never_taken_for_each_other() {
    let stage = Stage::start(TWO).await;
    let mut subjects = Vec::new();
    for provider in ["corp", "other"] {
        let mut person = Person::default();
        let page = person.go(&stage.request()).await;
        let page = person.press(&page, "decision", "approve").await;
        assert!(page.page.text().contains("Acme SSO"));
        let end = person.press(&page, "provider", provider).await;
        let answer = stage.redeem(&end.parameter("code").unwrap()).await;
        let said = claims(answer.json()["access_token"].as_str().unwrap());
        subjects.push((said["sub"].clone(), said["tenant"].clone()));
    }
    assert_eq!(subjects, [(json!("corp|alice"), json!("acme")), (json!("other|alice"), json!("globex"))]);
}

#[tokio::test]
async fn who_is_of_no_tenant_gets_a_page_that_says_so_and_no_session() {
    let stage = Stage::start(CORP).await;
    stage.idp.log_in_as(LoginScript { claims: json!({"org_id": "initech"}), ..LoginScript::default() });
    let mut peter = Person::default();
    let page = peter.go(&stage.url("/connections")).await;
    assert_eq!(page.page.status, 403);
    assert!(page.page.text().contains("Your organisation has no access here"));
    assert_eq!(peter.cookie(stage.gateway.address().port(), "narthex"), None);
    stage.gateway.wait_for_output("org_id", 1).await;
}

#[tokio::test]
async fn a_session_lives_through_a_reload_and_ends_with_its_provider() {
    let stage = Stage::start(TWO).await;
    let mut alice = Person::default();
    let page = alice.go(&stage.url("/connections")).await;
    let page = alice.press(&page, "provider", "corp").await;
    assert!(page.page.text().contains("Your connections"), "{}", page.page.text());
    assert!(stage.gateway.reload(&stage.same_yaml().replace("Acme SSO", "Acme")).await);
    assert!(alice.go(&stage.url("/connections")).await.page.text().contains("Alice Example"));
    let (gone, _) = TWO.split_once("        other:").unwrap();
    let other = gone.replace("corp:", "corporation:");
    assert!(stage.gateway.reload(&stage.yaml(&other)).await);
    let before = stage.idp.hits(Endpoint::Authorize);
    let page = alice.go(&stage.url("/connections")).await;
    let visits = stage.idp.hits(Endpoint::Authorize);
    assert_eq!(visits, before + 1, "she has to log in again: {:#?}\n{}", alice.trail, page.page.text());
}

#[tokio::test]
async fn nothing_secret_of_a_login_is_logged() {
    let stage = Stage::start(CORP).await;
    let mut alice = Person::default();
    let page = alice.go(&stage.request()).await;
    let end = alice.press(&page, "decision", "approve").await;
    let code = end.parameter("code").unwrap();
    let answer = stage.redeem(&code).await;
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let asked = alice.trail.iter().find(|url| url.starts_with(stage.idp.issuer())).unwrap();
    let port = stage.gateway.address().port();
    let mut secrets = vec![code, token, MockIdp::CLIENT.1.to_owned(), "canary".to_owned()];
    secrets.extend(["state", "nonce", "code_challenge"].map(|name| parameter(asked, name).unwrap()));
    secrets.extend(["narthex", "narthex-browser"].map(|name| alice.cookie(port, name).unwrap().to_owned()));
    let output = stage.gateway.output();
    assert!(output.contains("logged in"), "{output}");
    for secret in secrets {
        assert!(!output.contains(&secret), "{secret} in:\n{output}");
    }
}
