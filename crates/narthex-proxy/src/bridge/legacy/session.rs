//! One session at a server of 2025-11-25 or earlier.

use super::call::says_gone;
use super::ear::Ear;
use super::source::Source;
use super::stdio_wire;
use super::wire::Wire;
use crate::bridge::link::{Fields, Heard, Link};
use crate::bridge::reader::malformed;
use crate::forward::ForwardError;
use crate::refusal::Refusal;
use http::{HeaderName, HeaderValue, StatusCode};
use narthex_config::model::UpstreamId;
use narthex_mcp::bridge::declared::Declared;
use narthex_mcp::bridge::discover::Account;
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::schema::Schemas;
use narthex_mcp::bridge::{Object, listen};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Revisions from which on every request names the one that was settled on.
const NAMED: [&str; 2] = ["2025-06-18", "2025-11-25"];

/// Replies to a server's own requests that may be on their way at a time. A server that asks faster than it
/// listens gets no reply to the rest.
pub(super) const REPLIES: usize = 16;

/// A session that is open.
pub(crate) struct Session {
    upstream: UpstreamId,
    /// `Mcp-Session-Id`, unless the server has none.
    id: Option<HeaderValue>,
    /// What the server says of itself.
    pub(crate) account: Account,
    /// What the client declared for it.
    pub(crate) declared: Declared,
    pub(super) wire: Option<Wire>,
    /// All callers share it.
    is_shared: bool,
    /// Hears what the server says outside of calls.
    pub(super) ear: Arc<Ear>,
    next_id: AtomicU64,
    gone: AtomicBool,
    replies: Arc<Semaphore>,
    /// The level of log messages that was set last.
    level: tokio::sync::Mutex<Option<String>>,
    schemas: Mutex<Option<Arc<Schemas>>>,
    /// The way that was last taken, for ending it.
    way: Mutex<Link>,
}

impl Session {
    /// Opens one: with a child process or over HTTP+SSE where the configuration says so, else over Streamable
    /// HTTP.
    ///
    /// # Errors
    /// The server does not open it.
    pub(super) async fn open(link: &mut Link, declared: &Declared) -> Result<Self, Refusal> {
        let ear = Arc::new(Ear::default());
        let wire = Wire::open(link, &ear).await?;
        let wanted = match wire {
            Some(Wire::Sse(_)) => "2024-11-05",
            Some(Wire::Stdio(_)) | None => link.upstream().legacy_revision().as_str(),
        };
        let mut session = Self {
            upstream: link.upstream().id.clone(),
            id: None,
            account: Account::default(),
            declared: declared.clone(),
            wire,
            is_shared: stdio_wire::is_shared(link),
            ear,
            next_id: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            replies: Arc::new(Semaphore::new(REPLIES)),
            level: tokio::sync::Mutex::default(),
            schemas: Mutex::default(),
            way: Mutex::new(link.detached()),
        };
        session.initialize(link, wanted).await?;
        Ok(session)
    }

    /// MCP 2025-11-25, basic/lifecycle#initialization.
    async fn initialize(&mut self, link: &mut Link, revision: &str) -> Result<(), Refusal> {
        let id = self.next_id();
        let body = message::request(&id, "initialize", &self.declared.to_initialize(revision));
        let (mut source, session) = match &self.wire {
            Some(wire) => (wire.call(link, &id, body).await?, None),
            None => {
                let heard = link.post(&Fields::new(), body, true).await?;
                if !heard.status.is_success() {
                    return Err(heard.refusal());
                }
                (Source::Answer(Box::new(heard.reader)), heard.session)
            }
        };
        self.account = loop {
            match source.next().await? {
                Some(Incoming::Result { id: answered, result }) if answered == id => {
                    break Account::from_initialize(&result).map_err(|e| malformed(&e.to_string()))?;
                }
                Some(Incoming::Error { .. }) | None => {
                    return Err(malformed("the server did not initialize a session"));
                }
                Some(_) => {}
            }
        };
        if self.is_shared {
            // Whose they are, nothing says.
            self.account.capabilities.retain(|name| !matches!(name, "logging" | "tasks"));
        }
        self.id = session.filter(|id| id.as_bytes().iter().all(u8::is_ascii_graphic) && id.len() <= 2048);
        self.notify(link, "notifications/initialized", &Object::default()).await
    }

    /// The fields that every request within it carries.
    pub(super) fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        if let Some(id) = &self.id {
            fields.push((HeaderName::from_static("mcp-session-id"), id.clone()));
        }
        if let Some(revision) = NAMED.iter().find(|r| self.account.versions.iter().any(|v| v == *r)) {
            let revision = HeaderValue::from_static(revision);
            fields.push((HeaderName::from_static("mcp-protocol-version"), revision));
        }
        fields
    }

    /// A request id that no other request of the session has, as JSON text.
    pub(super) fn next_id(&self) -> String {
        self.next_id.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(super) async fn send(
        &self,
        link: &mut Link,
        id: &str,
        body: String,
        replayable: bool,
    ) -> Result<Sent, Refusal> {
        match &self.wire {
            Some(wire) => wire.call(link, id, body).await.map(Sent::Wire),
            None => {
                link.post(&self.fields(), body, replayable).await.map(|heard| Sent::Heard(Box::new(heard)))
            }
        }
    }

    /// Sends what has no answer: a notification, or a response to a request of the server's.
    ///
    /// # Errors
    /// The server cannot be reached, or does not take it.
    pub(super) async fn tell(&self, link: &mut Link, body: String) -> Result<(), Refusal> {
        let heard = match &self.wire {
            Some(wire) => return wire.tell(link, body).await,
            None => link.post(&self.fields(), body, false).await?,
        };
        if heard.status.is_success() { Ok(()) } else { Err(heard.refusal()) }
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// See [`Session::tell`].
    pub(crate) async fn notify(&self, link: &mut Link, method: &str, params: &Object) -> Result<(), Refusal> {
        self.tell(link, message::notification(method, params)).await
    }

    /// [`Session::tell`], without waiting.
    pub(super) fn tell_later(self: &Arc<Self>, link: &Link, body: String) {
        let (session, mut link) = (Arc::clone(self), link.detached());
        tokio::spawn(async move {
            if let Err(refusal) = session.tell(&mut link, body).await {
                tracing::debug!(upstream = %session.upstream, reason = refusal.reason(), "not told");
            }
        });
    }

    /// Answers a request of the server's, without waiting. A server that asks faster than it listens gets
    /// no answer.
    pub(super) fn reply_later(self: &Arc<Self>, link: &Link, body: String) {
        let Ok(place) = Arc::clone(&self.replies).try_acquire_owned() else { return };
        let (session, mut link) = (Arc::clone(self), link.detached());
        tokio::spawn(async move {
            if let Err(refusal) = session.tell(&mut link, body).await {
                tracing::debug!(upstream = %session.upstream, reason = refusal.reason(), "not replied");
            }
            drop(place);
        });
    }

    /// Whether the server named the session.
    pub(super) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// [`Session::try_ask`], where an error is a failure of the server's.
    ///
    /// # Errors
    /// The server cannot be reached, or answers with an error.
    pub(super) async fn ask(
        &self,
        link: &mut Link,
        method: &str,
        params: &Object,
    ) -> Result<Object, Refusal> {
        self.try_ask(link, method, params).await?.map_err(|_| malformed("an error for an answer"))
    }

    /// A short request whose result is all that matters: `logging/setLevel`, `resources/subscribe`, a page
    /// of `tools/list`.
    ///
    /// # Errors
    /// The server cannot be reached. The inner error is its answer.
    pub(crate) async fn try_ask(
        &self,
        link: &mut Link,
        method: &str,
        params: &Object,
    ) -> Result<Result<Object, RpcError>, Refusal> {
        let patience = link.upstream().timeout;
        let answered = tokio::time::timeout(patience, self.ask_in_time(link, method, params)).await;
        answered.unwrap_or(Err(Refusal::Forward(ForwardError::Timeout)))
    }

    async fn ask_in_time(
        &self,
        link: &mut Link,
        method: &str,
        params: &Object,
    ) -> Result<Result<Object, RpcError>, Refusal> {
        let id = self.next_id();
        let mut source = match self.send(link, &id, message::request(&id, method, params), true).await? {
            Sent::Heard(mut heard) if !heard.status.is_success() => {
                let first = heard.reader.next().await.ok().flatten();
                if heard.status == StatusCode::NOT_FOUND || says_gone(self, heard.status, first.as_ref()) {
                    self.lose();
                }
                return Err(heard.refusal());
            }
            sent => sent.into_source(),
        };
        loop {
            match source.next().await? {
                Some(Incoming::Result { id: answered, result }) if answered == id => return Ok(Ok(result)),
                Some(Incoming::Error { error, .. }) => return Ok(Err(error)),
                None => return Err(malformed("no answer")),
                Some(_) => {}
            }
        }
    }

    /// Has the server send log messages from `level` on, if it does not already.
    ///
    /// # Errors
    /// See [`Session::ask`].
    pub(crate) async fn set_level(&self, link: &mut Link, level: &str) -> Result<(), Refusal> {
        use narthex_mcp::bridge::declared::severity;
        if self.is_shared {
            return Ok(());
        }
        let mut set = self.level.lock().await;
        if set.as_deref().is_some_and(|set| severity(set) <= severity(level)) {
            return Ok(());
        }
        let mut params = Object::default();
        params.set_string("level", level);
        self.ask(link, "logging/setLevel", &params).await?;
        *set = Some(level.to_owned());
        Ok(())
    }

    /// The tools' schemas, read once.
    ///
    /// # Errors
    /// See [`Session::ask`].
    pub(crate) async fn schemas(&self, link: &mut Link) -> Result<Arc<Schemas>, Refusal> {
        /// Pages of a list, at most.
        const PAGES: usize = 64;
        if self.wire.as_ref().is_some_and(Wire::have_tools_changed) {
            self.learn(None);
        }
        if let Some(known) = self.schemas.lock().clone() {
            return Ok(known);
        }
        let mut all = Schemas::default();
        let mut params = Object::default();
        for _ in 0..PAGES {
            let page = self.ask(link, "tools/list", &params).await?;
            all.extend(narthex_mcp::bridge::schema::read(&page));
            let Some(cursor) = page.string("nextCursor") else { break };
            params.set_string("cursor", &cursor);
        }
        let all = Arc::new(all);
        self.learn(Some(Arc::clone(&all)));
        Ok(all)
    }

    /// Takes in newer schemas; `None`: they have changed.
    pub(crate) fn learn(&self, schemas: Option<Arc<Schemas>>) {
        *self.schemas.lock() = schemas;
    }

    /// Passes on what the server says of its lists and resources.
    pub(super) fn hear(&self, method: &str, params: &Object) {
        if method == "notifications/tools/list_changed" {
            self.learn(None);
        }
        self.ear.deliver(method, params);
    }

    /// The server does not know it any more.
    pub(super) fn lose(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire) || self.wire.as_ref().is_some_and(Wire::is_closed)
    }

    /// Remembers the way that was taken, with its credential.
    pub(super) fn took(&self, link: &Link) {
        *self.way.lock() = link.detached();
    }

    /// Tells the server that it is over (2025-11-25, basic/transports#session-management).
    pub(super) fn end(&self) {
        let mut link = self.way.lock().clone();
        let fields = self.fields();
        self.lose();
        if let Some(wire) = &self.wire {
            wire.end();
        }
        if self.id.is_some()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { drop(link.delete(&fields).await) });
        }
    }

    /// What the server can tell of, of what is wanted.
    pub(super) fn honoured(&self, wanted: &listen::Filter) -> listen::Filter {
        wanted.within(&self.account)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

/// A request that is on its way.
pub(super) enum Sent {
    Heard(Box<Heard>),
    Wire(Source),
}

impl Sent {
    pub(super) fn into_source(self) -> Source {
        match self {
            Self::Heard(heard) => Source::Answer(Box::new(heard.reader)),
            Self::Wire(source) => source,
        }
    }
}
