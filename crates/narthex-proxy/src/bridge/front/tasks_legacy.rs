//! Tasks of a server of 2026-07-28 (SEP-2663), for a client of 2025-11-25 (basic/utilities/tasks).

use super::Out;
use super::legacy::{Ended, Front};
use super::live::Running;
use super::standalone::account_of;
use crate::bridge::link::Link;
use crate::bridge::modern;
use crate::bridge::party::Response;
use crate::bridge::reader::malformed;
use crate::refusal::Refusal;
use crate::stage::inspect::SESSION_LIFETIME;
use narthex_mcp::Revision;
use narthex_mcp::bridge::ask::Asked;
use narthex_mcp::bridge::message::{self, RpcError};
use narthex_mcp::bridge::result::{self, Answer};
use narthex_mcp::bridge::task::{self, Status};
use narthex_mcp::bridge::{Object, error};
use narthex_mcp::{rpc, seal};
use narthex_store::Key;
use narthex_telemetry::rfc3339;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

/// Waits between two looks at a task, if the server does not say; at least; at most.
const POLL: [Duration; 3] = [Duration::from_millis(500), Duration::from_millis(50), Duration::from_secs(5)];
/// How long a cancelled task may take to say so.
const CANCELS_WITHIN: Duration = Duration::from_secs(5);
/// How long the result of a call that was over at once is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// First characters of the ids of such calls.
const OURS: &str = "narthex:";

/// What a task's method comes to.
type Outcome = Result<Object, RpcError>;

impl Front {
    /// Whether the server's tasks can be had in this session.
    pub(super) async fn has_tasks(&self) -> bool {
        let bridged = self.merged.is_none() && !self.link.upstream().has_wire();
        if self.live.opened.revision != Revision::V2025_11_25 || !bridged {
            return false;
        }
        let account = account_of(&self.live, &self.link, self.bounds).await;
        account.is_ok_and(|account| task::is_declared(&account.capabilities))
    }

    /// The answer to a call that was to be a task. If the server has answered at once, the task is one of
    /// ours, and over.
    pub(super) async fn created(&self, tool: &str, result: Object, out: &Out<'_>) -> Result<Object, Refusal> {
        // A result of the tool's may have a member of that name too.
        let task = match result.object("task").filter(|_| !result.has("content")) {
            Some(task) => task,
            None => self.keep(&result, out).await?,
        };
        let id = task.string("taskId").unwrap_or_default();
        Ok(task::created_for_legacy(&task::to_legacy(&to_modern(&task), &self.handle(&id, tool, out)?)))
    }

    async fn keep(&self, result: &Object, out: &Out<'_>) -> Result<Object, Refusal> {
        let id = seal::random_id().map_err(|_| Refusal::Internal("no randomness"))?;
        let mut task = Object::default();
        task.set_string("taskId", &format!("{OURS}{id}"));
        let failed = result.get("isError") == Some("true");
        task.set_string("status", if failed { Status::Failed } else { Status::Completed }.as_str());
        let now = rfc3339(out.visit.now);
        task.set_string("createdAt", &now);
        task.set_string("lastUpdatedAt", &now);
        task.set_number("ttl", u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
        let mut kept = Object::default();
        kept.set_object("task", &task);
        kept.set_object("result", result);
        let key = kept_key(&self.link, &format!("{OURS}{id}"));
        let stored = self.link.shared.bridge.live.results().put(&key, kept.to_json().into(), KEPT).await;
        stored.map_err(|_| Refusal::Internal("cannot keep a task's result"))?;
        Ok(task)
    }

    fn handle(&self, id: &str, tool: &str, out: &Out<'_>) -> Result<String, Refusal> {
        let binding = self.link.binding();
        let expires = out.visit.now + SESSION_LIFETIME;
        let task = task::Handle { id: id.to_owned(), tool: tool.to_owned() };
        task::seal(&out.visit.snapshot.sealer, &binding, &task, expires)
            .map_err(|_| Refusal::Internal("cannot seal a task"))
    }

    /// Answers `tasks/get`, `tasks/result` and `tasks/cancel`.
    pub(super) async fn task(
        &mut self,
        id: &str,
        method: &str,
        params: &Object,
        out: &mut Out<'_>,
    ) -> Result<Ended, Refusal> {
        let fail = |code, why: &str| Ok(Ended::Said(message::error(id, &RpcError::new(code, why))));
        if !self.has_tasks().await || !matches!(method, "tasks/get" | "tasks/result" | "tasks/cancel") {
            return fail(rpc::METHOD_NOT_FOUND, "Method not found");
        }
        let Some(handle) = params.string("taskId") else {
            return fail(rpc::INVALID_PARAMS, "params.taskId is missing");
        };
        let binding = self.link.binding();
        let Ok(task::Handle { id: theirs, tool }) =
            task::open(&out.visit.snapshot.sealer, &binding, &handle, out.visit.now)
        else {
            return fail(rpc::INVALID_PARAMS, "Unknown task");
        };
        self.link.may_call(&tool)?;
        let running = self.live.begin(id);
        let outcome = if theirs.starts_with(OURS) {
            self.ours(method, &theirs, &handle).await
        } else {
            match method {
                "tasks/get" => self.get(&theirs, &handle).await?,
                "tasks/cancel" => self.cancel(&theirs, &handle).await?,
                _ => match self.result(&theirs, &handle, &running, out).await? {
                    Some(outcome) => outcome,
                    None => return Ok(Ended::Silent),
                },
            }
        };
        Ok(Ended::Said(match outcome {
            Ok(result) => message::result(id, &result),
            Err(error) => message::error(id, &error::to_legacy(method, &error)),
        }))
    }

    /// A task that was over before it began.
    async fn ours(&self, method: &str, id: &str, handle: &str) -> Outcome {
        let unknown = || RpcError::new(rpc::INVALID_PARAMS, "Unknown task");
        let kept = self.link.shared.bridge.live.results().get(&kept_key(&self.link, id)).await;
        let kept = kept.ok().flatten().and_then(|text| Object::parse(&text).ok()).ok_or_else(unknown)?;
        let part = |name| kept.object(name).ok_or_else(unknown);
        match method {
            "tasks/get" => Ok(task::to_legacy(&to_modern(&part("task")?), handle)),
            "tasks/result" => {
                let mut result = part("result")?;
                task::relate(&mut result, handle);
                Ok(result)
            }
            _ => Err(RpcError::new(rpc::INVALID_PARAMS, "The task has ended")),
        }
    }

    async fn look(&mut self, id: &str) -> Result<Outcome, Refusal> {
        self.ask_about("tasks/get", id, None).await
    }

    async fn ask_about(
        &mut self,
        method: &str,
        id: &str,
        responses: Option<&Object>,
    ) -> Result<Outcome, Refusal> {
        let mut params = Object::default();
        params.set_string("taskId", id);
        if let Some(responses) = responses {
            params.set_object("inputResponses", responses);
        }
        let declared = self.live.opened.declared.with_tasks();
        modern::try_ask(&mut self.link, method, &params, &declared).await
    }

    async fn get(&mut self, id: &str, handle: &str) -> Result<Outcome, Refusal> {
        Ok(self.look(id).await?.map(|task| told(&task, handle)))
    }

    async fn cancel(&mut self, id: &str, handle: &str) -> Result<Outcome, Refusal> {
        let ended = |task: &Object| Status::of(task).is_some_and(Status::is_terminal);
        match self.look(id).await? {
            Err(error) => return Ok(Err(error)),
            Ok(task) if ended(&task) => {
                return Ok(Err(RpcError::new(rpc::INVALID_PARAMS, "The task has ended")));
            }
            Ok(_) => {}
        }
        if let Err(error) = self.ask_about("tasks/cancel", id, None).await? {
            return Ok(Err(error));
        }
        // There the server only says that it has heard; here the client wants to see it done.
        let until = Instant::now() + CANCELS_WITHIN;
        loop {
            match self.look(id).await? {
                Ok(task) if ended(&task) => return Ok(Ok(told(&task, handle))),
                Ok(_) if Instant::now() < until => tokio::time::sleep(POLL[1]).await,
                Ok(_) => return Ok(Err(RpcError::new(rpc::INTERNAL_ERROR, "the task does not end"))),
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Waits until the task has ended, and asks the client for what it needs. `None`: the client does not
    /// want it any more.
    async fn result(
        &mut self,
        id: &str,
        handle: &str,
        running: &Running,
        out: &mut Out<'_>,
    ) -> Result<Option<Outcome>, Refusal> {
        let mut answered = HashSet::new();
        let mut alone_until = None;
        loop {
            // A client that left with a question open may come back for what follows, but not for ever.
            let patience = self.bounds.room.patience;
            if out.gone && Instant::now() > *alone_until.get_or_insert_with(|| Instant::now() + patience) {
                return Ok(None);
            }
            let task = match self.look(id).await? {
                Ok(task) => task,
                Err(error) => return Ok(Some(Err(error))),
            };
            match Status::of(&task).ok_or_else(|| malformed("a task of an unknown status"))? {
                Status::Completed => return ended_well(&task, handle).map(Some),
                Status::Failed => return Ok(Some(Err(failure(&task)))),
                Status::Cancelled => {
                    return Ok(Some(Err(RpcError::new(rpc::INTERNAL_ERROR, "The task was cancelled"))));
                }
                Status::InputRequired => {
                    match self.inquire(&task, handle, &mut answered, running, out).await? {
                        Some(Ok(responses)) if responses.is_empty() => {}
                        Some(Ok(responses)) => {
                            if let Err(error) = self.ask_about("tasks/update", id, Some(&responses)).await? {
                                return Ok(Some(Err(error)));
                            }
                            continue;
                        }
                        Some(Err(error)) => return Ok(Some(Err(error))),
                        None => return Ok(None),
                    }
                }
                Status::Working => {}
            }
            if !self.pause(interval(&task), running, out).await? {
                return Ok(None);
            }
        }
    }

    /// Asks the client for what the task needs and has not been told yet.
    async fn inquire(
        &mut self,
        task: &Object,
        handle: &str,
        answered: &mut HashSet<String>,
        running: &Running,
        out: &mut Out<'_>,
    ) -> Result<Option<Outcome>, Refusal> {
        let Ok(asked) = Asked::parse(task) else { return Ok(Some(Ok(Object::default()))) };
        let declared = &self.live.opened.declared;
        let mut asks = asked.asks;
        asks.retain(|(key, _)| !answered.contains(key));
        if let Some((_, ask)) = asks.iter().find(|(_, ask)| !declared.may_ask(&ask.method, &ask.params)) {
            let what = format!("the server needs {}, which the client does not offer", ask.method);
            return Ok(Some(Err(RpcError::new(rpc::INTERNAL_ERROR, what))));
        }
        answered.extend(asks.iter().map(|(key, _)| key.clone()));
        let questions = asks.clone();
        let responses = match self.ask_for_task(asks, handle, running, out).await? {
            Some(Ok(responses)) => responses,
            Some(Err(error)) => return Ok(Some(Err(error))),
            None => return Ok(None),
        };
        let mut results = Object::default();
        for Response { key, result } in responses {
            let ask = questions.iter().find(|(known, _)| *known == key).map(|(_, ask)| ask);
            match (result, ask.and_then(narthex_mcp::bridge::ask::Ask::declined)) {
                (Ok(result), _) | (Err(_), Some(result)) => results.set_json(&key, result),
                (Err(error), None) => return Ok(Some(Err(error))),
            }
        }
        Ok(Some(Ok(results)))
    }
}

/// A task in the words that both directions start from.
fn to_modern(task: &Object) -> Object {
    task::to_modern(task, "")
}

fn told(task: &Object, handle: &str) -> Object {
    let mut told = task::to_legacy(task, handle);
    // There a tool's own error fails the task.
    let is_error = task.object("result").is_some_and(|result| result.get("isError") == Some("true"));
    if is_error && Status::of(task) == Some(Status::Completed) {
        told.set_string("status", Status::Failed.as_str());
    }
    told
}

fn ended_well(task: &Object, handle: &str) -> Result<Outcome, Refusal> {
    let found = task.object("result").ok_or_else(|| malformed("a completed task without a result"))?;
    match result::to_legacy("tools/call", &found) {
        Ok(Answer::Complete(mut result)) => {
            task::relate(&mut result, handle);
            Ok(Ok(result))
        }
        _ => Err(malformed("a task's result of an unknown type")),
    }
}

fn failure(task: &Object) -> RpcError {
    let error = task.object("error").unwrap_or_default();
    let code = error.get("code").and_then(|code| code.parse().ok()).unwrap_or(rpc::INTERNAL_ERROR);
    let mut failure = RpcError::new(code, error.string("message").unwrap_or_default());
    failure.data = error.object("data");
    failure
}

fn interval(task: &Object) -> Duration {
    let said = task.get("pollIntervalMs").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    said.unwrap_or(POLL[0]).clamp(POLL[1], POLL[2])
}

fn kept_key(link: &Link, id: &str) -> Key {
    Key::new("bridged-task", &[&link.owner(), id])
}
