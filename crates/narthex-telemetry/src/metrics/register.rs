//! Every metric's name, help text and labels.

use super::family::{Family, MAX_SERIES};
use super::{CounterFamily, GaugeFamily, HistogramFamily, Metrics};
use crate::{Events, names};
use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of the durations, seconds: from what the gateway itself needs to what a slow tool takes.
const BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Tells the handles of one [`Metrics`] from another's in the threads' memories.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

pub(super) fn all(version: &str, revision: &str) -> Result<Metrics> {
    let registry = Registry::new();
    process(&registry)?;
    let of = Registrar { dropped: dropped_series(&registry)?, registry: &registry };
    of.gauges(names::BUILD_INFO, "What is running; always 1.", &["version", "revision"])?
        .with_label_values(&[version, revision])
        .set(1);
    Ok(Metrics {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        events: Events::register(&registry)?,
        authority: of.counters(
            names::AUTHORITY_REQUESTS,
            "Requests to the gateway's own authorization server.",
            &["endpoint", "result"],
        )?,
        requests: of.counter_family(
            names::HTTP_REQUESTS,
            "Finished requests.",
            ["tenant", "route", "method", "upstream", "code"],
        )?,
        duration: of.histogram_family(
            names::HTTP_REQUEST_DURATION,
            "Time from the first byte of a request to the last of its answer.",
            ["route", "method"],
        )?,
        upstream_duration: of.histogram_family(
            names::UPSTREAM_DURATION,
            "Time that an upstream took to begin its answer.",
            ["upstream"],
        )?,
        tool_calls: of.counter_family(
            names::TOOL_CALLS,
            "Tool calls.",
            ["tenant", "route", "tool", "code"],
        )?,
        denied: of.counter_family(names::DENIED, "Requests refused.", ["route", "reason"])?,
        rate_limited: of.counter_family(
            names::RATE_LIMITED,
            "Requests refused because a limit was reached.",
            ["tenant", "limit"],
        )?,
        inflight: of.gauge_family(names::INFLIGHT_REQUESTS, "Requests being worked on.", ["route"])?,
        streams: of.gauge_family(names::OPEN_STREAMS, "Streams open to clients.", ["route"])?,
        upstream_up: of.gauges(names::UPSTREAM_UP, "1 while an upstream answers.", &["upstream"])?,
        breaker_open: of.gauges(
            names::UPSTREAM_BREAKER_OPEN,
            "1 while an upstream's circuit breaker is open.",
            &["upstream"],
        )?,
        endpoint_up: of.gauges(
            names::UPSTREAM_ENDPOINT_UP,
            "1 while an endpoint of an upstream that has several answers.",
            &["upstream", "endpoint"],
        )?,
        endpoint_in_flight: of.gauges(
            names::UPSTREAM_ENDPOINT_IN_FLIGHT,
            "Requests in flight to an endpoint of an upstream that has several.",
            &["upstream", "endpoint"],
        )?,
        inspected: of.counters(
            names::INSPECTION_FINDINGS,
            "What content inspection found in definitions, arguments and results.",
            &["route", "upstream", "kind", "action"],
        )?,
        quarantined: of.gauges(
            names::QUARANTINED_TOOLS,
            "Definitions of tools that wait until somebody approves them.",
            &["upstream"],
        )?,
        retries: of.counters(
            names::UPSTREAM_RETRIES,
            "Requests sent to an upstream a second time.",
            &["upstream"],
        )?,
        renewals: of.counters(
            names::CREDENTIAL_RENEWALS,
            "Credentials renewed because an upstream answered 401.",
            &["upstream"],
        )?,
        consents_asked: of.counters(
            names::CONSENT_ASKED,
            "Users asked to connect an upstream that wants their consent.",
            &["route", "upstream", "how"],
        )?,
        reload_ok: of.gauge(
            names::CONFIG_LAST_RELOAD_SUCCESSFUL,
            "1 if the last load of the configuration succeeded.",
        )?,
        reload_time: of.gauge(
            names::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP,
            "Unix time of the last successful load of the configuration.",
        )?,
        reloads: of.counters(names::CONFIG_RELOADS, "Loads of the configuration.", &["result"])?,
        cache_hits: of.counter(names::TOKEN_CACHE_HITS, "Tokens found in the cache of verified tokens.")?,
        cache_misses: of.counter(names::TOKEN_CACHE_MISSES, "Tokens that had to be verified.")?,
        connections: of.gauge(names::CONNECTIONS, "Open client connections.")?,
        buffered: of.gauge(names::BUFFERED_BYTES, "Bytes of request bodies held in memory.")?,
        bridged: of.counters(
            names::BRIDGED_REQUESTS,
            "Requests answered by a server of another era than the client's.",
            &["route", "client"],
        )?,
        suspended: of.gauge(
            names::SUSPENDED_CALLS,
            "Calls that wait until their client brings what it was asked for.",
        )?,
        bridge_sessions: of.gauges(names::BRIDGE_SESSIONS, "Sessions that the bridge keeps.", &["side"])?,
        kept_pages: of.gauge(names::KEPT_PAGES_BYTES, "Bytes of pages of merged lists that are kept.")?,
        child_starts: of.counters(names::CHILD_STARTS, "Child processes started.", &["upstream", "again"])?,
        child_exits: of.counters(
            names::CHILD_EXITS,
            "Child processes that have ended, or could not be started.",
            &["upstream", "reason"],
        )?,
        child_resident: of.gauges(
            names::CHILD_RESIDENT_BYTES,
            "Resident bytes of child processes, with all that they have started.",
            &["upstream"],
        )?,
        store_operations: of.counters(
            names::STORE_OPERATIONS,
            "Calls of the store.",
            &["operation", "result"],
        )?,
        store_entries: of.gauge(names::STORE_ENTRIES, "Values in the store, unless it is a server.")?,
        store_bytes: of.gauge(
            names::STORE_BYTES,
            "Bytes of the names and sealed values in the store, unless it is a server.",
        )?,
        access_log_dropped: of
            .counter(names::ACCESS_LOG_DROPPED, "Access log lines that could not be written.")?,
        dpop_proofs: of.gauge(names::DPOP_PROOFS, "Proofs of possession that are remembered as used.")?,
        limit_keys: of
            .gauge(names::LIMIT_KEYS, "Keys (subjects, clients, tools) that limits keep state for.")?,
        limit_overflows: of.counter(
            names::LIMIT_KEY_OVERFLOWS,
            "Keys that had to share one state because their limit keeps too many already.",
        )?,
        registry,
    })
}

/// Makes metrics and registers them.
struct Registrar<'a> {
    registry: &'a Registry,
    dropped: IntCounterVec,
}

impl Registrar<'_> {
    fn counter_family<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<CounterFamily<N>> {
        let metric = IntCounterVec::new(Opts::new(name, help), &labels)?;
        Family::register(self.registry, metric, MAX_SERIES, self.dropped(name))
    }

    fn gauge_family<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<GaugeFamily<N>> {
        let metric = IntGaugeVec::new(Opts::new(name, help), &labels)?;
        Family::register(self.registry, metric, MAX_SERIES, self.dropped(name))
    }

    fn histogram_family<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<HistogramFamily<N>> {
        let options = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
        let metric = HistogramVec::new(options, &labels)?;
        Family::register(self.registry, metric, MAX_SERIES, self.dropped(name))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.registered(IntCounter::new(name, help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.registered(IntGauge::new(name, help)?)
    }

    fn registered<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn dropped(&self, metric: &str) -> IntCounter {
        self.dropped.with_label_values(&[metric])
    }
}

fn dropped_series(registry: &Registry) -> Result<IntCounterVec> {
    let dropped = IntCounterVec::new(
        Opts::new(
            names::SERIES_DROPPED,
            "Label sets counted as \"other\" because their metric has too many series already.",
        ),
        &["metric"],
    )?;
    registry.register(Box::new(dropped.clone()))?;
    Ok(dropped)
}

#[cfg(target_os = "linux")]
fn process(registry: &Registry) -> Result<()> {
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

#[cfg(not(target_os = "linux"))]
fn process(_: &Registry) -> Result<()> {
    Ok(())
}
