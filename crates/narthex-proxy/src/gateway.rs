//! The application behind the public listener.

use crate::bridge;
use crate::snapshot::Snapshot;
use crate::streams::Streams;
use arc_swap::ArcSwap;
use narthex_config::model::UpstreamId;
use narthex_telemetry::{AccessLog, Metrics};
use narthex_upstreams::Connections;
use narthex_upstreams::stdio::{Children, Hooks, Keeper, Reason};
use pingora::apps::HttpServerOptions;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What outlives every configuration.
pub(crate) struct Shared {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Arc<AccessLog>,
    pub(crate) connections: Connections,
    pub(crate) streams: Streams,
    pub(crate) bridge: bridge::Memory,
    pub(crate) children: Arc<Children>,
    pub(crate) in_flight: AtomicUsize,
}

/// The gateway: one snapshot of the configuration in use, and what outlives it.
pub struct Gateway {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: HttpServerOptions,
}

impl Gateway {
    /// A gateway that serves `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, metrics: Arc<Metrics>, access_log: Arc<AccessLog>) -> Self {
        let children = Arc::new(Children::new(Arc::new(CountChildren(Arc::clone(&metrics)))));
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(snapshot.limits.idle_timeout);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            shared: Arc::new(Shared {
                metrics,
                access_log,
                connections: Connections::default(),
                streams: Streams::default(),
                bridge: bridge::Memory::default(),
                children,
                in_flight: AtomicUsize::new(0),
            }),
            options,
        }
    }

    /// The snapshot in use.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a new snapshot in use, at once and for every request that comes after. Child processes that it
    /// knows no more, or not as they were, are ended. To be called within a runtime.
    pub fn swap(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        let old = self.snapshot.swap(Arc::clone(&new));
        for group in old.upstreams.iter().filter(|group| group.first().stdio().is_some()) {
            if !new.has_child(group.first(), None) {
                self.shared.children.forget(&group.id);
            }
        }
        self.end_children(&new);
        self.shared.bridge.configured.send_replace(Some(bridge::Configured(new)));
    }

    /// Has child processes that are started from now on kept by that program: see [`Children::keep_with`].
    pub fn keep_children_with(&self, keeper: Keeper) {
        self.shared.children.keep_with(keeper);
    }

    fn end_children(&self, snapshot: &Snapshot) {
        let sessions = &self.shared.bridge.sessions;
        sessions.end_children(|upstream, credentials| snapshot.has_child(upstream, Some(credentials)));
    }

    /// Requests being answered now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    /// Ends what the bridge has kept too long. To be called every few seconds, within a runtime.
    pub fn sweep(&self) {
        let snapshot = self.snapshot.load();
        self.shared.bridge.sweep(&snapshot);
        // A request that was older than the last reload may have started one since.
        self.end_children(&snapshot);
        let bridge = &self.shared.bridge;
        let (suspended, live) = (bridge.suspended.count(), bridge.live.count());
        self.shared.metrics.bridge(suspended, live, bridge.sessions.count());
        self.shared.metrics.kept_pages(bridge.pages.bytes());
    }

    /// Starts the health checks that are due. To be called about every second, within a runtime.
    pub fn check_health(&self) {
        let random = RandomState::new().hash_one("health");
        for check in self.snapshot.load().upstreams.checks_due(Instant::now(), random) {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { check.run(&shared.connections).await });
        }
    }

    /// Closes idle connections to upstreams that are of no more use; see [`Connections::sweep`].
    pub fn sweep_connections(&self) {
        self.shared.connections.sweep(Instant::now());
    }

    /// Bytes of request bodies held now.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.snapshot.load().budget.held()
    }
}

/// Counts what becomes of child processes.
struct CountChildren(Arc<Metrics>);

impl Hooks for CountChildren {
    fn started(&self, upstream: &UpstreamId, again: bool) {
        self.0.child_started(upstream.as_str(), again);
    }

    fn ended(&self, upstream: &UpstreamId, reason: Reason) {
        self.0.child_ended(upstream.as_str(), reason.as_str());
    }

    fn resident(&self, upstream: &UpstreamId, change: i64) {
        self.0.child_resident(upstream.as_str(), change);
    }
}
