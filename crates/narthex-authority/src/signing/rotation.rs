//! When the next key is made, when it begins to sign, and when the last is forgotten. Pure.

use super::{KeysError, SigningKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use narthex_config::model::Algorithm;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// A key as it is kept.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct KeyRecord {
    algorithm: String,
    /// PKCS#8 DER, base64.
    pkcs8: String,
    /// When it begins to sign: seconds since 1970.
    pub(crate) from: u64,
}

/// What is planned for the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    /// With which algorithm new keys sign.
    pub(crate) algorithm: Algorithm,
    /// How long one key signs.
    pub(crate) period: Duration,
    /// How long what it signed last is good.
    pub(crate) lifetime: Duration,
}

impl Plan {
    /// Brings `keys`, in the order in which they sign, up to date; whether anything had to change.
    ///
    /// The next key is there a good while before it signs, so that every replica and whoever caches the
    /// published set knows it by then; the last one stays until all that it signed has ended.
    pub(crate) fn apply(&self, keys: &mut Vec<KeyRecord>, now: u64) -> Result<bool, KeysError> {
        let before = keys.len();
        let keep = self.lifetime.as_secs() + MARGIN;
        while keys.get(1).is_some_and(|successor| successor.from + keep <= now) {
            keys.remove(0);
        }
        let forgotten = keys.len() != before;
        let from = match keys.last() {
            None => now,
            Some(last) if last.from > now => return Ok(forgotten),
            Some(last) => {
                let is_other = last.algorithm != name(self.algorithm);
                let ends = last.from + self.period.as_secs();
                if !is_other && now + self.lead() < ends {
                    return Ok(forgotten);
                }
                let soonest = now + self.lead();
                if is_other { soonest } else { ends.max(soonest) }
            }
        };
        keys.push(KeyRecord::generate(self.algorithm, from).ok_or(KeysError::Make)?);
        Ok(true)
    }

    /// How long a key is published before it signs, seconds: a tenth of the period, at least a minute and at
    /// most a day.
    fn lead(&self) -> u64 {
        (self.period.as_secs() / 10).clamp(60, 24 * 3600)
    }
}

impl KeyRecord {
    fn generate(algorithm: Algorithm, from: u64) -> Option<Self> {
        let pkcs8 = BASE64_STANDARD.encode(&*SigningKey::generate(algorithm)?);
        Some(Self { algorithm: name(algorithm).to_owned(), pkcs8, from })
    }

    /// The key, ready to use.
    pub(crate) fn key(&self) -> Option<SigningKey> {
        let algorithm =
            [Algorithm::ES256, Algorithm::EdDSA].into_iter().find(|a| name(*a) == self.algorithm)?;
        let pkcs8 = Zeroizing::new(BASE64_STANDARD.decode(&self.pkcs8).ok()?);
        SigningKey::from_pkcs8(algorithm, &pkcs8)
    }
}

impl Drop for KeyRecord {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord").field("from", &self.from).finish_non_exhaustive()
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    if algorithm == Algorithm::EdDSA { "EdDSA" } else { "ES256" }
}

/// Longest that a token is accepted after its end, and that clocks differ, seconds.
const MARGIN: u64 = 600;
