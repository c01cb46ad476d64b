//! The pages in a real Chromium, whose own policy they must not break: login, consent, connecting, and what was
//! connected.

use super::connections::Stage;
use super::human::Human;
use super::providers::Provider;

#[tokio::test]
async fn a_user_logs_in_connects_sees_and_disconnects_in_a_real_browser() {
    let stage = Stage::of(Provider::OidcProvider, Provider::Glewlwyd, GLEWLWYD).await;
    let (profile, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let alice = Human::at_chromium().with_profile(profile.path()).with_pictures(pictures.path());
    let token = stage.token(&alice).await;
    let link = stage.asks(&token, "whoami").await;
    let connected = alice.goes_to(&link).await;
    assert!(connected.blocked.is_empty(), "{connected:#?}");
    assert!(connected.pages.last().is_some_and(|page| page.text.contains("onnected")), "{connected:#?}");
    assert!(stage.says(&token, "whoami").await.contains("mcp:read"));

    let listed = alice.clone().pressing("Disconnect").goes_to(&stage.connections()).await;
    assert!(listed.blocked.is_empty(), "{listed:#?}");
    assert!(listed.pages.first().is_some_and(|page| page.text.contains("The Notes")), "{listed:#?}");
    stage.asks(&token, "whoami").await;
    let taken = pictures.path().read_dir().unwrap().count();
    assert!(taken >= 5, "{taken} pictures");
}

#[tokio::test]
async fn a_user_who_declines_gives_a_client_nothing() {
    let stage = Stage::of(Provider::OidcProvider, Provider::OidcProvider, "").await;
    let url = stage.authorization_url("http://127.0.0.1:49151/callback").await;
    let visit =
        Human::at_chromium().declining().ending_at("http://127.0.0.1:49151/callback").goes_to(&url).await;
    assert!(visit.url.contains("error=access_denied") && !visit.url.contains("code="), "{visit:#?}");
    // Nobody listens at the callback, and nobody was sent to the identity provider.
    let shown = visit.pages.iter().filter(|page| !page.url.starts_with("chrome-error:"));
    assert!(shown.clone().count() > 0, "{visit:#?}");
    assert!(shown.clone().all(|page| page.url.starts_with(&stage.origin())), "{visit:#?}");
    assert!(visit.blocked.is_empty(), "{visit:#?}");
}

/// How the gateway is known at Glewlwyd.
const GLEWLWYD: &str = ", scopes: [\"mcp:read\"], client: { id: narthex, secret: { file: SECRET } }";
