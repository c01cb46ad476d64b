//! Which upstream a URI was seen from: a caller may be given one in a result that no list has in it.

use dashmap::DashMap;
use narthex_config::model::UpstreamId;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// URIs remembered for one caller on one route.
const URIS: usize = 1024;
/// Callers remembered.
const CALLERS: usize = 10_000;

/// URIs by owner, and by what of theirs it was.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    callers: DashMap<String, Arc<Mutex<Seen>>>,
}

#[derive(Debug, Default)]
struct Seen {
    by_uri: HashMap<Arc<str>, UpstreamId>,
    order: VecDeque<Arc<str>>,
}

impl Mentions {
    /// Remembers that `upstream` mentioned `uri` to `owner`. Who was first stays: nobody can take a URI over.
    pub(super) fn note(&self, owner: &str, upstream: &UpstreamId, uri: &str) {
        if !self.callers.contains_key(owner) && self.callers.len() >= CALLERS {
            return;
        }
        let seen = Arc::clone(&self.callers.entry(owner.to_owned()).or_default());
        let mut seen = seen.lock();
        if seen.by_uri.contains_key(uri) {
            return;
        }
        if seen.order.len() >= URIS
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.by_uri.remove(&oldest);
        }
        let uri: Arc<str> = uri.into();
        seen.order.push_back(Arc::clone(&uri));
        seen.by_uri.insert(uri, upstream.clone());
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
        if self.callers.len() >= CALLERS {
            self.callers.clear();
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
            mentions.note("ann", &a, &format!("y://{number}"));
        }
        let kept = mentions.callers.get("ann").unwrap().lock().by_uri.len();
        assert_eq!((kept, mentions.whose("ann", "x://1")), (URIS, None), "it is bounded");
    }
}
