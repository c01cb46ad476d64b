//! What is known of a request so far, for its answer and for its record.

use crate::request_id::RequestId;
use crate::snapshot::{RouteEntry, Snapshot};
use http::{HeaderValue, StatusCode};
use narthex_config::model::UpstreamId;
use narthex_identity::{Caller, Scheme};
use narthex_mcp::Revision;
use narthex_telemetry::Tally;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// One request on its walk. Stages fill it in; `record` writes it down at the end.
pub(crate) struct Visit {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) request_id: RequestId,
    pub(crate) started: Instant,
    pub(crate) now: SystemTime,
    pub(crate) remote: Option<IpAddr>,
    /// The HTTP method.
    pub(crate) verb: &'static str,
    /// The path, where it is no route's.
    pub(crate) other_path: Option<String>,
    /// The request's `Origin`, once it is known to be allowed.
    pub(crate) origin: Option<HeaderValue>,
    pub(crate) traceparent: Option<HeaderValue>,
    pub(crate) route: Option<Arc<RouteEntry>>,
    /// How the caller's token came.
    pub(crate) scheme: Scheme,
    /// The nonce that the client's next proof of possession is to have.
    pub(crate) dpop_nonce: Option<HeaderValue>,
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) revision: Option<Revision>,
    /// The JSON-RPC id, as JSON text.
    pub(crate) rpc_id: Option<Box<str>>,
    /// The JSON-RPC method, from the closed set of [`method_label`].
    pub(crate) method: &'static str,
    /// The tool called, as the caller named it.
    pub(crate) tool: Option<Box<str>>,
    /// The prompt or URI that is asked for.
    pub(crate) asked: Option<Box<str>>,
    /// The tool, if the upstream is known to have it.
    pub(crate) known_tool: Option<Arc<str>>,
    /// The upstream that was asked, where the route has several.
    pub(crate) upstream: Option<UpstreamId>,
    pub(crate) status: StatusCode,
    pub(crate) bytes_in: usize,
    pub(crate) bytes_out: usize,
    pub(crate) upstream_time: Option<Duration>,
    pub(crate) retries: usize,
    /// Why the request ended early.
    pub(crate) refused: Option<Refused>,
    /// Counts the request as in flight on its route.
    pub(crate) tally: Option<Tally>,
    /// A stream of events has begun.
    pub(crate) streaming: bool,
    /// How a relayed answer ended, if not well.
    pub(crate) cut: Option<&'static str>,
}

/// What is recorded of a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub(crate) reason: &'static str,
    /// The gateway said no; otherwise an upstream failed.
    pub(crate) denied: bool,
    /// The audit has to see it.
    pub(crate) security: bool,
}

impl Visit {
    pub(crate) fn begin(
        snapshot: Arc<Snapshot>,
        request_id: RequestId,
        verb: &'static str,
        remote: Option<IpAddr>,
    ) -> Self {
        Self {
            snapshot,
            request_id,
            started: Instant::now(),
            now: SystemTime::now(),
            remote,
            verb,
            other_path: None,
            origin: None,
            traceparent: None,
            route: None,
            scheme: Scheme::default(),
            dpop_nonce: None,
            caller: None,
            revision: None,
            rpc_id: None,
            method: "",
            tool: None,
            asked: None,
            known_tool: None,
            upstream: None,
            status: StatusCode::OK,
            bytes_in: 0,
            bytes_out: 0,
            upstream_time: None,
            retries: 0,
            refused: None,
            tally: None,
            streaming: false,
            cut: None,
        }
    }

    /// Notes what the authority's answer says, if it is not what was asked for.
    pub(crate) fn note_result(&mut self, result: &'static str) {
        self.refused = Some(Refused { reason: result, denied: true, security: false });
    }

    /// Whether the client speaks 2025-11-25 or earlier, as far as is known.
    pub(crate) fn speaks_legacy(&self) -> bool {
        self.revision.is_some_and(|r| !r.is_modern())
    }
}

/// The methods of all revisions; whatever else a caller makes up is `other`.
pub(crate) fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 32] = [
        "tools/call",
        "tools/list",
        "initialize",
        "ping",
        "server/discover",
        "prompts/get",
        "prompts/list",
        "resources/read",
        "resources/list",
        "resources/templates/list",
        "resources/subscribe",
        "resources/unsubscribe",
        "subscriptions/listen",
        "completion/complete",
        "logging/setLevel",
        "tasks/get",
        "tasks/result",
        "tasks/list",
        "tasks/update",
        "tasks/cancel",
        "roots/list",
        "sampling/createMessage",
        "elicitation/create",
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
        "notifications/message",
        "notifications/roots/list_changed",
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
    ];
    KNOWN.iter().find(|known| **known == method).copied().unwrap_or("other")
}
