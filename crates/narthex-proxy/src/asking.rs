//! Answers that ask the client for something first (MCP 2026-07-28, basic/patterns/mrtr): the upstream's
//! `requestState` in them is replaced by one that only this caller can bring back.

use crate::forward::{self, Answer, Early, Filter, ForwardError};
use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::snapshot::RouteEntry;
use crate::stage::route::bind;
use bytes::{Bytes, BytesMut};
use narthex_identity::Caller;
use narthex_mcp::request_state::{self, Asked, Stream};
use narthex_mcp::seal::Sealer;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::SystemTime;

/// Largest question that is sealed, bytes.
const CAP: usize = 8 * 1024 * 1024;

/// Seals the states of one request's answer.
pub(crate) struct States {
    sealer: Arc<Sealer>,
    route: Arc<RouteEntry>,
    caller: Arc<Caller>,
    method: &'static str,
    name: Box<str>,
    now: SystemTime,
    stream: Stream,
}

impl States {
    /// For the request of `visit`, if its method is one that may be answered with a question.
    pub(crate) fn of(visit: &Visit) -> Option<Self> {
        let modern = visit.revision.is_some_and(narthex_mcp::Revision::is_modern);
        if !modern || !request_state::may_ask(visit.method) {
            return None;
        }
        Some(Self {
            sealer: Arc::clone(&visit.snapshot.sealer),
            route: Arc::clone(visit.route.as_ref()?),
            caller: Arc::clone(visit.caller.as_ref()?),
            method: visit.method,
            name: visit.tool.clone().or_else(|| visit.asked.clone()).unwrap_or_default(),
            now: visit.now,
            stream: Stream::default(),
        })
    }

    /// A whole JSON answer with its state sealed.
    pub(crate) fn json(&self, body: Bytes) -> Bytes {
        request_state::reseal(&body, |state| self.seal(state)).map_or(body, Bytes::from)
    }

    /// A whole stream with its states sealed.
    pub(crate) fn events(mut self, body: Bytes) -> Bytes {
        if !request_state::is_marked(&body) {
            return body;
        }
        let mut sealed = self.push(&body);
        sealed.extend_from_slice(&self.finish());
        sealed.into()
    }

    fn seal(&self, state: &str) -> Option<String> {
        let binding = bind(&self.route, &self.caller);
        let asked = Asked { method: self.method, name: &self.name };
        let sealed = request_state::seal(&self.sealer, &binding, asked, state, self.now);
        // It goes to the client as it is, and what the client makes of it is refused.
        sealed
            .inspect_err(|error| {
                tracing::warn!(upstream = %self.route.upstream.id, %error, "unusable requestState");
            })
            .ok()
    }
}

impl Filter for States {
    fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut stream = std::mem::take(&mut self.stream);
        let passed = stream.push(chunk, |state| self.seal(state));
        self.stream = stream;
        passed
    }

    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.stream).finish()
    }
}

/// What of a JSON answer has to be there before its header is sent: all of it, unless it is long and no
/// question.
///
/// # Errors
/// The answer broke off, the client went away, or the question is too long.
pub(crate) async fn gather(
    shared: &Shared,
    mut answer: Answer,
    mut early: Early,
    route: &RouteEntry,
    session: &mut ServerSession,
) -> Result<Begun, Refusal> {
    let filled = tokio::select! {
        biased;
        filled = early.fill(&mut answer) => filled,
        _ = session.read_body_or_idle(true) => Err(ForwardError::ClientGone),
    };
    if let Err(error) = filled {
        shared.connections.abandon(answer.connection);
        return Err(Refusal::Forward(error));
    }
    if early.ended {
        shared.connections.release(answer.connection, route.upstream.keepalive);
        return Ok(Begun::Whole(early.bytes));
    }
    if !request_state::is_marked(&early.bytes) {
        return Ok(Begun::Part(answer, early));
    }
    let upstream = &route.upstream;
    let rest = forward::collect(answer, CAP, upstream.timeout, upstream, &shared.connections);
    let rest = rest.await.map_err(Refusal::Forward)?;
    let mut whole = BytesMut::from(&early.bytes[..]);
    whole.extend_from_slice(&rest);
    Ok(Begun::Whole(whole.freeze()))
}

/// An answer's body, as far as it was read.
pub(crate) enum Begun {
    /// All of it; its connection is free again.
    Whole(Bytes),
    /// The beginning.
    Part(Answer, Early),
}

impl Begun {
    pub(crate) fn map(self, change: impl FnOnce(Bytes) -> Bytes) -> Self {
        match self {
            Self::Whole(body) => Self::Whole(change(body)),
            part @ Self::Part(..) => part,
        }
    }
}
