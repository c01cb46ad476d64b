//! The endpoints of one upstream, which are alike, and the choice between them.

use crate::hash::{mix, stable};
use crate::health::Check;
use crate::upstream::{BuildError, Busy, Slot, Upstream};
use narthex_config::model::{Transport, Upstream as Settings, UpstreamId};
use std::cmp::{Ordering, Reverse};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;
use url::Url;

/// One MCP server, at one endpoint or several.
#[derive(Debug)]
pub struct Group {
    /// Its key under `upstreams:`.
    pub id: UpstreamId,
    /// In the order of the configuration.
    others: Vec<Arc<Upstream>>,
    first: Arc<Upstream>,
}

impl Group {
    /// The endpoints of `settings`. Those whose settings (credential aside) are the same in `previous` are
    /// taken over with their breakers, health, addresses and catalogues, in whatever order they are now.
    ///
    /// # Errors
    /// The CA file, or the certificate or its key, cannot be used.
    pub(crate) fn build(
        id: &UpstreamId,
        settings: &Settings,
        previous: Option<&Self>,
        hasher: &RandomState,
        now: Instant,
    ) -> Result<Self, BuildError> {
        let one = |settings: &Settings| {
            let kept = previous.and_then(|group| group.iter().find(|old| old.same_as(settings)));
            match kept {
                Some(old) => Ok(Arc::clone(old)),
                // Endpoints of one host share no connections, or one that breaks them would break the other's.
                None => {
                    let pool =
                        hasher.hash_one((id.as_str(), settings.transport.endpoints().map(|e| &e.first)));
                    Upstream::new(id.clone(), settings, pool, now).map(Arc::new)
                }
            }
        };
        let (first, others) = match &settings.transport {
            Transport::Stdio(_) => (one(settings)?, Vec::new()),
            Transport::Http(endpoints) => {
                let at = |url: &Url| {
                    let transport = Transport::Http(url.clone().into());
                    one(&Settings { transport, ..settings.clone() })
                };
                // Named twice, it is still one.
                let anew =
                    |(i, url): &(usize, &Url)| !endpoints.iter().take(i + 1).any(|known| known == *url);
                let others = endpoints.others.iter().enumerate().filter(anew).map(|(_, url)| at(url));
                (at(&endpoints.first)?, others.collect::<Result<Vec<_>, _>>()?)
            }
        };
        if others.is_empty() {
            // Nobody checks it from now on, so nobody would find it up again.
            first.health().forget();
        }
        Ok(Self { id: id.clone(), others, first })
    }

    /// The endpoint that is named first.
    #[must_use]
    pub fn first(&self) -> &Arc<Upstream> {
        &self.first
    }

    /// All endpoints, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether there is more than one endpoint.
    #[must_use]
    pub fn has_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// All endpoints, if there is more than one.
    pub fn several(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.has_several().then(|| self.iter()).into_iter().flatten()
    }

    /// Whether any endpoint answers; see [`Upstream::is_up`].
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.iter().any(|endpoint| endpoint.is_up())
    }

    /// Whether every endpoint's breaker is open.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.iter().all(|endpoint| endpoint.is_refusing())
    }

    /// The endpoint for a call that may go to any: of the healthy ones the one with the fewest requests in
    /// flight. Those with equally many share evenly if `random` is, or if it counts upwards.
    ///
    /// An endpoint is healthy while checks find it up and its breaker lets a call pass, be it a probe. If
    /// none is, it is the one that may be tried soonest.
    #[must_use]
    pub fn pick(&self, now: Instant, random: u64) -> &Arc<Upstream> {
        let mut best = &self.first;
        if self.others.is_empty() {
            return best;
        }
        let rank = |endpoint: &Upstream| (endpoint.standing(now), endpoint.in_flight());
        let (mut lowest, mut alike, mut random) = (rank(best), 1, random);
        for endpoint in &self.others {
            let its = rank(endpoint);
            match its.cmp(&lowest) {
                Ordering::Greater => continue,
                Ordering::Less => alike = 1,
                Ordering::Equal => {
                    // The k-th of those alike takes the place with a chance of 1/k, so that each has the same.
                    alike += 1;
                    random = mix(random);
                    if random % alike != 0 {
                        continue;
                    }
                }
            }
            (best, lowest) = (endpoint, its);
        }
        best
    }

    /// The endpoint for the caller (or session) that `key` stands for: the same one as long as it is healthy
    /// (see [`Group::pick`]), also after a restart, on other replicas, and when other endpoints come, go or
    /// fail. Where it is not, its callers go to the others, each to one of its own, until it is back.
    #[must_use]
    pub fn stick(&self, key: &[u8], now: Instant) -> &Arc<Upstream> {
        if self.others.is_empty() {
            return &self.first;
        }
        // Rendezvous hashing: of all endpoints' numbers for this key, the highest wins.
        let key = stable(key);
        let rank =
            |endpoint: &&Arc<Upstream>| (endpoint.standing(now), Reverse(mix(key ^ endpoint.number())));
        self.iter().min_by_key(rank).unwrap_or(&self.first)
    }

    /// The endpoint with that [`Upstream::origin`] and [`Upstream::path`], to which a session belongs.
    #[must_use]
    pub fn by_origin_path(&self, origin: &str, path: &str) -> Option<&Arc<Upstream>> {
        self.iter().find(|endpoint| endpoint.origin == origin && endpoint.path == path)
    }

    /// Takes a slot at `chosen`. Where it has none to give (somebody else was the probe, or it is saturated),
    /// takes one at another healthy endpoint. Not for calls of a session, which only one endpoint knows.
    ///
    /// # Errors
    /// What `chosen` said, if no other had a slot either.
    pub fn enter<'a>(
        &'a self,
        chosen: &'a Arc<Upstream>,
        now: Instant,
    ) -> Result<(&'a Arc<Upstream>, Slot), Busy> {
        let refused = match chosen.enter(now) {
            Ok(slot) => return Ok((chosen, slot)),
            Err(refused) => refused,
        };
        let after = self.iter().skip_while(|endpoint| !Arc::ptr_eq(endpoint, chosen));
        let others = after.chain(self.iter()).filter(|endpoint| !Arc::ptr_eq(endpoint, chosen));
        let mut healthy = others.filter(|endpoint| endpoint.is_healthy(now));
        healthy.find_map(|other| other.enter(now).ok().map(|slot| (other, slot))).ok_or(refused)
    }

    /// The checks that are due, each claimed until it was made or dropped; none for a single endpoint.
    pub(crate) fn checks_due(&self, now: Instant, random: u64) -> impl Iterator<Item = Check> {
        self.several()
            .filter_map(move |endpoint| Check::claim(endpoint, now, mix(random ^ endpoint.number())))
    }
}

#[cfg(test)]
mod tests;
