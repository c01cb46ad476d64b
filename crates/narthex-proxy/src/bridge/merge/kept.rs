//! Pages of merged lists as they are sent, for all who are shown the same.
//!
//! Only those of upstreams that show every caller the same are kept: others would be one caller's alone, who asks
//! for them once.

use super::list::Seen;
use super::route::Merged;
use super::view::View;
use crate::bridge::link::Ways;
use ahash::RandomState;
use bytes::Bytes;
use dashmap::DashMap;
use narthex_config::model::{RouteId, TenantId, UpstreamId};
use narthex_mcp::federation::cursor::{Kind, Position};
use narthex_policy::RoutePolicy;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Bytes of all pages that are kept. What does not fit is made anew for each request.
const MOST: usize = 64 << 20;
/// Bytes that a page takes besides its text, about.
const OVERHEAD: usize = 1 << 10;
/// A page that nobody has asked for so long is forgotten.
const IDLE: Duration = Duration::from_secs(60);

/// All of them, of all routes.
#[derive(Debug)]
pub(crate) struct Pages {
    all: DashMap<Wanted, Kept, RandomState>,
    bytes: AtomicUsize,
    epoch: Instant,
}

/// Which page, and for whom.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Wanted {
    route: RouteId,
    kind: Kind,
    modern: bool,
    /// The tenant, if it is not shown everything.
    tenant: Option<TenantId>,
    from: Option<Position>,
}

#[derive(Debug)]
struct Kept {
    made_from: MadeFrom,
    page: Page,
    /// When somebody was given it last, ms of the epoch.
    used: AtomicU64,
}

/// A page, but for what is one caller's.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// The result's JSON text, and the end of the response; without both ends, if there is a next page.
    pub(super) text: Bytes,
    /// The last item, by upstream and key, if others follow.
    pub(super) last: Option<(UpstreamId, Arc<str>)>,
}

/// What a page was made from: as long as that is the same, so is the page.
#[derive(Debug)]
struct MadeFrom {
    merged: Weak<Merged>,
    policy: Weak<RoutePolicy>,
    there: Box<[Weak<View>]>,
    fallen: Box<[Weak<View>]>,
}

impl Wanted {
    /// `None`: what is shown may be one caller's.
    pub(super) fn new(
        merged: &Merged,
        ways: &Ways,
        kind: Kind,
        modern: bool,
        from: Option<&Position>,
    ) -> Option<Self> {
        if merged.is_per_caller() {
            return None;
        }
        let (door, tenant) = (&ways.door, &ways.caller.tenant);
        let tenant = door.policy.hides_anything(tenant).then(|| tenant.clone());
        Some(Self { route: door.id.clone(), kind, modern, tenant, from: from.cloned() })
    }
}

impl MadeFrom {
    fn new(merged: &Arc<Merged>, ways: &Ways, seen: &Seen<'_, '_>) -> Self {
        Self {
            merged: Arc::downgrade(merged),
            policy: Arc::downgrade(&ways.door.policy),
            there: seen.there.iter().map(Arc::downgrade).collect(),
            fallen: seen.fallen.iter().map(Arc::downgrade).collect(),
        }
    }

    fn is(&self, merged: &Arc<Merged>, ways: &Ways, seen: &Seen<'_, '_>) -> bool {
        std::ptr::eq(self.merged.as_ptr(), Arc::as_ptr(merged))
            && std::ptr::eq(self.policy.as_ptr(), Arc::as_ptr(&ways.door.policy))
            && are(&self.there, &seen.there)
            && are(&self.fallen, &seen.fallen)
    }

    /// Whether it may still be what a list is made from.
    fn is_alive(&self) -> bool {
        let views = || self.there.iter().chain(&self.fallen);
        self.merged.strong_count() > 0
            && self.policy.strong_count() > 0
            && views().all(|view| view.strong_count() > 0)
    }
}

fn are(known: &[Weak<View>], views: &[Arc<View>]) -> bool {
    known.iter().map(Weak::as_ptr).eq(views.iter().map(Arc::as_ptr))
}

impl Default for Pages {
    fn default() -> Self {
        Self { all: DashMap::default(), bytes: AtomicUsize::new(0), epoch: Instant::now() }
    }
}

impl Pages {
    /// The page, if it is kept and would be the same if it were made now.
    pub(super) fn get(
        &self,
        wanted: &Wanted,
        merged: &Arc<Merged>,
        ways: &Ways,
        seen: &Seen<'_, '_>,
    ) -> Option<Page> {
        let kept = self.all.get(wanted)?;
        if !kept.made_from.is(merged, ways, seen) {
            return None;
        }
        kept.used.store(self.now(), Ordering::Relaxed);
        Some(kept.page.clone())
    }

    /// Keeps it, if there is room.
    pub(super) fn keep(
        &self,
        wanted: Wanted,
        merged: &Arc<Merged>,
        ways: &Ways,
        seen: &Seen<'_, '_>,
        page: &Page,
    ) {
        let (made_from, page) = (MadeFrom::new(merged, ways, seen), page.clone());
        self.put(wanted, Kept { made_from, page, used: AtomicU64::new(self.now()) });
    }

    fn put(&self, wanted: Wanted, kept: Kept) {
        let bytes = kept.bytes();
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > MOST {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        if let Some(before) = self.all.insert(wanted, kept) {
            self.bytes.fetch_sub(before.bytes(), Ordering::Relaxed);
        }
    }

    /// Bytes of all of them, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Forgets those that nobody asks for, and those that nobody can be given any more.
    pub(crate) fn sweep(&self) {
        let now = self.now();
        self.all.retain(|_, kept| {
            let stays = !kept.is_idle(now) && kept.made_from.is_alive();
            if !stays {
                self.bytes.fetch_sub(kept.bytes(), Ordering::Relaxed);
            }
            stays
        });
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        let views = self.made_from.there.len() + self.made_from.fallen.len();
        self.page.text.len() + OVERHEAD + views * size_of::<Weak<View>>()
    }

    /// Whether nobody has been given it for so long; `now` is in ms of the epoch.
    fn is_idle(&self, now: u64) -> bool {
        Duration::from_millis(now.saturating_sub(self.used.load(Ordering::Relaxed))) >= IDLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(route: &str) -> Wanted {
        Wanted { route: route.into(), kind: Kind::Tools, modern: true, tenant: None, from: None }
    }

    fn kept(text: &'static [u8]) -> Kept {
        let (there, fallen) = (Box::default(), Box::default());
        let made_from = MadeFrom { merged: Weak::new(), policy: Weak::new(), there, fallen };
        let page = Page { text: Bytes::from_static(text), last: None };
        Kept { made_from, page, used: AtomicU64::new(0) }
    }

    #[test]
    fn what_would_be_too_much_is_not_kept() {
        static LONG: [u8; 4 << 20] = [b'x'; 4 << 20];
        let pages = Pages::default();
        for number in 0..100 {
            pages.put(wanted(&number.to_string()), kept(&LONG));
        }
        assert_eq!(pages.all.len(), MOST / (LONG.len() + OVERHEAD));
        assert!(pages.bytes() <= MOST);
        pages.put(wanted("short"), kept(b"x"));
        assert!(pages.all.contains_key(&wanted("short")), "what fits is");
    }

    #[test]
    fn one_takes_the_place_of_the_one_before_and_its_room() {
        let pages = Pages::default();
        pages.put(wanted("a"), kept(b"long ago"));
        pages.put(wanted("a"), kept(b"now"));
        assert_eq!((pages.all.len(), pages.bytes()), (1, 3 + OVERHEAD));
    }

    #[test]
    fn what_nobody_has_asked_for_in_a_minute_is_idle() {
        let kept = kept(b"x");
        kept.used.store(1000, Ordering::Relaxed);
        assert_eq!([60_999, 61_000, 500].map(|now| kept.is_idle(now)), [false, true, false]);
    }

    #[test]
    fn what_nobody_can_be_given_any_more_is_forgotten() {
        let pages = Pages::default();
        pages.put(wanted("a"), kept(b"of a route that is gone"));
        pages.sweep();
        assert_eq!((pages.all.len(), pages.bytes()), (0, 0));
    }
}
