//! A merged route: its upstreams, and how what they have is shown.

use super::guard::Guard;
use super::view::Shape;
use crate::snapshot::RouteEntry;
use narthex_config::model::{Route, Target, UpstreamId};
use narthex_credentials::CredentialSource;
use narthex_mcp::federation::Naming;
use narthex_pins::{Mode, Pins};
use narthex_telemetry::Metrics;
use narthex_upstreams::{Catalogue as Names, Group, Upstream};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What a merged route is made of.
pub(crate) struct Merged {
    /// In the order of the configuration; at least one.
    pub(super) members: Vec<Arc<Member>>,
    /// By the prefix of their names.
    by_prefix: HashMap<Box<str>, usize>,
    pub(super) shape: Shape,
    /// What passes.
    pub(super) guard: Guard,
    /// Whether it has several upstreams, so that the route is a server of its own to clients.
    pub(super) is_federation: bool,
    pub(super) instructions: Option<String>,
    /// Most items of one page.
    pub(super) page_size: usize,
    /// The names that metrics may have.
    pub(crate) names: Names,
    /// What clients that listen were told of is from a route like this one: configured alike, of the same
    /// upstreams.
    life: Life,
}

/// How long a route stays as it is, over reloads that do not change it.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    is_over: Arc<watch::Sender<bool>>,
    /// All that would make it another.
    of: Arc<str>,
}

impl Life {
    /// Waits until the route is another, or none.
    pub(super) async fn over(&self) {
        // It is not dropped while somebody waits.
        let _ = self.is_over.subscribe().wait_for(|over| *over).await;
    }

    /// The route is another now, or none.
    pub(crate) fn end(&self) {
        self.is_over.send_replace(true);
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.is_over, &other.is_over)
    }
}

/// One upstream of a merged route.
pub(crate) struct Member {
    pub(crate) id: UpstreamId,
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
        previous: Option<&Self>,
        pins: Arc<Pins>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let naming = match &route.target {
            Target::One(_) => Naming::new("__", false, false),
            Target::Merged(merged) => Naming::new(&merged.names.separator, merged.names.prefixing, false),
        };
        let naming = naming.map_err(|e| e.to_string())?;
        let by_prefix =
            members.iter().enumerate().map(|(index, member)| (member.prefix.clone(), index)).collect();
        Ok(Self {
            by_prefix,
            shape: Shape::new(naming, &route.expose),
            guard: Guard::new(route, pins, metrics)?,
            life: life(route, &members, previous),
            is_federation: matches!(route.target, Target::Merged(_)),
            instructions: route.instructions.clone(),
            page_size: route.page_size,
            names: Names::default(),
            members,
        })
    }

    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    /// The upstream of that name.
    pub(super) fn member(&self, id: &UpstreamId) -> Option<Arc<Member>> {
        self.members.iter().find(|member| member.id == *id).cloned()
    }

    /// The place of an upstream in the order.
    pub(super) fn index_of(&self, upstream: &str) -> Option<usize> {
        self.members.iter().position(|member| member.id.as_str() == upstream)
    }

    /// The members that a shown name may be of, the likeliest first: with prefixes there is one.
    pub(super) fn candidates<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m Arc<Member>> + use<'m> {
        let name = self.shape.unrenamed(name);
        let separator = self.shape.naming_separator();
        let prefixed = separator.and_then(|separator| {
            let mut ends = name.match_indices(separator).map(|(at, _)| at);
            ends.find_map(|at| self.by_prefix.get(name.get(..at)?))
        });
        let all = if separator.is_some() { 0 } else { self.members.len() };
        prefixed.into_iter().filter_map(|at| self.members.get(*at)).chain(self.members.iter().take(all))
    }
}

fn life(route: &Route, members: &[Arc<Member>], previous: Option<&Merged>) -> Life {
    let Route { target, expose, inspect, instructions, .. } = route;
    let same_members = previous.is_some_and(|previous| {
        let pairs = previous.members.iter().zip(members);
        previous.members.len() == members.len() && pairs.into_iter().all(|(old, new)| old.is_like(new))
    });
    let of: Arc<str> = format!("{target:?} {expose:?} {inspect:?} {instructions:?}").into();
    let kept = previous.map(|previous| &previous.life).filter(|life| same_members && life.of == of);
    kept.cloned().unwrap_or_else(|| Life { is_over: Arc::new(watch::Sender::new(false)), of })
}

impl Member {
    fn is_like(&self, other: &Self) -> bool {
        let endpoints = |member: &Self| member.group.iter().map(Arc::as_ptr).collect::<Vec<_>>();
        Arc::ptr_eq(&self.credentials, &other.credentials) && endpoints(self) == endpoints(other)
    }

    pub(crate) fn new(
        prefix: &str,
        group: &Arc<Group>,
        credentials: Arc<CredentialSource>,
        entries: Vec<Arc<RouteEntry>>,
    ) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            id: group.id.clone(),
            prefix: prefix.into(),
            group: Arc::clone(group),
            credentials,
            first: Arc::clone(entries.first()?),
            entries,
            turns: AtomicU64::new(0),
        }))
    }

    /// Whether its tools are pinned.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pins() != Mode::Off
    }

    pub(super) fn pins(&self) -> Mode {
        self.group.first().settings().pins
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    pub(crate) fn credentials(&self) -> &Arc<CredentialSource> {
        &self.credentials
    }

    /// Whether what it shows may be another for each caller.
    pub(super) fn is_per_caller(&self) -> bool {
        self.credentials.needs_subject_token() || self.group.first().is_process_per_caller()
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
