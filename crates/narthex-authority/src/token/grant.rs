//! Refresh tokens: families of them, each good until its successor is used (OAuth 2.1 §4.3.1).
//!
//! A family is one record in the vault. A token names the family and its own number in it, and proves both
//! with a MAC whose key is in the record. So a former token is known for what it is however old it is, and a
//! token that was made up ends nothing.

use super::access::Binding;
use crate::error::{Code, OAuthError};
use crate::login::User;
use crate::secret::{random, random_bytes, same, seconds};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use narthex_config::model::RefreshTokens;
use narthex_store::{Key, Sealed, Vault};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// How long the last token but one is taken for a retry of the same request: connections break while an
/// answer is on its way, and clients have several tabs. Whoever comes so late gets the same successor that the
/// first one got, so of a thief and the client one will still be found out when the next token is used.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// Access tokens remembered of one family.
const MOST_ISSUED: usize = 16;
/// What stands in the place of a family that has ended: no [`Grant`].
const OVER: &[u8] = b"null";
/// For how long: longer than any request lives that could still want to begin it.
const BARRED: Duration = Duration::from_secs(600);
/// How often losing against a refresh is taken.
const ATTEMPTS: usize = 8;

/// What a user has allowed a client, until it ends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Grant {
    pub(crate) client: String,
    pub(crate) user: User,
    pub(crate) resource: String,
    pub(crate) scopes: Vec<String>,
    /// What its tokens are bound to.
    pub(crate) binding: Option<Binding>,
    /// When it began, seconds since 1970.
    pub(crate) created: u64,
    /// `jti` and `exp` of its access tokens that may still be good.
    pub(crate) issued: Vec<(String, u64)>,
    /// Of the MACs; base64url.
    key: String,
    /// The number of the token that is good.
    generation: u32,
    /// Since when, seconds since 1970.
    rotated: u64,
}

/// A refresh token, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Presented {
    pub(crate) family: String,
    generation: u32,
    mac: String,
}

/// What a presented token is in its family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// The one that is good.
    Current,
    /// The one before, a moment later.
    Retry,
    /// One that was used long ago: it is in two hands.
    Reused,
    /// Too old, by one of the lifetimes.
    Over,
    /// Never given.
    Forged,
}

const PREFIX: &str = "nrt_";

// === impl Grant ===

impl Grant {
    /// A new family, which no token has been given of.
    pub(crate) fn new(
        client: &str,
        user: User,
        resource: &str,
        scopes: Vec<String>,
        binding: Option<Binding>,
        now: SystemTime,
    ) -> Result<Self, OAuthError> {
        let key = BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<32>()?);
        let (client, resource, now) = (client.to_owned(), resource.to_owned(), seconds(now));
        let issued = Vec::new();
        Ok(Self {
            client,
            user,
            resource,
            scopes,
            binding,
            created: now,
            issued,
            key,
            generation: 0,
            rotated: now,
        })
    }

    /// The token that is good, of the family called `family`.
    pub(crate) fn token(&self, family: &str) -> String {
        let (generation, mac) = (self.generation, self.mac(family, self.generation));
        format!("{PREFIX}{family}.{generation}.{mac}")
    }

    /// What `presented` is.
    pub(crate) fn standing(&self, presented: &Presented, life: RefreshTokens, now: SystemTime) -> Standing {
        let expected = self.mac(&presented.family, presented.generation);
        let now = seconds(now);
        if presented.generation > self.generation || !same(expected.as_bytes(), presented.mac.as_bytes()) {
            Standing::Forged
        } else if presented.generation < self.generation {
            let is_last = presented.generation + 1 == self.generation;
            let is_soon = now.saturating_sub(self.rotated) <= GRACE.as_secs();
            if is_last && is_soon { Standing::Retry } else { Standing::Reused }
        } else if now >= self.ends(life) {
            Standing::Over
        } else {
            Standing::Current
        }
    }

    /// Makes the next token the good one.
    pub(crate) fn rotate(&mut self, now: SystemTime) {
        self.generation = self.generation.saturating_add(1);
        self.rotated = seconds(now);
    }

    /// Remembers an access token for as long as it is good.
    pub(crate) fn remember(&mut self, token: (String, u64), now: SystemTime) {
        let now = seconds(now);
        self.issued.retain(|(_, expires)| *expires > now);
        if self.issued.len() >= MOST_ISSUED {
            self.issued.remove(0);
        }
        self.issued.push(token);
    }

    /// Keeps the family in the place of `seen`; `false` if it has changed meanwhile.
    pub(crate) async fn keep(
        &self,
        vault: &Vault,
        family: &str,
        seen: Option<&Sealed>,
        life: RefreshTokens,
        now: SystemTime,
    ) -> Result<bool, OAuthError> {
        let json = serde_json::to_vec(self).map_err(|_| {
            OAuthError::new(Code::ServerError, "The server failed.").detail("cannot write a grant")
        })?;
        let left = self.ends(life).saturating_sub(seconds(now)).max(1);
        Ok(vault.replace(&key(family), seen, &json, Duration::from_secs(left)).await?)
    }

    fn ends(&self, life: RefreshTokens) -> u64 {
        let (lifetime, idle) = (life.lifetime.as_secs(), life.idle.as_secs());
        self.created.saturating_add(lifetime).min(self.rotated.saturating_add(idle))
    }

    fn mac(&self, family: &str, generation: u32) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.as_bytes());
        let message = format!("narthex refresh token\n{family}\n{generation}");
        BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()))
    }
}

// === impl Presented ===

impl Presented {
    /// Takes a refresh token apart. `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(PREFIX)?.split('.');
        let (family, generation, mac) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = |text: &str, len: usize| {
            text.len() == len && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let digits = !generation.is_empty() && generation.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !ours(family, 22) || !ours(mac, 43) || !digits {
            return None;
        }
        Some(Self { family: family.to_owned(), generation: generation.parse().ok()?, mac: mac.to_owned() })
    }
}

/// A name for a new family.
pub(crate) fn new_family() -> Result<String, OAuthError> {
    random::<16>()
}

/// The family called `family`, and how it was kept.
pub(crate) async fn find(vault: &Vault, family: &str) -> Result<Option<(Sealed, Grant)>, OAuthError> {
    let Some(seen) = vault.get(&key(family)).await? else { return Ok(None) };
    // What has ended stands there for a while; and what another version kept, and this one cannot read, has.
    Ok(serde_json::from_slice(&seen).ok().map(|grant| (seen, grant)))
}

/// Ends a family, be it that it has not begun yet: what it was, if it was any. For a while nobody can begin it:
/// whoever is about to, with a code that somebody else has shown again, comes too late.
pub(crate) async fn end(vault: &Vault, family: &str) -> Result<Option<Grant>, OAuthError> {
    let key = key(family);
    for _ in 0..ATTEMPTS {
        let seen = vault.get(&key).await?;
        if vault.replace(&key, seen.as_ref(), OVER, BARRED).await? {
            return Ok(seen.and_then(|json| serde_json::from_slice(&json).ok()));
        }
    }
    Err(OAuthError::new(Code::TemporarilyUnavailable, "Too many requests with one grant."))
}

fn key(family: &str) -> Key {
    Key::new("authority.grant", &[family])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, now};
    use proptest::prelude::*;

    const LIFE: RefreshTokens =
        RefreshTokens { lifetime: Duration::from_secs(1000), idle: Duration::from_secs(100) };

    fn grant() -> Grant {
        Grant::new("c", fixtures::user(), "r", Vec::new(), None, now()).unwrap()
    }

    fn presented(grant: &Grant, family: &str) -> Presented {
        Presented::parse(&grant.token(family)).unwrap()
    }

    fn after(seconds: u64) -> SystemTime {
        now() + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_good_until_its_successor_is_used() {
        let family = new_family().unwrap();
        let mut grant = grant();
        let first = presented(&grant, &family);
        assert_eq!(grant.standing(&first, LIFE, now()), Standing::Current);
        grant.rotate(after(50));
        let second = presented(&grant, &family);
        assert_eq!(grant.standing(&second, LIFE, after(149)), Standing::Current);
        assert_eq!(grant.standing(&first, LIFE, after(60)), Standing::Retry);
        assert_eq!(grant.standing(&first, LIFE, after(61)), Standing::Reused);
        grant.rotate(after(62));
        assert_eq!(grant.standing(&first, LIFE, after(62)), Standing::Reused, "two before");
    }

    #[test]
    fn a_family_ends_unused_and_ends_anyway() {
        let family = new_family().unwrap();
        let mut grant = grant();
        assert_eq!(grant.standing(&presented(&grant, &family), LIFE, after(100)), Standing::Over);
        for round in 1..=11 {
            grant.rotate(after(round * 90));
        }
        let last = presented(&grant, &family);
        assert_eq!(grant.standing(&last, LIFE, after(999)), Standing::Current);
        assert_eq!(grant.standing(&last, LIFE, after(1000)), Standing::Over);
    }

    #[test]
    fn what_was_never_given_is_forged_and_not_reused() {
        let family = new_family().unwrap();
        let mut grant = grant();
        let good = presented(&grant, &family);
        grant.rotate(now());
        grant.rotate(now());
        let wrong_mac = Presented { mac: "A".repeat(43), ..good.clone() };
        let ahead = Presented { generation: 9, ..good.clone() };
        let elsewhere = Presented { family: "B".repeat(22), ..good };
        for forged in [wrong_mac, ahead, elsewhere] {
            assert_eq!(grant.standing(&forged, LIFE, now()), Standing::Forged, "{forged:?}");
        }
    }

    #[test]
    fn what_is_no_refresh_token_is_not_looked_up() {
        let good = grant().token(&"a".repeat(22));
        assert!(Presented::parse(&good).is_some());
        for bad in [
            "",
            "nrt_",
            "nrt_a.0.b",
            &good[1..],
            &format!("{good}.x"),
            &good.replace(".0.", ".-1."),
            &good.replace(".0.", ".99999999999."),
            &good.replace(".0.", ".+0."),
        ] {
            assert_eq!(Presented::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_token_of_the_family(text in "(nrt_)?[a-zA-Z0-9_.-]{0,90}") {
            let grant = grant();
            if let Some(presented) = Presented::parse(&text) {
                prop_assert_eq!(grant.standing(&presented, LIFE, now()), Standing::Forged);
            }
        }
    }
}
