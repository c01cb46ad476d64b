//! One route, several upstreams: to the client they are one MCP server.
//!
//! A [`Keeper`](keeper) reads each upstream's lists once for all who may share them and hears of their changes;
//! lists are answered, and the owner of a name found, from what it keeps. Only what a single upstream has to
//! answer is sent to it, by the same parties that the bridge uses. So are the routes of a single upstream whose
//! names, descriptions or results are looked into.

mod catalogue;
mod changes;
pub(crate) mod connect;
mod connection;
mod content;
mod dress;
mod fetch;
mod find;
mod guard;
mod keeper;
mod kept;
mod list;
mod mentions;
mod modern;
mod page;
mod parts;
mod relay;
mod route;
mod view;

pub(crate) mod legacy;

pub(crate) use catalogue::Catalogues;
pub(crate) use changes::Changes;
pub(crate) use dress::Dress;
pub(crate) use kept::Pages;
pub(crate) use mentions::Mentions;
pub(crate) use route::{Member, Merged};

use super::enter::Job;
use super::front::Out;
use super::link::Ways;
use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use narthex_mcp::bridge::discover::Account;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::sync::Arc;

/// Lists may change with every upstream that comes or goes, whatever the upstreams themselves tell of.
fn tell_of_changes(account: &mut Account) {
    for family in ["tools", "prompts", "resources"] {
        if let Some(mut flags) = account.capabilities.object(family) {
            flags.set_json("listChanged", "true");
            account.capabilities.set_object(family, &flags);
        }
    }
}

/// Answers a request on a merged route.
///
/// # Errors
/// The request is none that may be made, or what has to answer it failed; nothing has been sent to the client.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    merged: Arc<Merged>,
    mut job: Box<Job<Ways>>,
    session: &mut ServerSession,
    visit: &mut Visit,
    shutdown: &ShutdownWatch,
) -> Result<(), Refusal> {
    let caller = Arc::clone(&job.link.caller);
    let mut out = Out::new(shared, &caller, job.stream.take(), session, visit, shutdown);
    let answered = if job.modern {
        modern::answer(merged, *job, &mut out).await
    } else {
        legacy::answer(merged, *job, &mut out).await
    };
    super::conclude(answered, &mut out)
}
