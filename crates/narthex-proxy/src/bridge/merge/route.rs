//! A merged route: its upstreams, and how what they have is shown.

use super::connection::Connection;
use super::guard::Guard;
use super::view::Shape;
use crate::bridge::link::Ways;
use crate::snapshot::RouteEntry;
use narthex_config::model::{Route, Target, UpstreamId};
use narthex_credentials::{CredentialError, CredentialSource};
use narthex_mcp::federation::Naming;
use narthex_mcp::federation::cursor::Kind;
use narthex_pins::{Mode, Pins};
use narthex_telemetry::Metrics;
use narthex_upstreams::{Catalogue as Names, Group, Upstream};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Names of one route that the log is told are taken.
const MOST_TOLD: usize = 1000;

/// What a merged route is made of.
pub(crate) struct Merged {
    /// In the order of the configuration; at least one.
    pub(super) members: Vec<Arc<Member>>,
    pub(super) shape: Shape,
    /// What passes.
    pub(super) guard: Guard,
    /// Whether it has several upstreams, so that the route is a server of its own to clients.
    pub(super) is_federation: bool,
    wants_consent: bool,
    is_per_caller: bool,
    pub(super) instructions: Option<String>,
    /// Most items of one page.
    pub(super) page_size: usize,
    /// The names that metrics may have.
    pub(crate) names: Names,
    /// The names that the log has been told are taken.
    told: Mutex<HashSet<String>>,
}

/// One upstream of a merged route.
pub(crate) struct Member {
    pub(crate) id: UpstreamId,
    /// Of what belongs to it alone.
    pub(super) key: Box<str>,
    pub(super) prefix: Box<str>,
    pub(super) group: Arc<Group>,
    pub(super) credentials: Arc<CredentialSource>,
    /// The ways to its endpoints.
    entries: Vec<Arc<RouteEntry>>,
    /// The way to the first of them.
    first: Arc<RouteEntry>,
    /// Has endpoints that are equally good take turns.
    turns: AtomicU64,
}

impl Merged {
    pub(crate) fn new(
        route: &Route,
        members: Vec<Arc<Member>>,
        pins: Arc<Pins>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let naming = match &route.target {
            Target::One(_) => Naming::new("__", false, false),
            Target::Merged(merged) => Naming::new(&merged.names.separator, merged.names.prefixing, false),
        };
        let naming = naming.map_err(|e| e.to_string())?;
        Ok(Self {
            shape: Shape::new(naming, &route.expose),
            guard: Guard::new(route, pins, metrics)?,
            is_federation: matches!(route.target, Target::Merged(_)),
            wants_consent: members.iter().any(|member| member.wants_consent()),
            is_per_caller: members.iter().any(|member| member.is_per_caller()),
            instructions: route.instructions.clone(),
            page_size: route.page_size,
            names: Names::default(),
            told: Mutex::default(),
            members,
        })
    }

    /// The upstream of that name.
    pub(super) fn member(&self, id: &UpstreamId) -> Option<Arc<Member>> {
        self.members.iter().find(|member| member.id == *id).cloned()
    }

    /// The place of an upstream in the order.
    pub(super) fn index_of(&self, upstream: &str) -> Option<usize> {
        self.members.iter().position(|member| member.id.as_str() == upstream)
    }

    /// The places of the members that a shown name may be of, the likeliest first: with prefixes there is one.
    pub(super) fn candidates<'a>(
        &'a self,
        kind: Kind,
        name: &'a str,
    ) -> impl Iterator<Item = usize> + use<'a> {
        let name = if kind == Kind::Tools { self.shape.unrenamed(name) } else { name };
        let separator = self.shape.naming_separator();
        let may_have = move |member: &Member| {
            let rest = name.strip_prefix(&*member.prefix);
            separator.is_none_or(|separator| rest.is_some_and(|rest| rest.starts_with(separator)))
        };
        self.members.iter().enumerate().filter(move |(_, member)| may_have(member)).map(|(number, _)| number)
    }

    /// The name under which clients know the tool that connects a member.
    pub(super) fn connecting(&self, member: &Member) -> String {
        self.shape.connecting(&member.prefix)
    }

    /// Whether any user has to connect anything.
    pub(super) fn wants_consent(&self) -> bool {
        self.wants_consent
    }

    /// Whether any of them may show each caller something else.
    pub(super) fn is_per_caller(&self) -> bool {
        self.is_per_caller
    }

    /// Whether two upstreams may have the same name (or URI) in that list.
    pub(super) fn may_collide(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tools => !self.shape.keeps_apart(),
            Kind::Prompts => self.shape.naming_separator().is_none(),
            Kind::Resources | Kind::Templates => true,
        }
    }

    /// Says once that what an upstream calls so is not shown, as another has the name.
    pub(super) fn tell_of_loss(&self, kind: Kind, name: &str, loser: &UpstreamId) {
        let key = format!("{} {loser} {name}", kind.method());
        let mut told = self.told.lock();
        if told.len() < MOST_TOLD && told.insert(key) {
            let list = kind.method();
            tracing::warn!(upstream = %loser, list, name, "not shown: another upstream has the name already");
        }
    }
}

impl Member {
    pub(crate) fn new(
        prefix: &str,
        group: &Arc<Group>,
        credentials: Arc<CredentialSource>,
        entries: Vec<Arc<RouteEntry>>,
    ) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            id: group.id.clone(),
            key: format!("{}:{}", group.id.as_str().len(), group.id).into(),
            prefix: prefix.into(),
            group: Arc::clone(group),
            credentials,
            first: Arc::clone(entries.first()?),
            entries,
            turns: AtomicU64::new(0),
        }))
    }

    pub(super) fn pins(&self) -> Mode {
        self.group.first().settings().pins
    }

    /// Whether what it shows may be another for each caller.
    pub(super) fn is_per_caller(&self) -> bool {
        self.credentials.is_per_caller() || self.group.first().is_process_per_caller()
    }

    /// Whether its catalogue is read with a credential that only its caller can bring.
    pub(super) fn brings_credential(&self) -> bool {
        self.is_per_caller() && !self.wants_consent()
    }

    /// Whether each user has to connect it first.
    pub(crate) fn wants_consent(&self) -> bool {
        self.credentials.wants_consent()
    }

    /// The caller's connection to it.
    pub(crate) fn connection(&self, ways: &Ways) -> Connection {
        Connection::to(self, ways)
    }

    /// Whether the caller has connected it.
    pub(crate) async fn is_connected(&self, ways: &Ways) -> bool {
        ways.to(self.endpoint(Instant::now())).await.is_ok()
    }

    /// What users call it.
    pub(super) fn title<'t>(&'t self, wanted: &'t CredentialError) -> &'t str {
        wanted.consent().map_or(self.id.as_str(), |consent| &consent.title)
    }

    /// Its host, for users to know it by.
    pub(super) fn host(&self) -> &str {
        self.group.first().host.to_str().unwrap_or_default()
    }

    /// How many endpoints it has.
    pub(super) fn endpoints(&self) -> usize {
        self.entries.len()
    }

    /// The endpoint for a request that belongs to no session.
    pub(super) fn endpoint(&self, now: Instant) -> &Arc<RouteEntry> {
        self.entry(self.group.pick(now, self.turns.fetch_add(1, Ordering::Relaxed)))
    }

    /// The endpoint for the sessions of `whose`: always the same, as long as it is there.
    pub(super) fn endpoint_of(&self, whose: &str, now: Instant) -> &Arc<RouteEntry> {
        self.entry(self.group.stick(whose.as_bytes(), now))
    }

    fn entry(&self, endpoint: &Arc<Upstream>) -> &Arc<RouteEntry> {
        let way = self.entries.iter().find(|entry| Arc::ptr_eq(&entry.upstream, endpoint));
        way.unwrap_or(&self.first)
    }

    /// How long a client's list waits for its part.
    pub(super) fn patience(&self) -> Duration {
        self.group.first().settings().catalogue.timeout
    }
}
