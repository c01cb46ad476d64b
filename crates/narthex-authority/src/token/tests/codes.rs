//! Codes: what is made of one that is in two hands goes.

use super::*;
use crate::token::grant;

#[tokio::test]
async fn attack_a_code_shown_twice_leaves_no_refresh_token_whoever_is_faster() {
    let authority = authority("").await;
    let vault = &authority.lasting.vault;
    // One after the other.
    let text = code(&authority).await;
    let issued = fixtures::json(&redeem(&authority, &text).await);
    assert_eq!(error(&redeem(&authority, &text).await), "invalid_grant");
    assert_eq!(error(&refresh(&authority, &issued["refresh_token"], &[], now()).await), "invalid_grant");
    assert!(authority.claims(issued["access_token"].as_str().unwrap(), now()).is_none());
    // The second comes while the first has used the code, but not made its refresh token yet.
    let family = crate::token::new_family().unwrap();
    let text = code_of(&authority, &family).await;
    let first = ("first".to_owned(), crate::secret::seconds(after(600)));
    code::show(vault, &text, first, Duration::from_secs(60)).await.unwrap();
    assert_eq!(error(&redeem(&authority, &text).await), "invalid_grant");
    let life = authority.settings.refresh_token;
    let grant = grant::Grant::new("web", user(), DOCS, Vec::new(), None, now()).unwrap();
    assert!(!grant.keep(vault, &family, None, life, now()).await.unwrap(), "the first makes none any more");
    assert!(authority.lasting.revoked.contains("first"));
}

#[tokio::test]
async fn whoever_comes_to_a_family_that_has_ended_gets_no_tokens() {
    let authority = authority("").await;
    let family = crate::token::new_family().unwrap();
    let text = code_of(&authority, &family).await;
    authority.end_family(&family, now()).await.unwrap();
    let answer = redeem(&authority, &text).await;
    assert_eq!((answer.status(), error(&answer).as_str()), (StatusCode::BAD_REQUEST, "invalid_grant"));
}

#[tokio::test]
async fn a_store_that_fails_is_no_grant_and_no_server_error() {
    let (store, vault) = fixtures::Failing::new();
    let authority = fixtures::build(&fixtures::config(""), vault);
    authority.refresh(now()).await;
    let first = code(&authority).await;
    for left in 0..2 {
        let text = if left == 0 { first.clone() } else { code(&authority).await };
        store.fail_after(left);
        let answer = redeem(&authority, &text).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{left}: {}", fixtures::text(&answer));
        assert_eq!(error(&answer), "temporarily_unavailable");
        assert!(answer.headers().contains_key("retry-after"));
        store.fail_after(usize::MAX);
    }
}
