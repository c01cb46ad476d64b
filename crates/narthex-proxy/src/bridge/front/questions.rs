//! What a server asks, put to an older client as requests on its stream.

use super::Out;
use super::legacy::Front;
use super::live::{LiveSession, Reply, Running};
use super::out::Aside;
use crate::bridge::party::Response;
use crate::refusal::Refusal;
use narthex_mcp::bridge::ask::Ask;
use narthex_mcp::bridge::message::{self, RpcError};
use narthex_mcp::bridge::{Object, task};
use narthex_mcp::rpc;
use std::sync::Arc;
use tokio::time::Instant;

impl Front {
    /// [`Front::ask`] on behalf of the task that the client knows as `task`. `None`: the client gave it up.
    /// The inner error is that it does not answer.
    pub(super) async fn ask_for_task(
        &mut self,
        asks: Vec<(String, Ask)>,
        task: &str,
        running: &Running,
        out: &mut Out<'_>,
    ) -> Result<Option<Result<Vec<Response>, RpcError>>, Refusal> {
        Ok(match self.ask(asks, Some(task), running, out).await? {
            Asked::Answered(responses) => Some(Ok(responses)),
            Asked::Unanswered => Some(Err(unanswered())),
            Asked::Cancelled => None,
        })
    }

    /// Sends the server's questions to the client, and waits for all answers. They may belong to a task.
    pub(super) async fn ask(
        &mut self,
        asks: Vec<(String, Ask)>,
        task: Option<&str>,
        running: &Running,
        out: &mut Out<'_>,
    ) -> Result<Asked, Refusal> {
        if out.gone && self.stream.is_none() {
            // It has no event's id to come back with.
            return Ok(Asked::Unanswered);
        }
        let live = Arc::clone(&self.live);
        let mut waiting = Vec::with_capacity(asks.len());
        for (key, ask) in asks {
            let (id, reply) = live.expect(&self.link.shared.bridge.node);
            let pending = Pending { live: Arc::clone(&live), id };
            let elicitation = format!("{}-{}", live.opened.id, pending.id.trim_matches('"'));
            let mut params = ask.to_legacy(&elicitation);
            if let Some(task) = task {
                task::relate(&mut params, task);
            }
            self.emit(&message::request(&pending.id, &ask.method, &params), out).await?;
            waiting.push((key, reply, pending));
        }
        let deadline = Instant::now() + self.bounds.room.patience;
        let mut responses = Vec::with_capacity(waiting.len());
        for (key, mut reply, pending) in waiting {
            let reply: Reply = loop {
                tokio::select! {
                    biased;
                    reply = &mut reply => match reply {
                        Ok(reply) => break reply,
                        // The session has ended.
                        Err(_) => return Ok(Asked::Cancelled),
                    },
                    () = running.cancelled() => return Ok(Asked::Cancelled),
                    () = tokio::time::sleep_until(deadline) => {
                        self.take_back(&pending.id, out).await?;
                        return Ok(Asked::Unanswered);
                    }
                    aside = out.aside(false) => match aside {
                        Aside::Quiet => out.comment().await?,
                        Aside::Gone => out.leave(),
                        Aside::Expired | Aside::Stopping => {
                            out.cut("ended");
                            return Ok(Asked::Cancelled);
                        }
                    },
                }
            };
            responses.push(Response { key, result: reply });
        }
        Ok(Asked::Answered(responses))
    }

    /// Tells the client that an answer is no longer wanted.
    async fn take_back(&mut self, id: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
        let mut params = Object::default();
        params.set_json("requestId", id);
        params.set_string("reason", "timed out");
        self.emit(&message::notification("notifications/cancelled", &params), out).await
    }
}

pub(super) fn unanswered() -> RpcError {
    RpcError::new(rpc::INTERNAL_ERROR, "the client did not answer the server's request in time")
}

/// What came of a question.
pub(super) enum Asked {
    Answered(Vec<Response>),
    /// In time, by nobody.
    Unanswered,
    /// The client gave the whole call up.
    Cancelled,
}

/// A request to the client that is forgotten when nobody waits for its answer.
struct Pending {
    live: Arc<LiveSession>,
    id: String,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.live.forget(&self.id);
    }
}
