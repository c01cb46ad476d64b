//! What outlives every configuration: keys, caches, counts.

use crate::client::Fetcher;
use crate::rate::Tries;
use crate::signing::{Keys, Plan};
use crate::token::revoked::Revoked;
use narthex_config::model::Rate;
use narthex_identity::dpop::Seen;
use narthex_store::Vault;
use narthex_telemetry::Events;
use narthex_upstreams::egress::EgressError;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Takes issuer, JWK set and revoked ids.
pub(crate) type Publisher = Box<dyn Fn(&str, &str, HashSet<String>) + Send + Sync>;

/// How often it is looked what other replicas did.
const LOOK: Duration = Duration::from_secs(10);
/// Proofs of possession remembered. Whoever makes up keys can fill this, but is slowed down as whoever guesses is.
const PROOFS: usize = 100_000;
/// Failures of one address at the endpoints of clients.
const FAILURES: Rate = per_minute(60);
/// Logins that one address may try.
const LOGINS: Rate = per_minute(30);
/// Approvals of one address that wait for a login.
const APPROVALS: Rate = per_minute(120);

/// See the module.
pub(crate) struct Lasting {
    pub(crate) vault: Vault,
    pub(crate) keys: Keys,
    pub(crate) revoked: Revoked,
    /// Proofs of possession that have been used.
    pub(crate) proofs: Arc<Seen>,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) failures: Tries,
    pub(crate) logins: Tries,
    pub(crate) approvals: Tries,
    registrations: Mutex<Option<Arc<Tries>>>,
    publisher: OnceLock<Publisher>,
    /// Held while telling, so that what was told last is what is so.
    publishing: Mutex<()>,
    looked: Mutex<Option<SystemTime>>,
}

impl Lasting {
    pub(crate) fn new(vault: Vault, events: Events) -> Result<Self, EgressError> {
        Ok(Self {
            keys: Keys::new(vault.clone()),
            revoked: Revoked::new(vault.clone()),
            proofs: Arc::new(Seen::new(PROOFS)),
            fetcher: Arc::new(Fetcher::new(events)?),
            failures: Tries::new(FAILURES),
            logins: Tries::new(LOGINS),
            approvals: Tries::new(APPROVALS),
            registrations: Mutex::default(),
            publisher: OnceLock::new(),
            publishing: Mutex::default(),
            looked: Mutex::default(),
            vault,
        })
    }

    /// The tries at registering, counted on while the rate is the same.
    pub(crate) fn registrations(&self, rate: Rate) -> Arc<Tries> {
        let mut kept = self.registrations.lock();
        let same = kept.as_ref().filter(|tries| tries.is(rate)).cloned();
        let tries = same.unwrap_or_else(|| Arc::new(Tries::new(rate)));
        *kept = Some(Arc::clone(&tries));
        tries
    }

    pub(crate) fn set_publisher(&self, publisher: Publisher) {
        // There is one gateway in a process, and it comes here once.
        let _ = self.publisher.set(publisher);
    }

    /// Tells whoever verifies our tokens what they are verified with.
    pub(crate) fn publish(&self, issuer: &str) {
        let _turn = self.publishing.lock();
        if let (Some(publisher), Some(ring)) = (self.publisher.get(), self.keys.ring()) {
            publisher(issuer, &ring.jwks, self.revoked.ids());
        }
    }

    /// Looks what other replicas did, if it is time; brings the keys up to date.
    pub(crate) async fn refresh(&self, plan: &Plan, issuer: &str, now: SystemTime) {
        {
            let mut looked = self.looked.lock();
            let is_due =
                looked.is_none_or(|then| now.duration_since(then).map_or(true, |since| since >= LOOK));
            if !is_due && self.keys.ring().is_some() {
                return;
            }
            *looked = Some(now);
        }
        self.failures.sweep();
        self.logins.sweep();
        self.approvals.sweep();
        self.fetcher.sweep(now);
        let keys = self.keys.refresh(plan, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the authority's keys cannot be read");
            false
        });
        let revoked = self.revoked.refresh(now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the list of revoked tokens cannot be read");
            false
        });
        if keys || revoked {
            self.publish(issuer);
        }
    }
}

impl fmt::Debug for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasting").field("keys", &self.keys).finish_non_exhaustive()
    }
}

const fn per_minute(count: u32) -> Rate {
    let count = match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    };
    Rate { count, window: Duration::from_secs(60) }
}
