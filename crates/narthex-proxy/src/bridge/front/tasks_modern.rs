//! Tasks of an older server, for a client of 2026-07-28 (SEP-2663).

use super::Out;
use super::modern::Front;
use crate::bridge::legacy::{LegacyCall, NotBegun, Session, Start};
use crate::bridge::party::{Response, Step};
use crate::bridge::reader::malformed;
use crate::bridge::suspended::Held;
use crate::refusal::Refusal;
use crate::stage::inspect::SESSION_LIFETIME;
use crate::stage::route::bind;
use http::StatusCode;
use narthex_mcp::bridge::ask::{Ask, Asked, responses};
use narthex_mcp::bridge::error::{self, Modern};
use narthex_mcp::bridge::message::{self, RpcError};
use narthex_mcp::bridge::task::{self, Status};
use narthex_mcp::bridge::{Object, result};
use narthex_mcp::rpc;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a task that waits for its client has to say what for.
const SAYS_WITHIN: Duration = Duration::from_secs(3);

impl Front {
    /// Whether the call has to be a task: the tool runs in no other way. A client that does not know
    /// tasks then waits for the result all the same.
    pub(super) async fn runs_as_task(&mut self, session: &Session) -> bool {
        if self.request.method != "tools/call" || !task::is_offered(&session.account.capabilities) {
            return false;
        }
        let Some(name) = self.request.params.string("name") else { return false };
        session.schemas(&mut self.link).await.is_ok_and(|schemas| schemas.tasks.contains(&name))
    }

    /// Tells the client of the task that its call has become; or, if it does not know tasks, begins to
    /// wait for the result.
    pub(super) async fn created(
        &mut self,
        call: &LegacyCall,
        created: &Object,
        out: &mut Out<'_>,
    ) -> Result<Option<Box<LegacyCall>>, Refusal> {
        let task = created.object("task").unwrap_or_default();
        let id = task.string("taskId").ok_or_else(|| malformed("a task without an id"))?;
        let session = Arc::clone(call.session());
        if !task::is_declared(&self.request.declared.capabilities) {
            return self.wait_for(&session, &id).await.map(Some);
        }
        let handle = self.handle(&id, out)?;
        let mut result = task::created_for_modern(&task::to_modern(&task, &handle));
        task::sign(&mut result, session.account.server_info.as_ref());
        out.last(StatusCode::OK, None, message::result(&self.request.id, &result)).await?;
        Ok(None)
    }

    /// Begins to wait for a task's result; what the task asks for comes with it.
    async fn wait_for(&self, session: &Arc<Session>, id: &str) -> Result<Box<LegacyCall>, Refusal> {
        let params = named(id);
        let start = Start { method: "tasks/result", params: &params, replayable: false, task: false };
        match LegacyCall::begin(self.link.clone(), Arc::clone(session), &start).await {
            Ok(call) => Ok(Box::new(call)),
            Err(NotBegun::Refused(refusal)) => Err(refusal),
            Err(NotBegun::SessionGone) => Err(Refusal::UpstreamError { status: StatusCode::NOT_FOUND }),
        }
    }

    fn handle(&self, id: &str, out: &Out<'_>) -> Result<String, Refusal> {
        let binding = bind(&self.link.route, &self.link.caller);
        let expires = out.visit.now + SESSION_LIFETIME;
        task::seal(&out.visit.snapshot.sealer, &binding, id, expires)
            .map_err(|_| Refusal::Internal("cannot seal a task"))
    }

    /// Answers `tasks/get`, `tasks/update` and `tasks/cancel`.
    pub(super) async fn task(&mut self, out: &mut Out<'_>) -> Result<(), Refusal> {
        let session = self.session().await?;
        let known = task::is_offered(&session.account.capabilities)
            && task::is_declared(&self.request.declared.capabilities);
        let Some(handle) = self.request.params.string("taskId").filter(|_| known) else {
            return self.unknown(out).await;
        };
        let binding = bind(&self.link.route, &self.link.caller);
        let opened = task::open(&out.visit.snapshot.sealer, &binding, &handle, out.visit.now);
        let Ok(id) = opened else {
            let error = RpcError::new(rpc::INVALID_PARAMS, "Unknown task");
            return self.fail(StatusCode::OK, &error, out).await;
        };
        let done = match self.request.method.as_str() {
            "tasks/get" => self.get(&session, &id, &handle).await?,
            "tasks/update" => self.update(&session, &id).await?,
            "tasks/cancel" => self.cancel(&session, &id).await?,
            _ => return self.unknown(out).await,
        };
        match done {
            Ok(mut result) => {
                result.set_string("resultType", "complete");
                task::sign(&mut result, session.account.server_info.as_ref());
                out.last(StatusCode::OK, None, message::result(&self.request.id, &result)).await
            }
            Err(error) => match error::to_modern(&error, None) {
                Modern::Error(_, error) => self.fail(StatusCode::OK, &error, out).await,
                Modern::Visit(_) => Err(malformed("a task that wants URLs to be visited")),
            },
        }
    }

    async fn get(
        &mut self,
        session: &Arc<Session>,
        id: &str,
        handle: &str,
    ) -> Result<Result<Object, RpcError>, Refusal> {
        let found = match session.try_ask(&mut self.link, "tasks/get", &named(id)).await? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let mut told = task::to_modern(&found, handle);
        match Status::of(&found).ok_or_else(|| malformed("a task of an unknown status"))? {
            Status::Completed | Status::Failed => self.outcome(session, id, &mut told).await?,
            Status::InputRequired => {
                let asks = self.asks(session, id).await?;
                if asks.is_empty() {
                    // It has not said yet: to the client, it is still at work.
                    told.set_string("status", Status::Working.as_str());
                } else if let Some(requests) = (Asked { asks, state: None }).to_result().get("inputRequests")
                {
                    told.set_json("inputRequests", requests);
                }
            }
            Status::Working | Status::Cancelled => {}
        }
        Ok(Ok(told))
    }

    /// In 2025-11-25 a tool's own error fails its task; in the extension it is a result like any other.
    async fn outcome(&mut self, session: &Arc<Session>, id: &str, told: &mut Object) -> Result<(), Refusal> {
        if let Some(held) = self.held(id) {
            held.forget();
        }
        match session.try_ask(&mut self.link, "tasks/result", &named(id)).await? {
            Ok(mut outcome) => {
                task::unrelate(&mut outcome);
                let outcome = result::to_modern("tools/call", &outcome, None, Duration::ZERO);
                let outcome = outcome.map_err(|bad| malformed(&bad.to_string()))?;
                told.set_string("status", Status::Completed.as_str());
                told.set_object("result", &outcome);
            }
            Err(error) => {
                let Modern::Error(_, error) = error::to_modern(&error, None) else {
                    return Err(malformed("a task that wants URLs to be visited"));
                };
                told.set_string("status", Status::Failed.as_str());
                told.set_json("error", error.to_json());
            }
        }
        Ok(())
    }

    /// What the task wants to know: it says so to whoever waits for its result.
    async fn asks(&mut self, session: &Arc<Session>, id: &str) -> Result<Vec<(String, Ask)>, Refusal> {
        let Some(call) = self.asking(session, id).await? else { return Ok(Vec::new()) };
        let asks = call.asks();
        self.hold(id, call)?;
        Ok(asks)
    }

    /// The call that waits for the task's result, once it is known what the task asks for.
    async fn asking(&mut self, session: &Arc<Session>, id: &str) -> Result<Option<Box<LegacyCall>>, Refusal> {
        let mut call = match self.held(id) {
            Some(call) => call,
            None => self.wait_for(session, id).await?,
        };
        let until = tokio::time::Instant::now() + SAYS_WITHIN;
        while call.asks().is_empty() {
            match tokio::time::timeout_at(until, call.next()).await {
                Ok(Ok(Step::Note(..) | Step::Asks(_))) => {}
                // The result is there, and can be asked for again.
                Ok(Ok(Step::Done(_) | Step::Failed(_))) => return Ok(None),
                Ok(Err(refusal)) => return Err(refusal),
                Err(_elapsed) => break,
            }
        }
        Ok(Some(call))
    }

    fn held(&self, id: &str) -> Option<Box<LegacyCall>> {
        let owner = self.link.owner();
        let suspended = &self.link.shared.bridge.suspended;
        let mut call = suspended.resume(&key(&owner, id), &owner, &Value::Null)?.call;
        call.hand_over(self.link.clone(), None);
        Some(call)
    }

    fn hold(&self, id: &str, call: Box<LegacyCall>) -> Result<(), Refusal> {
        let (owner, room) = (self.link.owner(), self.bounds.room);
        let (key, expires) = (key(&owner, id), Instant::now() + room.patience);
        let whose = self.link.whose();
        let held = Held { call, owner, whose, arguments: Value::Null, expires };
        let full = self.link.shared.bridge.suspended.hold(key, held, room);
        full.map_err(|_| Refusal::TooManySuspended)
    }

    async fn update(
        &mut self,
        session: &Arc<Session>,
        id: &str,
    ) -> Result<Result<Object, RpcError>, Refusal> {
        let Ok(responses) = responses(&self.request.params) else {
            let why = "inputResponses must be an object of results";
            return Ok(Err(RpcError::new(rpc::INVALID_PARAMS, why)));
        };
        // It has to be the caller's, and to be there.
        if let Err(error) = session.try_ask(&mut self.link, "tasks/get", &named(id)).await? {
            return Ok(Err(error));
        }
        if let Some(mut call) = self.asking(session, id).await? {
            let responses = responses.into_iter().map(|(key, result)| Response { key, result: Ok(result) });
            call.answer(responses.collect()).await?;
            self.hold(id, call)?;
        }
        Ok(Ok(Object::default()))
    }

    async fn cancel(
        &mut self,
        session: &Arc<Session>,
        id: &str,
    ) -> Result<Result<Object, RpcError>, Refusal> {
        if let Some(held) = self.held(id) {
            held.forget();
        }
        let cancelled = session.try_ask(&mut self.link, "tasks/cancel", &named(id)).await?;
        let Err(error) = cancelled else { return Ok(Ok(Object::default())) };
        // One that has ended cannot be cancelled there; here that is no error.
        let found = session.try_ask(&mut self.link, "tasks/get", &named(id)).await?;
        let ended = found.is_ok_and(|task| Status::of(&task).is_some_and(Status::is_terminal));
        Ok(if ended { Ok(Object::default()) } else { Err(error) })
    }
}

fn named(id: &str) -> Object {
    let mut params = Object::default();
    params.set_string("taskId", id);
    params
}

fn key(owner: &str, id: &str) -> String {
    format!("task:{owner}:{id}")
}
