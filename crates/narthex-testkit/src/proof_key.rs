//! A client's key, and the proofs of possession that it makes.

use crate::idp::url64;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// A key of P-256 that tokens can be bound to (DPoP, RFC 9449).
pub struct ProofKey {
    pair: EcdsaKeyPair,
}

impl Default for ProofKey {
    fn default() -> Self {
        Self::new()
    }
}

impl ProofKey {
    /// A new key.
    #[must_use]
    pub fn new() -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key") }
    }

    /// The public key.
    #[must_use]
    pub fn jwk(&self) -> Value {
        // An uncompressed point: 0x04, x, y (SEC 1 §2.3.3).
        let point = self.pair.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": url64(&point[1..33]), "y": url64(&point[33..])})
    }

    /// Its thumbprint (RFC 7638), as `cnf.jkt` has it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let jwk = self.jwk();
        let form = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        url64(digest(&SHA256, form.as_bytes()).as_ref())
    }

    /// The header of a good proof.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()})
    }

    /// The claims of a good proof for a request now, with this token if there is one.
    #[must_use]
    pub fn claims(&self, method: &str, url: &str, token: Option<&str>) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut jti = [0; 16];
        rand::fill(&mut jti).expect("randomness");
        let mut claims = json!({"jti": url64(&jti), "htm": method, "htu": url, "iat": now});
        if let Some(token) = token {
            claims["ath"] = url64(digest(&SHA256, token.as_bytes()).as_ref()).into();
        }
        claims
    }

    /// A proof of any header and claims.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message =
            format!("{}.{}", url64(header.to_string().as_bytes()), url64(claims.to_string().as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        format!("{message}.{}", url64(signature.as_ref()))
    }

    /// A good proof.
    #[must_use]
    pub fn proof(&self, method: &str, url: &str, token: Option<&str>) -> String {
        self.sign(&self.header(), &self.claims(method, url, token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{Algorithm, DecodingKey};

    #[test]
    fn its_proofs_verify_with_the_key_that_they_bring() {
        let key = ProofKey::new();
        let proof = key.proof("POST", "https://gw.example/mcp", Some("token"));
        let (message, signature) = proof.rsplit_once('.').unwrap();
        let header = BASE64_URL_SAFE_NO_PAD.decode(message.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        let jwk: Jwk = serde_json::from_value(header["jwk"].clone()).unwrap();
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();
        let verified =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &decoding, Algorithm::ES256);
        assert!(verified.unwrap());
        assert_eq!(key.thumbprint().len(), 43);
        assert_ne!(key.thumbprint(), ProofKey::new().thumbprint());
    }
}
