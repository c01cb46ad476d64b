//! JWTs that are no access tokens: assertions (RFC 7523) and ID tokens, verified with the same rules.

use crate::jwt::{Types, Unverified};
use crate::keys::{Held, KeySet, KeyStore, State};
use crate::{BuildError, TokenError};
use narthex_config::model::{Algorithm, KeySource};
use narthex_telemetry::Events;
use narthex_upstreams::egress::Egress;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::SystemTime;

/// Somebody who signs JWTs for us to read, and the keys that they sign with.
#[derive(Debug)]
pub struct Signer {
    name: String,
    keys: Arc<KeyStore>,
    algorithms: Vec<Algorithm>,
}

/// Which kind of JWT is expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JwtKind {
    /// An assertion that authenticates a client (RFC 7523 §3): most say `JWT`, or nothing.
    ClientAssertion,
    /// An identity assertion authorization grant, which must say so.
    IdJag,
    /// An OpenID Connect ID token: `JWT`, or nothing.
    IdToken,
}

impl JwtKind {
    fn types(self) -> Types {
        match self {
            Self::ClientAssertion => Types { accepted: &["JWT", "client-authentication+jwt"], or_none: true },
            Self::IdJag => Types { accepted: &["oauth-id-jag+jwt"], or_none: false },
            Self::IdToken => Types { accepted: &["JWT"], or_none: true },
        }
    }
}

impl Signer {
    /// Somebody whose keys are where `source` says. `name` is the issuer, from which discovery starts. Keys
    /// that must be fetched are fetched when they are first needed.
    ///
    /// # Errors
    /// Keys in a file or in memory cannot be read.
    pub fn new(
        name: &str,
        source: KeySource,
        algorithms: Vec<Algorithm>,
        egress: Egress,
        events: Events,
    ) -> Result<Self, BuildError> {
        let error = |cause| BuildError::KeySet { issuer: name.to_owned(), cause };
        let held = match &source {
            KeySource::File(path) => Some(std::fs::read(path).map_err(|cause| BuildError::KeyFile {
                issuer: name.to_owned(),
                path: path.clone(),
                cause,
            })?),
            KeySource::Inline(json) => Some(json.clone().into_bytes()),
            KeySource::Discovery | KeySource::Uri(_) | KeySource::Own => None,
        };
        let keys = match held {
            Some(json) => {
                let keys = KeySet::parse(&json).map_err(error)?;
                if keys.len() == 0 {
                    return Err(error(String::from("no key in it can verify a signature")));
                }
                KeyStore::local(name, source, keys, egress, events)
            }
            None => KeyStore::remote(name, source, egress, events),
        };
        Ok(Self { name: name.to_owned(), keys: Arc::new(keys), algorithms })
    }

    /// Its name, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the signer that [`new`](Self::new) would make of these.
    #[must_use]
    pub fn is_for(&self, name: &str, source: &KeySource, algorithms: &[Algorithm]) -> bool {
        // A file may have another content by now.
        let is_file = matches!(source, KeySource::File(_));
        !is_file && self.keys.is_for(name, source) && self.algorithms == algorithms
    }

    /// The claims of `jwt` if the signature on it is theirs. Nothing is said about what the claims are, but
    /// that no two have the same name.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn verify(
        &self,
        jwt: &str,
        kind: JwtKind,
        now: SystemTime,
    ) -> Result<Map<String, Value>, TokenError> {
        let unverified = Unverified::parse_as(jwt, &kind.types())?;
        unverified.claims()?;
        let algorithm = unverified.algorithm(&self.algorithms)?;
        let held = self.keys.held();
        match check(&held, &unverified, algorithm) {
            Err(error) if error == TokenError::KeysUnavailable || unverified.may_need_newer_keys(error) => {
                self.keys.refetch(held.version(), now).await;
                check(&self.keys.held(), &unverified, algorithm)?;
            }
            other => other?,
        }
        unverified.claims_map()
    }

    /// Refreshes keys that are older than an hour. To be called now and then, once they are in use.
    pub async fn refresh_due(&self, now: SystemTime) {
        if self.keys.has_keys() && self.keys.is_due(now) {
            self.keys.refresh(now).await;
        }
    }
}

/// The `iss` claim of `jwt`, which proves nothing yet: it says whose keys to ask.
#[must_use]
pub fn claimed_issuer(jwt: &str, kind: JwtKind) -> Option<String> {
    let unverified = Unverified::parse_as(jwt, &kind.types()).ok()?;
    unverified.claims().ok()?.get::<String>("iss").ok().flatten()
}

fn check(held: &Held, token: &Unverified<'_>, algorithm: Algorithm) -> Result<(), TokenError> {
    match &held.state {
        State::Unknown => Err(TokenError::KeysUnavailable),
        State::NotPublished => Err(TokenError::UnknownKey),
        State::Keys(keys) => token.check_signature(keys, algorithm),
    }
}
