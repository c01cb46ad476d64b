//! Stage 9: what happened, written down. Runs for every request, however it ended.

use crate::gateway::Shared;
use crate::record::{Refused, Visit};
use crate::refusal::Refusal;
use crate::request_id::RequestId;
use narthex_identity::Caller;
use narthex_policy::Denial;
use narthex_telemetry::names::{OTHER, UNKNOWN};
use narthex_telemetry::{AccessRecord, Decision, FinishedCall};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Takes a refusal into the record, and explains to the log what no caller is told.
pub(crate) fn note_refusal(shared: &Shared, visit: &mut Visit, refusal: &Refusal) {
    let (reason, security) = (refusal.reason(), refusal.is_security_event());
    visit.refused = Some(Refused { reason, denied: refusal.is_denial(), security });
    let route = visit.route.as_ref().map_or("-", |r| r.id.as_str());
    if refusal.is_denial() {
        shared.metrics.denied(route, reason);
    }
    if let Refusal::Denied(Denial::Limited(limited)) = refusal {
        shared.metrics.rate_limited(tenant_label(visit), &limited.policy);
    }
    // A denial is in the access log with its reason, and anybody can cause as many as they like.
    if !security && !refusal.is_denial() {
        let (id, detail) = (visit.request_id.as_str(), refusal.detail());
        tracing::warn!(request_id = id, route, reason, detail, "request failed");
    }
}

/// Records what was not even HTTP. It has an id of its own, for the log alone.
pub(crate) fn unreadable(shared: &Shared, remote: Option<IpAddr>) {
    const REASON: &str = "unreadable_request";
    shared.metrics.denied("-", REASON);
    let id = RequestId::make();
    shared.access_log.write(&AccessRecord {
        at: SystemTime::now(),
        request_id: id.as_str(),
        trace_id: None,
        remote,
        tenant: None,
        subject: None,
        client: None,
        method: "-",
        path: "-",
        route: None,
        mcp_method: None,
        tool: None,
        upstream: None,
        status: 400,
        decision: Decision::Deny,
        reason: Some(REASON),
        security: true,
        bytes_in: 0,
        bytes_out: 0,
        duration: Duration::ZERO,
        upstream_duration: None,
    });
}

/// Counts the request and writes its line of the access log.
pub(crate) fn write(shared: &Shared, visit: &Visit) {
    let duration = visit.started.elapsed();
    let code = visit.status.as_u16();
    let route = visit.route.as_deref();
    let asked = route.filter(|_| visit.upstream_time.is_some());
    let upstream = asked.map(|route| visit.upstream.as_ref().unwrap_or(&route.upstream.id).as_str());
    shared.metrics.finished(&FinishedCall {
        tenant: tenant_label(visit),
        route: route.map_or("-", |r| r.id.as_str()),
        method: if visit.method.is_empty() { OTHER } else { visit.method },
        upstream: upstream.unwrap_or("-"),
        code,
        tool: visit.tool.as_ref().map(|_| visit.known_tool.as_deref().unwrap_or(OTHER)),
        duration,
        upstream_duration: visit.upstream_time,
    });
    if let Some(upstream) = upstream.filter(|_| visit.retries > 0) {
        shared.metrics.upstream_retried(upstream);
    }
    let caller = visit.caller.as_deref();
    shared.access_log.write(&AccessRecord {
        at: visit.now,
        request_id: visit.request_id.as_str(),
        trace_id: visit.traceparent.as_ref().and_then(|v| v.to_str().ok()?.get(3..35)),
        remote: visit.remote,
        tenant: caller.map(|c| c.tenant.as_str()),
        subject: caller.map(|c| &*c.subject),
        client: caller.and_then(|c| c.client.as_deref()),
        method: visit.verb,
        path: route.map_or_else(|| visit.other_path.as_deref().unwrap_or("-"), |r| &r.path),
        route: route.map(|r| r.id.as_str()),
        mcp_method: Some(visit.method).filter(|m| !m.is_empty() && *m != visit.verb),
        tool: visit.tool.as_deref(),
        upstream,
        status: code,
        decision: if visit.refused.is_some_and(|r| r.denied) { Decision::Deny } else { Decision::Allow },
        reason: visit.refused.map(|r| r.reason).or(visit.cut),
        security: visit.refused.is_some_and(|r| r.security),
        bytes_in: visit.bytes_in as u64,
        bytes_out: visit.bytes_out as u64,
        duration,
        upstream_duration: visit.upstream_time,
    });
}

/// The caller's tenant if it is configured: what a token says is not bounded.
fn tenant_label(visit: &Visit) -> &str {
    let tenant = visit.caller.as_deref().map(|c: &Caller| &c.tenant);
    tenant.filter(|t| visit.snapshot.tenants.contains(*t)).map_or(UNKNOWN, |t| t.as_str())
}
