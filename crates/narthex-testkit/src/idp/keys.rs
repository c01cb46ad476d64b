//! Signing keys, one for each algorithm.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A signature algorithm that the provider has a key for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alg {
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RS256, Self::ES256, Self::EdDSA];

    /// The `alg` value (RFC 7518 §3.1, RFC 8037 §3.1).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// A key for each [`Alg`].
pub struct SigningKeys {
    prefix: String,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl SigningKeys {
    /// New keys whose ids start with `prefix`.
    #[must_use]
    pub fn generate(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key"),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key"),
            ed: Ed25519KeyPair::generate().expect("an Ed25519 key"),
        }
    }

    /// The id of the key for `alg`.
    #[must_use]
    pub fn kid(&self, alg: Alg) -> String {
        format!("{}-{}", self.prefix, alg.name())
    }

    /// Signs `message` as JWS does: of ECDSA, r and s one after the other.
    #[must_use]
    pub fn sign(&self, alg: Alg, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match alg {
            Alg::RS256 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
            Alg::ES256 => self.ec.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Alg::EdDSA => self.ed.sign(message).as_ref().to_vec(),
        }
    }

    /// The public keys as a JWK set.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": Alg::ALL.map(|alg| self.jwk(alg))})
    }

    /// The public key for `alg` as a JWK.
    #[must_use]
    pub fn jwk(&self, alg: Alg) -> Value {
        let mut jwk = match alg {
            Alg::RS256 => {
                let key = self.rsa.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": url64(n), "e": url64(e)})
            }
            Alg::ES256 => {
                // An uncompressed point: 0x04, x, y (SEC 1 §2.3.3).
                let point = self.ec.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": url64(&point[1..33]), "y": url64(&point[33..])})
            }
            Alg::EdDSA => json!({"kty": "OKP", "crv": "Ed25519", "x": url64(self.ed.public_key().as_ref())}),
        };
        jwk["kid"] = self.kid(alg).into();
        jwk["alg"] = alg.name().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The RSA public key, PEM (SubjectPublicKeyInfo): what an HMAC confusion takes for a secret.
    #[must_use]
    pub fn rsa_public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.rsa.public_key().as_der().expect("an encoding");
        let text = BASE64_STANDARD.encode(der.as_ref());
        let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let body = lines.map(|line| format!("{line}\n")).collect::<String>();
        format!("-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n")
    }
}

/// base64url without padding.
/// The S256 challenge of a verifier (RFC 7636 §4.2).
pub(crate) fn s256(verifier: &str) -> String {
    url64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes()).as_ref())
}

pub(crate) fn url64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
