//! Which upstream a URI was seen from: a caller may be given one in a result that no list has in it.

use dashmap::DashMap;
use narthex_config::model::UpstreamId;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// URIs, and bytes of them, remembered of one upstream for one caller on one route. Each has its own share, or one
/// could have the others' forgotten.
const SHARE: (usize, usize) = (512, 128 << 10);
/// Callers remembered, and bytes for all of them.
const MOST: (usize, usize) = (10_000, 64 << 20);

/// URIs by owner, and by what of theirs it was.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    callers: DashMap<String, Arc<Mutex<Seen>>>,
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Seen {
    by_uri: HashMap<Arc<str>, UpstreamId>,
    order: HashMap<UpstreamId, Order>,
}

/// One upstream's, the oldest first.
#[derive(Debug, Default)]
struct Order {
    uris: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Mentions {
    /// Remembers that `upstream` mentioned `uri` to `owner`. Who was first stays: nobody can take a URI over.
    pub(super) fn note(&self, owner: &str, upstream: &UpstreamId, uri: &str) {
        let full = self.bytes.load(Ordering::Relaxed) >= MOST.1;
        if full || (!self.callers.contains_key(owner) && self.callers.len() >= MOST.0) {
            return;
        }
        let seen = Arc::clone(&self.callers.entry(owner.to_owned()).or_default());
        let mut seen = seen.lock();
        let Seen { by_uri, order } = &mut *seen;
        if by_uri.contains_key(uri) {
            return;
        }
        let order = order.entry(upstream.clone()).or_default();
        while order.uris.len() >= SHARE.0 || order.bytes + uri.len() > SHARE.1 {
            let Some(oldest) = order.uris.pop_front() else { return };
            by_uri.remove(&oldest);
            order.bytes -= oldest.len();
            self.bytes.fetch_sub(oldest.len(), Ordering::Relaxed);
        }
        order.bytes += uri.len();
        self.bytes.fetch_add(uri.len(), Ordering::Relaxed);
        let uri: Arc<str> = uri.into();
        order.uris.push_back(Arc::clone(&uri));
        by_uri.insert(uri, upstream.clone());
    }

    /// Who mentioned it to `owner`.
    pub(super) fn whose(&self, owner: &str, uri: &str) -> Option<UpstreamId> {
        let seen = Arc::clone(&*self.callers.get(owner)?);
        let seen = seen.lock();
        seen.by_uri.get(uri).cloned()
    }

    /// Forgets callers, all of them, once there are too many: what they were shown is in lists, too, or is seen
    /// again.
    pub(crate) fn sweep(&self) {
        if self.callers.len() >= MOST.0 || self.bytes.load(Ordering::Relaxed) >= MOST.1 {
            self.callers.clear();
            self.bytes.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_stays_with_whom_it_was_seen_first_and_is_no_other_callers() {
        let mentions = Mentions::default();
        let (a, b) = (UpstreamId::from("a"), UpstreamId::from("b"));
        mentions.note("ann", &a, "x://1");
        mentions.note("ann", &b, "x://1");
        assert_eq!(mentions.whose("ann", "x://1"), Some(a.clone()));
        assert_eq!(mentions.whose("bob", "x://1"), None);
        for number in 0..2000 {
            mentions.note("ann", &b, &format!("y://{number}"));
        }
        let kept = || mentions.callers.get("ann").unwrap().lock().by_uri.len();
        assert_eq!(kept(), SHARE.0 + 1, "it is bounded");
        assert_eq!(mentions.whose("ann", "x://1"), Some(a.clone()), "by nobody else's");
        for number in 0..2000 {
            mentions.note("ann", &a, &format!("z://{number}"));
        }
        assert_eq!((kept(), mentions.whose("ann", "x://1")), (2 * SHARE.0, None));
        for number in 0..200 {
            mentions.note("ann", &a, &format!("z://{number}/{}", "x".repeat(2000)));
        }
        assert!(mentions.bytes.load(Ordering::Relaxed) <= 2 * SHARE.1, "in bytes as well");
    }
}
