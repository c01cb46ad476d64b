//! Logins that somebody meddles with.

use super::stage::{CORP, Person, Stage, TWO, USERS, encode};
use narthex_testkit::{Endpoint, LoginScript};
use serde_json::{Value, json};

/// From the first page to the provider's answer, which is not used: its URL.
async fn to_the_callback(stage: &Stage, person: &mut Person) -> String {
    // With a state that is not the gateway's the answer is of no use to the browser; the right one is kept.
    stage.idp.log_in_as(LoginScript { answer: json!({"state": "elsewhere"}), ..LoginScript::default() });
    let page = person.go(&stage.url("/connections")).await;
    assert_eq!(page.page.status, 400);
    stage.idp.log_in_as(LoginScript::default());
    let asked = person.trail.iter().rev().find(|url| url.starts_with(stage.idp.issuer())).unwrap();
    let state = super::stage::parameter(asked, "state").unwrap();
    page.url.replace("state=elsewhere", &format!("state={state}"))
}

fn has_session(stage: &Stage, person: &Person) -> bool {
    person.cookie(stage.gateway.address().port(), "narthex").is_some()
}

#[tokio::test]
async fn an_answer_is_good_once_and_in_its_own_browser_only() {
    let stage = Stage::start(CORP).await;
    let (mut alice, mut mallory) = (Person::default(), Person::default());
    let own = to_the_callback(&stage, &mut alice).await;
    let theirs = to_the_callback(&stage, &mut mallory).await;
    // Login CSRF: mallory's answer in alice's browser.
    let page = alice.go(&theirs).await;
    assert_eq!(page.page.status, 400);
    assert!(page.page.text().contains("another browser"));
    assert!(!has_session(&stage, &alice));
    let page = mallory.go(&theirs).await;
    assert_eq!(page.page.status, 400, "it was used up");
    let page = alice.go(&own).await;
    assert!(page.page.text().contains("Your connections"), "{}", page.page.text());
    let mut replay = alice.clone();
    let page = replay.go(&own).await;
    assert!(page.page.text().contains("This sign-in is over"));
}

#[tokio::test]
async fn an_answer_at_another_providers_callback_sends_the_code_nowhere() {
    let stage = Stage::start(TWO).await;
    let mut alice = Person::default();
    stage.idp.log_in_as(LoginScript { answer: json!({"state": "elsewhere"}), ..LoginScript::default() });
    let page = alice.go(&stage.url("/login")).await;
    let page = alice.press(&page, "provider", "corp").await;
    let asked = alice.trail.iter().rev().find(|url| url.starts_with(stage.idp.issuer())).unwrap();
    let state = super::stage::parameter(asked, "state").unwrap();
    let mixed = page.url.replace("state=elsewhere", &format!("state={state}")).replace("/corp", "/other");
    let page = alice.go(&mixed).await;
    assert_eq!(page.page.status, 400);
    assert_eq!((stage.idp.hits(Endpoint::Token), stage.other.hits(Endpoint::Token)), (0, 0));
    assert!(!has_session(&stage, &alice));
}

#[tokio::test]
async fn id_tokens_that_are_not_for_this_login_log_nobody_in() {
    let stage = Stage::start(CORP).await;
    let cases: [Value; 10] = [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"aud": "another-client"}),
        json!({"aud": ["narthex", "another-client"]}),
        json!({"azp": "another-client"}),
        json!({"iss": "https://evil.example"}),
        json!({"exp": 1}),
        json!({"exp": null}),
        json!({"iat": 99_999_999_999_u64}),
        json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    ];
    for claims in cases {
        stage.idp.log_in_as(LoginScript { claims: claims.clone(), ..LoginScript::default() });
        let mut person = Person::default();
        let page = person.go(&stage.url("/connections")).await;
        assert_eq!(page.page.status, 502, "{claims}");
        assert!(!has_session(&stage, &person), "{claims}");
    }
    let answer = json!({"iss": "https://evil.example"});
    stage.idp.log_in_as(LoginScript { answer, ..LoginScript::default() });
    let page = Person::default().go(&stage.url("/connections")).await;
    assert_eq!(page.page.status, 400);
}

#[tokio::test]
async fn forms_that_another_site_sends_change_nothing() {
    let stage = Stage::start(USERS).await;
    let mut alice = Person::default();
    let page = alice.go(&stage.url("/login")).await;
    let page = alice.press(&page, "user", "alice").await;
    assert!(page.page.text().contains("Your connections"));
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (path, body) in [
        ("/logout", "csrf=".to_owned()),
        ("/logout", "csrf=x".to_owned()),
        ("/login", format!("csrf=x&return_to={}&user=alice", encode("/connections"))),
        ("/connections", "csrf=x&upstream=main&action=revoke".to_owned()),
        ("/connect/abc", "csrf=x".to_owned()),
    ] {
        for site in ["cross-site", "same-site", "same-origin"] {
            let page = alice.post(&stage.url(path), &body, &[form, ("Sec-Fetch-Site", site)]).await;
            assert_eq!(page.page.status, 403, "{path} {site}: {}", page.page.text());
        }
    }
    assert!(alice.go(&stage.url("/connections")).await.page.text().contains("Your connections"));
    // A good token, but sent from elsewhere.
    let page = alice.go(&stage.url("/logout")).await;
    let text = page.page.text();
    let csrf = text.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("csrf={csrf}");
    let page = alice.post(&stage.url("/logout"), &body, &[form, ("Sec-Fetch-Site", "cross-site")]).await;
    assert_eq!(page.page.status, 403);
    let page = alice.post(&stage.url("/logout"), &body, &[form, ("Sec-Fetch-Site", "same-origin")]).await;
    assert!(page.page.text().contains("You are signed out"));
}

#[tokio::test]
async fn a_flood_of_logins_from_one_address_is_stopped_with_a_page() {
    let stage = Stage::start(CORP).await;
    stage.idp.log_in_as(LoginScript { answer: json!({"state": "elsewhere"}), ..LoginScript::default() });
    for path in ["/login", "/connections"] {
        let mut stopped = None;
        for _ in 0..60 {
            let page = Person::default().go(&stage.url(path)).await;
            if page.page.status == 429 {
                stopped = Some(page);
                break;
            }
        }
        let page = stopped.unwrap_or_else(|| panic!("{path} was never stopped"));
        assert!(page.page.text().contains("Too many tries"));
    }
    assert!(stage.idp.hits(Endpoint::Authorize) <= 40, "{}", stage.idp.hits(Endpoint::Authorize));
}

#[tokio::test]
async fn a_login_goes_on_to_no_other_site() {
    let stage = Stage::start(USERS).await;
    for target in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"] {
        let mut alice = Person::default();
        let page = alice.go(&stage.url(&format!("/login?return_to={}", encode(target)))).await;
        assert!(!page.page.text().contains("evil.example") && !page.page.text().contains("alert"));
        let page = alice.press(&page, "user", "alice").await;
        assert_eq!(page.url, stage.url("/connections"));
    }
}
