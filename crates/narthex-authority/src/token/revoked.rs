//! Access tokens that were taken back before their time: a short list that all replicas keep together.

use crate::error::OAuthError;
use crate::secret::seconds;
use arc_swap::ArcSwap;
use narthex_store::{Key, Vault};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

/// Most of them at one time: who takes back more has those forgotten that end soonest.
const MOST: usize = 10_000;
/// How long the list is kept after its last entry: longer than any token.
const KEPT: Duration = Duration::from_secs(3600);
/// How often losing against another replica is taken.
const ATTEMPTS: usize = 8;

/// `jti` of those tokens, each until it would have ended.
#[derive(Debug)]
pub(crate) struct Revoked {
    vault: Vault,
    known: ArcSwap<BTreeMap<String, u64>>,
}

impl Revoked {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault, known: ArcSwap::default() }
    }

    /// Those that are known here.
    pub(crate) fn ids(&self) -> HashSet<String> {
        self.known.load().keys().cloned().collect()
    }

    /// Whether this one is among them.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.known.load().contains_key(id)
    }

    /// Takes back tokens, by `jti` and `exp`; whether any is new on the list.
    pub(crate) async fn add(&self, tokens: &[(String, u64)], now: SystemTime) -> Result<bool, OAuthError> {
        let now = seconds(now);
        let known = self.known.load();
        let is_new = |token: &&(String, u64)| token.1 + MARGIN > now && !known.contains_key(&token.0);
        let live: Vec<_> = tokens.iter().filter(is_new).collect();
        if live.is_empty() {
            return Ok(false);
        }
        for _ in 0..ATTEMPTS {
            let seen = self.vault.get(&key()).await?;
            let mut list = parse(seen.as_deref(), now);
            list.extend(live.iter().map(|(id, expires)| (id.clone(), *expires)));
            shorten(&mut list);
            let json = serde_json::to_vec(&list).unwrap_or_default();
            if self.vault.replace(&key(), seen.as_ref(), &json, KEPT).await? {
                return Ok(self.learn(&list, now));
            }
        }
        // The list is where all replicas write; one of them will come through.
        Err(OAuthError::new(crate::error::Code::TemporarilyUnavailable, "Too much is revoked just now."))
    }

    /// Reads what other replicas took back; whether the list has changed.
    pub(crate) async fn refresh(&self, now: SystemTime) -> Result<bool, narthex_store::Error> {
        let seen = self.vault.get(&key()).await?;
        let now = seconds(now);
        Ok(self.learn(&parse(seen.as_deref(), now), now))
    }

    /// Adds `list` to what is known here, which stays until it ends: what the store has said may be older than
    /// what was added meanwhile. Whether anything has changed.
    fn learn(&self, list: &BTreeMap<String, u64>, now: u64) -> bool {
        let mut changed = false;
        self.known.rcu(|known| {
            let live = known.iter().filter(|(_, expires)| **expires + MARGIN > now);
            let mut all = list.clone();
            all.extend(live.map(|(id, expires)| (id.clone(), *expires)));
            shorten(&mut all);
            changed = all != **known;
            all
        });
        changed
    }
}

/// Forgets those that end soonest, if there are too many.
fn shorten(list: &mut BTreeMap<String, u64>) {
    let Some(over) = list.len().checked_sub(MOST).filter(|over| *over > 0) else { return };
    let mut by_end: Vec<_> = list.iter().map(|(id, expires)| (*expires, id.clone())).collect();
    by_end.sort_unstable();
    for (_, id) in by_end.into_iter().take(over) {
        list.remove(&id);
    }
}

/// The list, without what has ended.
fn parse(json: Option<&[u8]>, now: u64) -> BTreeMap<String, u64> {
    let mut list: BTreeMap<String, u64> =
        json.and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
    list.retain(|_, expires| *expires + MARGIN > now);
    list
}

fn key() -> Key {
    Key::new("authority.revoked", &[])
}

/// How long after its end a token may be accepted by a gateway that allows for other clocks, seconds.
const MARGIN: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, now};

    #[tokio::test]
    async fn what_one_replica_takes_back_the_others_learn_and_it_is_forgotten_in_time() {
        let vault = fixtures::vault();
        let (one, other) = (Revoked::new(vault.clone()), Revoked::new(vault));
        let ends = seconds(now()) + 600;
        assert!(one.add(&[("a".to_owned(), ends)], now()).await.unwrap());
        assert!(one.contains("a") && !other.contains("a"));
        assert!(other.refresh(now()).await.unwrap() && other.contains("a"));
        assert!(!other.refresh(now()).await.unwrap());
        assert!(other.add(&[("b".to_owned(), ends + 1)], now()).await.unwrap());
        assert!(one.refresh(now()).await.unwrap() && one.contains("a") && one.contains("b"));
        let later = now() + Duration::from_secs(600 + MARGIN);
        assert!(one.refresh(later).await.unwrap());
        assert_eq!(one.ids(), HashSet::from(["b".to_owned()]));
        assert!(!one.add(&[("old".to_owned(), seconds(now()) - MARGIN)], now()).await.unwrap());
    }

    #[tokio::test]
    async fn what_was_taken_back_here_stays_so_whatever_the_store_says_then() {
        let ends = seconds(now()) + 600;
        // An answer of the store that is older than what was added meanwhile, or a store that was put back.
        let (before, after) = (fixtures::vault(), fixtures::vault());
        let mut revoked = Revoked::new(before);
        assert!(revoked.add(&[("a".to_owned(), ends)], now()).await.unwrap());
        revoked.vault = after;
        revoked.refresh(now()).await.unwrap();
        assert!(revoked.contains("a"));
        assert!(revoked.add(&[("b".to_owned(), ends)], now()).await.unwrap());
        assert!(revoked.contains("a") && revoked.contains("b"));
        let later = now() + Duration::from_secs(600 + MARGIN);
        assert!(revoked.refresh(later).await.unwrap() && revoked.ids().is_empty(), "it ends all the same");
    }
}
