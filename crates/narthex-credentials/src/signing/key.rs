//! One key, and what it signs: a JWT (RFC 7519) in compact form.

use super::SigningError;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_config::model::AssertionAlgorithm;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A private key, ready to sign: parsed once, where libraries for JWTs parse it for every signature.
pub(crate) struct SigningKey {
    pair: Pair,
    /// The encoded header and its dot.
    header: Box<str>,
    jwk: Value,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key, as PKCS#8.
    pub(super) fn generate(algorithm: AssertionAlgorithm) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let random = SystemRandom::new();
        let made = match algorithm {
            AssertionAlgorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            }
            AssertionAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
        };
        made.map(|document| Zeroizing::new(document.as_ref().to_vec())).map_err(|_| SigningError::Make)
    }

    /// The key in a PKCS#8 document. Its id is its thumbprint (RFC 7638).
    pub(super) fn parse(algorithm: AssertionAlgorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        let unfit = |_| SigningError::Form("a key that is not of its algorithm");
        let (pair, name, public) = match algorithm {
            AssertionAlgorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(unfit)?;
                let public = p256(pair.public_key().as_ref())?;
                (Pair::Es256(pair), "ES256", public)
            }
            AssertionAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(unfit)?;
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                (Pair::EdDsa(pair), "EdDSA", json!({ "crv": "Ed25519", "kty": "OKP", "x": x }))
            }
        };
        // RFC 7638 §3.1: the required members in lexicographic order, which is how `json!` keeps them.
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, public.to_string().as_bytes()));
        let header = json!({ "alg": name, "kid": id, "typ": "JWT" }).to_string();
        let mut jwk = public;
        for (member, value) in [("alg", name), ("kid", &id), ("use", "sig")] {
            jwk[member] = value.into();
        }
        Ok(Self { pair, header: format!("{}.", URL_SAFE_NO_PAD.encode(header)).into(), jwk })
    }

    /// The public key (RFC 7517 §4).
    pub(super) fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// A JWT with these claims (JSON); `None`: the system has no random numbers.
    pub(crate) fn sign(&self, claims: &[u8]) -> Option<Zeroizing<String>> {
        const SIGNATURE: usize = 86;
        let length = self.header.len() + claims.len().div_ceil(3) * 4 + 1 + SIGNATURE;
        let mut token = Zeroizing::new(String::with_capacity(length));
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        match &self.pair {
            Pair::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
                token.push('.');
                URL_SAFE_NO_PAD.encode_string(signature, &mut token);
            }
            Pair::EdDsa(pair) => {
                let signature = pair.sign(token.as_bytes());
                token.push('.');
                URL_SAFE_NO_PAD.encode_string(signature, &mut token);
            }
        }
        Some(token)
    }
}

/// An uncompressed point (SEC 1 §2.3.3) as a JWK (RFC 7518 §6.2.1).
fn p256(point: &[u8]) -> Result<Value, SigningError> {
    let coordinates = point.strip_prefix(&[4]).filter(|rest| rest.len() == 64);
    let (x, y) = coordinates.map(|rest| rest.split_at(32)).ok_or(SigningError::Make)?;
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    Ok(json!({ "crv": "P-256", "kty": "EC", "x": text(x), "y": text(y) }))
}
