//! The issuer: what it publishes and the tokens it mints.

use crate::key::{Key, OpenError};
use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A token issuer for development, with one ES256 key that is kept in a file.
#[derive(Debug)]
pub struct DevelopmentIssuer {
    issuer: String,
    key: Key,
    kid: String,
}

impl DevelopmentIssuer {
    /// Loads the key from `state_dir/development-issuer.pem`, or makes it (mode 0600, in a directory
    /// of mode 0700). `issuer` is the exact `iss` value, without a trailing slash.
    ///
    /// # Errors
    /// The directory or file cannot be read or written, is open to others, or is not a P-256 key.
    pub fn open(state_dir: &Path, issuer: &str) -> Result<Self, OpenError> {
        Key::open(state_dir).map(|key| Self::with(key, issuer))
    }

    /// As [`Self::open`], but writes nothing: a key that is not there yet is made and kept nowhere.
    ///
    /// # Errors
    /// The file cannot be read, is open to others, or is not a P-256 key.
    pub fn preview(state_dir: &Path, issuer: &str) -> Result<Self, OpenError> {
        Key::preview(state_dir).map(|key| Self::with(key, issuer))
    }

    fn with(key: Key, issuer: &str) -> Self {
        let kid = key.thumbprint();
        Self { issuer: issuer.to_owned(), key, kid }
    }

    /// The `iss` value of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public key as a JWK set (RFC 7517 §5). `kid` is the key's thumbprint (RFC 7638).
    #[must_use]
    pub fn jwks(&self) -> String {
        let key = Jwk {
            kty: "EC",
            crv: "P-256",
            alg: "ES256",
            usage: "sig",
            kid: &self.kid,
            x: self.key.x(),
            y: self.key.y(),
        };
        to_json(&Jwks { keys: [key] })
    }

    /// Authorization server metadata (RFC 8414 §2), for clients that look: there is nothing to be
    /// had but the key, so the lists of response and grant types are empty and there are no
    /// endpoints.
    #[must_use]
    pub fn metadata(&self) -> String {
        to_json(&Metadata {
            issuer: &self.issuer,
            jwks_uri: format!("{}/oauth/jwks", self.issuer),
            response_types_supported: [],
            grant_types_supported: [],
        })
    }

    /// Signs a JWT access token (RFC 9068 §2) that holds from `now` for `request.lifetime`, at most
    /// [`MAX_LIFETIME`].
    ///
    /// # Errors
    /// A field that a verifier would refuse (empty, or a scope that is not a scope-token of RFC 6749
    /// §3.3), or the clock or the signature fails.
    pub fn mint(&self, request: &TokenRequest, now: SystemTime) -> Result<String, MintError> {
        request.check()?;
        let issued = now.duration_since(UNIX_EPOCH).map_err(|_| MintError::Clock)?.as_secs();
        let claims = Claims {
            iss: &self.issuer,
            sub: &request.subject,
            aud: &request.audience,
            exp: issued.saturating_add(request.lifetime.min(MAX_LIFETIME).as_secs()),
            iat: issued,
            jti: random_id()?,
            client_id: &request.client,
            scope: (!request.scopes.is_empty()).then(|| request.scopes.join(" ")),
            tenant: &request.tenant,
        };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.clone());
        let key = EncodingKey::from_ec_der(self.key.pkcs8());
        jsonwebtoken::encode(&header, &claims, &key).map_err(|_| MintError::Sign)
    }
}

/// What a token is to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenRequest {
    /// `sub`.
    pub subject: String,
    /// The claim [`TENANT_CLAIM`].
    pub tenant: String,
    /// `scope`; left out of the token when empty.
    pub scopes: Vec<String>,
    /// `aud`: the resource id of the route that the token is for (RFC 8707).
    pub audience: String,
    /// `client_id`.
    pub client: String,
    /// How long the token is valid, whole seconds; at most [`MAX_LIFETIME`].
    pub lifetime: Duration,
}

impl TokenRequest {
    fn check(&self) -> Result<(), MintError> {
        let fields = [
            ("subject", &self.subject),
            ("tenant", &self.tenant),
            ("audience", &self.audience),
            ("client", &self.client),
        ];
        if let Some((name, _)) = fields.into_iter().find(|(_, value)| value.is_empty()) {
            return Err(MintError::Empty(name));
        }
        match self.scopes.iter().find(|scope| !is_scope_token(scope)) {
            Some(scope) => Err(MintError::Scope(scope.clone())),
            None => Ok(()),
        }
    }
}

/// Why no token was minted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// A field that every token must have is empty.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// Not a scope-token (RFC 6749 §3.3).
    #[error("{0:?} is not a scope: one or more visible ASCII letters without quote and backslash")]
    Scope(String),
    /// The clock stands before 1970.
    #[error("the system clock stands before 1970")]
    Clock,
    /// The key or the system's randomness failed.
    #[error("the token could not be signed")]
    Sign,
}

/// The claim that says which tenant the caller belongs to.
pub const TENANT_CLAIM: &str = "tenant";

/// The longest that a development token is valid: 24 hours.
pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    jti: String,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    tenant: &'a str,
}

#[derive(Serialize)]
struct Jwks<'a> {
    keys: [Jwk<'a>; 1],
}

#[derive(Serialize)]
struct Jwk<'a> {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    kid: &'a str,
    x: &'a str,
    y: &'a str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    jwks_uri: String,
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 0],
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
fn is_scope_token(scope: &str) -> bool {
    let letter = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !scope.is_empty() && scope.bytes().all(letter)
}

fn random_id() -> Result<String, MintError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| MintError::Sign)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn to_json(document: &impl Serialize) -> String {
    // Structs of strings always serialize: there is no map with odd keys and no writer to fail.
    serde_json::to_string(document).unwrap_or_default()
}

#[cfg(test)]
mod tests;
