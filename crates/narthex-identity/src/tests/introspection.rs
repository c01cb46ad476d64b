//! Opaque tokens, with a real endpoint.

use super::{build, verify};
use crate::fixtures::{self, ISSUER, RESOURCE, Secrets, TestServer, later, now};
use crate::{BuildError, Identity, TokenError};
use narthex_config::Config;
use narthex_config::model::{Introspection, Issuer, OAuthClient, OAuthClientAuth, SecretRef};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn asked_at(name: &str, server: &TestServer, path: &str) -> Issuer {
    let auth = OAuthClientAuth::Basic(SecretRef::Env(String::from("S")));
    let introspection = Introspection {
        url: format!("{}{path}", server.base).parse().unwrap(),
        client: OAuthClient { id: String::from("gw"), auth },
        cache: Duration::from_secs(60),
    };
    let keys = [fixtures::p256().jwk("ec")];
    Issuer { introspection: Some(introspection), ..fixtures::issuer_with_keys(name, &keys) }
}

fn active(issuer: &str) -> String {
    let answer = json!({
        "active": true, "iss": issuer, "sub": "alice", "aud": [RESOURCE], "org_id": "acme",
        "exp": fixtures::NOW + 600,
    });
    answer.to_string()
}

fn one_issuer(server: &TestServer) -> Config {
    fixtures::config(vec![asked_at(ISSUER, server, "/a")])
}

#[tokio::test]
async fn an_opaque_token_is_asked_about_once_and_remembered_for_a_while() {
    let server = TestServer::start().await;
    server.answer("/a", 200, active(ISSUER));
    let identity = build(&one_issuer(&server), None);
    assert_eq!(&*verify(&identity, "opaque").await.unwrap().subject, "alice");
    assert!(identity.cached("opaque", RESOURCE, later(59)).unwrap().is_ok());
    assert_eq!(identity.cached("opaque", RESOURCE, later(60)), None);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].contains("token=opaque&token_type_hint=access_token"), "{}", requests[0]);
    assert!(requests[0].to_ascii_lowercase().contains("authorization: basic z3c6"), "{}", requests[0]);
}

#[tokio::test]
async fn a_token_for_another_route_is_refused() {
    let server = TestServer::start().await;
    server.answer("/a", 200, active(ISSUER));
    let identity = build(&one_issuer(&server), None);
    let outcome = identity.verify("opaque", "https://gw.example/docs", now()).await;
    assert_eq!(outcome, Err(TokenError::WrongAudience));
}

#[tokio::test]
async fn a_token_nobody_knows_is_refused_for_a_while_without_asking_again() {
    let server = TestServer::start().await;
    server.answer("/a", 200, r#"{"active":false}"#);
    let identity = build(&one_issuer(&server), None);
    assert_eq!(verify(&identity, "opaque").await, Err(TokenError::Inactive));
    assert_eq!(identity.cached("opaque", RESOURCE, later(9)), Some(Err(TokenError::Inactive)));
    assert_eq!(identity.cached("opaque", RESOURCE, later(10)), None);
}

#[tokio::test]
async fn issuers_are_asked_in_order_until_one_knows_it() {
    let server = TestServer::start().await;
    server.answer("/a", 200, r#"{"active":false}"#);
    server.answer("/b", 200, active("https://b.example"));
    let config =
        fixtures::config(vec![asked_at(ISSUER, &server, "/a"), asked_at("https://b.example", &server, "/b")]);
    let caller = verify(&build(&config, None), "opaque").await.unwrap();
    assert_eq!(&*caller.issuer, "https://b.example");
    assert_eq!(server.paths(), ["/a", "/b"]);
}

#[tokio::test]
async fn an_issuer_cannot_vouch_for_anothers_token() {
    let server = TestServer::start().await;
    server.answer("/a", 200, active("https://b.example"));
    let outcome = verify(&build(&one_issuer(&server), None), "opaque").await;
    assert_eq!(outcome, Err(TokenError::UnknownIssuer));
}

#[tokio::test]
async fn while_the_endpoint_is_down_nothing_is_decided_nor_remembered() {
    let server = TestServer::start().await;
    server.answer("/a", 500, "");
    let identity = build(&one_issuer(&server), None);
    let error = verify(&identity, "opaque").await.unwrap_err();
    assert_eq!((error, error.status().as_u16()), (TokenError::IntrospectionUnavailable, 503));
    assert_eq!(identity.cached("opaque", RESOURCE, now()), None);
    server.answer("/a", 200, active(ISSUER));
    assert!(verify(&identity, "opaque").await.is_ok());
}

#[tokio::test]
async fn many_requests_with_one_token_ask_once() {
    let server = TestServer::start().await;
    server.answer("/a", 200, active(ISSUER));
    let identity = Arc::new(build(&one_issuer(&server), None));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let identity = Arc::clone(&identity);
        requests.spawn(async move { verify(&identity, "opaque").await.is_ok() });
    }
    assert_eq!(requests.join_all().await, [true; 20]);
    assert_eq!(server.paths().len(), 1);
}

#[tokio::test]
async fn a_jwt_is_never_asked_about() {
    let server = TestServer::start().await;
    server.answer("/a", 200, active(ISSUER));
    let outcome = verify(&build(&one_issuer(&server), None), "a.b.c").await;
    assert_eq!(outcome, Err(TokenError::MalformedToken));
    assert!(server.paths().is_empty());
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_found_at_build() {
    let server = TestServer::start().await;
    let built = Identity::build(&one_issuer(&server), None, Arc::new(Secrets::none()), fixtures::events());
    assert!(matches!(built, Err(BuildError::Client { .. })));
}
