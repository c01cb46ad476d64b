//! Speaking to servers of 2025-11-25 and earlier: sessions, and calls within them.
//!
//! A session is opened with what the client declared, so it is one caller's, for one set of capabilities,
//! and never shared with another caller: older servers may keep anything in it. Child processes that the
//! configuration has all callers share are the exception: such a session is the gateway's own.

mod call;
mod ear;
mod routes;
mod session;
mod source;
mod sse_wire;
mod stdio_wire;
mod wire;

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
use narthex_config::model::UpstreamId;
use narthex_credentials::CredentialSource;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::declared::Declared;
use narthex_upstreams::Upstream;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Child processes of one caller at one upstream: each is a whole server.
const CHILDREN_EACH: usize = 8;
/// Child processes of one upstream, and of all of them.
const CHILDREN: (usize, usize) = (256, 1024);

/// The sessions at servers that are open for callers.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    places: DashMap<String, Arc<Place>>,
    quota: Quota,
    /// Callers' own child processes, by upstream.
    children: Quota,
}

/// One caller's session for one set of capabilities.
#[derive(Debug)]
struct Place {
    /// Whose share it is of.
    whose: String,
    /// The upstream that it is at.
    upstream: UpstreamId,
    /// Held while the session is being opened: others that want it wait, rather than open another.
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    used: Mutex<Instant>,
    /// When it could last not be opened.
    failed: Mutex<Option<Instant>>,
    /// What child process it is of, and how that was configured.
    child: Option<Child>,
    /// All callers share it: it is kept for as long as it is configured.
    is_shared: bool,
}

impl Place {
    /// The upstream whose child process is this caller's alone, if it is.
    fn own_child(&self) -> Option<&str> {
        self.child.as_ref().filter(|_| !self.is_shared).map(|child| child.upstream.origin.as_str())
    }
}

/// The child process that a session is of.
#[derive(Debug)]
struct Child {
    upstream: Arc<Upstream>,
    credentials: Arc<CredentialSource>,
}

/// Whose a session is, and for what.
struct Claim {
    /// What tells it from all others.
    key: String,
    /// Whose share it is of.
    whose: String,
    upstream: UpstreamId,
    declared: Declared,
    child: Option<Child>,
    is_shared: bool,
}

impl Claim {
    fn of(link: &Link, declared: &Declared) -> Self {
        let lane = link.lane.as_deref().unwrap_or_default();
        let key = format!("{}{lane}{}", link.owner(), declared.fingerprint());
        let (upstream, credentials) = (link.upstream(), &link.route.credentials);
        let (whose, id) = (link.whose(), upstream.id.clone());
        if upstream.stdio().is_none() {
            let declared = declared.clone();
            return Self { key, whose, upstream: id, declared, child: None, is_shared: false };
        }
        let child = Some(Child { upstream: Arc::clone(upstream), credentials: Arc::clone(credentials) });
        // One that was configured otherwise is another, for requests that are older than a reload, too.
        let version = format!("{:p}:{:p}", Arc::as_ptr(upstream), Arc::as_ptr(credentials));
        if !stdio_wire::is_shared(link) {
            let (key, whose) = (format!("{version}:{key}"), format!("{}:{whose}", upstream.origin));
            return Self { key, whose, upstream: id, declared: declared.clone(), child, is_shared: false };
        }
        let key = format!("shared:{version}:{}", upstream.origin);
        Self { key, whose: String::new(), upstream: id, declared: ourselves(), child, is_shared: true }
    }
}

/// What the gateway declares for itself: a server that all callers share cannot ask any of them.
fn ourselves() -> Declared {
    let mut info = Object::default();
    info.set_string("name", "narthex");
    info.set_string("version", env!("CARGO_PKG_VERSION"));
    Declared { client_info: Some(info), ..Declared::default() }
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
        let claim = Claim::of(link, declared);
        let (key, declared) = (claim.key.clone(), claim.declared.clone());
        let place = self.place(claim, bounds)?;
        let asked = Instant::now();
        let mut held = place.session.lock().await;
        if place.failed.lock().is_some_and(|failed| failed > asked) {
            // It failed for whoever was first, just now.
            return Err(Refusal::UpstreamError { status: StatusCode::SERVICE_UNAVAILABLE });
        }
        if let Some(session) = held.as_ref().filter(|session| !session.is_gone()) {
            return Ok(Arc::clone(session));
        }
        match open(link, &declared).await {
            Ok(session) => {
                let session = Arc::new(session);
                *held = Some(Arc::clone(&session));
                Ok(session)
            }
            Err(refusal) => {
                // It may be another server than it was.
                link.upstream().eras.doubt(Instant::now());
                if refusal.consent().is_none() {
                    *place.failed.lock() = Some(Instant::now());
                }
                drop(held);
                self.forget(&key, |place| Arc::strong_count(place) <= 2);
                Err(refusal)
            }
        }
    }

    fn place(&self, claim: Claim, bounds: Bounds) -> Result<Arc<Place>, Refusal> {
        let Claim { key, whose, upstream, child, is_shared, .. } = claim;
        if let Some(place) = self.places.get(&key) {
            *place.used.lock() = Instant::now();
            return Ok(Arc::clone(&place));
        }
        let new = Arc::new(Place {
            whose,
            upstream,
            session: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
            failed: Mutex::default(),
            child,
            is_shared,
        });
        self.take(&new, bounds)?;
        // Two requests may come here at once: the place of the first is kept.
        match self.places.entry(key) {
            dashmap::Entry::Occupied(first) => {
                let first = Arc::clone(first.get());
                self.give_back(&new);
                Ok(first)
            }
            dashmap::Entry::Vacant(empty) => {
                empty.insert(Arc::clone(&new));
                Ok(new)
            }
        }
    }

    /// Counts a place, if need be in the place of one that has been idle the longest.
    fn take(&self, place: &Place, bounds: Bounds) -> Result<(), Refusal> {
        let each = match &place.child {
            // The gateway has as many as there are upstreams.
            Some(_) if place.is_shared => usize::MAX,
            Some(_) => bounds.sessions_per_caller.min(CHILDREN_EACH),
            None => bounds.sessions_per_caller,
        };
        if let Err(full) = self.quota.take(&place.whose, each, bounds.sessions) {
            self.evict(|other| full == Full::All || other.whose == place.whose);
            let again = self.quota.take(&place.whose, each, bounds.sessions);
            again.map_err(|_| Refusal::TooManySessions)?;
        }
        let Some(origin) = place.own_child() else { return Ok(()) };
        if let Err(full) = self.children.take(origin, CHILDREN.0, CHILDREN.1) {
            self.evict(|other| other.own_child().is_some_and(|its| full == Full::All || its == origin));
            let again = self.children.take(origin, CHILDREN.0, CHILDREN.1);
            again.map_err(|_| {
                self.quota.give_back(&place.whose);
                Refusal::TooManySessions
            })?;
        }
        Ok(())
    }

    fn give_back(&self, place: &Place) {
        self.quota.give_back(&place.whose);
        if let Some(origin) = place.own_child() {
            self.children.give_back(origin);
        }
    }

    /// Ends the sessions that nobody has used for so long.
    pub(crate) fn sweep(&self, now: Instant, idle: Duration) {
        let is_idle = |place: &Arc<Place>| {
            let unused = now.saturating_duration_since(*place.used.lock()) >= idle;
            unused && Arc::strong_count(place) == 1 && !place.is_shared
        };
        let idle: Vec<String> =
            self.places.iter().filter(|place| is_idle(place)).map(|place| place.key().clone()).collect();
        for key in idle {
            self.forget(&key, |place| is_idle(place) && !is_in_use(place));
        }
    }

    /// Ends the sessions at child processes, unless `keep` says that they are configured as they were: the
    /// children end, as soon as they like to once nothing more is said to them.
    pub(crate) fn end_children(&self, keep: impl Fn(&Arc<Upstream>, &Arc<CredentialSource>) -> bool) {
        let is_other = |place: &Arc<Place>| {
            place.child.as_ref().is_some_and(|child| !keep(&child.upstream, &child.credentials))
        };
        let others: Vec<String> =
            self.places.iter().filter(|place| is_other(place)).map(|place| place.key().clone()).collect();
        for key in others {
            self.forget(&key, |_| true);
        }
    }

    /// Ends the sessions of that caller at that upstream. Those that calls are under way in are only not used for any
    /// others.
    pub(crate) fn end_of(&self, whose: &str, upstream: &UpstreamId) {
        let is_its = |place: &Arc<Place>| place.whose == whose && place.upstream == *upstream;
        let its: Vec<String> =
            self.places.iter().filter(|place| is_its(place)).map(|place| place.key().clone()).collect();
        for key in its {
            if self.places.get(&key).is_some_and(|place| is_in_use(&place)) {
                self.places.remove(&key).into_iter().for_each(|(_, place)| self.give_back(&place));
            } else {
                self.forget(&key, |_| true);
            }
        }
    }

    fn forget(&self, key: &str, may: impl Fn(&Arc<Place>) -> bool) {
        let Some((_, place)) = self.places.remove_if(key, |_, place| may(place)) else { return };
        self.give_back(&place);
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

    /// Ends the session that has been idle the longest of those that may be ended.
    fn evict(&self, may: impl Fn(&Place) -> bool) {
        let candidates = self.places.iter().filter(|place| {
            may(place) && !place.is_shared && Arc::strong_count(place) == 1 && !is_in_use(place)
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
