//! A merged route to a client of 2025-11-25 or earlier.

use super::catalogue::Doubt;
use super::connect::{self, Looked, Wanted};
use super::dress::Dress;
use super::find;
use super::list;
use super::parts::Parts;
use super::route::{Member, Merged};
use crate::bridge::enter::{Bounds, Job};
use crate::bridge::front::Out;
use crate::bridge::front::initialize::{Hello, welcome};
use crate::bridge::front::legacy::Front;
use crate::bridge::front::standalone;
use crate::bridge::link::{Link, Ways};
use crate::bridge::modern::SchemaCache;
use crate::refusal::Refusal;
use crate::reply::Body;
use crate::stage::frame::Verb;
use http::StatusCode;
use narthex_mcp::bridge::message::{Incoming, RpcError};
use narthex_mcp::bridge::schema::Schemas;
use narthex_mcp::bridge::{Object, error};
use narthex_mcp::federation::connect::{connected, said};
use narthex_mcp::federation::cursor::Kind;
use std::sync::Arc;
use std::time::Instant;

/// Answers it.
///
/// # Errors
/// See [`super::answer`].
pub(super) async fn answer(
    merged: Arc<Merged>,
    mut job: Job<Ways>,
    out: &mut Out<'_>,
) -> Result<(), Refusal> {
    if let [Incoming::Request { method, .. }] = &job.messages[..]
        && method == "initialize"
    {
        return initialize(&merged, job, out).await;
    }
    let session = job.session.take().ok_or(Refusal::SessionRequired)?;
    let (ways, bounds) = (job.link, job.bounds);
    let shared = Arc::clone(&ways.shared);
    let live = shared.bridge.live.take_up(*session, ways.door_owner(), ways.whose(), bounds).await?;
    let mut link = ways.nowhere();
    link.lane = Some(live.opened.id.as_str().into());
    match job.verb {
        Verb::Delete => {
            shared.bridge.live.end(&live).await;
            out.reply(StatusCode::NO_CONTENT, None, None).await
        }
        Verb::Get => standalone::answer(live, link, Some(merged), job.last_event_id, bounds, out).await,
        Verb::Post => {
            let mut front = Front::new(live, link, bounds);
            front.merged = Some(merged);
            front.messages(job.messages, job.batch, out).await
        }
    }
}

/// MCP 2025-11-25, basic/lifecycle#initialization.
async fn initialize(merged: &Arc<Merged>, mut job: Job<Ways>, out: &mut Out<'_>) -> Result<(), Refusal> {
    let Some(Incoming::Request { id, params, .. }) = job.messages.pop() else {
        return Err(Refusal::SessionRequired);
    };
    let hello = match Hello::read(id, &params) {
        Ok(hello) => hello,
        Err(body) => return out.last(StatusCode::OK, None, body).await,
    };
    let parts = Parts::gather(merged, &job.link, job.bounds).await;
    if parts.there.is_empty() && !merged.is_federation {
        return Err(find::out_of_reach());
    }
    let account = parts.account(merged, hello.revision);
    let owner = job.link.door_owner();
    welcome(&job.link, owner, job.bounds, hello, account, out).await
}

/// What becomes of a request on a merged route.
pub(crate) enum Routed {
    /// This is the answer: a result, or an error.
    Said(Result<Object, RpcError>),
    /// This is, the whole message.
    Listed(Body),
    /// The user is wanted first.
    Wanted(Wanted),
    /// It goes on, this way.
    Call(Box<Way>),
}

/// The way to the upstream that answers.
pub(crate) struct Way {
    pub(crate) member: Arc<Member>,
    pub(crate) link: Link,
    pub(crate) params: Object,
    pub(crate) dress: Dress,
    /// Is told whether the upstream answered.
    pub(crate) doubt: Doubt,
    /// What is known of the tool that is called.
    pub(crate) schemas: Arc<SchemaCache>,
}

/// Finds out who answers a request.
///
/// # Errors
/// Nobody can be asked.
pub(crate) async fn route(
    merged: &Arc<Merged>,
    from: &Link,
    (id, method, params): (&str, &str, &Object),
    bounds: Bounds,
    out: &mut Out<'_>,
) -> Result<Routed, Refusal> {
    if let Some(kind) = Kind::of(method) {
        let listed = list::answer(merged, from, (id, kind, params), bounds, out.visit).await?;
        return Ok(listed.map_or_else(|error| Routed::Said(Err(error)), Routed::Listed));
    }
    let found = match connect::find(merged, from, method, params, bounds).await? {
        Looked::Found(found) => *found,
        Looked::Unknown(error) => return Ok(Routed::Said(Err(error::to_legacy(method, &error)))),
        Looked::Wanted(wanted) => return Ok(Routed::Wanted(wanted)),
        Looked::Connected(member) => {
            return Ok(Routed::Said(Ok(said(&connected(member.id.as_str()), false))));
        }
    };
    let member = Arc::clone(found.part.member);
    out.visit.known_tool = found.tool.clone();
    out.visit.upstream = Some(found.part.member.id.clone());
    let params = match merged.guard.params(found.params, found.part.member).await {
        Ok(params) => params,
        Err(error) => return Ok(Routed::Said(Err(error))),
    };
    let whose = from.lane.as_deref().map_or_else(|| from.whose(), str::to_owned);
    let mut link = match from.to(member.endpoint_of(&whose, Instant::now())).await {
        Err(refusal) if refusal.is_up_to_user() => {
            return Ok(Routed::Wanted(Wanted { member, refusal, tool: false }));
        }
        link => link?,
    };
    link.lane = from.lane.clone();
    let dress = Dress::new(merged, found.part.member, from);
    let doubt = Doubt(Arc::clone(&found.part.catalogue));
    let schemas = Arc::new(SchemaCache::default());
    let mirrored = found.headers.zip(params.string("name"));
    let mirrored = mirrored.map(|(headers, name)| (name, headers)).into_iter().collect();
    schemas.learn(Some(Arc::new(Schemas { mirrored, ..Schemas::default() })));
    Ok(Routed::Call(Box::new(Way { member, link, params, dress, doubt, schemas })))
}
