//! Limits: requests in a time and calls in flight, counted for a tenant, its subjects, clients or tools.

mod bucket;
mod charge;
mod clock;
mod key;
mod rate;

pub(crate) use bucket::{Bucket, InFlight};
pub(crate) use charge::Charge;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use governor::nanos::Nanos;
use key::{AsKey, Key, KeyRef};
use narthex_config::model::{Limits, Per, RouteId, TenantId};
use narthex_identity::Caller;
use parking_lot::Mutex;
use rate::Rate;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Keys that one limit keeps for one tenant. All beyond share one bucket: a caller who makes up tool
/// names can neither fill the memory nor escape the limit, nor do anything to another tenant.
const MAX_KEYS: usize = 100_000;

/// How many keys of one limit are looked at for idle ones in a second, over time: a million takes some 20 ms.
const LOOKED_AT: usize = 40_000;
/// Longest time between two such looks, seconds: meanwhile, a tenant with as many as it may have gets no new ones.
const LONGEST_PAUSE: usize = 10;

/// The key of a call without a client or tool.
const NAMELESS: &str = "-";

/// Where in the configuration a limit is written.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Place {
    /// `tenants.*.limits`
    Tenant(TenantId),
    /// `routes.*.limits`
    Route(RouteId),
    /// `routes.*.tools[].limits`: the rule's patterns, and how many rules before have the same.
    Tool(RouteId, String, usize),
}

/// One `limits:` of the configuration and what it has counted.
#[derive(Debug)]
pub(crate) struct Limit {
    definition: Limits,
    name: Arc<str>,
    rate: Option<Rate>,
    concurrent: Option<u32>,
    buckets: DashMap<Key, Kept>,
    /// Keys kept, by tenant.
    keys: Mutex<HashMap<TenantId, Arc<AtomicUsize>>>,
    max_keys: usize,
    overflows: AtomicU64,
    /// When all keys are looked at next, nanoseconds on the policy's time line.
    due: AtomicU64,
}

/// A bucket in the map, and the count of keys that it is part of.
#[derive(Debug)]
struct Kept {
    bucket: Bucket,
    counted: Option<Arc<AtomicUsize>>,
}

/// A limit as it applies to one tenant.
#[derive(Clone, Debug)]
pub(crate) struct TenantLimit {
    limit: Arc<Limit>,
    tenant: TenantId,
    /// The bucket of the whole tenant; with `per: subject` and so on, of the keys beyond the most.
    all: Bucket,
    keys: Arc<AtomicUsize>,
}

// === impl Place ===

impl Place {
    /// The limit's name in headers, metrics and logs.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Tenant(_) => "tenant".to_owned(),
            Self::Route(_) => "route".to_owned(),
            Self::Tool(_, patterns, _) => format!("tool:{patterns}"),
        }
    }
}

// === impl Limit ===

impl Limit {
    pub(crate) fn new(place: &Place, definition: &Limits) -> Self {
        Self::with_max_keys(place, definition, MAX_KEYS)
    }

    fn with_max_keys(place: &Place, definition: &Limits, max_keys: usize) -> Self {
        Self {
            name: place.name().into(),
            rate: Rate::of(definition),
            concurrent: definition.concurrent.map(Into::into),
            // `per: tenant` looks into the map only when the policy is built.
            buckets: match definition.per {
                Per::Tenant => DashMap::with_shard_amount(2),
                Per::Subject | Per::Client | Per::Tool => DashMap::new(),
            },
            keys: Mutex::default(),
            max_keys,
            overflows: AtomicU64::new(0),
            due: AtomicU64::new(0),
            definition: definition.clone(),
        }
    }

    /// Whether this limit has the numbers of `definition`, so that its counts still mean the same.
    pub(crate) fn is(&self, definition: &Limits) -> bool {
        self.definition == *definition
    }

    /// The limit as it applies to `tenant`.
    pub(crate) fn of_tenant(self: &Arc<Self>, tenant: &TenantId) -> TenantLimit {
        let whole = self.buckets.entry(KeyRef::all(tenant).to_key());
        let kept = whole.or_insert_with(|| Kept { bucket: Bucket::default(), counted: None });
        TenantLimit {
            all: kept.bucket.clone(),
            keys: Arc::clone(self.keys.lock().entry(tenant.clone()).or_default()),
            tenant: tenant.clone(),
            limit: Arc::clone(self),
        }
    }

    /// Forgets the keys that are like new, unless many have been looked at a short time ago. Takes the map's locks one
    /// after the other.
    pub(crate) fn evict_idle(&self, now: Nanos) {
        if now.as_u64() < self.due.load(Ordering::Relaxed) {
            return;
        }
        self.buckets.retain(|_, kept| {
            let keep = !kept.bucket.is_idle(now);
            if !keep && let Some(keys) = &kept.counted {
                keys.fetch_sub(1, Ordering::AcqRel);
            }
            keep
        });
        // A tenant whose count only this map holds has no keys and is in no policy.
        self.keys.lock().retain(|_, keys| Arc::strong_count(keys) > 1);
        let pause = Duration::from_secs((self.len() / LOOKED_AT).min(LONGEST_PAUSE) as u64);
        self.due.store(now.as_u64().saturating_add(rate::nanos(pause)), Ordering::Relaxed);
    }

    /// Keys kept.
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Calls that had to share a bucket since the last time this was asked.
    pub(crate) fn take_overflows(&self) -> u64 {
        self.overflows.swap(0, Ordering::Relaxed)
    }
}

// === impl TenantLimit ===

impl TenantLimit {
    /// The bucket that a call of `tool` by `caller` is counted in.
    fn bucket(&self, caller: &Caller, tool: Option<&str>) -> Cow<'_, Bucket> {
        let (issuer, name): (&str, &str) = match self.limit.definition.per {
            Per::Tenant => return Cow::Borrowed(&self.all),
            Per::Subject => (&caller.issuer, &caller.subject),
            Per::Client => (&caller.issuer, caller.client.as_deref().unwrap_or(NAMELESS)),
            Per::Tool => ("", tool.filter(|name| !name.is_empty()).unwrap_or(NAMELESS)),
        };
        let key = KeyRef { tenant: &self.tenant, issuer, name };
        if let Some(kept) = self.limit.buckets.get(&key as &dyn AsKey) {
            return Cow::Owned(kept.bucket.clone());
        }
        self.new_bucket(key)
    }

    fn new_bucket(&self, key: KeyRef<'_>) -> Cow<'_, Bucket> {
        // Asked before the entry, so that a key beyond the most takes no map's lock for writing.
        if self.keys.load(Ordering::Relaxed) >= self.limit.max_keys {
            self.limit.overflows.fetch_add(1, Ordering::Relaxed);
            return Cow::Borrowed(&self.all);
        }
        match self.limit.buckets.entry(key.to_key()) {
            Entry::Occupied(kept) => Cow::Owned(kept.get().bucket.clone()),
            Entry::Vacant(place) => {
                self.keys.fetch_add(1, Ordering::AcqRel);
                let kept = Kept { bucket: Bucket::default(), counted: Some(Arc::clone(&self.keys)) };
                Cow::Owned(place.insert(kept).bucket.clone())
            }
        }
    }
}

/// A time on the time line that begins at 0.
pub(crate) fn nanos(since: Duration) -> Nanos {
    rate::nanos(since).into()
}

#[cfg(test)]
mod tests;
