use super::*;
use crate::fixtures;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use narthex_config::model::Algorithm;
use proptest::prelude::*;
use std::time::Duration;

fn plan(algorithm: Algorithm) -> Plan {
    Plan { algorithm, period: Duration::from_secs(36_000), lifetime: Duration::from_secs(600) }
}

#[tokio::test]
async fn what_is_signed_verifies_with_what_is_published() {
    for (algorithm, jws) in [
        (Algorithm::ES256, jsonwebtoken::Algorithm::ES256),
        (Algorithm::EdDSA, jsonwebtoken::Algorithm::EdDSA),
    ] {
        let keys = Keys::new(fixtures::vault());
        assert!(keys.signer(fixtures::now()).is_err(), "not read yet");
        assert!(keys.refresh(&plan(algorithm), fixtures::now()).await.unwrap());
        let key = keys.signer(fixtures::now()).unwrap();
        let token = key.sign("at+jwt", &serde_json::json!({"sub": "ann"})).unwrap();
        let header = decode_header(&token).unwrap();
        assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), jws));
        let set: JwkSet = serde_json::from_str(&keys.ring().unwrap().jwks).unwrap();
        let published = set.find(&header.kid.unwrap()).unwrap();
        let mut validation = Validation::new(jws);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let claims: Value =
            decode(&token, &DecodingKey::from_jwk(published).unwrap(), &validation).unwrap().claims;
        assert_eq!(claims["sub"], "ann");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.verifies(message.as_bytes(), &signature));
        assert!(!key.verifies(&message.as_bytes()[1..], &signature));
        assert!(!keys.ring().unwrap().jwks.contains("\"d\""));
    }
}

#[tokio::test]
async fn replicas_of_one_store_agree_on_the_keys() {
    let vault = fixtures::vault();
    let (one, other) = (Keys::new(vault.clone()), Keys::new(vault));
    let plan = plan(Algorithm::ES256);
    let (a, b) = tokio::join!(one.refresh(&plan, fixtures::now()), other.refresh(&plan, fixtures::now()));
    assert!(a.unwrap() && b.unwrap());
    assert_eq!(one.ring().unwrap().jwks, other.ring().unwrap().jwks);
    assert!(!one.refresh(&plan, fixtures::now()).await.unwrap(), "nothing new");
}

#[test]
fn the_next_key_is_published_before_it_signs_and_the_last_until_its_tokens_ended() {
    let plan = plan(Algorithm::ES256);
    let mut keys = Vec::new();
    assert!(plan.apply(&mut keys, 1_000_000).unwrap());
    assert!(!plan.apply(&mut keys, 1_032_399).unwrap(), "not yet");
    assert!(plan.apply(&mut keys, 1_032_400).unwrap(), "a tenth of the period before");
    assert_eq!(keys.iter().map(|key| key.from).collect::<Vec<_>>(), [1_000_000, 1_036_000]);
    assert!(!plan.apply(&mut keys, 1_036_000 + 1_199).unwrap(), "its tokens live, and may be accepted late");
    assert!(plan.apply(&mut keys, 1_036_000 + 1_200).unwrap());
    assert_eq!(keys.len(), 1);
}

#[test]
fn another_algorithm_takes_over_without_a_gap() {
    let mut keys = Vec::new();
    plan(Algorithm::ES256).apply(&mut keys, 1_000_000).unwrap();
    assert!(plan(Algorithm::EdDSA).apply(&mut keys, 1_000_100).unwrap());
    assert_eq!(keys[1].from, 1_000_100 + 3_600);
    assert!(!plan(Algorithm::EdDSA).apply(&mut keys, 1_000_200).unwrap());
    assert!(!format!("{keys:?}").contains("pkcs8"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_pauses_every_key_was_published_before_it_signed(
        pauses in prop::collection::vec(1_u64..100_000, 1..12),
    ) {
        let plan = plan(Algorithm::EdDSA);
        let (mut keys, mut now) = (Vec::new(), 1_000_000);
        plan.apply(&mut keys, now).unwrap();
        for pause in pauses {
            let known: Vec<u64> = keys.iter().map(|key| key.from).collect();
            now += pause;
            plan.apply(&mut keys, now).unwrap();
            let signer = keys.iter().rev().find(|key| key.from <= now).unwrap();
            prop_assert!(known.contains(&signer.from), "it is new, and signs already");
            prop_assert!(keys.len() <= 3);
        }
    }
}
