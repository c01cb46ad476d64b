//! Which of the keys is used when.

use super::SigningError;
use super::generation::{Generation, Kept};
use super::key::SigningKey;
use bytes::Bytes;
use narthex_config::model::AssertionAlgorithm;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// How long keys are used until new ones are made.
pub(super) const ROTATE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long new keys are published before anything is signed with them: whoever keeps a copy of the JWK set has
/// a newer one by then, and so has every other gateway.
pub(super) const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// How long keys are published after the last signature with them: longer than any assertion is good for, also by
/// clocks that are slow.
pub(super) const AFTER: Duration = Duration::from_secs(3600);
/// More generations than there can be, unless clocks jump.
const MOST: usize = 16;

/// The keys of all generations, oldest first; never empty.
pub(super) struct Ring {
    oldest: Generation,
    newer: Vec<Generation>,
    jwks: Bytes,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    generations: Vec<Kept>,
}

impl Ring {
    /// One generation, made now.
    pub(super) fn first(now: SystemTime) -> Result<Self, SigningError> {
        Ok(Self::of(Generation::new(now)?, Vec::new()))
    }

    pub(super) fn parse(kept: &[u8]) -> Result<Self, SigningError> {
        // serde's own messages may quote the document.
        let document: Document =
            serde_json::from_slice(kept).map_err(|_| SigningError::Form("not the JSON that is kept"))?;
        if document.generations.len() > MOST {
            return Err(SigningError::Form("too many keys"));
        }
        let parsed = document.generations.into_iter().map(Kept::parse);
        let mut generations = parsed.collect::<Result<Vec<_>, _>>()?;
        generations.sort_by_key(|generation| generation.made);
        let mut generations = generations.into_iter();
        let oldest = generations.next().ok_or(SigningError::Form("no key"))?;
        Ok(Self::of(oldest, generations.collect()))
    }

    pub(super) fn serialize(&self) -> Zeroizing<Vec<u8>> {
        let generations = self.all().map(|generation| generation.kept().clone()).collect();
        Zeroizing::new(serde_json::to_vec(&Document { generations }).unwrap_or_default())
    }

    /// With a new generation if it is time, and without those that nobody needs; and whether it is another.
    pub(super) fn tended(self, now: SystemTime) -> Result<(Self, bool), SigningError> {
        let mut all: Vec<Generation> = self.all().cloned().collect();
        let count = all.len();
        // Of those that may sign, only the newest does.
        let over = |next: &Generation| now >= next.made + AHEAD + AFTER;
        let needless = all.iter().skip(1).take_while(|next| over(next)).count();
        all.drain(..needless);
        let is_due = all.last().is_none_or(|newest| now >= newest.made + ROTATE);
        if is_due {
            all.push(Generation::new(now)?);
        }
        if needless == 0 && !is_due {
            debug_assert_eq!(all.len(), count);
            return Ok((self, false));
        }
        let mut all = all.into_iter();
        let oldest = all.next().ok_or(SigningError::Make)?;
        Ok((Self::of(oldest, all.collect()), true))
    }

    /// The newest key that has been published for long enough; of the first generation there is no other.
    pub(super) fn key(&self, algorithm: AssertionAlgorithm, now: SystemTime) -> Arc<SigningKey> {
        let mut newest_first = self.newer.iter().rev();
        let usable = newest_first.find(|generation| now >= generation.made + AHEAD);
        Arc::clone(usable.unwrap_or(&self.oldest).key(algorithm))
    }

    pub(super) fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }

    fn all(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.oldest).chain(&self.newer)
    }

    fn of(oldest: Generation, newer: Vec<Generation>) -> Self {
        let all = std::iter::once(&oldest).chain(&newer);
        let keys: Vec<_> = all.flat_map(|of| [of.es256.jwk().clone(), of.eddsa.jwk().clone()]).collect();
        let jwks = serde_json::json!({ "keys": keys }).to_string().into();
        Self { oldest, newer, jwks }
    }
}
