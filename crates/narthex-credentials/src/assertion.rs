//! `private_key_jwt` (RFC 7523 §2.2, OpenID Connect Core §9): a signed assertion instead of a secret.

use crate::error::{BuildProblem, CredentialError, Reason};
use crate::secret::Secret;
use jsonwebtoken::{EncodingKey, Header};
use narthex_config::model::Algorithm;
use narthex_identity::jws_algorithm;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// `client_assertion_type` of an assertion.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion of a client is good for: long enough for the one request it is made for.
const LIFETIME: Duration = Duration::from_secs(60);

/// Signs with a configured key.
pub(crate) struct Signer {
    key: EncodingKey,
    header: Header,
}

/// Signs what authenticates one client.
pub(crate) struct ClientAssertion {
    pub(crate) signer: Signer,
    pub(crate) client_id: String,
}

/// RFC 7523 §3.
#[derive(Serialize)]
pub(crate) struct Claims<'a> {
    pub(crate) iss: &'a str,
    pub(crate) sub: &'a str,
    pub(crate) aud: &'a str,
    pub(crate) jti: String,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<&'a str>,
}

impl Signer {
    /// A signer that has proved that it can sign: an unfit key is found here.
    pub(crate) fn new(
        pem: &Secret,
        algorithm: Algorithm,
        key_id: Option<&str>,
    ) -> Result<Self, BuildProblem> {
        let mut header = Header::new(jws_algorithm(algorithm));
        header.kid = key_id.map(ToOwned::to_owned);
        let key = parse(pem.expose().as_bytes(), algorithm)
            .map_err(|_| BuildProblem::Key("not a PKCS#8 PEM key for the algorithm"))?;
        let signer = Self { key, header };
        signer.sign(&()).map_err(|_| BuildProblem::Key("cannot sign with the algorithm"))?;
        Ok(signer)
    }

    /// A JWT with these claims.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<Zeroizing<String>, CredentialError> {
        let signed = jsonwebtoken::encode(&self.header, claims, &self.key);
        signed.map(Zeroizing::new).map_err(|_| Reason::AssertionFailed.into())
    }
}

impl ClientAssertion {
    /// An assertion good for 60 s from `now`, with a fresh `jti`.
    pub(crate) fn sign(&self, audience: &str, now: SystemTime) -> Result<Zeroizing<String>, CredentialError> {
        let (iss, sub) = (&self.client_id, &self.client_id);
        self.signer.sign(&Claims::new(iss, sub, audience, now, LIFETIME)?)
    }
}

impl<'a> Claims<'a> {
    /// Good for `lifetime` from `now`, with a fresh `jti`.
    pub(crate) fn new(
        iss: &'a str,
        sub: &'a str,
        aud: &'a str,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Self, CredentialError> {
        let iat = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let exp = iat + lifetime.as_secs().max(1);
        Ok(Self { iss, sub, aud, jti: unguessable()?, iat, exp, scope: None })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("algorithm", &self.header.alg).finish_non_exhaustive()
    }
}

fn parse(pem: &[u8], algorithm: Algorithm) -> Result<EncodingKey, jsonwebtoken::errors::Error> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match algorithm {
        RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => EncodingKey::from_rsa_pem(pem),
        ES256 | ES384 => EncodingKey::from_ec_pem(pem),
        EdDSA => EncodingKey::from_ed_pem(pem),
    }
}

/// 128 random bits in hexadecimal.
pub(crate) fn unguessable() -> Result<String, CredentialError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Reason::AssertionFailed)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_does_not_fit_is_found_when_building() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let pem = Secret::from(key.serialize_pem().as_str());
        let signer = |pem: &Secret, algorithm| Signer::new(pem, algorithm, None);
        assert!(signer(&pem, Algorithm::ES256).is_ok());
        for (pem, algorithm) in [
            (&pem, Algorithm::RS256),
            (&pem, Algorithm::EdDSA),
            (&pem, Algorithm::ES384),
            (&Secret::from("canary"), Algorithm::ES256),
            (
                &Secret::from("-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----"),
                Algorithm::RS256,
            ),
        ] {
            let error = signer(pem, algorithm).unwrap_err();
            assert!(matches!(error, BuildProblem::Key(_)), "{algorithm:?}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }
}
