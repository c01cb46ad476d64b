//! Keys that are fetched, with a real server and an injected clock.

use crate::fixtures::{self, RESOURCE, Secrets, TestServer, claims, later, now, token};
use crate::{Identity, TokenError};
use narthex_config::model::{Issuer, KeySource};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;

fn identity(issuer: Issuer) -> Identity {
    let config = fixtures::config(vec![issuer]);
    Identity::build(&config, None, Arc::new(Secrets::none()), fixtures::events()).unwrap()
}

/// An identity whose issuer is the server, with its keys at `/jwks`.
fn at(server: &TestServer) -> Identity {
    let uri = format!("{}/jwks", server.base).parse().unwrap();
    identity(Issuer { keys: KeySource::Uri(uri), ..fixtures::issuer(&server.base) })
}

fn ec(id: &str) -> Value {
    fixtures::p256().jwk(id)
}

async fn verify(identity: &Identity, issuer: &str, id: &str, at: SystemTime) -> Result<(), TokenError> {
    let mut claims = claims();
    claims["iss"] = json!(issuer);
    claims["exp"] = json!(fixtures::NOW + 100_000);
    identity.verify(&token(&claims, id, fixtures::p256()), RESOURCE, at).await.map(drop)
}

#[tokio::test]
async fn keys_are_fetched_when_the_first_token_comes() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[ec("a")]);
    let identity = at(&server);
    assert!(!identity.keys_ready());
    assert_eq!(verify(&identity, &server.base, "a", now()).await, Ok(()));
    assert!(identity.keys_ready());
}

#[tokio::test]
async fn a_new_key_is_found_by_one_refetch() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[ec("a")]);
    let identity = at(&server);
    identity.refresh_due(now()).await;
    server.keys("/jwks", &[ec("a"), ec("b")]);
    assert_eq!(verify(&identity, &server.base, "b", later(1)).await, Ok(()));
    assert_eq!(server.paths().len(), 2);
}

#[tokio::test]
async fn unknown_keys_cause_one_refetch_in_half_a_minute() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[ec("a")]);
    let identity = at(&server);
    identity.refresh_due(now()).await;
    for (seconds, fetches) in [(1, 2), (2, 2), (30, 2), (31, 3), (60, 3), (61, 4)] {
        let outcome = verify(&identity, &server.base, &format!("x{seconds}"), later(seconds)).await;
        assert_eq!(outcome, Err(TokenError::UnknownKey));
        assert_eq!(server.paths().len(), fetches, "after {seconds} s");
    }
}

#[tokio::test]
async fn many_unknown_keys_at_once_cause_one_fetch_and_all_profit() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[ec("a")]);
    let identity = Arc::new(at(&server));
    identity.refresh_due(now()).await;
    server.keys("/jwks", &[ec("b")]);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (identity, base) = (Arc::clone(&identity), server.base.clone());
        requests.spawn(async move { verify(&identity, &base, "b", later(1)).await });
    }
    assert_eq!(requests.join_all().await, [Ok(()); 20]);
    assert_eq!(server.paths().len(), 2);
}

#[tokio::test]
async fn a_fetch_goes_on_when_whoever_caused_it_goes_away() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[ec("a")]);
    let identity = at(&server);
    {
        let mut gone = Box::pin(verify(&identity, &server.base, "a", now()));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(gone.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
    }
    assert_eq!(verify(&identity, &server.base, "a", now()).await, Ok(()));
    assert_eq!(server.paths().len(), 1);
}

#[tokio::test]
async fn keys_are_refreshed_after_an_hour_and_served_stale_while_the_issuer_is_down() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[ec("a")]);
    let identity = at(&server);
    identity.refresh_due(now()).await;
    identity.refresh_due(later(3599)).await;
    assert_eq!(server.paths().len(), 1);
    for down in [(500, "oops"), (200, "<html>"), (404, "")] {
        server.answer("/jwks", down.0, down.1);
        identity.refresh_due(later(3600)).await;
        assert_eq!(verify(&identity, &server.base, "a", later(3600)).await, Ok(()), "{down:?}");
    }
    assert_eq!(server.paths().len(), 2, "a failure is not retried at once");
    server.keys("/jwks", &[ec("b")]);
    identity.refresh_due(later(3660)).await;
    assert_eq!(server.paths().len(), 3);
    assert_eq!(verify(&identity, &server.base, "b", later(3660)).await, Ok(()));
}

#[tokio::test]
async fn what_a_withdrawn_key_verified_is_forgotten_and_refused() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[ec("a"), fixtures::rsa().jwk("r")]);
    let identity = at(&server);
    let mut claims = claims();
    claims["iss"] = json!(server.base);
    claims["exp"] = json!(fixtures::NOW + 100_000);
    let token = token(&claims, "a", fixtures::p256());
    identity.verify(&token, RESOURCE, now()).await.unwrap();
    server.keys("/jwks", &[ec("a"), fixtures::rsa().jwk("r"), ec("new")]);
    identity.refresh_due(later(4000)).await;
    assert!(identity.cached(&token, RESOURCE, later(4000)).is_some(), "a key more changes nothing");
    server.keys("/jwks", &[fixtures::rsa().jwk("r")]);
    identity.refresh_due(later(8000)).await;
    assert!(identity.cached(&token, RESOURCE, later(8000)).is_none());
    assert_eq!(identity.verify(&token, RESOURCE, later(8000)).await, Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn without_any_keys_callers_are_told_to_come_back() {
    let server = TestServer::start().await;
    server.answer("/jwks", 503, "");
    let identity = at(&server);
    assert_eq!(verify(&identity, &server.base, "a", now()).await, Err(TokenError::KeysUnavailable));
    assert_eq!(verify(&identity, &server.base, "a", later(4)).await, Err(TokenError::KeysUnavailable));
    assert_eq!(server.paths().len(), 1, "nobody is asked again at once");
    server.keys("/jwks", &[ec("a")]);
    identity.refresh_due(later(5)).await;
    assert_eq!(verify(&identity, &server.base, "a", later(5)).await, Ok(()));
}

#[tokio::test]
async fn discovery_tries_the_forms_in_order() {
    let server = TestServer::start().await;
    let issuer = format!("{}/t1", server.base);
    let metadata = json!({"issuer": issuer, "jwks_uri": format!("{}/keys", server.base)}).to_string();
    let forms = [
        "/.well-known/oauth-authorization-server/t1",
        "/.well-known/openid-configuration/t1",
        "/t1/.well-known/openid-configuration",
    ];
    server.answer(forms[2], 200, metadata);
    server.keys("/keys", &[ec("a")]);
    let identity = identity(fixtures::issuer(&issuer));
    identity.refresh_due(now()).await;
    assert!(identity.keys_ready());
    assert_eq!(server.paths(), [forms[0], forms[1], forms[2], "/keys"]);
}

#[tokio::test]
async fn another_issuers_metadata_brings_no_keys() {
    let server = TestServer::start().await;
    for issuer in ["https://other.example", &format!("{}/", server.base)] {
        let metadata = json!({"issuer": issuer, "jwks_uri": format!("{}/keys", server.base)});
        server.answer("/.well-known/oauth-authorization-server", 200, metadata.to_string());
        server.keys("/keys", &[ec("a")]);
        let identity = identity(fixtures::issuer(&server.base));
        identity.refresh_due(now()).await;
        assert!(!identity.keys_ready());
    }
    assert!(!server.paths().contains(&String::from("/keys")));
}

#[tokio::test]
async fn an_issuer_that_publishes_no_keys_is_ready_only_if_it_can_be_asked() {
    let server = TestServer::start().await;
    let metadata = json!({ "issuer": server.base }).to_string();
    server.answer("/.well-known/openid-configuration", 200, metadata);
    let mut issuer = fixtures::issuer(&server.base);
    let mute = identity(issuer.clone());
    mute.refresh_due(now()).await;
    assert!(!mute.keys_ready());
    issuer.introspection = Some(narthex_config::model::Introspection {
        url: server.base.parse().unwrap(),
        client: narthex_config::model::OAuthClient {
            id: String::from("gw"),
            auth: narthex_config::model::OAuthClientAuth::None,
        },
        cache: std::time::Duration::from_secs(60),
    });
    let asked = identity(issuer);
    assert!(!asked.keys_ready());
    asked.refresh_due(now()).await;
    assert!(asked.keys_ready());
}

#[tokio::test]
async fn an_issuer_that_withdraws_all_keys_is_believed() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[ec("a")]);
    let identity = at(&server);
    identity.refresh_due(now()).await;
    server.keys("/jwks", &[]);
    identity.refresh_due(later(3600)).await;
    assert!(!identity.keys_ready());
    assert_eq!(verify(&identity, &server.base, "a", later(3600)).await, Err(TokenError::UnknownKey));
}
