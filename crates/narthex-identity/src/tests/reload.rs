//! What survives a reload, and what must not.

use super::{build, verify};
use crate::fixtures::{self, ISSUER, RESOURCE, Secrets, TestServer, claims, jwks, now, token};
use crate::{BuildError, Identity};
use narthex_config::model::{Algorithm, Issuer, KeySource, ScopeName, TenantId, TenantRule};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

fn known() -> Issuer {
    fixtures::issuer_with_keys(ISSUER, &[fixtures::p256().jwk("ec")])
}

/// The same token every time: a new signature would be a new token.
fn good() -> String {
    static GOOD: LazyLock<String> = LazyLock::new(|| token(&claims(), "ec", fixtures::p256()));
    GOOD.clone()
}

fn knows(identity: &Identity, token: &str) -> bool {
    identity.cached(token, RESOURCE, now()).is_some()
}

#[tokio::test]
async fn tokens_of_an_unchanged_issuer_stay_known() {
    let before = build(&fixtures::config(vec![known()]), None);
    verify(&before, &good()).await.unwrap();
    let added = fixtures::issuer_with_keys("https://new.example", &[fixtures::rsa().jwk("rsa")]);
    let after = build(&fixtures::config(vec![added, known()]), Some(&before));
    assert!(knows(&after, &good()));
}

#[tokio::test]
async fn tokens_of_an_issuer_that_is_gone_are_forgotten() {
    let before = build(&fixtures::config(vec![known()]), None);
    verify(&before, &good()).await.unwrap();
    let after = build(&fixtures::config(Vec::new()), Some(&before));
    assert!(!knows(&after, &good()));
    assert!(knows(&before, &good()), "requests under the old configuration go on");
}

#[tokio::test]
async fn any_change_of_an_issuers_rules_makes_its_tokens_be_verified_again() {
    let changes: [fn(&mut narthex_config::Config); 6] = [
        |config| config.auth.issuers[0].algorithms = vec![Algorithm::RS256],
        |config| config.auth.issuers[0].tenant = TenantRule::Value(TenantId::from("globex")),
        |config| config.auth.issuers[0].tenant = TenantRule::Claim(String::from("tid")),
        |config| config.auth.leeway = Duration::ZERO,
        |config| drop(config.auth.scope_hierarchy.insert(ScopeName::from("a"), Vec::new())),
        |config| config.auth.issuers[0] = fixtures::issuer_with_keys(ISSUER, &[fixtures::rsa().jwk("rsa")]),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let before = build(&fixtures::config(vec![known()]), None);
        verify(&before, &good()).await.unwrap();
        let mut config = fixtures::config(vec![known()]);
        change(&mut config);
        assert!(!knows(&build(&config, Some(&before)), &good()), "change {at}");
    }
}

#[tokio::test]
async fn what_the_old_configuration_verifies_late_is_not_known_to_the_new_one() {
    let before = build(&fixtures::config(vec![known()]), None);
    let mut config = fixtures::config(vec![known()]);
    config.auth.issuers[0].tenant = TenantRule::Value(TenantId::from("globex"));
    let after = build(&config, Some(&before));
    verify(&before, &good()).await.unwrap();
    assert!(!knows(&after, &good()));
}

#[tokio::test]
async fn fetched_keys_are_kept_when_other_rules_of_the_issuer_change() {
    let server = TestServer::start().await;
    server.keys("/jwks", &[fixtures::p256().jwk("ec")]);
    let issuer = Issuer {
        keys: KeySource::Uri(format!("{}/jwks", server.base).parse().unwrap()),
        ..fixtures::issuer(ISSUER)
    };
    let mut config = fixtures::config(vec![issuer]);
    let before = build(&config, None);
    before.prime().await;
    config.auth.leeway = Duration::ZERO;
    let after = build(&config, Some(&before));
    assert!(after.keys_ready());
    assert!(verify(&after, &good()).await.is_ok());
    assert_eq!(server.paths().len(), 1);
}

#[tokio::test]
async fn a_key_file_is_read_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let issuer = Issuer { keys: KeySource::File(file.path().to_owned()), ..fixtures::issuer(ISSUER) };
    let config = fixtures::config(vec![issuer]);
    std::fs::write(file.path(), jwks(&[fixtures::p256().jwk("ec")])).unwrap();
    let first = build(&config, None);
    verify(&first, &good()).await.unwrap();
    let same = build(&config, Some(&first));
    assert!(knows(&same, &good()));
    std::fs::write(file.path(), jwks(&[fixtures::rsa().jwk("rsa")])).unwrap();
    let changed = build(&config, Some(&same));
    assert!(!knows(&changed, &good()));
    assert!(verify(&changed, &token(&claims(), "rsa", fixtures::rsa())).await.is_ok());
}

#[test]
fn a_bad_key_file_is_an_error_that_says_whose() {
    let try_build = |keys| {
        let config = fixtures::config(vec![Issuer { keys, ..fixtures::issuer(ISSUER) }]);
        Identity::build(&config, None, Arc::new(Secrets::none()), fixtures::events()).unwrap_err()
    };
    assert!(matches!(try_build(KeySource::File("/nowhere/jwks.json".into())), BuildError::KeyFile { .. }));
    for json in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AQAB"}]}"#] {
        let error = try_build(KeySource::Inline(json.to_owned()));
        assert!(matches!(error, BuildError::KeySet { .. }) && error.to_string().contains(ISSUER));
    }
}
