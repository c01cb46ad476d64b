//! The catalogues of all upstreams: what each of them lists, kept for all who may share it.

use super::connection::Connection;
use super::content::Content;
use super::keeper;
use super::route::{Member, Merged};
use super::view::Views;
use crate::bridge::enter::Bounds;
use crate::bridge::link::{Link, Ways, is_outage};
use crate::refusal::Refusal;
use ahash::RandomState;
use arc_swap::ArcSwap;
use dashmap::DashMap;
use narthex_config::model::UpstreamId;
use narthex_credentials::CredentialSource;
use narthex_identity::Caller;
use narthex_mcp::federation::cursor::Kind;
use narthex_upstreams::Upstream;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::AbortHandle;

/// Catalogues kept at one time, and bytes of all of them; over it, the longest idle goes.
const MOST: (usize, usize) = (4096, 512 << 20);
/// Changes that wait for a listener; one that misses some is told that anything may have changed.
const BACKLOG: usize = 64;

/// All of them, by upstream and by who shares its credential.
#[derive(Debug, Default)]
pub(crate) struct Catalogues {
    all: DashMap<String, Arc<Catalogue>, RandomState>,
    /// The pins' generation that listeners know of.
    trust: AtomicU64,
}

/// What one upstream lists for those who share a credential.
pub(super) struct Catalogue {
    pub(super) upstream: UpstreamId,
    /// What it was made for: with another credential, or at another place, it is another one.
    source: Arc<CredentialSource>,
    places: Vec<Arc<Upstream>>,
    content: ArcSwap<Content>,
    settled: watch::Sender<u64>,
    publishing: Mutex<()>,
    /// The lists of which the upstream would tell if they changed, a bit for each.
    watched: AtomicU8,
    /// It could not be read for want of a credential: whoever asks next brings one.
    locked: AtomicBool,
    /// What was too old and nobody waits for any longer, by generation.
    outwaited: AtomicU64,
    /// Tells listeners which lists have changed.
    pub(super) news: broadcast::Sender<Kind>,
    /// Has the keeper look again.
    pub(super) poke: Notify,
    /// Has it look at once whether the caller has connected the upstream by now.
    pub(super) reconnect: Notify,
    /// The way that the keeper takes.
    link: Mutex<Link>,
    epoch: Instant,
    used: AtomicU64,
    pub(super) views: Views,
    keeper: Mutex<Option<AbortHandle>>,
}

impl Catalogues {
    /// The catalogue of one upstream for whoever asks. One that is not there yet is begun.
    ///
    /// # Errors
    /// There is no credential to ask with.
    pub(super) async fn get(
        &self,
        ways: &Ways,
        merged: &Merged,
        member: &Member,
        bounds: Bounds,
    ) -> Result<Arc<Catalogue>, Refusal> {
        let key = key(ways, member);
        if let Some(known) = self.known(&key, member, Instant::now()) {
            if member.brings_credential() {
                known.take_credential(ways, member).await?;
            }
            return Ok(known);
        }
        if member.wants_consent() {
            // The keeper finds out whether there is a credential: nobody is asked for one yet.
            let link = ways.detached().toward(member.endpoint(Instant::now()));
            return Ok(self.begin(key.into_owned(), Catalogue::new(member, link), merged, bounds));
        }
        let own = (!member.is_per_caller()).then(|| Ways::own(&ways.shared, &ways.door, gateway()));
        let link = own.as_ref().unwrap_or(ways).to(member.endpoint(Instant::now())).await?.detached();
        Ok(self.begin(key.into_owned(), Catalogue::new(member, link), merged, bounds))
    }

    /// The catalogue, if it is there and whoever asks need not bring anything.
    pub(super) fn ready(&self, ways: &Ways, member: &Member, now: Instant) -> Option<Arc<Catalogue>> {
        if member.brings_credential() {
            return None;
        }
        self.known(&key(ways, member), member, now)
    }

    fn known(&self, key: &str, member: &Member, now: Instant) -> Option<Arc<Catalogue>> {
        let known = self.all.get(key).map(|known| Arc::clone(&known))?;
        if !known.is_of(member) {
            return None;
        }
        known.touch(now);
        // Another replica may be where the caller has connected it.
        if member.wants_consent() && !known.content().is_there() {
            known.poke.notify_one();
        }
        Some(known)
    }

    /// Puts a new catalogue in its place, unless somebody else just did.
    fn begin(&self, key: String, new: Catalogue, merged: &Merged, bounds: Bounds) -> Arc<Catalogue> {
        let new = Arc::new(new);
        let begun = match self.all.entry(key) {
            dashmap::Entry::Occupied(mut there) => {
                if there.get().is_like(&new) {
                    return Arc::clone(there.get());
                }
                there.insert(Arc::clone(&new));
                new
            }
            dashmap::Entry::Vacant(place) => Arc::clone(place.insert(new).value()),
        };
        let bounds = Bounds { sessions_per_caller: usize::MAX, ..bounds };
        let keeping = keeper::keep(Arc::downgrade(&begun), merged.member(&begun.upstream), bounds);
        *begun.keeper.lock() = Some(tokio::spawn(keeping).abort_handle());
        begun
    }

    /// Tells listeners that tools may have come or gone, if somebody has approved any since.
    pub(crate) fn trust(&self, generation: u64) {
        if self.trust.swap(generation, Ordering::Relaxed) != generation {
            for catalogue in &self.all {
                let _ = catalogue.news.send(Kind::Tools);
            }
        }
    }

    /// Ends those that nobody has used for so long, those of upstreams that are configured no more, and the
    /// longest idle if there are too many.
    pub(crate) fn sweep(&self, idle: Duration, is_configured: impl Fn(&Arc<Upstream>) -> bool) {
        self.all.retain(|_, catalogue| {
            let in_use = catalogue.news.receiver_count() > 0 || catalogue.idle() < idle;
            in_use && catalogue.places.iter().all(&is_configured)
        });
        let mut by_age: Vec<_> = self
            .all
            .iter()
            .map(|entry| (entry.idle(), entry.content().bytes(), entry.key().clone()))
            .collect();
        by_age.sort_unstable_by_key(|(idle, ..)| std::cmp::Reverse(*idle));
        let (mut count, mut bytes) = (by_age.len(), by_age.iter().map(|(_, bytes, _)| bytes).sum::<usize>());
        for (_, size, key) in by_age {
            if count <= MOST.0 && bytes <= MOST.1 {
                break;
            }
            self.all.remove(&key);
            count -= 1;
            bytes -= size;
        }
    }
}

/// What belongs to no caller: two callers never share more than a credential.
fn key<'m>(ways: &Ways, member: &'m Member) -> Cow<'m, str> {
    if member.is_per_caller() {
        Cow::Owned(member.key.to_string() + &ways.whose())
    } else {
        Cow::Borrowed(&member.key)
    }
}

/// Whom the gateway asks for on its own behalf.
fn gateway() -> Arc<Caller> {
    Arc::new(Caller { subject: Arc::from("narthex"), ..Caller::anonymous("".into()) })
}

impl Catalogue {
    fn new(member: &Member, link: Link) -> Self {
        Self {
            upstream: member.id.clone(),
            source: Arc::clone(&member.credentials),
            places: member.group.iter().map(Arc::clone).collect(),
            content: ArcSwap::default(),
            settled: watch::Sender::new(0),
            publishing: Mutex::default(),
            watched: AtomicU8::new(0),
            locked: AtomicBool::new(false),
            outwaited: AtomicU64::new(u64::MAX),
            news: broadcast::Sender::new(BACKLOG),
            poke: Notify::new(),
            reconnect: Notify::new(),
            link: Mutex::new(link),
            epoch: Instant::now(),
            used: AtomicU64::new(0),
            views: Views::default(),
            keeper: Mutex::default(),
        }
    }

    /// Has the keeper ask with the caller's credential from now on: the one that it asked with last may have expired
    /// since, or have been revoked.
    async fn take_credential(&self, ways: &Ways, member: &Member) -> Result<(), Refusal> {
        let failed = self.content().failed.is_some();
        let mut link = match ways.to(member.endpoint(Instant::now())).await {
            Ok(link) => link,
            Err(refusal) if failed => return Err(refusal),
            Err(_) => return Ok(()),
        };
        if self.locked.load(Ordering::Relaxed) && link.carries_that_of(&self.link()) {
            // The upstream has refused it, and only a caller's own token can have it replaced.
            let renewed = link.renew().await;
            renewed.or_else(|refusal| if failed { Err(refusal) } else { Ok(()) })?;
        }
        self.set_link(link.detached());
        if failed {
            self.poke.notify_one();
        }
        Ok(())
    }

    fn is_of(&self, member: &Member) -> bool {
        self.is_at(&member.credentials, member.group.iter())
    }

    fn is_like(&self, other: &Self) -> bool {
        self.is_at(&other.source, other.places.iter())
    }

    /// Whether it is that of the server at these endpoints, with this credential.
    fn is_at<'p>(
        &self,
        source: &Arc<CredentialSource>,
        places: impl Iterator<Item = &'p Arc<Upstream>>,
    ) -> bool {
        Arc::ptr_eq(&self.source, source) && self.places.iter().map(Arc::as_ptr).eq(places.map(Arc::as_ptr))
    }

    /// What is known now.
    pub(super) fn content(&self) -> Arc<Content> {
        self.content.load_full()
    }

    /// That of what is known now.
    pub(super) fn generation(&self) -> u64 {
        self.content.load().generation
    }

    /// What is known once anything is, but not later than `until`. An upstream that takes longer is left out
    /// from then on, and nobody waits for it again. `fresh`: what is long out of date, as nobody has asked for
    /// it, is read again first. `now`: when whoever wants it began to ask.
    pub(super) async fn settled(
        &self,
        now: Instant,
        until: tokio::time::Instant,
        fresh: bool,
    ) -> Arc<Content> {
        let content = self.content();
        if content.is_settled() && !(fresh && self.is_outdated(&content, now)) {
            return content;
        }
        let mut settled = self.settled.subscribe();
        loop {
            settled.borrow_and_update();
            let content = self.content();
            let outdated = fresh && self.is_outdated(&content, Instant::now());
            if content.is_settled() && !outdated {
                return content;
            }
            if outdated {
                self.poke.notify_one();
            }
            if !matches!(tokio::time::timeout_at(until, settled.changed()).await, Ok(Ok(()))) {
                self.give_up();
                self.outwaited.store(content.generation, Ordering::Relaxed);
                return self.content();
            }
        }
    }

    /// What is known once it is known that the caller has connected the upstream, but not later than `until`.
    pub(super) async fn connected(&self, until: tokio::time::Instant) -> Arc<Content> {
        let mut settled = self.settled.subscribe();
        self.reconnect.notify_one();
        loop {
            settled.borrow_and_update();
            let content = self.content();
            let waits = content.unconnected.is_some();
            if !waits || !matches!(tokio::time::timeout_at(until, settled.changed()).await, Ok(Ok(()))) {
                return content;
            }
        }
    }

    /// Whether a list is so old that it is not even to be used while it is read again.
    fn is_outdated(&self, content: &Content, now: Instant) -> bool {
        let watched = self.watched.load(Ordering::Relaxed);
        let is_outdated = |kind: &Kind| {
            let list = content.list(*kind).filter(|_| watched & bit(*kind) == 0);
            list.is_some_and(|list| list.is_outdated(now))
        };
        content.failed.is_none()
            && self.outwaited.load(Ordering::Relaxed) != content.generation
            && (self.locked.load(Ordering::Relaxed) || Kind::ALL.iter().any(is_outdated))
    }

    /// From now on the upstream would tell of changes of these lists.
    pub(super) fn watch(&self, kinds: impl Iterator<Item = Kind>) {
        self.watched.store(kinds.fold(0, |bits, kind| bits | bit(kind)), Ordering::Relaxed);
    }

    /// What the upstream says now. Tells listeners of what has changed.
    pub(super) fn publish(&self, make: impl FnOnce(&Content) -> Option<(Content, Vec<Kind>)>) {
        let _one_at_a_time = self.publishing.lock();
        let Some((next, changed)) = make(&self.content.load()) else { return };
        let generation = next.generation;
        self.content.store(Arc::new(next));
        self.locked.store(false, Ordering::Relaxed);
        self.settled.send_replace(generation);
        for kind in changed {
            // Nobody may be listening.
            let _ = self.news.send(kind);
        }
    }

    /// It cannot be asked now.
    pub(super) fn fail(&self, refusal: &Refusal) {
        let why = refusal.reason();
        if let Refusal::Credential(error) = refusal
            && error.consent().is_some()
        {
            return self.publish(|content| Some(content.disconnected(error.clone())));
        }
        let wants_credential = matches!(refusal, Refusal::Credential(_) | Refusal::CredentialRejected { .. });
        if wants_credential && self.source.is_per_caller() && self.content().account.is_some() {
            return self.locked.store(true, Ordering::Relaxed);
        }
        self.publish(|content| {
            if content.failed == Some(why) {
                return None;
            }
            tracing::info!(upstream = %self.upstream, reason = why, "its lists cannot be read");
            Some(content.without(why))
        });
    }

    /// Nobody waits for it any longer, if it has not been read by now.
    fn give_up(&self) {
        self.publish(|content| (!content.is_settled()).then(|| content.without("slow")));
    }

    fn touch(&self, now: Instant) {
        let now = now.saturating_duration_since(self.epoch);
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // Most of the time it is the same: others read this line, too.
        if self.used.load(Ordering::Relaxed) + 500 < now {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    /// For how long nobody has asked for it.
    pub(super) fn idle(&self) -> Duration {
        self.epoch.elapsed().saturating_sub(Duration::from_millis(self.used.load(Ordering::Relaxed)))
    }

    /// The caller's connection to the upstream, if it is one caller's.
    pub(super) fn connection(&self) -> Connection {
        Connection::of(&self.source, &self.link.lock().caller)
    }

    /// Ends the caller's sessions at the upstream that no call needs any more.
    pub(super) fn end_sessions(&self) {
        let link = self.link();
        link.shared.bridge.sessions.end_of(&link.whose(), &self.upstream);
    }

    pub(super) fn link(&self) -> Link {
        self.link.lock().clone()
    }

    pub(super) fn set_link(&self, link: Link) {
        *self.link.lock() = link;
    }
}

fn bit(kind: Kind) -> u8 {
    match kind {
        Kind::Tools => 1,
        Kind::Prompts => 2,
        Kind::Resources => 4,
        Kind::Templates => 8,
    }
}

/// Has the catalogue of an upstream looked after when a call of it failed.
pub(crate) struct Doubt(pub(super) Arc<Catalogue>);

impl Doubt {
    /// Takes note of how a call went.
    pub(crate) fn note<T>(&self, outcome: &Result<T, Refusal>) {
        if outcome.as_ref().is_err_and(|refusal| is_outage(refusal) || refusal.consent().is_some()) {
            self.0.poke.notify_one();
        }
    }
}

impl Drop for Catalogue {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.lock().take() {
            keeper.abort();
        }
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}
