//! The headers of the pages, as they come through the door.

use super::stage::{At, CORP, Person, Stage, USERS};

fn guarded(place: &At) {
    let header = |name: &str| place.page.header(name).unwrap_or_else(|| panic!("{name} of {}", place.url));
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "style-src 'sha256-",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action '",
    ] {
        assert!(policy.contains(part), "{}: {policy}", place.url);
    }
    assert!(!policy.contains("script") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cross-origin-opener-policy"), "same-origin");
    assert!(header("cache-control").contains("no-store"));
    assert!(header("content-type").starts_with("text/html"));
    let text = place.page.text();
    assert!(
        !text.contains("<script") && !text.contains(" src=") && !text.contains(" onclick"),
        "{}",
        place.url
    );
}

#[tokio::test]
async fn every_page_is_guarded_against_frames_scripts_and_caches() {
    let stage = Stage::start(USERS).await;
    let mut alice = Person::default();
    let consent = alice.go(&stage.request()).await;
    guarded(&consent);
    for path in ["/login", "/logout", "/login/callback/none", "/login/nothing"] {
        guarded(&alice.go(&stage.url(path)).await);
    }
    let page = alice.go(&stage.url("/login")).await;
    let page = alice.press(&page, "user", "alice").await;
    guarded(&page);
    for path in ["/logout", "/connect/unknown", "/connect/callback?state=x"] {
        guarded(&alice.go(&stage.url(path)).await);
    }
    let hostile = stage.url("/oauth/authorize?client_id=%3Cscript%3Ealert(1)%3C/script%3E");
    let page = alice.go(&hostile).await;
    guarded(&page);
    assert!(!page.page.text().contains("<script>alert"));
}

#[tokio::test]
async fn the_page_that_goes_on_to_the_provider_leads_there_and_is_guarded() {
    let stage = Stage::start(CORP).await;
    stage.idp.stop().await;
    let mut alice = Person::default();
    let page = alice.go(&stage.url("/connections")).await;
    assert_eq!(page.page.status, 502, "the provider is gone");
    guarded(&page);
    assert!(page.page.text().contains("Your identity provider did not answer as it should"));
}
