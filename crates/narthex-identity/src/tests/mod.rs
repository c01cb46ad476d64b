//! Tokens from the header to the caller.

mod hostile;
mod introspection;
mod own;
mod reload;

use crate::fixtures::{self, ISSUER, RESOURCE, Secrets, claims, later, now, token};
use crate::{Caller, Identity, Presented, Scheme, TokenError};
use narthex_config::Config;
use narthex_config::model::{ScopeName, TenantId, TenantRule};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

fn build(config: &Config, previous: Option<&Identity>) -> Identity {
    Identity::build(config, previous, Arc::new(Secrets::of("s3cret")), fixtures::events()).unwrap()
}

fn identity() -> Identity {
    let keys = [
        fixtures::p256().jwk("ec"),
        fixtures::rsa().jwk("rsa"),
        fixtures::ed25519().jwk("ed"),
        fixtures::p384().jwk("ec384"),
    ];
    build(&fixtures::config(vec![fixtures::issuer_with_keys(ISSUER, &keys)]), None)
}

/// The caller of a token that is bound to nothing.
fn bearer(presented: Presented) -> Arc<Caller> {
    presented.unbound(Scheme::Bearer, None).unwrap_or_else(|bound| panic!("{bound:?}"))
}

async fn verify(identity: &Identity, token: &str) -> Result<Arc<Caller>, TokenError> {
    Ok(bearer(identity.verify(token, RESOURCE, now()).await?))
}

#[tokio::test]
async fn a_good_token_makes_its_caller() {
    let caller = verify(&identity(), &token(&claims(), "ec", fixtures::p256())).await.unwrap();
    assert_eq!(
        *caller,
        Caller {
            tenant: TenantId::from("acme"),
            subject: "alice".into(),
            client: Some("cli".into()),
            scopes: vec![ScopeName::from("mcp:read"), ScopeName::from("mcp:write")],
            issuer: ISSUER.into(),
            expires: Some(later(600)),
        }
    );
}

#[tokio::test]
async fn every_allowed_algorithm_verifies() {
    let identity = identity();
    for (id, key) in [("ec", fixtures::p256()), ("rsa", fixtures::rsa()), ("ed", fixtures::ed25519())] {
        assert!(verify(&identity, &token(&claims(), id, key)).await.is_ok(), "{id}");
    }
}

#[tokio::test]
async fn what_the_specifications_allow_is_accepted() {
    let identity = identity();
    for (name, value) in [
        ("aud", json!(["https://other.example", RESOURCE])),
        ("scope", json!("")),
        ("scope", json!(" mcp:read  mcp:write ")),
        ("nbf", json!(fixtures::NOW + 30)),
        ("iat", json!(fixtures::NOW + 60)),
        ("exp", json!(fixtures::NOW - 29)),
        ("sub", json!("ünï|çødé")),
        ("sub", json!("x".repeat(255))),
        ("extra", json!({"deep": [[[1, 2.5, null]]]})),
    ] {
        let mut claims = claims();
        claims[name] = value.clone();
        let outcome = verify(&identity, &token(&claims, "ec", fixtures::p256())).await;
        assert!(outcome.is_ok(), "{name}: {value}: {outcome:?}");
    }
    for typ in ["", r#","typ":"JWT""#, r#","typ":"jwt""#, r#","typ":"application/AT+JWT""#] {
        let header = format!(r#"{{"alg":"ES256","kid":"ec"{typ}}}"#);
        let token = fixtures::raw_token(&header, &claims().to_string(), fixtures::p256());
        assert!(verify(&identity, &token).await.is_ok(), "{header}");
    }
}

#[tokio::test]
async fn a_token_without_a_kid_is_accepted_when_one_key_fits() {
    let header = r#"{"alg":"ES256"}"#;
    let token = fixtures::raw_token(header, &claims().to_string(), fixtures::p256());
    assert!(verify(&identity(), &token).await.is_ok());
}

#[tokio::test]
async fn the_client_may_be_in_azp_and_the_scopes_in_scp() {
    let mut claims = claims();
    let object = claims.as_object_mut().unwrap();
    object.remove("client_id");
    object.remove("scope");
    object.insert(String::from("azp"), json!("app"));
    for scp in [json!("b a"), json!(["b", "a"]), json!(["a b", "a"])] {
        claims["scp"] = scp;
        let caller = verify(&identity(), &token(&claims, "ec", fixtures::p256())).await.unwrap();
        assert_eq!(caller.client.as_deref(), Some("app"));
        assert_eq!(caller.scopes, [ScopeName::from("a"), ScopeName::from("b")]);
    }
}

#[tokio::test]
async fn the_scope_hierarchy_is_applied() {
    let mut config =
        fixtures::config(vec![fixtures::issuer_with_keys(ISSUER, &[fixtures::p256().jwk("ec")])]);
    config.auth.scope_hierarchy.insert("mcp:write".into(), vec!["mcp:list".into()]);
    let caller = verify(&build(&config, None), &token(&claims(), "ec", fixtures::p256())).await.unwrap();
    assert!(caller.holds(&"mcp:list".into()) && caller.holds(&"mcp:write".into()));
}

#[tokio::test]
async fn a_fixed_tenant_is_taken_whatever_the_token_says() {
    let mut issuer = fixtures::issuer_with_keys(ISSUER, &[fixtures::p256().jwk("ec")]);
    issuer.tenant = TenantRule::Value(TenantId::from("globex"));
    let identity = build(&fixtures::config(vec![issuer]), None);
    let caller = verify(&identity, &token(&claims(), "ec", fixtures::p256())).await.unwrap();
    assert_eq!(caller.tenant.as_str(), "globex");
}

#[tokio::test]
async fn a_verified_token_is_remembered_for_its_audience_until_it_expires() {
    let (identity, token) = (identity(), token(&claims(), "ec", fixtures::p256()));
    assert_eq!(identity.cached(&token, RESOURCE, now()), None);
    let caller = verify(&identity, &token).await.unwrap();
    assert!(Arc::ptr_eq(&caller, &bearer(identity.cached(&token, RESOURCE, now()).unwrap().unwrap())));
    let elsewhere = identity.cached(&token, "https://gw.example/docs", now());
    assert_eq!(elsewhere, Some(Err(TokenError::WrongAudience)));
    assert!(identity.cached(&token, RESOURCE, later(629)).is_some());
    assert_eq!(identity.cached(&token, RESOURCE, later(630)), None);
    assert_eq!(identity.verify(&token, RESOURCE, later(630)).await, Err(TokenError::Expired));
}

#[tokio::test]
async fn a_bound_token_is_bound_out_of_the_cache_too() {
    let identity = identity();
    let mut claims = claims();
    let print = crate::Thumbprint::of(b"key");
    claims["cnf"] = json!({"jkt": print.to_string()});
    let token = token(&claims, "ec", fixtures::p256());
    let fresh = identity.verify(&token, RESOURCE, now()).await.unwrap();
    let cached = identity.cached(&token, RESOURCE, now()).unwrap().unwrap();
    assert_eq!(fresh, cached);
    assert_eq!(cached.binding().unwrap().key, Some(print));
    assert!(cached.unbound(Scheme::Bearer, None).is_err() && fresh.unbound(Scheme::Dpop, None).is_err());
}

#[tokio::test]
async fn a_token_for_another_route_is_remembered_for_that_route_only() {
    let (identity, token) = (identity(), token(&claims(), "ec", fixtures::p256()));
    let elsewhere = identity.verify(&token, "https://gw.example/docs", now()).await;
    assert_eq!(elsewhere, Err(TokenError::WrongAudience));
    assert!(identity.cached(&token, RESOURCE, now()).unwrap().is_ok());
}

#[tokio::test]
async fn refused_tokens_are_not_remembered_as_good() {
    let identity = identity();
    let mut claims = claims();
    claims["exp"] = json!(fixtures::NOW - 1000);
    let token = token(&claims, "ec", fixtures::p256());
    assert_eq!(verify(&identity, &token).await, Err(TokenError::Expired));
    assert_eq!(identity.cached(&token, RESOURCE, UNIX_EPOCH + Duration::from_secs(1)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_token_with_one_changed_byte_is_accepted(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        static GOOD: std::sync::LazyLock<(Identity, String)> =
            std::sync::LazyLock::new(|| (identity(), token(&claims(), "ec", fixtures::p256())));
        let (identity, good) = &*GOOD;
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert!(runtime.block_on(verify(identity, &text)).is_err());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-zA-Z0-9._=-]{0,80}|.{0,40}") {
        static IDENTITY: std::sync::LazyLock<Identity> = std::sync::LazyLock::new(identity);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(verify(&IDENTITY, &text)).is_err());
    }
}
