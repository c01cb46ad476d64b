//! One key, ready to sign.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use narthex_config::model::Algorithm;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use zeroize::Zeroizing;

/// Length of a coordinate of P-256, bytes.
const COORDINATE_LEN: usize = 32;

/// A key that signs JWTs. Debug shows its id only.
pub(crate) struct SigningKey {
    id: String,
    pair: Pair,
    jwk: Value,
}

enum Pair {
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Ed25519KeyPair),
}

impl SigningKey {
    /// A new private key, PKCS#8 DER. `None`: the system's randomness failed, or it is another algorithm.
    pub(crate) fn generate(algorithm: Algorithm) -> Option<Zeroizing<Vec<u8>>> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            Algorithm::EdDSA => Ed25519KeyPair::generate_pkcs8(&random),
            _ => return None,
        };
        document.ok().map(|document| Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The key in `pkcs8`.
    pub(crate) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Option<Self> {
        let (pair, canonical, mut jwk) = match algorithm {
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
                // An uncompressed point: 0x04, x, y (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref();
                let (x, y) = point.strip_prefix(&[4])?.split_at_checked(COORDINATE_LEN)?;
                let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(x), BASE64_URL_SAFE_NO_PAD.encode(y));
                let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
                let jwk = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y});
                (Pair::Es256(Box::new(pair)), canonical, jwk)
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
                let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x});
                (Pair::EdDsa(pair), canonical, jwk)
            }
            _ => return None,
        };
        // RFC 7638 §3: the required members in lexicographic order.
        let id = crate::secret::sha256(canonical.as_bytes());
        jwk["kid"] = Value::from(id.as_str());
        jwk["use"] = Value::from("sig");
        Some(Self { id, pair, jwk })
    }

    /// `kid`: its thumbprint (RFC 7638).
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The public key (RFC 7517).
    pub(crate) fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// A JWS in compact form of `claims`, which says that it is a `typ`.
    pub(crate) fn sign(&self, typ: &str, claims: &impl Serialize) -> Option<String> {
        #[derive(Serialize)]
        struct Header<'a> {
            typ: &'a str,
            alg: &'static str,
            kid: &'a str,
        }
        let alg = match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::EdDsa(_) => "EdDSA",
        };
        let header = serde_json::to_vec(&Header { typ, alg, kid: &self.id }).ok()?;
        let claims = serde_json::to_vec(claims).ok()?;
        let mut jws = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 96);
        BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut jws);
        jws.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut jws);
        let signature = match &self.pair {
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), jws.as_bytes()).ok()?.as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(jws.as_bytes()).as_ref().to_vec(),
        };
        jws.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        Some(jws)
    }

    /// Whether `signature` over `message` is this key's.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.pair {
            Pair::Es256(pair) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
                .verify(message, signature),
            Pair::EdDsa(pair) => {
                UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref()).verify(message, signature)
            }
        }
        .is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}
