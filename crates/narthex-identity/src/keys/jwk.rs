//! JWK sets (RFC 7517): which of their keys may verify a token, and with which algorithm.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use narthex_config::model::Algorithm;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;

/// Most keys of one set.
const KEY_CAP: usize = 100;
/// Longest `kid` that is looked for, bytes.
const KEY_ID_CAP: usize = 512;

/// The keys of one issuer that may verify signatures.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// One public key.
#[derive(Clone)]
pub(crate) struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    kind: Kind,
    /// The public parameters, for comparison.
    material: Vec<u8>,
    verifier: DecodingKey,
}

/// Key types, each with the algorithms that it is for (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Which keys fit a token.
#[derive(Debug)]
pub(crate) enum Fitting<'k> {
    /// These; never empty, and more than one only if they share the token's `kid`.
    Keys(Vec<&'k Key>),
    /// None.
    Nothing,
    /// The token has no `kid`, and more than one key would fit.
    Ambiguous,
}

impl KeySet {
    /// Reads a JWK set. Keys that are not for verifying signatures, or are unfit for it, are left
    /// out; so are unknown kinds, as RFC 7517 §5 asks.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Document<'t> {
            #[serde(borrow)]
            keys: Vec<&'t RawValue>,
        }
        let document: Document<'_> =
            serde_json::from_slice(json).map_err(|e| format!("not a JWK set: {e}"))?;
        if document.keys.len() > KEY_CAP {
            return Err(format!("more than {KEY_CAP} keys"));
        }
        let keys = document.keys.iter().filter_map(|key| Key::parse(key.get())).collect();
        Ok(Self { keys })
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that a token with this header may have been signed with.
    pub(crate) fn fitting(&self, key_id: Option<&str>, algorithm: Algorithm) -> Fitting<'_> {
        let fits = |key: &&Key| key.is_for(algorithm);
        let found: Vec<&Key> = match key_id {
            Some(id) => self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).filter(fits).collect(),
            None => self.keys.iter().filter(fits).collect(),
        };
        match (found.len(), key_id) {
            (0, _) => Fitting::Nothing,
            (1, _) | (_, Some(_)) => Fitting::Keys(found),
            (_, None) => Fitting::Ambiguous,
        }
    }

    /// Whether every key of `older` is still among these.
    pub(crate) fn includes(&self, older: &Self) -> bool {
        older.keys.iter().all(|key| self.keys.contains(key))
    }
}

impl Key {
    /// Reads a JWK. `None`: it is not one of a kind that is supported, or not for verifying signatures.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let jwk: Jwk<'_> = serde_json::from_str(json).ok()?;
        if !jwk.is_public_verification_key() {
            return None;
        }
        let (kind, material, verifier) = jwk.public_key()?;
        let algorithm = jwk.alg.map(|name| name.into_owned());
        let id = jwk.kid.map(|id| id.into_owned());
        Some(Self { id, algorithm, kind, material, verifier })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.kind.algorithms().contains(&algorithm)
            && self.algorithm.as_deref().is_none_or(|name| is_name_of(name, algorithm))
    }

    /// Whether `signature` (base64url) over `message` is this key's.
    pub(crate) fn verifies(&self, message: &str, signature: &str, algorithm: Algorithm) -> bool {
        self.is_for(algorithm)
            && jsonwebtoken::crypto::verify(
                signature,
                message.as_bytes(),
                &self.verifier,
                jws_algorithm(algorithm),
            )
            .unwrap_or(false)
    }
}

impl Eq for Key {}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, &self.algorithm, self.kind, &self.material)
            == (&other.id, &other.algorithm, other.kind, &other.material)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Kind {
    fn algorithms(self) -> &'static [Algorithm] {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match self {
            Self::Rsa => &[RS256, RS384, RS512, PS256, PS384, PS512],
            Self::P256 => &[ES256],
            Self::P384 => &[ES384],
            Self::Ed25519 => &[EdDSA],
        }
    }
}

/// The registered `alg` value.
pub(crate) fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::RS512 => "RS512",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::EdDSA => "EdDSA",
    }
}

/// The name that RFC 9864 has given to EdDSA with keys of Ed25519, which are the only ones here.
pub(crate) const ED25519: &str = "Ed25519";

/// Whether `name` is an `alg` value of `algorithm`.
pub(crate) fn is_name_of(name: &str, algorithm: Algorithm) -> bool {
    name == algorithm_name(algorithm) || (algorithm == Algorithm::EdDSA && name == ED25519)
}

/// The same algorithm in the terms of the library that does the arithmetic.
#[must_use]
pub fn jws_algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}

/// The members of a JWK that matter here. Another type than theirs makes the key unusable.
#[derive(Deserialize)]
struct Jwk<'t> {
    kty: Text<'t>,
    #[serde(rename = "use")]
    usage: Option<Text<'t>>,
    key_ops: Option<Vec<Text<'t>>>,
    alg: Option<Text<'t>>,
    kid: Option<Text<'t>>,
    crv: Option<Text<'t>>,
    n: Option<Text<'t>>,
    e: Option<Text<'t>>,
    x: Option<Text<'t>>,
    y: Option<Text<'t>>,
    /// Private key of every asymmetric type (RFC 7518 §6, RFC 8037 §2).
    #[serde(borrow)]
    d: Option<&'t RawValue>,
    /// Symmetric key.
    #[serde(borrow)]
    k: Option<&'t RawValue>,
}

type Text<'t> = std::borrow::Cow<'t, str>;

impl Jwk<'_> {
    /// A private or symmetric key in a public set is known to everyone: nothing that it verifies
    /// proves anything.
    fn is_public_verification_key(&self) -> bool {
        self.d.is_none()
            && self.k.is_none()
            && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"))
            && self.kid.as_ref().is_none_or(|id| id.len() <= KEY_ID_CAP)
    }

    fn public_key(&self) -> Option<(Kind, Vec<u8>, DecodingKey)> {
        match (self.kty.as_ref(), self.crv.as_deref()) {
            ("RSA", _) => self.rsa(),
            ("EC", Some("P-256")) => self.ec(Kind::P256, 32),
            ("EC", Some("P-384")) => self.ec(Kind::P384, 48),
            ("OKP", Some("Ed25519")) => {
                let x = decode(self.x.as_deref()?, Some(32))?;
                Some((Kind::Ed25519, x.clone(), DecodingKey::from_ed_der(&x)))
            }
            _ => None,
        }
    }

    fn rsa(&self) -> Option<(Kind, Vec<u8>, DecodingKey)> {
        let (n, e) = (decode(self.n.as_deref()?, None)?, decode(self.e.as_deref()?, None)?);
        let n = &n[n.iter().position(|b| *b != 0)?..];
        let e = &e[e.iter().position(|b| *b != 0)?..];
        let bits = n.len() * 8 - usize::try_from(n[0].leading_zeros()).ok()?;
        // e = 1 verifies anything, an even one nothing, and a huge one costs time.
        let exponent_is_sane = e.len() <= 4 && e != [1] && e[e.len() - 1] & 1 == 1;
        if !(2048..=8192).contains(&bits) || !exponent_is_sane {
            return None;
        }
        let material = [n, b"|", e].concat();
        Some((Kind::Rsa, material, DecodingKey::from_rsa_raw_components(n, e)))
    }

    fn ec(&self, kind: Kind, size: usize) -> Option<(Kind, Vec<u8>, DecodingKey)> {
        let x = decode(self.x.as_deref()?, Some(size))?;
        let y = decode(self.y.as_deref()?, Some(size))?;
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let key = DecodingKey::from_ec_der(&point);
        Some((kind, point, key))
    }
}

fn decode(text: &str, size: Option<usize>) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    size.is_none_or(|size| bytes.len() == size).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, jwks};
    use serde_json::json;
    use std::slice::from_ref;

    fn usable(key: serde_json::Value) -> usize {
        KeySet::parse(&jwks(&[key])).unwrap().len()
    }

    #[test]
    fn every_supported_kind_of_key_is_taken() {
        for key in [fixtures::rsa(), fixtures::p256(), fixtures::p384(), fixtures::ed25519()] {
            assert_eq!(usable(key.jwk("k")), 1, "{:?}", key.algorithm());
        }
    }

    #[test]
    fn keys_that_are_not_for_verifying_are_left_out() {
        for (member, value) in [
            ("use", json!("enc")),
            ("use", json!("tls")),
            ("use", json!(7)),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!([])),
            ("d", json!("AQAB")),
            ("d", json!(1)),
            ("k", json!("AQAB")),
            ("kid", json!("x".repeat(KEY_ID_CAP + 1))),
            ("kid", json!(1)),
            ("crv", json!("P-521")),
            ("crv", json!("secp256k1")),
            ("kty", json!("oct")),
            ("kty", json!("RSA")),
            ("x", json!("AQAB")),
            ("y", json!("!")),
        ] {
            let mut key = fixtures::p256().jwk("k");
            key[member] = value.clone();
            assert_eq!(usable(key), 0, "{member}: {value}");
        }
        let mut key = fixtures::p256().jwk("k");
        key["key_ops"] = json!(["sign", "verify"]);
        assert_eq!(usable(key), 1);
    }

    #[test]
    fn weak_rsa_keys_are_left_out() {
        let n = |bytes: usize, first: u8| {
            let mut n = vec![0xab; bytes];
            n[0] = first;
            URL_SAFE_NO_PAD.encode(n)
        };
        for (n, e) in [
            (n(128, 0xff), "AQAB"),
            (n(256, 0x7f), "AQAB"),
            (n(1025, 0xff), "AQAB"),
            (n(256, 0xff), "AQ"),
            (n(256, 0xff), "Ag"),
            (n(256, 0xff), ""),
            (String::new(), "AQAB"),
        ] {
            assert_eq!(usable(json!({"kty": "RSA", "n": n, "e": e})), 0, "{} {e}", n.len());
        }
        assert_eq!(usable(json!({"kty": "RSA", "n": n(256, 0x80), "e": "AQAB"})), 1);
    }

    #[test]
    fn one_bad_key_does_not_spoil_the_set() {
        let set = jwks(&[json!({"kty": 1}), json!("x"), json!({}), fixtures::p256().jwk("k")]);
        assert_eq!(KeySet::parse(&set).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_set_or_too_large_is_an_error() {
        for json in [&b""[..], b"[]", b"{}", b"{\"keys\":{}}", b"<html>"] {
            assert!(KeySet::parse(json).is_err());
        }
        let many = vec![fixtures::p256().jwk("k"); KEY_CAP + 1];
        assert!(KeySet::parse(&jwks(&many)).is_err());
    }

    #[test]
    fn the_keys_own_algorithm_and_its_kind_decide_what_it_is_for() {
        let mut key = fixtures::rsa().jwk("k");
        key["alg"] = json!("RS512");
        let set = KeySet::parse(&jwks(&[key])).unwrap();
        assert!(matches!(set.fitting(Some("k"), Algorithm::RS512), Fitting::Keys(_)));
        for other in [Algorithm::RS256, Algorithm::PS512, Algorithm::ES256, Algorithm::EdDSA] {
            assert!(matches!(set.fitting(Some("k"), other), Fitting::Nothing), "{other:?}");
        }
    }

    #[test]
    fn without_a_kid_only_a_single_fitting_key_will_do() {
        let (a, b) = (fixtures::p256().jwk("a"), fixtures::ed25519().jwk("b"));
        let set = KeySet::parse(&jwks(&[a.clone(), b.clone()])).unwrap();
        assert!(matches!(set.fitting(None, Algorithm::ES256), Fitting::Keys(_)));
        let mut a2 = a.clone();
        a2["kid"] = json!("a2");
        let set = KeySet::parse(&jwks(&[a, a2, b])).unwrap();
        assert!(matches!(set.fitting(None, Algorithm::ES256), Fitting::Ambiguous));
        assert!(matches!(set.fitting(Some("c"), Algorithm::ES256), Fitting::Nothing));
    }

    #[test]
    fn a_key_gone_or_changed_is_noticed() {
        let set = |keys: &[serde_json::Value]| KeySet::parse(&jwks(keys)).unwrap();
        let (a, b) = (fixtures::p256().jwk("a"), fixtures::ed25519().jwk("b"));
        assert!(set(&[a.clone(), b.clone()]).includes(&set(from_ref(&a))));
        assert!(!set(from_ref(&b)).includes(&set(from_ref(&a))));
        assert!(!set(&[fixtures::other_p256().jwk("a"), b]).includes(&set(&[a])));
    }
}
