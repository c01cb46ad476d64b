//! Sessions of older clients at servers that have none.
//!
//! What such a session was opened with is in its handle, so any replica can go on with it, and one that was
//! put aside can be taken up again. What changes while it lives (log level, subscriptions, streams) is here.

use super::kept::Kept;
use super::log::Logs;
use crate::bridge::enter::Bounds;
use crate::bridge::modern::SchemaCache;
use crate::bridge::quota::{Full, Quota};
use crate::refusal::Refusal;
use crate::stage::inspect::SESSION_LIFETIME;
use dashmap::DashMap;
use narthex_mcp::bridge::discover::Account;
use narthex_mcp::bridge::message::RpcError;
use narthex_mcp::seal::HandleError;
use narthex_mcp::session::BridgedSession;
use narthex_store::{Capacity, Key, Store};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

/// What is kept of sessions that are not in use: values, and bytes of them.
const KEPT: (usize, usize) = (100_000, 16 << 20);

/// Numbers that are given once in this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// How the ids of our requests to clients begin.
const ASKED: &str = "narthex.";

/// What a client answered: a result as JSON text, or an error.
pub(super) type Reply = Result<String, RpcError>;

/// A session in use.
#[derive(Debug)]
pub(crate) struct LiveSession {
    pub(crate) opened: BridgedSession,
    owner: String,
    /// Whose share it is of.
    whose: String,
    /// From which level on log messages are wanted, once the client has said.
    pub(super) level: Mutex<Option<String>>,
    pub(super) logs: Logs,
    /// The resources that it is subscribed to.
    pub(super) uris: Mutex<BTreeSet<String>>,
    pub(super) schemas: Arc<SchemaCache>,
    pub(super) account: tokio::sync::OnceCell<Account>,
    /// Hears what the server says outside of calls.
    pub(super) listener: Mutex<Option<AbortHandle>>,
    /// Held while the listener is changed.
    pub(super) listening: tokio::sync::Mutex<()>,
    /// A GET stream is open.
    pub(super) hearing: AtomicBool,
    /// The number of the last event that a GET stream brought.
    pub(super) heard: AtomicU64,
    /// Requests to the client that it has not answered, by id as JSON text.
    pending: Mutex<HashMap<String, oneshot::Sender<Reply>>>,
    /// What its user was asked to do elsewhere, by the elicitation's id: whoever waits for it.
    pub(super) elicited: Mutex<HashMap<Arc<str>, AbortHandle>>,
    /// The client's requests under way, by id as JSON text.
    calls: Mutex<HashMap<String, Arc<Notify>>>,
    /// Tells what was numbered before it was put aside from what was since.
    pub(super) life: u64,
    used: Mutex<Instant>,
    ended: AtomicBool,
}

/// All sessions in use, and what is kept of the others.
#[derive(Debug)]
pub(crate) struct LiveSessions {
    sessions: DashMap<String, Arc<LiveSession>>,
    store: Arc<dyn Store>,
    /// Results of tasks that were over at once: what these take is not taken from the sessions.
    results: Arc<dyn Store>,
    quota: Quota,
}

impl Default for LiveSessions {
    fn default() -> Self {
        let memory = || {
            let entries = NonZeroUsize::new(KEPT.0).unwrap_or(NonZeroUsize::MIN);
            let capacity = Capacity { entries, bytes: KEPT.1 };
            Arc::new(narthex_store::Memory::new(capacity, Arc::new(Instant::now)))
        };
        Self { sessions: DashMap::new(), store: memory(), results: memory(), quota: Quota::default() }
    }
}

impl LiveSession {
    fn new(opened: BridgedSession, owner: String, whose: String, kept: Kept) -> Self {
        Self {
            opened,
            owner,
            whose,
            level: Mutex::new(kept.level),
            logs: Logs::default(),
            uris: Mutex::new(kept.uris),
            schemas: Arc::default(),
            account: tokio::sync::OnceCell::new(),
            listener: Mutex::default(),
            listening: tokio::sync::Mutex::default(),
            hearing: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            pending: Mutex::default(),
            elicited: Mutex::default(),
            calls: Mutex::default(),
            life: NEXT.fetch_add(1, Ordering::Relaxed),
            used: Mutex::new(Instant::now()),
            ended: AtomicBool::new(false),
        }
    }

    /// Registers a request to the client: its id as JSON text, which names this node, and where its
    /// answer will come.
    pub(super) fn expect(&self, node: &str) -> (String, oneshot::Receiver<Reply>) {
        // Not of the session: one that is taken up again must not use a name a second time.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("\"{ASKED}{node}.{number}\"");
        let (sender, receiver) = oneshot::channel();
        self.pending.lock().insert(id.clone(), sender);
        (id, receiver)
    }

    /// Nobody waits for that answer any more.
    pub(super) fn forget(&self, id: &str) {
        self.pending.lock().remove(id);
    }

    /// Takes a client's answer. Nobody may be waiting for it any more.
    ///
    /// # Errors
    /// It is another node that waits.
    pub(super) fn deliver(&self, id: &str, reply: Reply, node: &str) -> Result<(), Refusal> {
        let asker = id.trim_matches('"').strip_prefix(ASKED).and_then(|rest| rest.split('.').next());
        if asker.is_some_and(|asker| asker != node) {
            return Err(Refusal::HeldElsewhere);
        }
        if let Some(sender) = self.pending.lock().remove(id) {
            let _ = sender.send(reply);
        }
        Ok(())
    }

    /// Registers a request of the client's, so that it can be cancelled.
    pub(super) fn begin(self: &Arc<Self>, id: &str) -> Running {
        let cancelled = Arc::new(Notify::new());
        self.calls.lock().insert(id.to_owned(), Arc::clone(&cancelled));
        Running { live: Arc::clone(self), id: id.to_owned(), cancelled }
    }

    /// Cancels a request of the client's, if it is under way.
    pub(super) fn cancel(&self, id: &str) {
        if let Some(cancelled) = self.calls.lock().get(id) {
            cancelled.notify_one();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Stops all that goes on in it.
    fn stop(&self) {
        self.ended.store(true, Ordering::Release);
        self.pending.lock().clear();
        self.calls.lock().values().for_each(|cancelled| cancelled.notify_one());
        if let Some(listener) = self.listener.lock().take() {
            listener.abort();
        }
        self.elicited.lock().drain().for_each(|(_, task)| task.abort());
        self.logs.end(super::log::STANDALONE);
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        self.elicited.lock().drain().for_each(|(_, task)| task.abort());
        if let Some(listener) = self.listener.lock().take() {
            listener.abort();
        }
    }
}

/// A request of the client's under way.
pub(super) struct Running {
    live: Arc<LiveSession>,
    id: String,
    cancelled: Arc<Notify>,
}

impl Running {
    /// Waits until the client cancels it.
    pub(super) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut calls = self.live.calls.lock();
        if calls.get(&self.id).is_some_and(|known| Arc::ptr_eq(known, &self.cancelled)) {
            calls.remove(&self.id);
        }
    }
}

impl LiveSessions {
    /// The session that a handle stands for. One that is not in use here, because another replica opened
    /// it or because it was put aside, is taken up.
    ///
    /// # Errors
    /// It was ended, or there are too many.
    pub(crate) async fn take_up(
        &self,
        opened: BridgedSession,
        owner: String,
        whose: String,
        bounds: Bounds,
    ) -> Result<Arc<LiveSession>, Refusal> {
        if let Some(live) = self.sessions.get(&opened.id) {
            if live.owner != owner {
                return Err(Refusal::Session(HandleError::Foreign));
            }
            *live.used.lock() = Instant::now();
            return Ok(Arc::clone(&live));
        }
        let kept = self.kept(&opened.id).await;
        if kept.ended {
            return Err(Refusal::Session(HandleError::Expired));
        }
        if let Err(full) = self.quota.take(&whose, bounds.sessions_per_caller, bounds.sessions) {
            self.put_aside(&whose, full);
            let again = self.quota.take(&whose, bounds.sessions_per_caller, bounds.sessions);
            again.map_err(|_| Refusal::TooManySessions)?;
        }
        let new = Arc::new(LiveSession::new(opened, owner, whose, kept));
        match self.sessions.entry(new.opened.id.clone()) {
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

    /// Where results of tasks are kept.
    pub(super) fn results(&self) -> &Arc<dyn Store> {
        &self.results
    }

    async fn kept(&self, id: &str) -> Kept {
        match self.store.get(&key(id)).await {
            Ok(text) => text.and_then(|text| Kept::parse(&text)).unwrap_or_default(),
            // The handle has the rest, and it is the caller's own.
            Err(error) => {
                tracing::warn!(reason = error.reason(), "cannot look up a session");
                Kept::default()
            }
        }
    }

    async fn keep(&self, id: &str, kept: &Kept) {
        if let Err(error) = self.store.put(&key(id), kept.to_json().into(), SESSION_LIFETIME).await {
            tracing::warn!(reason = error.reason(), "cannot keep a session");
        }
    }

    /// Keeps what has changed in a session.
    pub(super) async fn save(&self, live: &LiveSession) {
        if live.has_ended() {
            return;
        }
        let (level, uris) = (live.level.lock().clone(), live.uris.lock().clone());
        self.keep(&live.opened.id, &Kept { ended: false, level, uris }).await;
    }

    /// Ends a session for good.
    pub(crate) async fn end(&self, live: &LiveSession) {
        live.stop();
        self.keep(&live.opened.id, &Kept { ended: true, ..Kept::default() }).await;
        if self.sessions.remove(&live.opened.id).is_some() {
            self.quota.give_back(&live.whose);
        }
    }

    /// Puts the session aside that has been idle the longest: of the caller, if it has too many, else of all.
    fn put_aside(&self, whose: &str, full: Full) {
        let candidates = self
            .sessions
            .iter()
            .filter(|live| (full == Full::All || live.whose == whose) && Arc::strong_count(live) == 1);
        let longest = candidates.map(|live| (*live.used.lock(), live.key().clone())).min();
        if let Some((_, id)) = longest {
            self.remove(&id, |live| Arc::strong_count(live) == 1);
        }
    }

    /// Puts aside what nobody has used for so long.
    pub(crate) fn sweep(&self, now: Instant, idle: Duration) {
        let is_idle = |live: &Arc<LiveSession>| {
            Arc::strong_count(live) == 1 && now.saturating_duration_since(*live.used.lock()) >= idle
        };
        let idle: Vec<String> =
            self.sessions.iter().filter(|live| is_idle(live)).map(|live| live.key().clone()).collect();
        for id in idle {
            self.remove(&id, is_idle);
        }
    }

    fn remove(&self, id: &str, may: impl Fn(&Arc<LiveSession>) -> bool) {
        if let Some((_, live)) = self.sessions.remove_if(id, |_, live| may(live)) {
            self.quota.give_back(&live.whose);
        }
    }

    /// Sessions in use now.
    pub(crate) fn count(&self) -> usize {
        self.quota.total()
    }
}

fn key(session: &str) -> Key {
    Key::new("bridged-session", &[session])
}
