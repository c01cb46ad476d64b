//! Callers' tokens: a signing key made for the run, its JWK set, and one JWT for each caller.

use crate::Error;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The `iss` of every token.
pub const ISSUER: &str = "https://idp.bench.example";
/// How long the tokens are good for: longer than any run.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
const KEY_ID: &str = "bench";

/// A token issuer that lives as long as the run.
pub struct Issuer {
    key: EncodingKey,
    jwks: String,
}

impl Issuer {
    /// Makes a 2048-bit RSA key.
    ///
    /// # Errors
    /// [`Error::Start`] when the cryptography library refuses.
    pub fn new() -> Result<Self, Error> {
        let refused = |what: &str| Error::Start(format!("cannot make a signing key: {what}"));
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
            .map_err(|error| refused(&error.to_string()))?;
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())
            .map_err(|error| refused(&error.to_string()))?;
        let mut jwk =
            Jwk::from_encoding_key(&key, Algorithm::RS256).map_err(|error| refused(&error.to_string()))?;
        jwk.common.key_id = Some(KEY_ID.to_owned());
        let jwks = serde_json::to_string(&JwkSet { keys: vec![jwk] })
            .map_err(|error| refused(&error.to_string()))?;
        Ok(Self { key, jwks })
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
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": format!("user-{caller}"), "aud": audience, "client_id": "bench",
            "scope": "mcp:read mcp:write", "tenant": tenant, "jti": format!("token-{caller}"),
            "iat": now, "nbf": now, "exp": now + LIFETIME.as_secs(),
        });
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(KEY_ID.to_owned());
        header.typ = Some("at+jwt".to_owned());
        encode(&header, &claims, &self.key).map_err(|error| Error::Start(format!("cannot sign: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation, decode};

    #[test]
    fn a_token_verifies_with_the_published_key() {
        let issuer = Issuer::new().unwrap();
        let token = issuer.token(3, "acme", "http://localhost/bench", SystemTime::now()).unwrap();
        let set: JwkSet = serde_json::from_str(issuer.jwks()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&["http://localhost/bench"]);
        validation.set_issuer(&[ISSUER]);
        let key = DecodingKey::from_jwk(set.find(KEY_ID).unwrap()).unwrap();
        let claims = decode::<serde_json::Value>(&token, &key, &validation).unwrap().claims;
        assert_eq!((&claims["sub"], &claims["tenant"]), (&json!("user-3"), &json!("acme")));
        assert!(!issuer.jwks().contains("\"d\""), "the private part stays here");
    }
}
