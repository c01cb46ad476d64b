//! A signed token, with every part of it open to change.

use super::keys::{Alg, SigningKeys, url64};
use aws_lc_rs::hmac;
use serde_json::{Value, json};

/// A JWS in compact form (RFC 7515 §7.1), not yet signed.
#[derive(Clone, Debug)]
pub struct Jws {
    alg: Alg,
    header: String,
    payload: Vec<u8>,
}

impl Jws {
    /// A token (`typ` `at+jwt`) with these claims.
    #[must_use]
    pub fn new(alg: Alg, kid: &str, claims: &Value) -> Self {
        let header = json!({"alg": alg.name(), "typ": "at+jwt", "kid": kid}).to_string();
        Self { alg, header, payload: claims.to_string().into_bytes() }
    }

    /// With these members in the header, or, where null, without.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub fn header(mut self, changed: Value) -> Self {
        let mut header: Value = serde_json::from_str(&self.header).expect("a header that is JSON");
        let members = header.as_object_mut().expect("a header that is an object");
        for (name, value) in changed.as_object().expect("an object of header members") {
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.clone(), value.clone()),
            };
        }
        self.header = header.to_string();
        self
    }

    /// With exactly this text as its header.
    #[must_use]
    pub fn raw_header(mut self, header: &str) -> Self {
        header.clone_into(&mut self.header);
        self
    }

    /// With exactly these bytes as its payload.
    #[must_use]
    pub fn raw_payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Signed, by the algorithm that it was made with, whatever its header says now.
    #[must_use]
    pub fn sign(&self, keys: &SigningKeys) -> String {
        let signature = keys.sign(self.alg, self.signing_input().as_bytes());
        self.signed_by(&signature)
    }

    /// Signed with HMAC-SHA-256.
    #[must_use]
    pub fn sign_hmac(&self, secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        self.signed_by(hmac::sign(&key, self.signing_input().as_bytes()).as_ref())
    }

    /// With this as its signature.
    #[must_use]
    pub fn signed_by(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.signing_input(), url64(signature))
    }

    /// What the signature is over.
    #[must_use]
    pub fn signing_input(&self) -> String {
        format!("{}.{}", url64(self.header.as_bytes()), url64(&self.payload))
    }
}
