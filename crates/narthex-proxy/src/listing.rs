//! `tools/list`: the one result that is looked into.
//!
//! The names are remembered, so that metrics can be by tool without callers making up series; and
//! tools that a `deny` rule hides are taken out.

use crate::forward;
use crate::gateway::Shared;
use crate::judge::Content;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::stage::inspect::Delivery;
use crate::stage::route::Routed;
use bytes::Bytes;
use narthex_config::model::TenantId;
use narthex_mcp::{sse, tools};
use narthex_policy::RoutePolicy;
use narthex_upstreams::Upstream;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;

/// Largest list that is looked into, bytes.
const CAP: usize = 8 * 1024 * 1024;

/// Whether this answer is a list of tools that has to be looked into.
pub(crate) fn is_wanted(routed: &Routed<'_>, visit: &Visit) -> bool {
    // Also one in a batch (MCP 2025-03-26).
    routed.scanned.messages().iter().any(|m| m.method == "tools/list")
        && (routed.inbound().route.policy.hides_tools(&routed.caller().tenant)
            || routed.inbound().route.upstream.catalogue.is_due(visit.started))
}

/// Reads the whole list, remembers its names, takes out what is hidden, and sends the rest.
///
/// # Errors
/// The list is too long or malformed: with hidden tools in it, it cannot be shown.
pub(crate) async fn deliver(
    shared: &Shared,
    delivery: Delivery,
    header: Box<ResponseHeader>,
    content: Content,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<(), Refusal> {
    let route = Arc::clone(&delivery.route);
    let caller = Arc::clone(&delivery.caller);
    let upstream = &route.upstream;
    let shown = Shown { policy: &route.policy, tenant: &caller.tenant };
    let whole = forward::collect(delivery.answer, CAP, upstream.timeout, upstream, &shared.connections)
        .await
        .map_err(Refusal::Forward)?;
    let body = match content {
        Content::Json => look_into(&whole, shown, upstream).map(|changed| changed.map_or(whole, Bytes::from)),
        Content::EventStream => match events(&whole, shown, upstream) {
            // What is only learned from need not be understood.
            Err(_) if !shown.hides() => Ok(whole),
            body => body,
        },
    };
    let body = body.map_err(|error| {
        tracing::warn!(upstream = %upstream.id, error, "unusable tools/list");
        Refusal::Internal("unusable tools/list")
    })?;
    Reply::whole(header, body)?.pass_on(session, visit).await
}

type Unusable = String;

/// What one tenant is shown.
#[derive(Clone, Copy)]
struct Shown<'a> {
    policy: &'a RoutePolicy,
    tenant: &'a TenantId,
}

impl Shown<'_> {
    fn hides(self) -> bool {
        self.policy.hides_tools(self.tenant)
    }
}

/// Learns the names in one JSON-RPC response; gives it anew if it had to be changed.
fn look_into(body: &[u8], shown: Shown<'_>, upstream: &Upstream) -> Result<Option<Vec<u8>>, Unusable> {
    let mut names = Vec::new();
    let read = tools::tool_names(body, |name| names.push(name.to_owned()));
    if read.is_ok() {
        upstream.catalogue.learn(names.iter().map(String::as_str));
    }
    if !shown.hides() {
        // What is only learned from need not be understood.
        return Ok(None);
    }
    tools::retain_tools(body, |name| shown.policy.may_list(shown.tenant, name))
        .map_err(|e| e.reason().to_owned())
}

/// The same for an answer that comes as events: the responses among them are looked into, every other
/// byte stays.
fn events(body: &Bytes, shown: Shown<'_>, upstream: &Upstream) -> Result<Bytes, Unusable> {
    let mut decoder = sse::Decoder::new(CAP);
    decoder.push(body);
    let mut out = Vec::with_capacity(body.len());
    while let Some(frame) = decoder.next_frame().map_err(|e| e.to_string())? {
        let changed = match &frame {
            sse::Frame::Event(sse::Event { data: Some(data), .. }) => look_into(data, shown, upstream)?,
            _ => None,
        };
        match (changed, &frame) {
            (Some(data), sse::Frame::Event(event)) => {
                let fields = sse::Fields {
                    event: event.event.as_deref(),
                    id: event.id.as_deref(),
                    retry: event.retry,
                    data: Some(&data),
                };
                sse::encode(&fields, &mut out).map_err(|e| e.to_string())?;
            }
            _ => out.extend_from_slice(frame.raw()),
        }
    }
    Ok(out.into())
}
