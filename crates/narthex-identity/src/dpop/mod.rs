//! Proofs of possession at the application layer (DPoP, RFC 9449): that whoever sends a token holds the key
//! that it is bound to.
//!
//! Pure but for [`Replay`], which knows what has been used. [`Verifier::verify`] is for protected resources
//! and for token endpoints alike; what they demand is in [`Request`].

mod error;
mod key;
mod nonce;
mod proof;
mod replay;
mod target;
#[cfg(test)]
mod tests;

pub use error::DpopError;
pub use nonce::Nonces;
pub use replay::{ProofId, Replay, Seen, SeenByAll};
pub use target::{Host, Target};

use crate::Thumbprint;
use crate::keys::{ED25519, algorithm_name};
use narthex_config::model::{Algorithm, Auth};
use proof::Proof;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How proofs are judged.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Accepted signature algorithms, all asymmetric.
    pub algorithms: Vec<Algorithm>,
    /// How long a proof may be used, from its `iat` on.
    pub window: Duration,
    /// Clock difference that is accepted besides.
    pub leeway: Duration,
    /// There: a proof must have one of these nonces. Not there: no nonce is looked at.
    pub nonces: Option<Arc<Nonces>>,
}

/// What a proof must be for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The HTTP method.
    pub method: &'r str,
    /// The URL.
    pub target: &'r Target,
    /// The access token that the proof comes with. `None` at a token endpoint.
    pub token: Option<&'r str>,
    /// The key that the token or grant is bound to, if it is bound already.
    pub key: Option<&'r Thumbprint>,
}

/// A proof that was good, and is used up now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proven {
    /// The key.
    pub key: Thumbprint,
    /// The client should be sent a newer nonce ([`Verifier::nonce`]) with the answer.
    pub wants_nonce: bool,
}

/// Verifies proofs under one configuration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Verifier {
    rules: Arc<Rules>,
    replay: Arc<dyn Replay>,
}

impl Rules {
    /// What `auth.dpop` says; `nonces` are those to ask for if it says `nonce: required`.
    #[must_use]
    pub fn new(auth: &Auth, nonces: Arc<Nonces>) -> Self {
        Self {
            algorithms: auth.dpop.algorithms.clone(),
            window: auth.dpop.window,
            leeway: auth.leeway,
            nonces: auth.dpop.nonce.then_some(nonces),
        }
    }
}

impl Verifier {
    /// With these rules; what has been used is known to `replay`.
    #[must_use]
    pub fn new(rules: Rules, replay: Arc<dyn Replay>) -> Self {
        Self { rules: Arc::new(rules), replay }
    }

    /// Verifies the one proof among the values of a request's `DPoP` headers, and uses it up.
    ///
    /// # Errors
    /// See [`DpopError`]. A proof that is refused for anything but its use before is not remembered: only
    /// who has the right key for a token takes up room.
    pub async fn verify<'h>(
        &self,
        proofs: impl Iterator<Item = &'h [u8]>,
        request: &Request<'_>,
        now: SystemTime,
    ) -> Result<Proven, DpopError> {
        let proof = Proof::check(proof::only(proofs)?, request, &self.rules, now)?;
        if !self.replay.first_use(&proof.id, proof.until, now).await? {
            return Err(DpopError::Replayed);
        }
        Ok(Proven { key: proof.key, wants_nonce: proof.wants_nonce })
    }

    /// The nonce to hand out now, in `DPoP-Nonce`. `None`: proofs need none.
    #[must_use]
    pub fn nonce(&self, now: SystemTime) -> Option<String> {
        self.rules.nonces.as_ref().map(|nonces| nonces.make(now))
    }

    /// The accepted `alg` values, for metadata and challenges.
    #[must_use]
    pub fn algorithms(&self) -> Vec<&'static str> {
        algorithm_names(&self.rules.algorithms)
    }
}

/// The `alg` values of these algorithms.
pub(crate) fn algorithm_names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = algorithms.iter().copied().map(algorithm_name).collect();
    if algorithms.contains(&Algorithm::EdDSA) {
        names.push(ED25519);
    }
    names
}
