//! Reading an upstream's lists, whatever era it is of.

use super::content::List;
use crate::bridge::enter::{self, Bounds};
use crate::bridge::legacy::Session;
use crate::bridge::link::Link;
use crate::bridge::modern;
use crate::refusal::Refusal;
use narthex_config::model::CatalogueLimits;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::declared::Declared;
use narthex_mcp::bridge::discover::Account;
use narthex_mcp::bridge::message::RpcError;
use narthex_mcp::federation::cursor::Kind;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pages of one list, at most.
const PAGES: usize = 1000;
/// The least time for which a list is used.
const LEAST_TTL: Duration = Duration::from_secs(1);

/// A server that can be asked.
pub(super) enum Server {
    Modern(Arc<Account>),
    Legacy(Arc<Session>),
}

/// What the gateway says of itself when it asks on its own behalf. What some client may offer is offered, or
/// servers would keep what needs it from all of them.
pub(super) fn ours(link: &Link) -> Declared {
    let mut info = Object::default();
    info.set_string("name", "narthex");
    info.set_string("version", env!("CARGO_PKG_VERSION"));
    let mut capabilities = Object::default();
    if !link.upstream().is_shared_process() {
        capabilities.set_json("sampling", "{}");
        capabilities.set_json("elicitation", r#"{"form":{},"url":{}}"#);
        capabilities.set_json("roots", "{}");
    }
    Declared { capabilities, client_info: Some(info) }
}

impl Server {
    /// Finds out what the upstream is, and what it says of itself.
    ///
    /// # Errors
    /// It cannot be reached, or does not say.
    pub(super) async fn meet(link: &mut Link, bounds: Bounds) -> Result<Self, Refusal> {
        let declared = ours(link);
        if enter::speaks_modern(link).await == Some(true) {
            return modern::discover(link, &declared).await.map(|account| Self::Modern(Arc::new(account)));
        }
        let shared = Arc::clone(&link.shared);
        shared.bridge.sessions.get(link, &declared, bounds).await.map(Self::Legacy)
    }

    pub(super) fn account(&self) -> Arc<Account> {
        match self {
            Self::Modern(account) => Arc::clone(account),
            Self::Legacy(session) => Arc::new(session.account.clone()),
        }
    }

    /// Whether it does not know the session any more.
    pub(super) fn has_forgotten(&self) -> bool {
        matches!(self, Self::Legacy(session) if session.is_gone())
    }

    /// Whether it tells of changes of that list.
    pub(super) fn tells_of(&self, kind: Kind) -> bool {
        self.account().offers(family(kind), "listChanged")
    }

    /// The list, all pages of it.
    ///
    /// # Errors
    /// The server cannot be reached, or answers with an error.
    pub(super) async fn list(&self, link: &mut Link, kind: Kind) -> Result<List, Refusal> {
        let limits = link.upstream().settings().catalogue.clone();
        let mut gathered =
            Gathered { texts: Vec::new(), bytes: 0, ttl: limits.ttl, public: true, full: false };
        if self.account().capabilities.object(family(kind)).is_none() {
            return Ok(gathered.into_list(kind));
        }
        let mut wanted = Object::default();
        let mut seen = HashSet::new();
        for _ in 0..PAGES {
            let page = match self.ask(link, kind.method(), &wanted).await? {
                Ok(page) => page,
                // It has no such list after all.
                Err(error) if error.code == -32601 => break,
                Err(_) => return Err(crate::bridge::reader::malformed("an error for a list")),
            };
            gathered.take(&page, kind, matches!(self, Self::Modern(_)), &limits);
            let next = page.string("nextCursor").filter(|_| !gathered.full);
            let Some(cursor) = next.filter(|cursor| seen.insert(cursor.clone())) else { break };
            wanted.set_string("cursor", &cursor);
        }
        if gathered.full {
            tracing::warn!(upstream = %link.upstream().id, list = kind.method(), "a list is too long, and cut");
        }
        Ok(gathered.into_list(kind))
    }

    async fn ask(
        &self,
        link: &mut Link,
        method: &str,
        params: &Object,
    ) -> Result<Result<Object, RpcError>, Refusal> {
        match self {
            Self::Modern(_) => modern::try_ask(link, method, params, &ours(link)).await,
            Self::Legacy(session) => session.try_ask(link, method, params).await,
        }
    }
}

/// The capability that a list belongs to.
pub(super) fn family(kind: Kind) -> &'static str {
    match kind {
        Kind::Tools => "tools",
        Kind::Prompts => "prompts",
        Kind::Resources | Kind::Templates => "resources",
    }
}

struct Gathered {
    texts: Vec<Box<str>>,
    bytes: usize,
    ttl: Duration,
    public: bool,
    full: bool,
}

impl Gathered {
    fn take(&mut self, page: &Object, kind: Kind, modern: bool, limits: &CatalogueLimits) {
        for item in page.array(kind.member()).unwrap_or_default() {
            self.bytes += item.get().len();
            if self.texts.len() == limits.items || self.bytes > limits.bytes {
                self.full = true;
                return;
            }
            self.texts.push(item.get().into());
        }
        // Older servers do not say, and a list of theirs may be another for each session.
        self.public &= modern && page.string("cacheScope").as_deref() == Some("public");
        let said = page.get("ttlMs").filter(|_| modern).and_then(|ms| ms.parse().ok());
        if let Some(ttl) = said.map(Duration::from_millis) {
            self.ttl = self.ttl.min(ttl).max(LEAST_TTL);
        }
    }

    fn into_list(self, kind: Kind) -> List {
        List::new(kind, self.texts, self.ttl, self.public, !self.full, Instant::now())
    }
}
