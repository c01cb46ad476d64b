//! Refresh tokens: used once, for what was granted, as long as it is.

use super::*;

#[tokio::test]
async fn a_refresh_token_is_good_for_the_next_one() {
    let authority = authority("").await;
    let mut token = tokens(&authority).await["refresh_token"].clone();
    for round in 1..5 {
        let answer = refresh(&authority, &token, &[], after(round * 60)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
        let next = fixtures::json(&answer);
        assert_eq!(next["scope"], "mcp:read mcp:write");
        assert!(authority.claims(next["access_token"].as_str().unwrap(), after(round * 60)).is_some());
        assert_ne!(next["refresh_token"], token);
        token = next["refresh_token"].clone();
    }
}

#[tokio::test]
async fn refresh_reuse_ends_the_grant_whoever_has_the_other_token() {
    let authority = authority("").await;
    let first = tokens(&authority).await["refresh_token"].clone();
    let second = fixtures::json(&refresh(&authority, &first, &[], now()).await);
    // The thief comes later, with the token that the client has used; or the client does, after the thief.
    let again = refresh(&authority, &first, &[], after(11)).await;
    assert_eq!(error(&again), "invalid_grant");
    let after_that = refresh(&authority, &second["refresh_token"], &[], after(12)).await;
    assert_eq!(error(&after_that), "invalid_grant", "the good one has ended with it");
    let access = second["access_token"].as_str().unwrap();
    assert!(authority.claims(access, after(12)).is_none(), "and the access tokens");
}

#[tokio::test]
async fn a_retry_of_the_same_moment_gets_the_same_successor_and_is_no_reuse() {
    let authority = authority("").await;
    let first = tokens(&authority).await["refresh_token"].clone();
    let one = fixtures::json(&refresh(&authority, &first, &[], now()).await);
    let other = fixtures::json(&refresh(&authority, &first, &[], after(10)).await);
    assert_eq!(one["refresh_token"], other["refresh_token"]);
    assert_ne!(one["access_token"], other["access_token"]);
    // But after one of both went on, the other is found out.
    refresh(&authority, &one["refresh_token"], &[], after(20)).await;
    assert_eq!(error(&refresh(&authority, &other["refresh_token"], &[], after(40)).await), "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_is_its_clients_for_its_resource_and_its_scopes() {
    let authority = authority("").await;
    let token = tokens(&authority).await["refresh_token"].clone();
    let ask = async |changes: &[(&str, &str)]| error(&refresh(&authority, &token, changes, now()).await);
    assert_eq!(ask(&[("client_id", "other")]).await, "invalid_grant");
    assert_eq!(ask(&[("client_id", "nobody")]).await, "invalid_client");
    assert_eq!(ask(&[("resource", TOOLS)]).await, "invalid_target");
    assert_eq!(ask(&[("scope", "mcp:admin")]).await, "invalid_scope");
    assert_eq!(ask(&[("refresh_token", "nrt_x")]).await, "invalid_grant");
    assert_eq!(ask(&[("refresh_token", "")]).await, "invalid_request");
    let narrowed = refresh(&authority, &token, &[("scope", "mcp:read"), ("resource", DOCS)], now()).await;
    let narrowed = fixtures::json(&narrowed);
    assert_eq!(narrowed["scope"], "mcp:read");
    let full = fixtures::json(&refresh(&authority, &narrowed["refresh_token"], &[], after(60)).await);
    assert_eq!(full["scope"], "mcp:read mcp:write", "what was granted stays");
}

#[tokio::test]
async fn a_refresh_token_ends_unused_and_ends_anyway() {
    let authority = authority("    refresh_token: { lifetime: 3h, idle: 1h }").await;
    let token = tokens(&authority).await["refresh_token"].clone();
    assert_eq!(error(&refresh(&authority, &token, &[], after(3600)).await), "invalid_grant");
    let mut token = tokens(&authority).await["refresh_token"].clone();
    for round in 1..=3 {
        let answer = refresh(&authority, &token, &[], after(round * 3500)).await;
        token = fixtures::json(&answer)["refresh_token"].clone();
    }
    assert_eq!(error(&refresh(&authority, &token, &[], after(10_800)).await), "invalid_grant");
}

#[tokio::test]
async fn asking_for_a_scope_that_is_gone_does_not_end_what_is_left() {
    let vault = fixtures::vault();
    let before = fixtures::build(&fixtures::config(""), vault.clone());
    before.refresh(now()).await;
    let token = tokens(&before).await["refresh_token"].clone();
    let mut config = fixtures::config("");
    config.auth.authority.as_mut().unwrap().grants.pop();
    let authority = fixtures::build(&config, vault);
    authority.refresh(now()).await;
    let gone = refresh(&authority, &token, &[("scope", "mcp:write")], now()).await;
    assert_eq!(error(&gone), "invalid_scope");
    let left = refresh(&authority, &token, &[], now()).await;
    assert_eq!(fixtures::json(&left)["scope"], "mcp:read", "{}", text(&left));
}

#[tokio::test]
async fn tokens_are_not_lost_because_a_client_cannot_be_noted_as_used() {
    let (store, vault) = fixtures::Failing::new();
    let authority = fixtures::build(&fixtures::config("    dynamic_registration: { unused: 10h }"), vault);
    authority.refresh(now()).await;
    let client = json!({"redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"});
    let registered = authority.answer(fixtures::post_json("/oauth/register", &client), now()).await;
    let id = fixtures::json(&registered)["client_id"].as_str().unwrap().to_owned();
    let family = crate::token::new_family().unwrap();
    let life = authority.settings.refresh_token;
    let grant = crate::token::grant::Grant::new(&id, user(), DOCS, Vec::new(), None, now()).unwrap();
    grant.keep(&authority.lasting.vault, &family, None, life, now()).await.unwrap();
    // One change is the refresh itself; then comes the note.
    store.fail_after(1);
    let later = after(2 * 3600);
    let answer = refresh(&authority, &json!(grant.token(&family)), &[("client_id", &id)], later).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
}
