//! The gateway's metrics, in the Prometheus exposition format.

mod cache;
mod family;
mod register;
mod route;

pub use route::{RouteMetrics, Tally};

use crate::Events;
use cache::Local;
use family::Family;
use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};
use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type CounterFamily<const N: usize> = Family<IntCounterVec, N>;
type GaugeFamily<const N: usize> = Family<IntGaugeVec, N>;
type HistogramFamily<const N: usize> = Family<HistogramVec, N>;

/// All metrics of one gateway, with a registry of their own.
///
/// Everything here may be called on the path of a request: the handles that a thread has used once
/// are its own from then on, so no lock shared by all requests is taken.
pub struct Metrics {
    id: u64,
    registry: Registry,
    events: Events,
    authority: IntCounterVec,
    requests: CounterFamily<5>,
    duration: HistogramFamily<2>,
    upstream_duration: HistogramFamily<1>,
    tool_calls: CounterFamily<4>,
    denied: CounterFamily<2>,
    rate_limited: CounterFamily<2>,
    inflight: GaugeFamily<1>,
    streams: GaugeFamily<1>,
    upstream_up: IntGaugeVec,
    breaker_open: IntGaugeVec,
    endpoint_up: IntGaugeVec,
    endpoint_in_flight: IntGaugeVec,
    quarantined: IntGaugeVec,
    inspected: IntCounterVec,
    retries: IntCounterVec,
    renewals: IntCounterVec,
    consents_asked: IntCounterVec,
    reload_ok: IntGauge,
    reload_time: IntGauge,
    reloads: IntCounterVec,
    cache_hits: IntCounter,
    cache_misses: IntCounter,
    connections: IntGauge,
    buffered: IntGauge,
    bridged: IntCounterVec,
    suspended: IntGauge,
    bridge_sessions: IntGaugeVec,
    kept_pages: IntGauge,
    child_starts: IntCounterVec,
    child_exits: IntCounterVec,
    child_resident: IntGaugeVec,
    store_operations: IntCounterVec,
    store_entries: IntGauge,
    store_bytes: IntGauge,
    access_log_dropped: IntCounter,
    dpop_proofs: IntGauge,
    limit_keys: IntGauge,
    limit_overflows: IntCounter,
}

/// What is counted about a finished request. Every text must come from a bounded set.
#[derive(Clone, Copy, Debug)]
pub struct FinishedCall<'a> {
    /// A configured tenant, or [`crate::names::UNKNOWN`].
    pub tenant: &'a str,
    /// A configured route, or `-`.
    pub route: &'a str,
    /// A method that MCP defines, or [`crate::names::OTHER`].
    pub method: &'a str,
    /// A configured upstream, or `-` if none was asked.
    pub upstream: &'a str,
    /// The HTTP status of the answer.
    pub code: u16,
    /// The tool of a `tools/call`: one that the upstream is known to have, or [`crate::names::OTHER`]. `None` for
    /// every other method.
    pub tool: Option<&'a str>,
    /// From the first byte of the request to the last of its answer.
    pub duration: Duration,
    /// From sending to the upstream to the first byte of its answer.
    pub upstream_duration: Option<Duration>,
}

/// The handles that one finished request needs.
struct Row {
    requests: IntCounter,
    duration: Histogram,
    upstream_duration: Histogram,
    tool_calls: Option<IntCounter>,
}

thread_local! {
    static ROWS: RefCell<Local<Row, 5>> = RefCell::new(Local::new());
    static COUNTERS: RefCell<Local<IntCounter, 2>> = RefCell::new(Local::new());
}

/// Which family a counter in [`COUNTERS`] belongs to.
const DENIED: u16 = 0;
const RATE_LIMITED: u16 = 1;

// === impl Metrics ===

impl Metrics {
    /// Registers everything. `version` and `revision` are the labels of `narthex_build_info`.
    ///
    /// # Errors
    /// Two metrics have the same name, which is a mistake in this crate.
    pub fn new(version: &str, revision: &str) -> prometheus::Result<Self> {
        register::all(version, revision)
    }

    /// The counters of rare events.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The gauges of one route, to be kept for as long as the route is.
    #[must_use]
    pub fn route(&self, route: &str) -> RouteMetrics {
        RouteMetrics::new(self.inflight.handle([route]).ok(), self.streams.handle([route]).ok())
    }

    /// Counts a finished request.
    pub fn finished(&self, call: &FinishedCall<'_>) {
        // The empty name is no tool's: it stands for "not a tool call" in the key.
        let labels = [call.tenant, call.route, call.method, call.upstream, call.tool.unwrap_or("")];
        ROWS.with_borrow_mut(|rows| {
            if let Ok(row) = rows.get((self.id, call.code), labels, || self.row(call)) {
                row.count(call);
            }
        });
    }

    /// Counts a refusal. `reason` is one of the gateway's stable reasons.
    pub fn denied(&self, route: &str, reason: &'static str) {
        self.count(&self.denied, DENIED, [route, reason]);
    }

    /// Counts a call that a limit refused. `limit` is the limit's name, such as `tenant`.
    pub fn rate_limited(&self, tenant: &str, limit: &str) {
        self.count(&self.rate_limited, RATE_LIMITED, [tenant, limit]);
    }

    /// Counts a request to the gateway's own authorization server. Both are of small sets.
    pub fn authority(&self, endpoint: &str, result: &str) {
        self.authority.with_label_values(&[endpoint, result]).inc();
    }

    /// Counts a look into the cache of verified tokens.
    pub fn token_cache(&self, hit: bool) {
        if hit { self.cache_hits.inc() } else { self.cache_misses.inc() }
    }

    /// A client has connected.
    pub fn connection_opened(&self) {
        self.connections.inc();
    }

    /// A client's connection has ended.
    pub fn connection_closed(&self) {
        self.connections.dec();
    }

    /// Bytes of request bodies held in memory are now `bytes`.
    pub fn buffered_bytes(&self, bytes: usize) {
        self.buffered.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A request on `route` was answered by a server of another era; `modern`: the client speaks
    /// 2026-07-28.
    pub fn bridged(&self, route: &str, modern: bool) {
        self.bridged.with_label_values(&[route, if modern { "modern" } else { "legacy" }]).inc();
    }

    /// Content inspection found something of that kind in what passed between `route` and `upstream`.
    pub fn inspected(&self, route: &str, upstream: &str, kind: &str, action: &str) {
        self.inspected.with_label_values(&[route, upstream, kind, action]).inc();
    }

    /// What the bridge keeps now: calls that wait for their client, sessions of older clients, sessions at
    /// older upstreams.
    pub fn bridge(&self, suspended: usize, clients: usize, upstreams: usize) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.suspended.set(number(suspended));
        self.bridge_sessions.with_label_values(&["client"]).set(number(clients));
        self.bridge_sessions.with_label_values(&["upstream"]).set(number(upstreams));
    }

    /// Pages of merged lists take so many bytes now.
    pub fn kept_pages(&self, bytes: usize) {
        self.kept_pages.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A child process was started; `again`: another before it had ended by itself.
    pub fn child_started(&self, upstream: &str, again: bool) {
        self.child_starts.with_label_values(&[upstream, if again { "true" } else { "false" }]).inc();
    }

    /// A child process has ended, or could not be started.
    pub fn child_ended(&self, upstream: &str, reason: &'static str) {
        self.child_exits.with_label_values(&[upstream, reason]).inc();
    }

    /// The resident bytes of an upstream's child processes have changed by so many.
    pub fn child_resident(&self, upstream: &str, change: i64) {
        self.child_resident.with_label_values(&[upstream]).add(change);
    }

    /// An upstream answers, or does not.
    pub fn upstream_up(&self, upstream: &str, up: bool) {
        self.upstream_up.with_label_values(&[upstream]).set(i64::from(up));
    }

    /// An upstream's circuit breaker has opened or closed.
    pub fn breaker_open(&self, upstream: &str, open: bool) {
        self.breaker_open.with_label_values(&[upstream]).set(i64::from(open));
    }

    /// An upstream is no longer configured: its gauges end.
    pub fn upstream_removed(&self, upstream: &str) {
        // An error only says that there was no such series.
        let _ = self.upstream_up.remove_label_values(&[upstream]);
        let _ = self.breaker_open.remove_label_values(&[upstream]);
        let _ = self.quarantined.remove_label_values(&[upstream]);
    }

    /// So many definitions of an upstream's tools wait for approval now.
    pub fn quarantined_tools(&self, upstream: &str, count: usize) {
        self.quarantined.with_label_values(&[upstream]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How an endpoint of an upstream that has several is doing. `endpoint` names it among the others.
    pub fn endpoint(&self, upstream: &str, endpoint: &str, up: bool, in_flight: usize) {
        let labels = [upstream, endpoint];
        self.endpoint_up.with_label_values(&labels).set(i64::from(up));
        let in_flight = i64::try_from(in_flight).unwrap_or(i64::MAX);
        self.endpoint_in_flight.with_label_values(&labels).set(in_flight);
    }

    /// An endpoint is no longer one of several: its gauges end.
    pub fn endpoint_removed(&self, upstream: &str, endpoint: &str) {
        // An error only says that there was no such series.
        let _ = self.endpoint_up.remove_label_values(&[upstream, endpoint]);
        let _ = self.endpoint_in_flight.remove_label_values(&[upstream, endpoint]);
    }

    /// A request was sent to an upstream again.
    pub fn upstream_retried(&self, upstream: &str) {
        self.retries.with_label_values(&[upstream]).inc();
    }

    /// A credential was renewed because the upstream answered 401.
    pub fn credential_renewed(&self, upstream: &str) {
        self.renewals.with_label_values(&[upstream]).inc();
    }

    /// A user was asked to connect an upstream, in that way.
    pub fn consent_asked(&self, route: &str, upstream: &str, how: &'static str) {
        self.consents_asked.with_label_values(&[route, upstream, how]).inc();
    }

    /// The configuration was loaded, or could not be.
    pub fn config_loaded(&self, ok: bool, now: SystemTime) {
        self.reload_ok.set(i64::from(ok));
        self.reloads.with_label_values(&[if ok { "ok" } else { "error" }]).inc();
        if ok && let Ok(since) = now.duration_since(UNIX_EPOCH) {
            self.reload_time.set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        }
    }

    /// How many proofs of possession are remembered as used.
    pub fn dpop_proofs(&self, count: usize) {
        self.dpop_proofs.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// What the limits' housekeeping found: keys kept now, and keys that came beyond the cap since.
    pub fn limit_keys(&self, keys: usize, overflows: u64) {
        self.limit_keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.limit_overflows.inc_by(overflows);
    }

    /// The store was asked: `operation` is `read`, `write`, `withdraw` or `probe`, `result` is `ok` or why not.
    pub fn store_operation(&self, operation: &'static str, result: &'static str) {
        self.store_operations.with_label_values(&[operation, result]).inc();
    }

    /// How much is in the store now.
    pub fn store_usage(&self, entries: usize, bytes: usize) {
        self.store_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The counter of access log lines that could not be written.
    #[must_use]
    pub fn access_log_dropped(&self) -> IntCounter {
        self.access_log_dropped.clone()
    }

    /// Everything, in the text format 0.0.4.
    ///
    /// # Errors
    /// A metric breaks the format, which is a mistake in this crate.
    pub fn encode(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    fn row(&self, call: &FinishedCall<'_>) -> prometheus::Result<Row> {
        let mut digits = itoa::Buffer::new();
        let code = digits.format(call.code);
        let tool_calls = call.tool.map(|tool| self.tool_calls.handle([call.tenant, call.route, tool, code]));
        Ok(Row {
            requests: self.requests.handle([call.tenant, call.route, call.method, call.upstream, code])?,
            duration: self.duration.handle([call.route, call.method])?,
            upstream_duration: self.upstream_duration.handle([call.upstream])?,
            tool_calls: tool_calls.transpose()?,
        })
    }

    fn count(&self, family: &CounterFamily<2>, number: u16, labels: [&str; 2]) {
        COUNTERS.with_borrow_mut(|counters| {
            if let Ok(counter) = counters.get((self.id, number), labels, || family.handle(labels)) {
                counter.inc();
            }
        });
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

// === impl Row ===

impl Row {
    fn count(&self, call: &FinishedCall<'_>) {
        self.requests.inc();
        self.duration.observe(call.duration.as_secs_f64());
        if let Some(duration) = call.upstream_duration {
            self.upstream_duration.observe(duration.as_secs_f64());
        }
        if let Some(tool_calls) = &self.tool_calls {
            tool_calls.inc();
        }
    }
}

#[cfg(test)]
mod tests;
