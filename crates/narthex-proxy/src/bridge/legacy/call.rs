//! One call of a server of 2025-11-25 or earlier.

use super::session::{Sent, Session};
use super::source::Source;
use crate::bridge::link::{Heard, Link, is_outage, report};
use crate::bridge::party::{Response, Step};
use crate::bridge::reader::malformed;
use crate::forward::ForwardError;
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
use tokio::time::{Instant, timeout_at};

/// Servers send one request for each thing that they want: those that come so close together are asked
/// for together.
const TOGETHER: Duration = Duration::from_millis(40);
/// Questions of one call that may be open at a time.
const MOST_ASKS: usize = 32;
/// Waits before a stream is taken up that the server ended early: if it does not say; at least; at most.
const RETRY: [Duration; 3] = [Duration::from_secs(1), Duration::from_millis(100), Duration::from_secs(10)];

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
    /// What tells its questions from those of other calls about the same task.
    series: String,
    /// When `asks` are to be shown, if some of them were not yet.
    show_at: Option<Instant>,
    /// When the server last said something, or was last told.
    heard_at: Instant,
    /// It has begun to answer.
    heard: bool,
    finished: bool,
    task: bool,
    /// The task whose result it waits for: nobody else will, so it ends with the call.
    owned_task: Option<String>,
    slot: Option<Slot>,
}

/// A request of the server's that is not answered yet.
struct Open {
    key: String,
    /// Its id as JSON text.
    id: String,
    ask: Ask,
}

/// What an answer whose status is no success says: an error of the server's, or why there is no call.
async fn refused(session: &Session, id: &str, mut heard: Heard) -> Result<Incoming, NotBegun> {
    let first = heard.reader.next().await.ok().flatten();
    let status = heard.status;
    match first {
        // It has looked at the request: that is its answer, whatever the status.
        Some(Incoming::Error { id: Some(answered), error }) if answered == id && status.is_client_error() => {
            Ok(Incoming::Error { id: Some(answered), error })
        }
        first if says_gone(session, status, first.as_ref()) => {
            session.lose();
            Err(NotBegun::SessionGone)
        }
        Some(error @ Incoming::Error { .. }) if status.is_client_error() => Ok(error),
        _ => Err(NotBegun::Refused(heard.refusal())),
    }
}

/// Whether an answer says that the server does not know the session.
pub(super) fn says_gone(session: &Session, status: StatusCode, first: Option<&Incoming>) -> bool {
    let about = match first {
        // Without an id it is about the transport: the request was not even looked at.
        Some(Incoming::Error { id: None, .. }) => {
            matches!(status, StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST)
        }
        // Some answer with an id of their own making.
        None | Some(Incoming::Error { .. }) => status == StatusCode::NOT_FOUND,
        Some(_) => false,
    };
    about && session.has_id()
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
        // Made before anything is sent: whoever stops waiting for the answer cancels the call, too.
        let mut call = Self::unsent(&link, session, params::progress_token(start.params));
        let token = call.client_token.as_ref().map(|_| &*call.token);
        let mut params = params::to_legacy(start.params, token);
        if start.task {
            params.set_json("task", TASK_TTL);
        }
        call.task = start.task;
        if start.method == "tasks/result" {
            call.series = format!("{}-", call.id);
        }
        let body = message::request(&call.id, start.method, &params);
        let sent = call.session.send(&mut link, &call.id, body, start.replayable).await;
        match &sent {
            Ok(Sent::Heard(heard)) if is_outage(&heard.refusal()) => {
                slot.passage.failed(std::time::Instant::now())
            }
            sent => report(&mut slot, sent),
        }
        call.slot = Some(slot);
        call.link = link;
        call.source = match sent {
            Ok(Sent::Heard(heard)) if !heard.status.is_success() => {
                // It has answered: there is nothing to cancel.
                call.finished = true;
                Source::Given(Some(Box::new(refused(&call.session, &call.id, *heard).await?)))
            }
            Ok(sent) => sent.into_source(),
            Err(refusal) => {
                // A server that is not there is not told either.
                call.finished = !matches!(refusal, Refusal::Forward(ForwardError::Timeout));
                return Err(NotBegun::Refused(refusal));
            }
        };
        Ok(call)
    }

    fn unsent(link: &Link, session: Arc<Session>, client_token: Option<String>) -> Self {
        let id = session.next_id();
        Self {
            link: link.clone(),
            session,
            source: Source::Given(None),
            token: format!("\"p{id}\""),
            id,
            client_token,
            asks: Vec::new(),
            asked: 0,
            series: String::new(),
            show_at: None,
            heard_at: Instant::now(),
            heard: false,
            finished: false,
            task: false,
            owned_task: None,
            slot: None,
        }
    }

    /// See [`crate::bridge::party::Call::next`].
    pub(crate) async fn next(&mut self) -> Result<Step, Refusal> {
        loop {
            let silent_at = self.silent_at();
            let incoming = match self.show_at {
                // A server that talks without end is not waited for any longer.
                Some(at) if Instant::now() >= at => return Ok(self.show()),
                Some(at) => match timeout_at(at, self.source.next()).await {
                    Ok(incoming) => incoming,
                    Err(_elapsed) => return Ok(self.show()),
                },
                None => match silent_at {
                    Some(at) => timeout_at(at, self.source.next())
                        .await
                        .unwrap_or(Err(Refusal::Forward(ForwardError::Timeout))),
                    None => self.source.next().await,
                },
            };
            match incoming {
                Ok(Some(incoming)) => {
                    (self.heard_at, self.heard) = (Instant::now(), true);
                    if let Some(step) = self.take(incoming) {
                        return Ok(step);
                    }
                }
                // What was asked for can still be answered, even if the stream has to be taken up again.
                Ok(None) | Err(_) if self.show_at.is_some() => return Ok(self.show()),
                Ok(None) => self.go_on(malformed("the stream ended before the answer")).await?,
                Err(refusal) => self.go_on(refusal).await?,
            }
        }
    }

    /// When a child process has been silent for too long. Connections have time-outs of their own; while the
    /// client is asked, the server waits too.
    fn silent_at(&self) -> Option<Instant> {
        let is_child = matches!(&self.source, Source::Wire(inbox) if inbox.is_of_child());
        let upstream = self.link.upstream();
        let patience = if self.heard { upstream.stream_idle_timeout } else { upstream.timeout };
        (is_child && self.asks.is_empty()).then(|| self.heard_at + patience)
    }

    fn show(&mut self) -> Step {
        self.show_at = None;
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
            self.session.reply_later(&self.link, message::result(&id, &Object::default()));
        } else if is_ask(method)
            && self.asks.len() < MOST_ASKS
            && self.session.declared.may_ask(method, params)
        {
            self.asked += 1;
            let key = format!("ask-{}{}", self.series, self.asked);
            self.asks.push(Open { key, id, ask: Ask::from_legacy(method, params) });
            self.show_at = self.show_at.or_else(|| Some(Instant::now() + TOGETHER));
        } else {
            let error = RpcError::new(rpc::METHOD_NOT_FOUND, "the client cannot be asked for this");
            self.session.reply_later(&self.link, message::error(&id, &error));
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
                self.show_at = self.show_at.filter(|_| !self.asks.is_empty());
                None
            }
            "notifications/message" => Some(Step::Note(method, params)),
            _ if method.ends_with("/list_changed") || method == "notifications/resources/updated" => {
                self.session.hear(&method, &params);
                None
            }
            // The last names a task by the server's own id, and means nothing in 2026-07-28.
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
        // A server that ends its streams to have them taken up may do so often, but not be silent for ever.
        let silent = self.heard_at.elapsed() > self.link.upstream().stream_idle_timeout;
        let Some(last) = reader.last_event_id.clone().filter(|_| !silent) else { return Err(why) };
        let last_event_id = HeaderValue::from_str(&last).map_err(|_| malformed("an event id of no use"))?;
        tokio::time::sleep(reader.retry.unwrap_or(RETRY[0]).clamp(RETRY[1], RETRY[2])).await;
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
        self.heard_at = Instant::now();
        // What is still open has to be asked for again.
        self.show_at = (!self.asks.is_empty()).then(|| Instant::now() + TOGETHER);
        Ok(())
    }

    /// Goes on for another request of the same caller, which has a credential and a progress token of its
    /// own.
    pub(crate) fn hand_over(&mut self, link: Link, client_token: Option<String>) {
        // It is under way: that others have taken all places since does not end it.
        self.slot = link.enter().ok();
        self.link = link;
        self.client_token = client_token;
    }

    /// Waits for its client, without a place among the upstream's calls and without the caller's token.
    pub(crate) fn rest(&mut self) {
        self.slot = None;
        self.link = self.link.detached();
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
