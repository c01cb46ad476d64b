//! One call of a server of 2025-11-25 or earlier.

use super::session::{Sent, Session};
use crate::bridge::link::{Link, report};
use crate::bridge::party::{Response, Step};
use crate::bridge::reader::{Reader, malformed};
use crate::refusal::Refusal;
use http::{HeaderName, HeaderValue, StatusCode};
use narthex_mcp::bridge::ask::{Ask, is_ask};
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::params;
use narthex_mcp::bridge::{Object, listen};
use narthex_mcp::rpc;
use narthex_upstreams::Slot;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Servers send one request for each thing that they want: those that come so close together are asked
/// for together.
const TOGETHER: Duration = Duration::from_millis(40);
/// Attempts to go on with a stream that the server ended early.
const RECONNECTS: usize = 5;
/// Longest wait that a server may ask for before that.
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Where a call's messages come from.
pub(super) enum Source {
    /// The answer to its own POST.
    Answer(Box<Reader>),
    /// The one stream of an HTTP+SSE session.
    Wire(mpsc::Receiver<Incoming>),
}

impl Source {
    /// The next message; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The stream broke off.
    pub(super) async fn next(&mut self) -> Result<Option<Incoming>, Refusal> {
        match self {
            Self::Answer(reader) => reader.next().await,
            Self::Wire(messages) => Ok(messages.recv().await),
        }
    }
}

/// A call under way. Dropped before its end, it tells the server that it is cancelled.
pub(crate) struct LegacyCall {
    link: Link,
    session: Arc<Session>,
    source: Source,
    id: String,
    /// The token that the server reports progress by.
    token: String,
    /// The client's own, as JSON text, if it wants to hear of progress.
    client_token: Option<String>,
    asks: Vec<Open>,
    asked: u64,
    /// Some of `asks` were not shown yet.
    fresh: bool,
    reconnects: usize,
    finished: bool,
    task: bool,
    /// The task whose result it waits for: nobody else will, so it ends with the call.
    owned_task: Option<String>,
    _slot: Slot,
}

/// A request of the server's that is not answered yet.
struct Open {
    key: String,
    /// Its id as JSON text.
    id: String,
    ask: Ask,
}

/// What a call is made of.
pub(crate) struct Start<'a> {
    pub(crate) method: &'a str,
    /// The client's `params`, whatever era it is of.
    pub(crate) params: &'a Object,
    /// Sending it twice does no harm.
    pub(crate) replayable: bool,
    /// It is to go on as a task (2025-11-25, basic/utilities/tasks).
    pub(crate) task: bool,
}

/// How long a server is asked to keep a task, in milliseconds.
const TASK_TTL: &str = r#"{"ttl":3600000}"#;

/// Why a call did not begin.
pub(crate) enum NotBegun {
    /// The server does not know the session: nothing was done.
    SessionGone,
    /// Anything else.
    Refused(Refusal),
}

impl LegacyCall {
    /// Sends the request.
    ///
    /// # Errors
    /// See [`NotBegun`].
    pub(crate) async fn begin(
        mut link: Link,
        session: Arc<Session>,
        start: &Start<'_>,
    ) -> Result<Self, NotBegun> {
        let mut slot = link.enter().map_err(NotBegun::Refused)?;
        session.took(&link);
        let id = session.next_id();
        let token = format!("\"p{id}\"");
        let client_token = params::progress_token(start.params);
        let mut params = params::to_legacy(start.params, client_token.as_ref().map(|_| &*token));
        if start.task {
            params.set_json("task", TASK_TTL);
        }
        let body = message::request(&id, start.method, &params);
        let sent = session.send(&mut link, &id, body, start.replayable).await;
        report(&mut slot, &sent);
        let source = match sent.map_err(NotBegun::Refused)? {
            Sent::Heard(mut heard) if !heard.status.is_success() => {
                let first = heard.reader.next().await.ok().flatten();
                // Without an id it is about the transport: the request was not even looked at.
                let unread = matches!(first, Some(Incoming::Error { id: None, .. }));
                if heard.status == StatusCode::NOT_FOUND || heard.status == StatusCode::BAD_REQUEST && unread
                {
                    session.lose();
                    return Err(NotBegun::SessionGone);
                }
                match first {
                    Some(error @ Incoming::Error { .. }) if heard.status.is_client_error() => {
                        let (sender, messages) = mpsc::channel(1);
                        let _ = sender.try_send(error);
                        Source::Wire(messages)
                    }
                    _ => return Err(NotBegun::Refused(heard.refusal())),
                }
            }
            sent => sent.into_source(),
        };
        Ok(Self {
            link,
            session,
            source,
            id,
            token,
            client_token,
            asks: Vec::new(),
            asked: 0,
            fresh: false,
            reconnects: 0,
            finished: false,
            task: start.task,
            owned_task: None,
            _slot: slot,
        })
    }

    /// See [`crate::bridge::party::Call::next`].
    pub(crate) async fn next(&mut self) -> Result<Step, Refusal> {
        loop {
            let incoming = if self.fresh {
                match timeout(TOGETHER, self.source.next()).await {
                    Ok(incoming) => incoming,
                    Err(_elapsed) => return Ok(self.show()),
                }
            } else {
                self.source.next().await
            };
            match incoming {
                Ok(Some(incoming)) => {
                    if let Some(step) = self.take(incoming) {
                        return Ok(step);
                    }
                }
                // What was asked for can still be answered, even if the stream has to be taken up again.
                Ok(None) | Err(_) if self.fresh => return Ok(self.show()),
                Ok(None) => self.go_on(malformed("the stream ended before the answer")).await?,
                Err(refusal) => self.go_on(refusal).await?,
            }
        }
    }

    fn show(&mut self) -> Step {
        self.fresh = false;
        Step::Asks(self.asks())
    }

    /// What is still to be answered.
    pub(crate) fn asks(&self) -> Vec<(String, Ask)> {
        self.asks.iter().map(|open| (open.key.clone(), open.ask.clone())).collect()
    }

    /// Whether it was to go on as a task.
    pub(crate) fn is_task(&self) -> bool {
        self.task
    }

    /// The call waits for the result of this task, which nobody knows of but the call.
    pub(crate) fn own(&mut self, task: &str) {
        self.owned_task = Some(task.to_owned());
    }

    /// See [`LegacyCall::own`].
    pub(crate) fn owned(&self) -> Option<&str> {
        self.owned_task.as_deref()
    }

    /// Nobody needs the answer, and the server need not be told.
    pub(crate) fn forget(mut self) {
        self.finished = true;
    }

    fn take(&mut self, incoming: Incoming) -> Option<Step> {
        match incoming {
            Incoming::Result { id, result } if id == self.id => {
                self.finished = true;
                Some(Step::Done(result))
            }
            Incoming::Error { id, error } if id.as_ref().is_none_or(|id| *id == self.id) => {
                self.finished = true;
                Some(Step::Failed(error))
            }
            Incoming::Request { id, method, params } => {
                self.requested(id, &method, &params);
                None
            }
            Incoming::Notification { method, params } => self.noted(method, params),
            Incoming::Result { .. } | Incoming::Error { .. } => None,
        }
    }

    fn requested(&mut self, id: String, method: &str, params: &Object) {
        if method == "ping" {
            self.session.tell_later(&self.link, message::result(&id, &Object::default()));
        } else if is_ask(method) && self.session.declared.may_ask(method, params) {
            self.asked += 1;
            // Unique in the session, as a task has more than one call.
            let key = format!("ask-{}-{}", self.id, self.asked);
            self.asks.push(Open { key, id, ask: Ask::from_legacy(method, params) });
            self.fresh = true;
        } else {
            let error = RpcError::new(rpc::METHOD_NOT_FOUND, "the client has not declared this capability");
            self.session.tell_later(&self.link, message::error(&id, &error));
        }
    }

    fn noted(&mut self, method: String, params: Object) -> Option<Step> {
        match method.as_str() {
            "notifications/progress" => {
                if params.get("progressToken") != Some(&self.token) {
                    return None;
                }
                let params = params::with_token(&params, self.client_token.as_deref()?)?;
                Some(Step::Note(method, params))
            }
            // The server does not want to know any more.
            "notifications/cancelled" => {
                self.asks.retain(|open| params.get("requestId") != Some(&open.id));
                self.fresh &= !self.asks.is_empty();
                None
            }
            "notifications/message" => Some(Step::Note(method, params)),
            _ if method.ends_with("/list_changed") || method == "notifications/resources/updated" => {
                self.session.hear(&method, &params);
                None
            }
            // They name what the client knows by another name, or not at all.
            listen::ACKNOWLEDGED | "notifications/elicitation/complete" | "notifications/tasks/status" => {
                None
            }
            _ => Some(Step::Note(method, params)),
        }
    }

    /// Takes up a stream that the server ended on purpose (2025-11-25, basic/transports: a client MUST
    /// reconnect with the id of the last event, after the wait that was asked for).
    async fn go_on(&mut self, why: Refusal) -> Result<(), Refusal> {
        let Source::Answer(reader) = &self.source else { return Err(why) };
        let Some(last) = reader.last_event_id.clone().filter(|_| self.reconnects < RECONNECTS) else {
            return Err(why);
        };
        let last_event_id = HeaderValue::from_str(&last).map_err(|_| malformed("an event id of no use"))?;
        let wait = reader.retry.unwrap_or(Duration::from_secs(1)).min(LONGEST_RETRY);
        tokio::time::sleep(wait).await;
        self.reconnects += 1;
        let mut fields = self.session.fields();
        fields.push((HeaderName::from_static("last-event-id"), last_event_id));
        let mut heard = self.link.get(&fields).await?;
        if !heard.status.is_success() || !heard.reader.is_stream() {
            return Err(why);
        }
        heard.reader.last_event_id = Some(last);
        self.source = Source::Answer(Box::new(heard.reader));
        Ok(())
    }

    /// See [`crate::bridge::party::Call::answer`].
    pub(crate) async fn answer(&mut self, responses: Vec<Response>) -> Result<(), Refusal> {
        for response in responses {
            let Some(at) = self.asks.iter().position(|open| open.key == response.key) else { continue };
            let id = &self.asks[at].id;
            let body = match &response.result {
                Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
                Err(error) => message::error(id, error),
            };
            self.session.tell(&mut self.link, body).await?;
            self.asks.remove(at);
        }
        // What is still open has to be asked for again.
        self.fresh = !self.asks.is_empty();
        Ok(())
    }

    /// Goes on for another request of the same caller, which has a credential and a progress token of its
    /// own.
    pub(crate) fn hand_over(&mut self, link: Link, client_token: Option<String>) {
        self.link = link;
        self.client_token = client_token;
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for LegacyCall {
    fn drop(&mut self) {
        if std::mem::replace(&mut self.finished, true) || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let mut params = Object::default();
        if let Some(task) = self.owned_task.take() {
            params.set_string("taskId", &task);
            let body = message::request(&self.session.next_id(), "tasks/cancel", &params);
            return self.session.tell_later(&self.link, body);
        }
        params.set_json("requestId", self.id.as_str());
        params.set_string("reason", "the client went away");
        self.session.tell_later(&self.link, message::notification("notifications/cancelled", &params));
    }
}
