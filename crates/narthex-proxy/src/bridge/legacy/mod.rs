//! Speaking to servers of 2025-11-25 and earlier: sessions, and calls within them.
//!
//! A session is opened with what the client declared, so it is one caller's, for one set of capabilities,
//! and never shared with another caller: older servers may keep anything in it.

mod call;
mod ear;
mod session;
mod sse_wire;

pub(crate) use call::{LegacyCall, NotBegun, Start};
pub(crate) use ear::Listening;
pub(crate) use session::Session;

use super::enter::Bounds;
use super::link::{Link, report};
use super::quota::{Full, Quota};
use crate::forward::ForwardError;
use crate::refusal::Refusal;
use dashmap::DashMap;
use http::StatusCode;
use narthex_mcp::bridge::declared::Declared;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The sessions at servers that are open for callers.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    places: DashMap<String, Arc<Place>>,
    quota: Quota,
}

/// One caller's session for one set of capabilities.
#[derive(Debug)]
struct Place {
    /// Whose share it is of.
    whose: String,
    /// Held while the session is being opened: others that want it wait, rather than open another.
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    used: Mutex<Instant>,
    /// When it could last not be opened.
    failed: Mutex<Option<Instant>>,
}

/// Opens a session as one of the upstream's calls, within the time that one may take.
async fn open(link: &mut Link, declared: &Declared) -> Result<Session, Refusal> {
    let mut slot = link.enter()?;
    let patience = link.upstream().timeout;
    let opened = tokio::time::timeout(patience, Session::open(link, declared)).await;
    let opened = opened.unwrap_or(Err(Refusal::Forward(ForwardError::Timeout)));
    report(&mut slot, &opened);
    opened
}

impl Sessions {
    /// The session of `link`'s caller, opened if need be.
    ///
    /// # Errors
    /// There are too many, or the server does not open one.
    pub(crate) async fn get(
        &self,
        link: &mut Link,
        declared: &Declared,
        bounds: Bounds,
    ) -> Result<Arc<Session>, Refusal> {
        let lane = link.lane.as_deref().unwrap_or_default();
        let key = format!("{}{lane}{}", link.owner(), declared.fingerprint());
        let place = self.place(&key, link.whose(), bounds)?;
        let asked = Instant::now();
        let mut held = place.session.lock().await;
        if place.failed.lock().is_some_and(|failed| failed > asked) {
            // It failed for whoever was first, just now.
            return Err(Refusal::UpstreamError { status: StatusCode::SERVICE_UNAVAILABLE });
        }
        if let Some(session) = held.as_ref().filter(|session| !session.is_gone()) {
            return Ok(Arc::clone(session));
        }
        match open(link, declared).await {
            Ok(session) => {
                let session = Arc::new(session);
                *held = Some(Arc::clone(&session));
                Ok(session)
            }
            Err(refusal) => {
                // It may be another server than it was.
                link.upstream().eras.doubt(Instant::now());
                *place.failed.lock() = Some(Instant::now());
                drop(held);
                self.forget(&key, |place| Arc::strong_count(place) <= 2);
                Err(refusal)
            }
        }
    }

    fn place(&self, key: &str, whose: String, bounds: Bounds) -> Result<Arc<Place>, Refusal> {
        if let Some(place) = self.places.get(key) {
            *place.used.lock() = Instant::now();
            return Ok(Arc::clone(&place));
        }
        if let Err(full) = self.quota.take(&whose, bounds.sessions_per_caller, bounds.sessions) {
            self.evict(&whose, full);
            let again = self.quota.take(&whose, bounds.sessions_per_caller, bounds.sessions);
            again.map_err(|_| Refusal::TooManySessions)?;
        }
        let used = Mutex::new(Instant::now());
        let new =
            Arc::new(Place { whose, session: tokio::sync::Mutex::default(), used, failed: Mutex::default() });
        // Two requests may come here at once: the place of the first is kept.
        match self.places.entry(key.to_owned()) {
            dashmap::Entry::Occupied(first) => {
                let first = Arc::clone(first.get());
                self.quota.give_back(&new.whose);
                Ok(first)
            }
            dashmap::Entry::Vacant(empty) => {
                empty.insert(Arc::clone(&new));
                Ok(new)
            }
        }
    }

    /// Ends the sessions that nobody has used for so long.
    pub(crate) fn sweep(&self, now: Instant, idle: Duration) {
        let is_idle = |place: &Arc<Place>| {
            now.saturating_duration_since(*place.used.lock()) >= idle && Arc::strong_count(place) == 1
        };
        let idle: Vec<String> =
            self.places.iter().filter(|place| is_idle(place)).map(|place| place.key().clone()).collect();
        for key in idle {
            self.forget(&key, |place| is_idle(place) && !is_in_use(place));
        }
    }

    fn forget(&self, key: &str, may: impl Fn(&Arc<Place>) -> bool) {
        let Some((_, place)) = self.places.remove_if(key, |_, place| may(place)) else { return };
        self.quota.give_back(&place.whose);
        if let Ok(mut session) = place.session.try_lock()
            && let Some(session) = session.take()
        {
            session.end();
        }
    }

    /// Sessions kept now.
    pub(crate) fn count(&self) -> usize {
        self.quota.total()
    }

    /// Ends the session that has been idle the longest: of the caller, if it has too many, else of all.
    fn evict(&self, whose: &str, full: Full) {
        let candidates = self.places.iter().filter(|place| {
            (full == Full::All || place.whose == whose) && Arc::strong_count(place) == 1 && !is_in_use(place)
        });
        let longest = candidates.map(|place| (*place.used.lock(), place.key().clone())).min();
        if let Some((_, key)) = longest {
            self.forget(&key, |place| Arc::strong_count(place) == 1 && !is_in_use(place));
        }
    }
}

/// Whether a call or a listener still works with it.
fn is_in_use(place: &Arc<Place>) -> bool {
    place.session.try_lock().is_ok_and(|s| s.as_ref().is_some_and(|s| Arc::strong_count(s) > 1))
}
