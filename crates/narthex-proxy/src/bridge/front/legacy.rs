//! Being a server of 2025-11-25 and earlier to a client, in front of one of 2026-07-28, of one that speaks
//! HTTP+SSE, or of a child process.

use super::Out;
use super::begin::LEVEL;
use super::event_id;
use super::initialize::initialize;
use super::live::{LiveSession, Running};
use super::log::Keep;
use super::out::Aside;
use super::questions::{Asked, unanswered};
use super::standalone;
use crate::bridge::enter::{Bounds, Job};
use crate::bridge::link::Link;
use crate::bridge::merge::connect::Wanted;
use crate::bridge::merge::legacy as merge;
use crate::bridge::merge::{Dress, Merged};
use crate::bridge::modern::SchemaCache;
use crate::bridge::party::{Call, Step};
use crate::refusal::Refusal;
use crate::reply::Body;
use crate::stage::frame::Verb;
use http::StatusCode;
use narthex_mcp::Revision;
use narthex_mcp::bridge::declared::severity;
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::{Object, schema};
use narthex_mcp::rpc;
use narthex_mcp::seal::HandleError;
use narthex_mcp::sse::{self, Fields};
use std::sync::Arc;
use tokio::time::Instant;

/// Answers a client of 2025-11-25 or earlier.
///
/// # Errors
/// The server failed, or the request is none that may be made; nothing has been sent to the client.
pub(crate) async fn answer(mut job: Job, out: &mut Out<'_>) -> Result<(), Refusal> {
    if let [Incoming::Request { method, .. }] = &job.messages[..]
        && method == "initialize"
    {
        return initialize(job, out).await;
    }
    let session = job.session.take().ok_or(Refusal::SessionRequired)?;
    let upstream = job.link.upstream();
    if !upstream.has_wire() && upstream.eras.modern(out.visit.started) == Some(false) {
        // It went back to older revisions: initialized anew, the client reaches it without us.
        return Err(Refusal::Session(HandleError::Expired));
    }
    let shared = Arc::clone(&job.link.shared);
    let live = shared.bridge.live.take_up(*session, job.link.owner(), job.link.whose(), job.bounds).await?;
    job.link.lane = Some(live.opened.id.as_str().into());
    match job.verb {
        Verb::Delete => {
            shared.bridge.live.end(&live).await;
            out.reply(StatusCode::NO_CONTENT, None, None).await
        }
        Verb::Get => standalone::answer(live, job.link, None, job.last_event_id, job.bounds, out).await,
        Verb::Post => {
            let mut front = Front::new(live, job.link, job.bounds);
            front.messages(job.messages, job.batch, out).await
        }
    }
}

/// One POST of a client's.
pub(crate) struct Front {
    pub(super) live: Arc<LiveSession>,
    pub(super) link: Link,
    pub(super) bounds: Bounds,
    /// The route's upstreams, if they are merged: `link` then leads to whichever is asked.
    pub(crate) merged: Option<Arc<Merged>>,
    /// What is done to what that one says.
    dress: Option<Dress>,
    /// What is known of the tools of a modern server.
    pub(super) schemas: Arc<SchemaCache>,
    /// The tool whose call is being made as a task.
    pub(super) as_task: Option<String>,
    /// Where its events are noted, once there are any.
    pub(super) stream: Option<u64>,
}

/// How a call ended, for its stream.
pub(super) enum Ended {
    /// With this message.
    Said(String),
    /// With this one, which is there in pieces.
    Listed(Body),
    /// Without one: the client does not want it any more.
    Silent,
}

impl Front {
    pub(crate) fn new(live: Arc<LiveSession>, link: Link, bounds: Bounds) -> Self {
        let schemas = Arc::clone(&live.schemas);
        Self { live, link, bounds, merged: None, dress: None, schemas, as_task: None, stream: None }
    }

    /// Takes the messages of one POST.
    ///
    /// # Errors
    /// See [`answer`].
    pub(crate) async fn messages(
        &mut self,
        messages: Vec<Incoming>,
        batch: bool,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let mut replies: Vec<Body> = Vec::new();
        let mut expects = false;
        for message in messages {
            let (id, method, params) = match message {
                Incoming::Request { id, method, params } => (id, method, params),
                other => {
                    self.heard(other)?;
                    continue;
                }
            };
            expects = true;
            let ended = match self.request(&id, &method, &params, out).await {
                // One that fails costs the others of its batch nothing.
                Err(refusal) if batch => Ended::Said(message::error(&id, &self.failure(&refusal))),
                ended => ended?,
            };
            match ended {
                Ended::Said(reply) => replies.push(reply.into()),
                Ended::Listed(reply) => replies.push(reply),
                Ended::Silent => continue,
            }
            // On a stream, what was answered before it began comes first.
            if out.is_stream() {
                for reply in replies.drain(..) {
                    self.emit(&reply.to_text(), out).await?;
                }
            }
        }
        if !expects {
            return out.reply(StatusCode::ACCEPTED, None, None).await;
        }
        if out.is_stream() || self.stream.is_some() {
            if let Some(stream) = self.stream {
                self.live.logs.end(stream);
            }
            return out.finish().await;
        }
        match (batch, replies.pop()) {
            (false, Some(reply)) => out.reply(StatusCode::OK, Some(reply), None).await,
            (_, None) => out.reply(StatusCode::ACCEPTED, None, None).await,
            (true, Some(last)) => {
                replies.push(last);
                let texts: Vec<_> = replies.iter().map(Body::to_text).collect();
                out.reply(StatusCode::OK, Some(format!("[{}]", texts.join(",")).into()), None).await
            }
        }
    }

    /// What a refusal is to one request of several.
    fn failure(&self, refusal: &Refusal) -> RpcError {
        tracing::debug!(upstream = %self.link.upstream().id, detail = refusal.detail(), "a call of a batch failed");
        let said = refusal.verdict().rpc;
        said.map_or_else(
            || RpcError::new(rpc::INTERNAL_ERROR, "Internal error"),
            |(code, why)| RpcError::new(code, why),
        )
    }

    /// Takes a notification or a response.
    fn heard(&self, message: Incoming) -> Result<(), Refusal> {
        let node = &self.link.shared.bridge.node;
        match message {
            Incoming::Result { id, result } => self.live.deliver(&id, Ok(result.to_json()), node)?,
            Incoming::Error { id: Some(id), error } => self.live.deliver(&id, Err(error), node)?,
            Incoming::Notification { method, params } if method == "notifications/cancelled" => {
                if let Some(id) = params.get("requestId") {
                    self.live.cancel(id);
                }
            }
            // The others are about the session itself, or about what 2026-07-28 does not know.
            _ => {}
        }
        Ok(())
    }

    async fn request(
        &mut self,
        id: &str,
        method: &str,
        params: &Object,
        out: &mut Out<'_>,
    ) -> Result<Ended, Refusal> {
        let fail = |code, why: &str| Ok(Ended::Said(message::error(id, &RpcError::new(code, why))));
        match method {
            "ping" => {}
            "logging/setLevel" => match params.string("level").filter(|level| severity(level).is_some()) {
                Some(level) => {
                    *self.live.level.lock() = Some(level);
                    self.link.shared.bridge.live.save(&self.live).await;
                }
                None => return fail(rpc::INVALID_PARAMS, "unknown log level"),
            },
            "resources/subscribe" | "resources/unsubscribe" => {
                let Some(uri) = params.string("uri") else {
                    return fail(rpc::INVALID_PARAMS, "params.uri is missing");
                };
                let on = method == "resources/subscribe";
                let merged = self.merged.as_ref();
                if !standalone::subscribe(&self.live, &self.link, merged, &uri, on, self.bounds).await? {
                    return fail(
                        rpc::INVALID_PARAMS,
                        "the server does not offer subscriptions to this resource",
                    );
                }
            }
            "initialize" => return fail(rpc::INVALID_REQUEST, "the session is initialized already"),
            "server/discover" | "subscriptions/listen" => {
                return fail(rpc::METHOD_NOT_FOUND, "Method not found");
            }
            _ => return self.forwarded(id, method, params, out).await,
        }
        Ok(Ended::Said(message::result(id, &Object::default())))
    }

    /// What only the server can answer.
    async fn forwarded(
        &mut self,
        id: &str,
        method: &str,
        params: &Object,
        out: &mut Out<'_>,
    ) -> Result<Ended, Refusal> {
        let ended = if method.starts_with("tasks/") {
            self.task(id, method, params, out).await
        } else if let Some(merged) = self.merged.clone() {
            self.routed(&merged, id, method, params, out).await
        } else {
            self.call(id, method, params, out).await
        };
        match ended {
            // The client has been told that this is a stream: the rest can only be said on it.
            Err(refusal) if out.is_stream() => {
                out.note_failure(&refusal);
                let error = RpcError::new(rpc::INTERNAL_ERROR, "The MCP server failed to answer");
                Ok(Ended::Said(message::error(id, &error)))
            }
            ended => ended,
        }
    }

    /// What one upstream of several answers, or what is known of all of them.
    async fn routed(
        &mut self,
        merged: &Arc<Merged>,
        id: &str,
        method: &str,
        params: &Object,
        out: &mut Out<'_>,
    ) -> Result<Ended, Refusal> {
        let way = match merge::route(merged, &self.link, (id, method, params), self.bounds, out).await? {
            merge::Routed::Call(way) => way,
            merge::Routed::Said(Err(error)) => return Ok(Ended::Said(message::error(id, &error))),
            merge::Routed::Said(Ok(result)) => return Ok(Ended::Said(message::result(id, &result))),
            merge::Routed::Listed(page) => return Ok(Ended::Listed(page)),
            merge::Routed::Wanted(wanted) => return Ok(self.ask_user(id, method, params, &wanted, out)),
        };
        let merge::Way { member, link, params, dress, doubt, schemas } = *way;
        let begun = std::time::Instant::now();
        (self.link, self.dress, self.schemas) = (link, Some(dress), schemas);
        let ended = self.call(id, method, &params, out).await;
        out.visit.upstream_time = Some(begun.elapsed());
        doubt.note(&ended);
        match ended {
            Err(refusal) if refusal.is_up_to_user() => {
                Ok(self.ask_user(id, method, &params, &Wanted { member, refusal, tool: false }, out))
            }
            ended => ended,
        }
    }

    async fn call(
        &mut self,
        id: &str,
        method: &str,
        params: &Object,
        out: &mut Out<'_>,
    ) -> Result<Ended, Refusal> {
        let running = self.live.begin(id);
        self.as_task = None;
        if method == "tools/call" && params.has("task") && self.has_tasks().await {
            self.as_task = params.string("name");
        }
        let call = tokio::select! {
            biased;
            call = self.begin(method, params) => call,
            () = running.cancelled() => return Ok(Ended::Silent),
        };
        match call {
            Ok(call) => self.drive(call, id, method, &running, out).await,
            Err(refusal) => Err(refusal),
        }
    }

    /// Passes on what comes of the call, until its end. A client that goes away does not end it
    /// (2025-11-25, basic/transports): what it misses, it can ask for again.
    async fn drive(
        &mut self,
        mut call: Call,
        id: &str,
        method: &str,
        running: &Running,
        out: &mut Out<'_>,
    ) -> Result<Ended, Refusal> {
        let mut alone_until: Option<Instant> = None;
        loop {
            let step = match self.step(&mut call, running, &mut alone_until, out).await? {
                Next::Step(step) => step,
                Next::Cancelled => return Ok(Ended::Silent),
                Next::Late(why) => {
                    let error = RpcError::new(rpc::INTERNAL_ERROR, why);
                    return Ok(Ended::Said(message::error(id, &error)));
                }
            };
            let step = match &self.dress {
                Some(dress) => match dress.step(method, step).await {
                    Some(step) => step,
                    None => continue,
                },
                None => step,
            };
            match step {
                Step::Note(method, params) => {
                    if self.wants(&method, &params) {
                        self.emit(&message::notification(&method, &params), out).await?;
                    }
                }
                Step::Asks(asks) => match self.ask(asks, None, running, out).await? {
                    Asked::Answered(responses) => call.answer(responses).await?,
                    Asked::Cancelled => return Ok(Ended::Silent),
                    Asked::Unanswered => return Ok(Ended::Said(message::error(id, &unanswered()))),
                },
                Step::Done(mut result) => {
                    if method == "tools/list" {
                        self.listed(&mut result).await;
                    }
                    if let Some(tool) = &self.as_task {
                        result = self.created(tool, result, out).await?;
                    }
                    return Ok(Ended::Said(message::result(id, &result)));
                }
                Step::Failed(error) => return Ok(Ended::Said(message::error(id, &error))),
            }
        }
    }

    /// What comes next. The call goes on while other things happen.
    async fn step(
        &self,
        call: &mut Call,
        running: &Running,
        alone_until: &mut Option<Instant>,
        out: &mut Out<'_>,
    ) -> Result<Next, Refusal> {
        let mut next = std::pin::pin!(call.next());
        loop {
            let alone = alone_until.unwrap_or_else(|| Instant::now() + self.bounds.session_idle);
            tokio::select! {
                biased;
                step = &mut next => return step.map(Next::Step),
                () = running.cancelled() => return Ok(Next::Cancelled),
                () = tokio::time::sleep_until(alone), if alone_until.is_some() => {
                    if !self.stream.is_some_and(|stream| self.live.logs.is_followed(stream)) {
                        return Ok(Next::Late("the client did not come back"));
                    }
                    *alone_until = Some(Instant::now() + self.bounds.room.patience);
                }
                aside = out.aside(false) => match aside {
                    Aside::Quiet => out.comment().await?,
                    Aside::Gone => {
                        out.leave();
                        *alone_until = Some(Instant::now() + self.bounds.room.patience);
                    }
                    Aside::Expired => {
                        out.cut("ended");
                        return Ok(Next::Late("the access token has expired"));
                    }
                    Aside::Stopping => {
                        out.cut("ended");
                        return Ok(Next::Late("the gateway is stopping"));
                    }
                },
            }
        }
    }

    /// Whether the client wants that notification.
    fn wants(&self, method: &str, params: &Object) -> bool {
        if method != "notifications/message" {
            return true;
        }
        let level = self.live.level.lock();
        let wanted = severity(level.as_deref().unwrap_or(LEVEL));
        params.string("level").and_then(|level| severity(&level)) >= wanted
    }

    async fn listed(&self, result: &mut Object) {
        let names = schema::names(result);
        self.link.upstream().catalogue.learn(names.iter().map(String::as_str));
        let policy = &self.link.route.policy;
        let tenant = &self.link.caller.tenant;
        if policy.hides_tools(tenant) {
            schema::retain(result, |name| policy.may_list(tenant, name));
        }
        if self.has_tasks().await {
            schema::set_task_support(result, Some("optional"));
        }
    }

    /// Waits. Whether to go on.
    pub(super) async fn pause(
        &self,
        wait: std::time::Duration,
        running: &Running,
        out: &mut Out<'_>,
    ) -> Result<bool, Refusal> {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                biased;
                () = running.cancelled() => return Ok(false),
                () = tokio::time::sleep_until(until) => return Ok(true),
                aside = out.aside(false) => match aside {
                    Aside::Quiet => out.comment().await?,
                    // The result can be asked for again.
                    Aside::Gone => {
                        out.leave();
                        return Ok(false);
                    }
                    Aside::Expired | Aside::Stopping => {
                        out.cut("ended");
                        return Ok(false);
                    }
                },
            }
        }
    }

    /// Sends an event, and notes it.
    pub(super) async fn emit(&mut self, data: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
        let keep = Keep { events: self.bounds.events, bytes: self.bounds.event_bytes };
        let stream = match self.stream {
            Some(stream) => stream,
            None => {
                let stream = self.live.logs.open();
                self.stream = Some(stream);
                // 2025-11-25, basic/transports: an event with an id and no data, so that the client can
                // come back even if nothing else reaches it.
                if self.live.opened.revision == Revision::V2025_11_25 {
                    let number = self.live.logs.append(stream, "", keep);
                    let id = event_id::seal(&self.live, &self.link, stream, number, out);
                    out.raw(encode(id.as_deref(), "")).await?;
                }
                stream
            }
        };
        let number = self.live.logs.append(stream, data, keep);
        let id = event_id::seal(&self.live, &self.link, stream, number, out);
        out.raw(encode(id.as_deref(), data)).await
    }
}

/// What a call comes to next.
enum Next {
    Step(Step),
    /// The client does not want it any more.
    Cancelled,
    /// It has to end, for that reason.
    Late(&'static str),
}

/// The bytes of an event.
pub(super) fn encode(id: Option<&str>, data: &str) -> bytes::Bytes {
    let mut event = Vec::with_capacity(data.len() + 128);
    let name = (!data.is_empty()).then_some("message");
    let fields = Fields { event: name, id, data: Some(data.as_bytes()), retry: None };
    // Neither the name nor a sealed id has a line break in it.
    let _ = sse::encode(&fields, &mut event);
    event.into()
}
