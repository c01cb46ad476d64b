//! How often one address may try: what costs us, and what guesses.

use dashmap::DashMap;
use governor::clock::DefaultClock;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use narthex_config::model::Rate;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Most addresses that a limit keeps apart; beyond, all others share one bucket.
const MOST: usize = 50_000;

/// So many tries in so much time, for each address.
pub(crate) struct Tries {
    limiter: RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock>,
    rate: Rate,
    /// Addresses that have used up their failures, and until when they wait.
    blocked: DashMap<IpAddr, Instant>,
}

impl Tries {
    pub(crate) fn new(rate: Rate) -> Self {
        let period = (rate.window / rate.count.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period).map(|quota| quota.allow_burst(rate.count));
        let quota = quota.unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
        Self { limiter: RateLimiter::keyed(quota), rate, blocked: DashMap::new() }
    }

    /// Whether it is for this rate.
    pub(crate) fn is(&self, rate: Rate) -> bool {
        self.rate == rate
    }

    /// Takes a try of `peer`; whether it had one left.
    pub(crate) fn take(&self, peer: Option<IpAddr>) -> bool {
        let mut key = bucket(peer);
        if self.limiter.len() >= MOST {
            self.limiter.retain_recent();
            if self.limiter.len() >= MOST {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        self.limiter.check_key(&key).is_ok()
    }

    /// Notes that a try of `peer` failed. Once it has none left it is [blocked](Self::is_blocked) until it has.
    pub(crate) fn failed(&self, peer: Option<IpAddr>) {
        if !self.take(peer) && self.blocked.len() < MOST {
            let wait = (self.rate.window / self.rate.count.get()).max(Duration::from_secs(1));
            self.blocked.insert(bucket(peer), Instant::now() + wait);
        }
    }

    /// Whether `peer` has failed too often.
    pub(crate) fn is_blocked(&self, peer: Option<IpAddr>) -> bool {
        !self.blocked.is_empty()
            && self.blocked.get(&bucket(peer)).is_some_and(|until| *until > Instant::now())
    }

    /// Forgets who has all tries again.
    pub(crate) fn sweep(&self) {
        self.limiter.retain_recent();
        let now = Instant::now();
        self.blocked.retain(|_, until| *until > now);
    }
}

impl fmt::Debug for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tries").field("rate", &self.rate).finish_non_exhaustive()
    }
}

/// One customer has a whole /64 of IPv6 addresses.
fn bucket(peer: Option<IpAddr>) -> IpAddr {
    match peer {
        Some(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Some(ip) => ip,
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(count: u32) -> Tries {
        Tries::new(Rate { count: NonZeroU32::new(count).unwrap(), window: Duration::from_secs(3600) })
    }

    #[test]
    fn each_address_has_its_own_tries_and_a_network_of_one_customer_shares_them() {
        let tries = tries(2);
        let ip = |text: &str| Some(text.parse().unwrap());
        assert!(tries.take(ip("192.0.2.1")) && tries.take(ip("192.0.2.1")) && !tries.take(ip("192.0.2.1")));
        assert!(tries.take(ip("192.0.2.2")));
        assert!(
            tries.take(ip("2001:db8::1")) && tries.take(ip("2001:db8::2")) && !tries.take(ip("2001:db8::3"))
        );
        assert!(tries.take(ip("2001:db8:0:1::1")));
        assert!(tries.take(None) && tries.take(None) && !tries.take(None));
    }

    #[test]
    fn who_fails_too_often_is_blocked_and_nobody_else_is() {
        let tries = tries(3);
        let (bad, good) = (Some("192.0.2.1".parse().unwrap()), Some("192.0.2.2".parse().unwrap()));
        for _ in 0..3 {
            tries.failed(bad);
            assert!(!tries.is_blocked(bad));
        }
        tries.failed(bad);
        assert!(tries.is_blocked(bad) && !tries.is_blocked(good));
        tries.sweep();
        assert!(tries.is_blocked(bad));
    }
}
