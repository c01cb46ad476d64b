//! A client of 2025-11-25 or earlier begins a session.

use super::Out;
use crate::bridge::enter::{Bounds, Job};
use crate::bridge::link::{Link, Ways};
use crate::bridge::modern;
use crate::refusal::Refusal;
use crate::stage::inspect::SESSION_LIFETIME;
use http::StatusCode;
use narthex_mcp::Revision;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::declared::Declared;
use narthex_mcp::bridge::discover::{Account, negotiate};
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::rpc;
use narthex_mcp::session::BridgedSession;
use std::sync::Arc;

/// MCP 2025-11-25, basic/lifecycle#initialization.
///
/// # Errors
/// The server failed, or there are too many sessions; nothing has been sent to the client.
pub(super) async fn initialize(mut job: Job, out: &mut Out<'_>) -> Result<(), Refusal> {
    let Some(Incoming::Request { id, params, .. }) = job.messages.pop() else {
        return Err(Refusal::SessionRequired);
    };
    let hello = match Hello::read(id, &params) {
        Ok(hello) => hello,
        Err(body) => return out.last(StatusCode::OK, None, body).await,
    };
    // A server with sessions opens the one that the calls to come will use, not one for this alone.
    job.link.lane = Some(hello.session.as_str().into());
    let account = account(&mut job.link, &hello.declared, job.bounds).await.inspect_err(|_| {
        // It may speak another era than it did.
        job.link.upstream().eras.doubt(std::time::Instant::now());
    })?;
    let owner = job.link.owner();
    welcome(&job.link, owner, job.bounds, hello, account, out).await
}

/// A client's `initialize`.
pub(crate) struct Hello {
    id: String,
    /// The revision that the session is to have.
    pub(crate) revision: Revision,
    declared: Declared,
    /// The id of the session that is to be opened.
    session: String,
}

impl Hello {
    /// Reads one. `id` is the request's.
    ///
    /// # Errors
    /// The error to answer with.
    pub(crate) fn read(id: String, params: &Object) -> Result<Self, String> {
        let Ok(declared) = Declared::from_initialize(params) else {
            let why = "the client's capabilities are missing or malformed";
            return Err(message::error(&id, &RpcError::new(rpc::INVALID_PARAMS, why)));
        };
        let revision = negotiate(&params.string("protocolVersion").unwrap_or_default());
        let Ok(opened) = BridgedSession::open(revision, &declared) else {
            return Err(message::error(&id, &RpcError::new(rpc::INTERNAL_ERROR, "Internal error")));
        };
        Ok(Self { id, revision, declared: opened.declared, session: opened.id })
    }
}

/// Opens the client's session, and says what is behind it.
///
/// # Errors
/// There are too many sessions.
pub(crate) async fn welcome(
    ways: &Ways,
    owner: String,
    bounds: Bounds,
    hello: Hello,
    account: Account,
    out: &mut Out<'_>,
) -> Result<(), Refusal> {
    let Hello { id, revision, declared, session } = hello;
    let opened = BridgedSession { id: session, revision, declared };
    let snapshot = Arc::clone(&out.visit.snapshot);
    let sealed = opened.seal(&snapshot.sealer, &ways.binding(), out.visit.now + SESSION_LIFETIME);
    let handle = sealed.map_err(|_| Refusal::Internal("cannot seal a session"))?;
    let result = account.to_initialize(revision);
    let live = ways.shared.bridge.live.take_up(opened, owner, ways.whose(), bounds).await?;
    let _ = live.account.set(account);
    out.reply(StatusCode::OK, Some(message::result(&id, &result).into()), Some(&handle)).await
}

/// What the server says of itself.
pub(super) async fn account(
    link: &mut Link,
    declared: &Declared,
    bounds: Bounds,
) -> Result<Account, Refusal> {
    if !link.upstream().has_wire() {
        return modern::discover(link, declared).await;
    }
    let shared = Arc::clone(&link.shared);
    let session = shared.bridge.sessions.get(link, declared, bounds).await?;
    Ok(session.account.clone())
}
