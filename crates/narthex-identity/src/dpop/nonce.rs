//! Nonces that any replica can check and none remembers (RFC 9449 §8).
//!
//! A nonce is the time at which it was made, in steps, and an HMAC of that. It limits how long before its use
//! a proof can have been made, which is all that it is for: single use is `jti`'s.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long one nonce is handed out.
const STEP: Duration = Duration::from_secs(30);
/// For how many steps more it is accepted.
const STEPS: u64 = 9;
/// Bytes of the HMAC that are in a nonce.
const TAG: usize = 16;
/// What the keys are derived for.
const LABEL: &[u8] = b"narthex dpop nonce 1";

/// Makes nonces and knows its own.
pub struct Nonces {
    /// The first makes, all check.
    keys: Vec<hmac::Key>,
}

/// What a nonce is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Worth {
    /// It is the one that is handed out now.
    Fresh,
    /// It is good, but a newer one is handed out by now.
    Good,
    /// It is none of ours, or too old.
    Nothing,
}

impl Nonces {
    /// With keys derived from `secrets`, which replicas share; the first makes, all check.
    #[must_use]
    pub fn new(secrets: &[[u8; 32]]) -> Self {
        let derive = |secret: &[u8; 32]| {
            let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), LABEL);
            hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
        };
        Self { keys: secrets.iter().map(derive).collect() }
    }

    /// The nonce of `now`: 32 characters of base64url. Empty without a key, which is then good for nothing.
    #[must_use]
    pub fn make(&self, now: SystemTime) -> String {
        let step = step(now);
        self.keys.first().map_or_else(String::new, |key| encode(step, key))
    }

    pub(super) fn worth(&self, nonce: &str, now: SystemTime) -> Worth {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(nonce) else { return Worth::Nothing };
        let Some((made, _)) = bytes.split_first_chunk::<8>().filter(|(_, tag)| tag.len() == TAG) else {
            return Worth::Nothing;
        };
        let (made, now) = (u64::from_be_bytes(*made), step(now));
        // Another replica's clock may be a step ahead.
        if made > now.saturating_add(1) || now.saturating_sub(made) > STEPS {
            return Worth::Nothing;
        }
        let is_ours = self.keys.iter().any(|key| {
            let ours = hmac::sign(key, &made.to_be_bytes());
            let ours = ours.as_ref().get(..TAG).unwrap_or_default();
            aws_lc_rs::constant_time::verify_slices_are_equal(ours, &bytes[8..]).is_ok()
        });
        match (is_ours, made >= now) {
            (true, true) => Worth::Fresh,
            (true, false) => Worth::Good,
            (false, _) => Worth::Nothing,
        }
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("keys", &self.keys.len()).finish()
    }
}

fn step(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / STEP.as_secs())
}

fn encode(step: u64, key: &hmac::Key) -> String {
    let tag = hmac::sign(key, &step.to_be_bytes());
    let mut bytes = step.to_be_bytes().to_vec();
    bytes.extend_from_slice(tag.as_ref().get(..TAG).unwrap_or_default());
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{later, now};
    use proptest::prelude::*;

    const SECRET: [u8; 32] = [7; 32];

    fn nonces() -> Nonces {
        Nonces::new(&[SECRET])
    }

    #[test]
    fn a_nonce_is_good_for_about_five_minutes() {
        let nonce = nonces().make(now());
        assert_eq!(nonces().worth(&nonce, now()), Worth::Fresh);
        assert_eq!(nonces().worth(&nonce, later(30)), Worth::Good);
        assert_eq!(nonces().worth(&nonce, later(299)), Worth::Good);
        assert_eq!(nonces().worth(&nonce, later(300)), Worth::Nothing);
    }

    #[test]
    fn a_replica_whose_clock_is_a_little_ahead_makes_good_ones() {
        assert_eq!(nonces().worth(&nonces().make(later(30)), now()), Worth::Fresh);
        assert_eq!(nonces().worth(&nonces().make(later(60)), now()), Worth::Nothing);
    }

    #[test]
    fn keys_rotate_and_others_make_nothing() {
        let old = nonces().make(now());
        assert_eq!(Nonces::new(&[[8; 32], SECRET]).worth(&old, now()), Worth::Fresh);
        assert_eq!(Nonces::new(&[[8; 32]]).worth(&old, now()), Worth::Nothing);
        assert_eq!(Nonces::new(&[]).make(now()), "");
        assert_eq!(Nonces::new(&[]).worth("", now()), Worth::Nothing);
    }

    #[test]
    fn the_key_is_not_the_secret_itself() {
        let direct = encode(step(now()), &hmac::Key::new(hmac::HMAC_SHA256, &SECRET));
        assert_eq!(nonces().worth(&direct, now()), Worth::Nothing);
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_nonce(at in 0usize..32, char in "[A-Za-z0-9_-]", text in ".{0,40}") {
            let good = nonces().make(now());
            let mut changed = good.clone();
            changed.replace_range(at..=at, &char);
            prop_assert!(changed == good || nonces().worth(&changed, now()) == Worth::Nothing);
            prop_assert_eq!(nonces().worth(&text, now()), Worth::Nothing);
        }
    }
}
