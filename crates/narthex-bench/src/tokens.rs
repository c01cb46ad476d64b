//! Callers' tokens: a signing key made for the run, its JWK set, and one JWT for each caller.

use crate::Error;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The `iss` of every token.
pub const ISSUER: &str = "https://idp.bench.example";
/// How long the tokens are good for: longer than any run.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
const KEY_ID: &str = "bench";
const QUICK_KEY_ID: &str = "quick";

/// A token issuer that lives as long as the run.
pub struct Issuer {
    key: EncodingKey,
    quick_key: EncodingKey,
    jwks: String,
}

impl Issuer {
    /// Makes a 2048-bit RSA key and one on P-256.
    ///
    /// # Errors
    /// [`Error::Start`] when the cryptography library refuses.
    pub fn new() -> Result<Self, Error> {
        let refused = |what: &str| Error::Start(format!("cannot make a signing key: {what}"));
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
            .map_err(|error| refused(&error.to_string()))?;
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())
            .map_err(|error| refused(&error.to_string()))?;
        let pair =
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| refused(&error.to_string()))?;
        let quick_key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())
            .map_err(|error| refused(&error.to_string()))?;
        let public = |key: &EncodingKey, algorithm, id: &str| {
            let mut jwk =
                Jwk::from_encoding_key(key, algorithm).map_err(|error| refused(&error.to_string()))?;
            jwk.common.key_id = Some(id.to_owned());
            Ok::<_, Error>(jwk)
        };
        let keys = vec![
            public(&key, Algorithm::RS256, KEY_ID)?,
            public(&quick_key, Algorithm::ES256, QUICK_KEY_ID)?,
        ];
        let jwks = serde_json::to_string(&JwkSet { keys }).map_err(|error| refused(&error.to_string()))?;
        Ok(Self { key, quick_key, jwks })
    }

    /// The JWK set (RFC 7517 §5) with the public key.
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// An RS256 access token for caller number `caller` of `tenant`, good for `audience`.
    ///
    /// # Errors
    /// [`Error::Start`] when it cannot be signed.
    pub fn token(
        &self,
        caller: usize,
        tenant: &str,
        audience: &str,
        now: SystemTime,
    ) -> Result<String, Error> {
        sign(Algorithm::RS256, KEY_ID, &self.key, &claims(caller, tenant, audience, now))
    }

    /// The same as ES256, which is signed a hundred times as fast.
    ///
    /// # Errors
    /// [`Error::Start`] when it cannot be signed.
    pub fn quick_token(
        &self,
        caller: usize,
        tenant: &str,
        audience: &str,
        now: SystemTime,
    ) -> Result<String, Error> {
        sign(Algorithm::ES256, QUICK_KEY_ID, &self.quick_key, &claims(caller, tenant, audience, now))
    }
}

fn claims(caller: usize, tenant: &str, audience: &str, now: SystemTime) -> Value {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({
        "iss": ISSUER, "sub": format!("user-{caller}"), "aud": audience, "client_id": "bench",
        "scope": "mcp:read mcp:write", "tenant": tenant, "jti": format!("token-{caller}"),
        "iat": now, "nbf": now, "exp": now + LIFETIME.as_secs(),
    })
}

fn sign(algorithm: Algorithm, key_id: &str, key: &EncodingKey, claims: &Value) -> Result<String, Error> {
    let mut header = Header::new(algorithm);
    header.kid = Some(key_id.to_owned());
    header.typ = Some("at+jwt".to_owned());
    encode(&header, claims, key).map_err(|error| Error::Start(format!("cannot sign: {error}")))
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation, decode};

    #[test]
    fn a_token_verifies_with_the_published_key() {
        let issuer = Issuer::new().unwrap();
        let set: JwkSet = serde_json::from_str(issuer.jwks()).unwrap();
        for (make, algorithm, id) in [
            (Issuer::token as fn(&Issuer, usize, &str, &str, SystemTime) -> _, Algorithm::RS256, KEY_ID),
            (Issuer::quick_token, Algorithm::ES256, QUICK_KEY_ID),
        ] {
            let token: String =
                make(&issuer, 3, "acme", "http://localhost/bench", SystemTime::now()).unwrap();
            let mut validation = Validation::new(algorithm);
            validation.set_audience(&["http://localhost/bench"]);
            validation.set_issuer(&[ISSUER]);
            let key = DecodingKey::from_jwk(set.find(id).unwrap()).unwrap();
            let claims = decode::<Value>(&token, &key, &validation).unwrap().claims;
            assert_eq!((&claims["sub"], &claims["tenant"]), (&json!("user-3"), &json!("acme")));
        }
        assert!(!issuer.jwks().contains("\"d\""), "the private part stays here");
    }
}
