//! The walk of a request, one call a stage.
//!
//! Each stage turns what the one before it made into something that only it can make, so none can be
//! left out: `forward` takes a `Credentialed`, which holds a `Permit` (minted by `narthex-policy`) and
//! an `UpstreamCredential` (minted by `narthex-credentials`). Any stage can end the walk with a
//! [`Refusal`].

use crate::authority;
use crate::bridge::{self, enter, merge};
use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::stage::{credential, forward, frame, identify, inspect, permit, route, scan};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::sync::Arc;

/// Takes one request through all stages. Its answer is sent when this returns `Ok`.
pub(crate) async fn walk(
    shared: &Arc<Shared>,
    session: &mut ServerSession,
    visit: &mut Visit,
    shutdown: &ShutdownWatch,
) -> Result<(), Refusal> {
    let inbound = match frame::accept(session, visit)? {
        frame::Accepted::Mcp(inbound) => inbound,
        frame::Accepted::Local(reply) => return frame::answer(session, visit, reply).await,
        frame::Accepted::Authority(asked) => {
            return Box::pin(authority::answer(shared, asked, session, visit)).await;
        }
    };
    let identified = identify::caller(shared, inbound, session, visit).await?;
    let mut held = None;
    let scanned = scan::read(identified, session, visit, &mut held).await?;
    let routed = route::target(scanned, visit)?;
    let permitted = permit::decide(shared, routed, visit)?;
    // A route of several upstreams is a server of its own, and finds its credentials as it goes.
    if let Some(merged) = permitted.routed.inbound().route.merged.clone() {
        let job = enter::merge(shared, permitted, visit)?;
        drop(held);
        return Box::pin(merge::answer(shared, merged, job, session, visit, shutdown)).await;
    }
    let credentialed = credential::obtain(permitted, visit).await?;
    // A client and a server of different eras need an interpreter.
    if enter::is_needed(shared, &credentialed, visit).await? {
        let job = enter::take(shared, credentialed, visit)?;
        drop(held);
        return Box::pin(bridge::answer(shared, job, session, visit, shutdown)).await;
    }
    let answered = forward::send(shared, credentialed, session, visit).await?;
    match enter::learn_from(shared, &answered, visit).await {
        Ok(false) => {}
        Ok(true) => {
            let job = enter::take_back(shared, answered, visit)?;
            drop(held);
            return Box::pin(bridge::answer(shared, job, session, visit, shutdown)).await;
        }
        Err(refusal) => {
            shared.connections.abandon(answered.answer.connection);
            return Err(refusal);
        }
    }
    let prepared = inspect::prepare(shared, answered, visit)?;
    // It has been sent: its bytes are free for others, however long the answer goes on.
    drop(held);
    inspect::deliver(shared, prepared, session, visit, shutdown).await
}
