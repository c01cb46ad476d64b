//! The keys of the gateway's own authority, and what else than access tokens is verified.

use super::{build, verify};
use crate::fixtures::{self, ISSUER, RESOURCE, claims, now, raw_token, token};
use crate::{JwtKind, Signer, TokenError, claimed_issuer};
use narthex_config::model::{Algorithm, Issuer, KeySource};
use narthex_upstreams::egress::Egress;
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;

fn own() -> crate::Identity {
    build(&fixtures::config(vec![Issuer { keys: KeySource::Own, ..fixtures::issuer(ISSUER) }]), None)
}

fn jwks(ids: &[&str]) -> String {
    let keys: Vec<_> = ids.iter().map(|id| fixtures::p256().jwk(id)).collect();
    json!({ "keys": keys }).to_string()
}

#[tokio::test]
async fn our_own_keys_count_from_when_they_are_handed_over() {
    let identity = own();
    let token = token(&claims(), "new", fixtures::p256());
    assert!(!identity.keys_ready());
    assert_eq!(verify(&identity, &token).await, Err(TokenError::KeysUnavailable));
    identity.publish(ISSUER, &jwks(&["old"]), HashSet::new()).unwrap();
    assert!(identity.keys_ready());
    assert_eq!(verify(&identity, &token).await, Err(TokenError::UnknownKey));
    identity.publish(ISSUER, &jwks(&["old", "new"]), HashSet::new()).unwrap();
    assert!(verify(&identity, &token).await.is_ok());
    assert!(identity.cached(&token, RESOURCE, now()).is_some());
    identity.publish(ISSUER, &jwks(&["old"]), HashSet::new()).unwrap();
    assert!(identity.cached(&token, RESOURCE, now()).is_none(), "its key is gone");
}

#[tokio::test]
async fn a_reload_keeps_the_keys_that_were_handed_over() {
    let config = fixtures::config(vec![Issuer { keys: KeySource::Own, ..fixtures::issuer(ISSUER) }]);
    let first = build(&config, None);
    first.publish(ISSUER, &jwks(&["k"]), HashSet::new()).unwrap();
    let second = build(&config, Some(&first));
    assert!(verify(&second, &token(&claims(), "k", fixtures::p256())).await.is_ok());
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_refused_at_once_and_no_other_is() {
    let identity = own();
    identity.publish(ISSUER, &jwks(&["k"]), HashSet::new()).unwrap();
    let with_id = |id: &str| {
        let mut claims = claims();
        claims["jti"] = json!(id);
        token(&claims, "k", fixtures::p256())
    };
    let (one, other) = (with_id("one"), with_id("other"));
    assert!(verify(&identity, &one).await.is_ok() && verify(&identity, &other).await.is_ok());
    identity.publish(ISSUER, &jwks(&["k"]), HashSet::from(["one".to_owned()])).unwrap();
    assert!(identity.cached(&one, RESOURCE, now()).is_none());
    assert_eq!(verify(&identity, &one).await, Err(TokenError::Inactive));
    assert!(verify(&identity, &other).await.is_ok());
}

#[test]
fn nobody_elses_keys_are_handed_over() {
    let identity = build(&fixtures::config(vec![fixtures::issuer(ISSUER)]), None);
    assert!(identity.publish(ISSUER, &jwks(&["k"]), HashSet::new()).is_err());
    assert!(own().publish("https://other.example", &jwks(&["k"]), HashSet::new()).is_err());
}

fn signer() -> Signer {
    let egress = Egress::new(Duration::from_secs(1), false).unwrap();
    let source = KeySource::Inline(jwks(&["k"]));
    Signer::new(ISSUER, source, vec![Algorithm::ES256], egress, fixtures::events()).unwrap()
}

#[tokio::test]
async fn a_jwt_is_taken_for_what_it_says_it_is_only() {
    use JwtKind::{ClientAssertion, IdJag, IdToken};
    let signer = signer();
    for (typ, kinds) in [
        (Some("oauth-id-jag+jwt"), &[IdJag][..]),
        (Some("application/oauth-id-jag+jwt"), &[IdJag]),
        (Some("client-authentication+jwt"), &[ClientAssertion]),
        (Some("JWT"), &[ClientAssertion, IdToken]),
        (None, &[ClientAssertion, IdToken]),
        (Some("at+jwt"), &[]),
        (Some("application/JWT"), &[]),
        (Some("dpop+jwt"), &[]),
        (Some(""), &[]),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "k"});
        if let Some(typ) = typ {
            header["typ"] = json!(typ);
        }
        let jwt = raw_token(&header.to_string(), &claims().to_string(), fixtures::p256());
        for kind in [ClientAssertion, IdJag, IdToken] {
            let verified = signer.verify(&jwt, kind, now()).await;
            assert_eq!(verified.is_ok(), kinds.contains(&kind), "{typ:?} as {kind:?}");
            assert_eq!(claimed_issuer(&jwt, kind).is_some(), kinds.contains(&kind));
        }
    }
}

#[tokio::test]
async fn a_jwt_that_is_not_theirs_is_refused() {
    let signer = signer();
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let good = raw_token(header, &claims().to_string(), fixtures::p256());
    assert!(signer.verify(&good, JwtKind::IdToken, now()).await.is_ok());
    let other_payload = good.replacen('.', ".e", 1);
    let twice = raw_token(header, r#"{"iss":"a","iss":"b"}"#, fixtures::p256());
    let none = raw_token(r#"{"alg":"none"}"#, &claims().to_string(), fixtures::p256());
    let hs = raw_token(r#"{"alg":"HS256","kid":"k"}"#, &claims().to_string(), fixtures::p256());
    let wrong_key = raw_token(header, &claims().to_string(), fixtures::p384());
    for bad in ["", "a.b.c", &other_payload, &twice, &none, &hs, &wrong_key] {
        assert!(signer.verify(bad, JwtKind::IdToken, now()).await.is_err(), "{bad}");
    }
}
