//! One MCP server, and all of them.

use crate::breaker::{Breaker, Passage};
use crate::catalogue::Catalogue;
use crate::connection::{ConnectError, Connection, Connections};
use crate::era::Eras;
use crate::group::Group;
use crate::hash::stable;
use crate::health::{Check, Health};
use crate::identity::ClientIdentity;
use crate::peers::Peers;
use http::HeaderValue;
use narthex_config::Config;
use narthex_config::model::{
    Credential, Instances, LegacyRevision, Protocol, Stdio, Transport, Upstream as Settings, UpstreamId,
};
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;

/// One endpoint of an MCP server behind the gateway: where it is, and how it is doing.
pub struct Upstream {
    /// Its key under `upstreams:`.
    pub id: UpstreamId,
    /// `scheme://host[:port]`: what its credential is bound to. Of a child process, a name of its own that no
    /// URL has.
    pub origin: String,
    /// `Host` (or `:authority`) of requests to it.
    pub host: HeaderValue,
    /// Path and query of its MCP endpoint.
    pub path: String,
    /// Where it is, without the query: its name in metrics, among the upstream's other endpoints.
    pub label: Box<str>,
    /// From sending a request to the header of its answer.
    pub timeout: Duration,
    /// Longest silence within an answer.
    pub stream_idle_timeout: Duration,
    /// How long an idle connection is pooled.
    pub keepalive: Duration,
    /// Tool names that it has shown.
    pub catalogue: Catalogue,
    /// Which eras of MCP it speaks.
    pub eras: Eras,
    settings: Settings,
    ca: Option<Vec<u8>>,
    identity: Option<ClientIdentity>,
    peers: Option<Arc<Peers>>,
    breaker: Arc<Breaker>,
    health: Health,
    /// Its place in rendezvous hashing.
    number: u64,
    in_flight: Arc<AtomicUsize>,
}

/// Why a call is not made at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Busy {
    /// The breaker is open.
    #[error("circuit breaker is open")]
    BreakerOpen {
        /// When a probe may go.
        retry_after: Duration,
    },
    /// `max_concurrent` requests are in flight.
    #[error("too many requests in flight")]
    Saturated,
}

/// An upstream cannot be set up.
#[derive(Debug, Error)]
#[error("upstream {id}: {cause}")]
pub struct BuildError {
    id: UpstreamId,
    cause: String,
}

/// Leave to make one call to an upstream; its slot is free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    /// Where the outcome is reported.
    pub passage: Passage,
    in_flight: Arc<AtomicUsize>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Upstream {
    /// `settings` names one endpoint.
    pub(crate) fn new(
        id: UpstreamId,
        settings: &Settings,
        group: u64,
        now: Instant,
    ) -> Result<Self, BuildError> {
        let fail = |cause: String| BuildError { id: id.clone(), cause };
        let place = Place::of(&id, &settings.transport).map_err(fail)?;
        let identity = settings.tls.as_ref().map(ClientIdentity::load).transpose().map_err(fail)?;
        let peers = match settings.transport {
            Transport::Http(_) => {
                Some(Arc::new(Peers::new(settings, group, identity.as_ref()).map_err(fail)?))
            }
            Transport::Stdio(_) => None,
        };
        let path = place.path.split('?').next().unwrap_or_default();
        Ok(Self {
            label: format!("{}{path}", place.origin).into(),
            number: stable(format!("{}{}", place.origin, place.path).as_bytes()),
            health: Health::new(now),
            origin: place.origin,
            host: place.host,
            path: place.path,
            timeout: settings.timeout,
            stream_idle_timeout: settings.stream_idle_timeout,
            keepalive: settings.keepalive,
            catalogue: Catalogue::default(),
            eras: eras(settings, now),
            breaker: Arc::new(Breaker::new(settings.breaker.failures.get(), settings.breaker.cooldown, now)),
            in_flight: Arc::new(AtomicUsize::new(0)),
            peers,
            ca: ca_bytes(settings),
            identity,
            settings: Settings { credential: Credential::None, ..settings.clone() },
            id,
        })
    }

    /// Takes a slot, if the server is not taken for down and not saturated.
    ///
    /// # Errors
    /// See [`Busy`].
    pub fn enter(&self, now: Instant) -> Result<Slot, Busy> {
        let passage = self.breaker.enter(now).map_err(|retry_after| Busy::BreakerOpen { retry_after })?;
        let most = usize::try_from(self.settings.max_concurrent.get()).unwrap_or(usize::MAX);
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= most {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
            return Err(Busy::Saturated);
        }
        Ok(Slot { passage, in_flight: Arc::clone(&self.in_flight) })
    }

    /// A connection on which nothing has been sent.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(
        &self,
        connections: &Connections,
        now: Instant,
    ) -> Result<Box<Connection>, ConnectError> {
        let peers = self.peers.as_ref().ok_or(ConnectError::ChildProcess)?;
        connections.open(peers, now).await
    }

    /// A connection for one health check: a new one, that is to be dropped after it. Its addresses have
    /// `within` for themselves, in equal parts.
    pub(crate) async fn connect_apart(
        &self,
        connections: &Connections,
        now: Instant,
        within: Duration,
    ) -> Result<Box<Connection>, ConnectError> {
        let peers = self.peers.as_ref().ok_or(ConnectError::ChildProcess)?;
        connections.open_apart(peers, now, within).await
    }

    /// How it is started, if it is a child process.
    #[must_use]
    pub fn stdio(&self) -> Option<&Stdio> {
        self.settings.transport.stdio()
    }

    /// Whether it is a child process that all callers share.
    #[must_use]
    pub fn is_shared_process(&self) -> bool {
        self.stdio().is_some_and(|stdio| stdio.instances == Instances::Shared)
    }

    /// Whether it is a child process for each caller.
    #[must_use]
    pub fn is_process_per_caller(&self) -> bool {
        self.stdio().is_some_and(|stdio| stdio.instances == Instances::PerCaller)
    }

    /// How it is configured, without its credential.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The newest revision with sessions that it may speak.
    #[must_use]
    pub fn legacy_revision(&self) -> LegacyRevision {
        self.settings.protocol.legacy().unwrap_or(LegacyRevision::V2025_11_25)
    }

    /// Whether it speaks the transport of 2024-11-05 (basic/transports#http-with-sse).
    #[must_use]
    pub fn speaks_http_sse(&self) -> bool {
        self.settings.protocol == Protocol::HttpSse
    }

    /// Whether it has no requests and answers of HTTP's own, so that the gateway always stands between as a
    /// client and a server: HTTP+SSE, and child processes.
    #[must_use]
    pub fn has_wire(&self) -> bool {
        self.speaks_http_sse() || self.stdio().is_some()
    }

    /// Whether it is taken for up: the breaker is closed, and health checks have not found it down. Only
    /// endpoints that have others beside them are checked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.is_refusing() && !self.health.is_down()
    }

    /// Whether the breaker is open.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether calls may go to it: it was not found down, and the breaker lets one pass, be it as a probe.
    #[must_use]
    pub fn is_healthy(&self, now: Instant) -> bool {
        !self.standing(now).0
    }

    /// Whether it is to be left out, and how long its breaker goes on refusing: the lowest is the best.
    pub(crate) fn standing(&self, now: Instant) -> (bool, Duration) {
        let wait = self.breaker.wait(now);
        (self.health.is_down() || !wait.is_zero(), wait)
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Requests in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

/// Where an endpoint is.
struct Place {
    origin: String,
    host: HeaderValue,
    path: String,
}

impl Place {
    fn of(id: &UpstreamId, transport: &Transport) -> Result<Self, String> {
        let url = match transport {
            Transport::Http(endpoints) => &endpoints.first,
            Transport::Stdio(_) => {
                let (origin, host) = (format!("stdio:{id}"), HeaderValue::from_static("stdio"));
                return Ok(Self { origin, host, path: "/".to_owned() });
            }
        };
        let authority = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        let host = HeaderValue::try_from(&authority).map_err(|e| e.to_string())?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self { origin: format!("{}://{authority}", url.scheme()), host, path })
    }
}

/// All upstreams of one configuration.
#[derive(Default)]
pub struct Upstreams {
    by_id: HashMap<UpstreamId, Arc<Group>>,
}

impl Upstreams {
    /// The upstreams of `config`. One whose settings (credential aside) are those of `previous` is
    /// taken over with its breaker, addresses and catalogue.
    ///
    /// # Errors
    /// An upstream's CA file, or its certificate or key, cannot be used.
    pub fn build(config: &Config, previous: Option<&Self>, now: Instant) -> Result<Self, BuildError> {
        let hasher = RandomState::new();
        let mut by_id = HashMap::new();
        for (id, settings) in &config.upstreams {
            let old = previous.and_then(|p| p.by_id.get(id));
            let group = Group::build(id, settings, old.map(Arc::as_ref), &hasher, now)?;
            by_id.insert(id.clone(), Arc::new(group));
        }
        Ok(Self { by_id })
    }

    /// The upstream of that name.
    #[must_use]
    pub fn get(&self, id: &UpstreamId) -> Option<&Arc<Group>> {
        self.by_id.get(id)
    }

    /// Whether this very one is among them.
    #[must_use]
    pub fn has(&self, upstream: &Arc<Upstream>) -> bool {
        self.by_id.get(&upstream.id).is_some_and(|group| group.iter().any(|one| Arc::ptr_eq(one, upstream)))
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.by_id.values()
    }

    /// The health checks that are due now, to be asked for about every second and run beside each other.
    /// `random` spreads the next ones.
    pub fn checks_due(&self, now: Instant, random: u64) -> impl Iterator<Item = Check> {
        self.iter().flat_map(move |group| group.checks_due(now, random))
    }
}

impl Upstream {
    pub(crate) fn same_as(&self, settings: &Settings) -> bool {
        self.settings == Settings { credential: Credential::None, ..settings.clone() }
            && self.ca == ca_bytes(settings)
            && self.shows(settings)
    }
}

impl Upstream {
    /// Whether its certificate is what is in the files now, which may change under the same names.
    fn shows(&self, settings: &Settings) -> bool {
        let now = settings.tls.as_ref().map(ClientIdentity::load);
        match (&self.identity, now) {
            (None, None) => true,
            (Some(shown), Some(Ok(now))) => *shown == now,
            _ => false,
        }
    }
}

/// What the configuration says of the eras that it speaks.
fn eras(settings: &Settings, now: Instant) -> Eras {
    match (&settings.transport, settings.protocol.modern()) {
        // A child process is begun with `initialize`.
        (Transport::Stdio(_), _) => Eras::fixed(false, true, now),
        (Transport::Http(_), None) => Eras::unknown(now),
        (Transport::Http(_), Some(modern)) => Eras::fixed(modern, settings.protocol.legacy().is_some(), now),
    }
}

/// The content of the CA file, which may change under the same name. One that cannot be read is
/// found out when the peers are made.
fn ca_bytes(settings: &Settings) -> Option<Vec<u8>> {
    std::fs::read(settings.ca.as_ref()?).ok()
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("id", &self.id).field("origin", &self.origin).finish_non_exhaustive()
    }
}
