//! Tasks of an older server, for a client of 2026-07-28 (SEP-2663).

use super::Out;
use super::modern::Front;
use crate::bridge::legacy::{LegacyCall, NotBegun, Session, Start};
use crate::bridge::party::{Response, Step};
use crate::bridge::reader::malformed;
use crate::bridge::suspended::Held;
use crate::refusal::Refusal;
use crate::stage::inspect::SESSION_LIFETIME;
use http::StatusCode;
use narthex_mcp::bridge::ask::{Ask, Asked, responses};
use narthex_mcp::bridge::error::{self, Modern};
use narthex_mcp::bridge::message::{self, RpcError};
use narthex_mcp::bridge::task::{self, Status};
use narthex_mcp::bridge::{Object, result};
use narthex_mcp::rpc;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a task that waits for its client has to say what for.
const SAYS_WITHIN: Duration = Duration::from_secs(3);

/// What a task's method comes to.
type Outcome = Result<Object, RpcError>;

impl Front {
    /// Whether the call has to be a task: the tool runs in no other way. A client that does not know
    /// tasks then waits for the result all the same.
    pub(super) async fn runs_as_task(&mut self, session: &Session) -> bool {
        if self.request.method != "tools/call" || !task::is_offered(&session.account.capabilities) {
            return false;
        }
        if let Some(dress) = &self.dress {
            return dress.needs_task;
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
            let mut call = self.wait_for(&session, &id).await?;
            call.own(&id);
            return Ok(Some(call));
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

    /// The error of a task that the client waited for without knowing, and that has no result.
    pub(super) async fn why_failed(&mut self, call: &LegacyCall) -> Result<RpcError, Refusal> {
        let params = named(call.owned().unwrap_or_default());
        let found = call.session().try_ask(&mut self.link, "tasks/get", &params).await?;
        let why = failure(&found.unwrap_or_default());
        Ok(match &self.dress {
            Some(dress) => dress.error(why).await,
            None => why,
        })
    }

    fn handle(&self, id: &str, out: &Out<'_>) -> Result<String, Refusal> {
        let binding = self.link.binding();
        let expires = out.visit.now + SESSION_LIFETIME;
        let tool = self.request.named().unwrap_or_default();
        let task = task::Handle { id: id.to_owned(), tool };
        task::seal(&out.visit.snapshot.sealer, &binding, &task, expires)
            .map_err(|_| Refusal::Internal("cannot seal a task"))
    }

    /// Answers `tasks/get`, `tasks/update` and `tasks/cancel`.
    pub(crate) async fn task(&mut self, out: &mut Out<'_>) -> Result<(), Refusal> {
        if !matches!(self.request.method.as_str(), "tasks/get" | "tasks/update" | "tasks/cancel") {
            return self.unknown(out).await;
        }
        let session = self.session().await?;
        let known = task::is_offered(&session.account.capabilities)
            && task::is_declared(&self.request.declared.capabilities);
        let Some(handle) = self.request.params.string("taskId").filter(|_| known) else {
            return self.unknown(out).await;
        };
        let binding = self.link.binding();
        let opened = task::open(&out.visit.snapshot.sealer, &binding, &handle, out.visit.now);
        let Ok(task::Handle { id, tool }) = opened else {
            let error = RpcError::new(rpc::INVALID_PARAMS, "Unknown task");
            return self.fail(StatusCode::OK, &error, out).await;
        };
        self.link.may_call(&tool)?;
        match self.performed(session.clone(), &id, &handle).await? {
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

    /// Does what the request says. What comes of it, as it may be passed on.
    async fn performed(&mut self, session: Arc<Session>, id: &str, handle: &str) -> Result<Outcome, Refusal> {
        let done = self.perform(session, id, handle).await?;
        let Some(dress) = &self.dress else { return Ok(done) };
        Ok(match done {
            Ok(result) => dress.result(&self.request.method, result).await.map(|mut result| {
                if result.has("taskId") {
                    result.set_string("taskId", handle);
                }
                result
            }),
            Err(error) => Err(dress.error(error).await),
        })
    }

    /// Does what the request says; in a new session, if the server does not know this one any more.
    async fn perform(
        &mut self,
        mut session: Arc<Session>,
        id: &str,
        handle: &str,
    ) -> Result<Outcome, Refusal> {
        // Two requests about one task at a time would each take half of what it says.
        let suspended = Arc::clone(&self.link.shared.bridge.suspended);
        let _turn = suspended.turn(key(&self.link.owner(), id)).await;
        let mut again = true;
        loop {
            let done = match self.request.method.as_str() {
                "tasks/update" => self.update(&session, id).await,
                "tasks/cancel" => self.cancel(&session, id).await,
                _ => self.get(&session, id, handle).await,
            };
            if done.is_ok() || !session.is_gone() || !std::mem::take(&mut again) {
                return done;
            }
            session = self.session().await?;
        }
    }

    async fn get(&mut self, session: &Arc<Session>, id: &str, handle: &str) -> Result<Outcome, Refusal> {
        let found = match session.try_ask(&mut self.link, "tasks/get", &named(id)).await? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let mut told = task::to_modern(&found, handle);
        match Status::of(&found).ok_or_else(|| malformed("a task of an unknown status"))? {
            Status::Completed | Status::Failed => self.outcome(session, id, &mut told).await?,
            Status::InputRequired => {
                let mut asks = self.asks(session, id).await?;
                if let Some(dress) = &self.dress {
                    match dress.asks(asks).await {
                        Ok(dressed) => asks = dressed,
                        Err(error) => return Ok(Err(error)),
                    }
                }
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
            // Some say with the task why it failed, and have no result.
            Ok(outcome) if told.string("status").as_deref() == Some("failed") && !outcome.has("content") => {
                told.set_json("error", failure(told).to_json());
            }
            Ok(outcome) => {
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
        let mut asks = call.asks();
        self.hold(id, call)?;
        if let Some(dress) = &self.dress {
            asks = dress.named(asks);
        }
        Ok(asks)
    }

    /// The call that waits for the task's result, once it is known what the task asks for.
    async fn asking(&mut self, session: &Arc<Session>, id: &str) -> Result<Option<Box<LegacyCall>>, Refusal> {
        let until = Instant::now() + SAYS_WITHIN;
        let mut held = self.held(id);
        loop {
            let was_held = held.is_some();
            let mut call = match held.take() {
                Some(call) => call,
                None => match timeout_at(until, self.wait_for(session, id)).await {
                    Ok(begun) => begun?,
                    // A server that streams nothing asks nothing there.
                    Err(_elapsed) => return Ok(None),
                },
            };
            match says(&mut call, until).await {
                Ok(true) => return Ok(Some(call)),
                Ok(false) => return Ok(None),
                // It broke while nobody read it.
                Err(_) if was_held => call.forget(),
                Err(refusal) => return Err(refusal),
            }
        }
    }

    fn held(&self, id: &str) -> Option<Box<LegacyCall>> {
        let owner = self.link.owner();
        let suspended = &self.link.shared.bridge.suspended;
        let mut call =
            suspended.resume(&key(&owner, id), &owner, &Value::Null, std::time::Instant::now())?.call;
        call.hand_over(self.link.clone(), None);
        Some(call)
    }

    fn hold(&self, id: &str, call: Box<LegacyCall>) -> Result<(), Refusal> {
        let (owner, room) = (self.link.owner(), self.bounds.room);
        let (key, expires) = (key(&owner, id), std::time::Instant::now() + room.patience);
        let whose = self.link.whose();
        let held = Held { call, owner, whose, arguments: Value::Null, expires };
        let full = self.link.shared.bridge.suspended.hold(key, held, room);
        full.map_err(|_| Refusal::TooManySuspended)
    }

    async fn update(&mut self, session: &Arc<Session>, id: &str) -> Result<Outcome, Refusal> {
        let Ok(responses) = responses(&self.request.params) else {
            let why = "inputResponses must be an object of results";
            return Ok(Err(RpcError::new(rpc::INVALID_PARAMS, why)));
        };
        // It has to be the caller's, and to be there.
        let found = match session.try_ask(&mut self.link, "tasks/get", &named(id)).await? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        // What it does not ask for is not an error, but nothing either.
        if Status::of(&found) == Some(Status::InputRequired)
            && let Some(mut call) = self.asking(session, id).await?
        {
            let responses = responses.into_iter().map(|(key, result)| Response { key, result: Ok(result) });
            call.answer(responses.collect()).await?;
            self.hold(id, call)?;
        }
        Ok(Ok(Object::default()))
    }

    async fn cancel(&mut self, session: &Arc<Session>, id: &str) -> Result<Outcome, Refusal> {
        let cancelled = session.try_ask(&mut self.link, "tasks/cancel", &named(id)).await?;
        if let Some(held) = self.held(id) {
            held.forget();
        }
        let Err(error) = cancelled else { return Ok(Ok(Object::default())) };
        // One that has ended cannot be cancelled there; here that is no error.
        let found = session.try_ask(&mut self.link, "tasks/get", &named(id)).await?;
        let ended = found.is_ok_and(|task| Status::of(&task).is_some_and(Status::is_terminal));
        Ok(if ended { Ok(Object::default()) } else { Err(error) })
    }
}

/// Listens for what the task asks for. Whether the call goes on.
async fn says(call: &mut LegacyCall, until: Instant) -> Result<bool, Refusal> {
    // What came while nobody read it is there at once.
    let until = if call.asks().is_empty() { until } else { Instant::now() };
    loop {
        match timeout_at(until, call.next()).await {
            Ok(Ok(Step::Note(..))) => {}
            Ok(Ok(Step::Asks(_))) | Err(_) => return Ok(true),
            // The result is there, and can be asked for again.
            Ok(Ok(Step::Done(_) | Step::Failed(_))) => return Ok(false),
            // It can be answered all the same.
            Ok(Err(_)) if !call.asks().is_empty() => return Ok(true),
            Ok(Err(refusal)) => return Err(refusal),
        }
    }
}

/// What a task that failed without a result says for itself.
fn failure(task: &Object) -> RpcError {
    let why = task.string("statusMessage").unwrap_or_else(|| "The task failed".to_owned());
    RpcError::new(rpc::INTERNAL_ERROR, why)
}

fn named(id: &str) -> Object {
    let mut params = Object::default();
    params.set_string("taskId", id);
    params
}

fn key(owner: &str, id: &str) -> String {
    format!("task:{owner}:{id}")
}
