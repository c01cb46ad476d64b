//! Revocation (RFC 7009).

use super::*;

#[tokio::test]
async fn revoking_a_refresh_token_ends_all_of_it_and_only_its_client_can() {
    let authority = authority("").await;
    let issued = tokens(&authority).await;
    let (access, token) =
        (issued["access_token"].as_str().unwrap(), issued["refresh_token"].as_str().unwrap());
    let revoke = async |client: &str, token: &str| {
        authority.answer(post("/oauth/revoke", &[("client_id", client), ("token", token)]), now()).await
    };
    assert_eq!(revoke("other", token).await.status(), StatusCode::OK);
    assert_eq!(revoke("other", access).await.status(), StatusCode::OK);
    assert!(authority.claims(access, now()).is_some(), "another client's word is none");
    assert_eq!(revoke("web", "no token at all").await.status(), StatusCode::OK);
    assert_eq!(error(&revoke("nobody", token).await), "invalid_client");
    assert_eq!(revoke("web", token).await.status(), StatusCode::OK);
    assert_eq!(error(&refresh(&authority, &issued["refresh_token"], &[], now()).await), "invalid_grant");
    assert!(authority.claims(access, now()).is_none(), "the access tokens go with it");
    let other = tokens(&authority).await;
    let access = other["access_token"].as_str().unwrap();
    assert_eq!(revoke("web", access).await.status(), StatusCode::OK);
    assert!(authority.claims(access, now()).is_none());
    assert_eq!(refresh(&authority, &other["refresh_token"], &[], now()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_gateway_is_told_of_revoked_tokens_at_once() {
    let authority = authority("").await;
    let told = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&told);
    authority.when_keys_change(move |issuer, jwks, revoked| {
        seen.lock().push((issuer.to_owned(), jwks.len(), revoked.len()));
    });
    let access = tokens(&authority).await["access_token"].as_str().unwrap().to_owned();
    let form = [("client_id", "web"), ("token", access.as_str())];
    authority.answer(post("/oauth/revoke", &form), now()).await;
    let told = told.lock();
    assert_eq!(told.len(), 2, "the keys, and the token");
    assert_eq!((told[1].0.as_str(), told[1].2), (ISSUER, 1));
}

#[tokio::test]
async fn a_revocation_that_failed_half_way_can_be_sent_again() {
    let (store, vault) = fixtures::Failing::new();
    let authority = fixtures::build(&fixtures::config(""), vault);
    authority.refresh(now()).await;
    for left in 0..3 {
        let issued = tokens(&authority).await;
        let (access, token) =
            (issued["access_token"].as_str().unwrap(), issued["refresh_token"].as_str().unwrap());
        let request = post("/oauth/revoke", &[("client_id", "web"), ("token", token)]);
        store.fail_after(left);
        let failed = authority.answer(request.clone(), now()).await;
        store.fail_after(usize::MAX);
        if failed.status() != StatusCode::OK {
            assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE, "{left}");
            assert_eq!(authority.answer(request, now()).await.status(), StatusCode::OK, "{left}");
        }
        assert!(authority.claims(access, now()).is_none(), "{left}: the access token is still good");
        assert_eq!(error(&refresh(&authority, &issued["refresh_token"], &[], now()).await), "invalid_grant");
    }
}

#[tokio::test]
async fn nothing_is_said_to_be_revoked_before_it_is_known_what_it_is() {
    let config = fixtures::config("");
    let vault = fixtures::vault();
    let before = fixtures::build(&config, vault.clone());
    before.refresh(now()).await;
    let issued = tokens(&before).await;
    // Just started, and its keys are not read yet.
    let authority = fixtures::build(&config, vault);
    let access = issued["access_token"].as_str().unwrap();
    let form = [("client_id", "web"), ("token", access)];
    let answer = authority.answer(post("/oauth/revoke", &form), now()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let form = [("token", access)];
    let answer = authority.answer(basic(post("/oauth/introspect", &form), "probe", SECRET), now()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", text(&answer));
}
