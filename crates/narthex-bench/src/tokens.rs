//! Callers' tokens: a signing key made for the run, its JWK set, and one JWT for each caller.

use crate::Error;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The `iss` of every token.
pub const ISSUER: &str = "https://idp.bench.example";
/// How long the tokens are good for: longer than any run.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A token issuer that lives as long as the run.
#[derive(Debug)]
pub struct Issuer {
    /// What nearly all tokens are signed with.
    pub rs256: Signer,
    /// For very many of them: it takes a fraction of the time.
    pub es256: Signer,
    jwks: String,
}

/// One of its keys.
pub struct Signer {
    algorithm: Algorithm,
    id: &'static str,
    key: EncodingKey,
}

impl Issuer {
    /// Makes a 2048-bit RSA key and one on P-256.
    ///
    /// # Errors
    /// [`Error::Start`] when the cryptography library refuses.
    pub fn new() -> Result<Self, Error> {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(refused)?;
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).map_err(refused)?;
        let rs256 = Signer { algorithm: Algorithm::RS256, id: "bench", key };
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused)?;
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).map_err(refused)?;
        let es256 = Signer { algorithm: Algorithm::ES256, id: "quick", key };
        let keys = vec![rs256.public()?, es256.public()?];
        let jwks = serde_json::to_string(&JwkSet { keys }).map_err(refused)?;
        Ok(Self { rs256, es256, jwks })
    }

    /// The JWK set (RFC 7517 §5) with the public keys.
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Start(format!("cannot make a signing key: {error}"))
}

impl Signer {
    /// An access token for caller number `caller` of `tenant`, good for `audience`.
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
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        header.typ = Some("at+jwt".to_owned());
        encode(&header, &claims, &self.key).map_err(|error| Error::Start(format!("cannot sign: {error}")))
    }

    fn public(&self) -> Result<Jwk, Error> {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).map_err(refused)?;
        jwk.common.key_id = Some(self.id.to_owned());
        Ok(jwk)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("id", &self.id).finish_non_exhaustive()
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
        for signer in [&issuer.rs256, &issuer.es256] {
            let token = signer.token(3, "acme", "http://localhost/bench", SystemTime::now()).unwrap();
            let mut validation = Validation::new(signer.algorithm);
            validation.set_audience(&["http://localhost/bench"]);
            validation.set_issuer(&[ISSUER]);
            let key = DecodingKey::from_jwk(set.find(signer.id).unwrap()).unwrap();
            let claims = decode::<serde_json::Value>(&token, &key, &validation).unwrap().claims;
            assert_eq!((&claims["sub"], &claims["tenant"]), (&json!("user-3"), &json!("acme")));
        }
        assert!(!issuer.jwks().contains("\"d\""), "the private part stays here");
    }
}
