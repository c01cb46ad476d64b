use super::ring::{AFTER, AHEAD, ROTATE};
use super::*;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use narthex_config::model::AssertionAlgorithm::{EdDsa, Es256};
use narthex_store::{Capacity, KeyRing, Memory, Vault};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

/// A home that can be looked into, and at which others may come first.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Option<Vec<u8>>>>);

#[async_trait]
impl KeyHome for Shared {
    async fn load(&self) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        Ok(self.0.lock().unwrap().clone().map(Zeroizing::new))
    }

    async fn replace(&self, seen: Option<&[u8]>, new: &[u8]) -> Result<bool, String> {
        let mut kept = self.0.lock().unwrap();
        let is_seen = kept.as_deref() == seen;
        if is_seen {
            *kept = Some(new.to_vec());
        }
        Ok(is_seen)
    }
}

fn at(after: Duration) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000) + after
}

async fn open(home: &Shared, after: Duration) -> SigningKeys {
    SigningKeys::open(Box::new(home.clone()), at(after)).await.unwrap()
}

fn jwks(keys: &SigningKeys) -> Bytes {
    keys.jwks().unwrap()
}

/// Whether a verifier that knows this JWK set takes what is signed now.
fn verifies(jwks: &Bytes, keys: &SigningKeys, algorithm: AssertionAlgorithm, now: SystemTime) -> bool {
    let token = keys.key(algorithm, now).unwrap().sign(br#"{"sub":"alice"}"#).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let set: JwkSet = serde_json::from_slice(jwks).unwrap();
    let Some(jwk) = set.find(header.kid.as_deref().unwrap()) else { return false };
    let mut rules = Validation::new(match algorithm {
        Es256 => Algorithm::ES256,
        EdDsa => Algorithm::EdDSA,
    });
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    let key = DecodingKey::from_jwk(jwk).unwrap();
    jsonwebtoken::decode::<serde_json::Value>(token.as_bytes(), &key, &rules).is_ok()
}

#[tokio::test]
async fn what_is_signed_verifies_with_the_published_keys() {
    let keys = open(&Shared::default(), Duration::ZERO).await;
    for algorithm in [Es256, EdDsa] {
        assert!(verifies(&jwks(&keys), &keys, algorithm, at(Duration::ZERO)));
        let other = open(&Shared::default(), Duration::ZERO).await;
        assert!(!verifies(&jwks(&other), &keys, algorithm, at(Duration::ZERO)));
    }
    let text = String::from_utf8(jwks(&keys).to_vec()).unwrap();
    assert!(!text.contains("\"d\""), "a private key is published: {text}");
}

#[tokio::test]
async fn the_next_start_and_the_next_gateway_have_the_same_keys() {
    let home = Shared::default();
    let first = open(&home, Duration::ZERO).await;
    let second = open(&home, Duration::from_secs(60)).await;
    assert_eq!(first.jwks().unwrap(), second.jwks().unwrap());
}

#[tokio::test]
async fn a_verifier_with_a_copy_of_the_keys_never_meets_an_unknown_one() {
    let home = Shared::default();
    let keys = open(&home, Duration::ZERO).await;
    let hour = Duration::from_secs(3600);
    let mut copy = jwks(&keys);
    let mut signers = std::collections::BTreeSet::new();
    // Three rotations, hour by hour; the copy is up to 23 hours old.
    for hours in 0..(3 * 30 * 24 + 48) {
        let now = at(hour * hours);
        keys.refresh(now).await.unwrap();
        if hours % 23 == 0 {
            copy = jwks(&keys);
        }
        assert!(verifies(&copy, &keys, Es256, now), "hour {hours}");
        signers.insert(keys.key(Es256, now).unwrap().jwk()["kid"].as_str().unwrap().to_owned());
        let published: JwkSet = serde_json::from_slice(&jwks(&keys)).unwrap();
        assert!(published.keys.len() <= 4, "hour {hours}: {}", published.keys.len());
    }
    assert_eq!(signers.len(), 4);
}

#[tokio::test]
async fn what_was_signed_last_with_an_old_key_can_be_verified_until_it_ends() {
    let home = Shared::default();
    let keys = open(&home, Duration::ZERO).await;
    let old = keys.key(EdDsa, at(ROTATE)).unwrap().jwk()["kid"].clone();
    let published = |keys: &SigningKeys| {
        let set: JwkSet = serde_json::from_slice(&jwks(keys)).unwrap();
        set.find(old.as_str().unwrap()).is_some()
    };
    keys.refresh(at(ROTATE)).await.unwrap();
    // The last moment at which it signs.
    let last = ROTATE + AHEAD - Duration::from_secs(1);
    assert_eq!(keys.key(EdDsa, at(last)).unwrap().jwk()["kid"], old);
    assert_ne!(keys.key(EdDsa, at(ROTATE + AHEAD)).unwrap().jwk()["kid"], old);
    keys.refresh(at(last + Duration::from_secs(600))).await.unwrap();
    assert!(published(&keys));
    keys.refresh(at(ROTATE + AHEAD + AFTER)).await.unwrap();
    assert!(!published(&keys));
}

#[tokio::test]
async fn two_gateways_that_rotate_at_once_agree() {
    let home = Shared::default();
    let (one, two) = (open(&home, Duration::ZERO).await, open(&home, Duration::ZERO).await);
    one.refresh(at(ROTATE)).await.unwrap();
    two.refresh(at(ROTATE)).await.unwrap();
    assert_eq!(one.jwks().unwrap(), two.jwks().unwrap());
}

#[tokio::test]
async fn a_home_that_fails_changes_nothing() {
    let home = Shared::default();
    let keys = open(&home, Duration::ZERO).await;
    let before = jwks(&keys);
    for bad in [
        "",
        "{}",
        "{\"generations\":[]}",
        "{\"generations\":[{\"made\":1,\"es256\":\"x\",\"eddsa\":\"canary\"}]}",
    ] {
        *home.0.lock().unwrap() = Some(bad.into());
        let error = keys.refresh(at(Duration::ZERO)).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        assert_eq!(jwks(&keys), before);
    }
}

#[tokio::test]
async fn a_file_is_a_home_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let open = || SigningKeys::open(Box::new(FileHome::new(&state)), at(Duration::ZERO));
    let first = open().await.unwrap();
    assert_eq!(first.jwks().unwrap(), open().await.unwrap().jwks().unwrap());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(state.join("signing.keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let home = FileHome::new(&state);
    assert!(!home.replace(Some(b"other"), b"new").await.unwrap());
    assert!(!home.replace(None, b"new").await.unwrap());
}

/// What gateways share, and one gateway's vault in it, sealed with this key.
fn shared() -> impl Fn(u8) -> SigningKeys {
    let capacity = Capacity { entries: NonZeroUsize::new(100).unwrap(), bytes: 1 << 20 };
    let store = Arc::new(Memory::new(capacity, Arc::new(std::time::Instant::now)));
    move |key| {
        let vault = Vault::new(Arc::clone(&store) as _, KeyRing::new(vec![[key; 32]]));
        SigningKeys::unread(Box::new(VaultHome::new(vault)))
    }
}

#[tokio::test]
async fn gateways_with_one_store_make_one_set_of_keys_and_rotate_it_together() {
    let gateway = shared();
    let (one, two) = (gateway(7), gateway(7));
    let (first, second) = tokio::join!(one.refresh(at(Duration::ZERO)), two.refresh(at(Duration::ZERO)));
    first.and(second).unwrap();
    let all_agree = |now: SystemTime| {
        assert_eq!(one.jwks(), two.jwks());
        for algorithm in [Es256, EdDsa] {
            for (signer, other) in [(&one, &two), (&two, &one)] {
                assert!(verifies(&jwks(other), signer, algorithm, now));
            }
        }
    };
    all_agree(at(Duration::ZERO));
    // One rotates, the other has not noticed yet: both sign with the old key, which both publish.
    let before = one.key(Es256, at(ROTATE)).unwrap().jwk().clone();
    one.refresh(at(ROTATE)).await.unwrap();
    assert_ne!(one.jwks(), two.jwks());
    for gateway in [&one, &two] {
        assert_eq!(*gateway.key(Es256, at(ROTATE)).unwrap().jwk(), before);
    }
    assert!(verifies(&jwks(&two), &one, Es256, at(ROTATE)));
    two.refresh(at(ROTATE + Duration::from_secs(10))).await.unwrap();
    all_agree(at(ROTATE + Duration::from_secs(10)));
    all_agree(at(ROTATE + AHEAD));
    assert_ne!(*one.key(Es256, at(ROTATE + AHEAD)).unwrap().jwk(), before);
    // One that starts later has them, too; one with another key of the store finds none of them.
    let late = gateway(7);
    late.refresh(at(ROTATE + AHEAD)).await.unwrap();
    assert_eq!(late.jwks(), one.jwks());
    let foreign = gateway(8);
    foreign.refresh(at(ROTATE + AHEAD)).await.unwrap();
    assert!(!verifies(&jwks(&foreign), &one, Es256, at(ROTATE + AHEAD)));
}

#[tokio::test]
async fn keys_that_were_not_read_yet_sign_and_publish_nothing() {
    let keys = shared()(7);
    assert!(!keys.are_read() && keys.jwks().is_none());
    let error = keys.key(Es256, at(Duration::ZERO)).map(drop).unwrap_err();
    assert_eq!(error.reason(), "assertion_failed");
    keys.refresh(at(Duration::ZERO)).await.unwrap();
    assert!(keys.are_read() && verifies(&jwks(&keys), &keys, Es256, at(Duration::ZERO)));
}

#[tokio::test]
async fn of_many_that_write_keys_to_a_store_one_does() {
    let capacity = Capacity { entries: NonZeroUsize::new(100).unwrap(), bytes: 1 << 20 };
    let store = Arc::new(Memory::new(capacity, Arc::new(std::time::Instant::now)));
    let home = || VaultHome::new(Vault::new(Arc::clone(&store) as _, KeyRing::new(vec![[7; 32]])));
    let (one, two) = (home(), home());
    assert!(one.load().await.unwrap().is_none());
    assert!(one.replace(None, b"first").await.unwrap());
    assert!(!two.replace(None, b"second").await.unwrap());
    assert!(!two.replace(Some(b"other"), b"second").await.unwrap());
    assert!(two.replace(Some(b"first"), b"second").await.unwrap());
    assert_eq!(one.load().await.unwrap().unwrap().as_slice(), b"second");
}
