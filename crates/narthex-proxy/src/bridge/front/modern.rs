//! Being a server of 2026-07-28 to a client, in front of one of an older revision.

use super::Out;
use crate::bridge::enter::{Bounds, Job};
use crate::bridge::legacy::{LegacyCall, Session, Start};
use crate::bridge::link::Link;
use crate::bridge::merge::Dress;
use crate::bridge::party::{Response, Step};
use crate::bridge::suspended::Held;
use crate::bridge::{TTL, legacy};
use crate::refusal::Refusal;
use crate::stage::route::is_replayable_method;
use http::StatusCode;
use narthex_mcp::bridge::ask::{self, Ask, Asked};
use narthex_mcp::bridge::declared::{Declared, severity};
use narthex_mcp::bridge::error::{self, Modern};
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::{Object, meta, params, result, schema, task};
use narthex_mcp::headers::decode_value;
use narthex_mcp::{request_state, rpc, seal};
use serde_json::Value;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Methods that this revision no longer has.
pub(crate) const REMOVED: [&str; 5] =
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];

/// A request of the client's.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) params: Object,
    pub(crate) declared: Declared,
    /// The name that the client knows the tool, prompt or resource by, where the server knows another.
    pub(crate) shown: Option<String>,
}

impl Request {
    /// The tool, prompt or URI that it names, as the client knows it.
    pub(crate) fn named(&self) -> Option<String> {
        let member = if self.method == "resources/read" { "uri" } else { "name" };
        self.shown.clone().or_else(|| self.params.string(member))
    }
}

/// What the `requestState` of a bridged call says.
enum State<'s> {
    /// The call is on hold, at this node, under this name, until then (seconds since 1970).
    Held { node: &'s str, id: &'s str, until: u64 },
    /// The client was to visit URLs; then the call is made for the first time.
    Visit,
}

impl<'s> State<'s> {
    const HELD: &'static str = "narthex:held:";
    const VISIT: &'static str = "narthex:visit";

    fn parse(text: &'s str) -> Option<Self> {
        if text == Self::VISIT {
            return Some(Self::Visit);
        }
        let mut parts = text.strip_prefix(Self::HELD)?.split(':');
        Some(Self::Held { node: parts.next()?, id: parts.next()?, until: parts.next()?.parse().ok()? })
    }
}

/// Answers a client of 2026-07-28.
///
/// # Errors
/// The server failed, or the request is none that may be made; nothing has been sent to the client.
pub(crate) async fn answer(job: Job, out: &mut Out<'_>) -> Result<(), Refusal> {
    let Job { link, mut messages, state, param_headers, bounds, .. } = job;
    let Some(Incoming::Request { id, method, params }) = messages.pop() else {
        // This revision has no notifications for servers.
        return out.reply(StatusCode::ACCEPTED, None, None).await;
    };
    let Ok(declared) = Declared::from_meta(&params) else {
        let error = RpcError::new(rpc::INVALID_PARAMS, "the client's capabilities are malformed");
        return out.last(StatusCode::BAD_REQUEST, None, message::error(&id, &error)).await;
    };
    let request = Request { id, method, params, declared, shown: None };
    let mut front = Front { link, request, bounds, dress: None };
    match front.request.method.as_str() {
        method if REMOVED.contains(&method) => front.unknown(out).await,
        method if method.starts_with("tasks/") => front.task(out).await,
        "server/discover" => front.discover(out).await,
        "subscriptions/listen" => super::listen::answer(front.link, front.request, bounds, out).await,
        _ => front.call(state.as_deref(), &param_headers, out).await,
    }
}

/// One request being answered.
pub(crate) struct Front {
    pub(crate) link: Link,
    pub(crate) request: Request,
    pub(crate) bounds: Bounds,
    /// What is done to what the server says, on a merged route.
    pub(crate) dress: Option<Dress>,
}

impl Front {
    pub(super) async fn unknown(&self, out: &mut Out<'_>) -> Result<(), Refusal> {
        let error = RpcError::new(rpc::METHOD_NOT_FOUND, "Method not found");
        self.fail(StatusCode::NOT_FOUND, &error, out).await
    }

    pub(super) async fn fail(
        &self,
        status: StatusCode,
        error: &RpcError,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        out.last(status, None, message::error(&self.request.id, error)).await
    }

    async fn discover(&mut self, out: &mut Out<'_>) -> Result<(), Refusal> {
        let session = self.session().await?;
        let result = session.account.to_discover(TTL);
        out.last(StatusCode::OK, None, message::result(&self.request.id, &result)).await
    }

    pub(super) async fn session(&mut self) -> Result<Arc<Session>, Refusal> {
        let memory = Arc::clone(&self.link.shared);
        memory.bridge.sessions.get(&mut self.link, &self.request.declared, self.bounds).await
    }

    pub(crate) async fn call(
        &mut self,
        state: Option<&str>,
        headers: &[(String, Vec<u8>)],
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let Ok(responses) = ask::responses(&self.request.params) else {
            let error = RpcError::new(rpc::INVALID_PARAMS, "inputResponses must be an object of results");
            return self.fail(StatusCode::BAD_REQUEST, &error, out).await;
        };
        let invalid = Refusal::RequestState(seal::HandleError::Foreign);
        match state.map(State::parse) {
            None => self.begin(headers, out).await,
            // An upstream's own, from before it was spoken to in another era.
            Some(None) => Err(invalid),
            Some(Some(State::Held { node, id, until })) => {
                // A node that is gone for good must not be looked for for ever.
                if seconds(SystemTime::now()) > until {
                    return Err(Refusal::RequestState(seal::HandleError::Expired));
                }
                if node != &*self.link.shared.bridge.node {
                    return Err(Refusal::HeldElsewhere);
                }
                self.resume(id, responses, out).await
            }
            Some(Some(State::Visit)) => {
                let visited = |(_, result): &(String, String)| {
                    Object::parse(result.as_bytes())
                        .is_ok_and(|r| r.string("action").as_deref() == Some("accept"))
                };
                if responses.is_empty() || !responses.iter().all(visited) {
                    let error =
                        RpcError::new(rpc::INTERNAL_ERROR, "the URLs that the server needs were not visited");
                    return self.fail(StatusCode::OK, &error, out).await;
                }
                self.begin(headers, out).await
            }
        }
    }

    async fn begin(&mut self, headers: &[(String, Vec<u8>)], out: &mut Out<'_>) -> Result<(), Refusal> {
        let mut again = true;
        loop {
            let session = self.session().await?;
            if let Some(error) = self.prepare(&session, headers).await {
                let status = StatusCode::BAD_REQUEST;
                return self.fail(status, &error, out).await;
            }
            let replayable = is_replayable_method(&self.request.method);
            let task = self.runs_as_task(&session).await;
            let (method, params) = (&self.request.method, &self.request.params);
            let start = Start { method, params, replayable, task };
            let begun = tokio::select! {
                biased;
                begun = LegacyCall::begin(self.link.clone(), session, &start) => begun,
                _ = out.session.read_body_or_idle(true) => {
                    out.leave();
                    return Ok(());
                }
            };
            match begun {
                Ok(call) => return self.drive(Box::new(call), out).await,
                // Nothing was done in it, so the call is made in a new one.
                Err(legacy::NotBegun::SessionGone) if again => again = false,
                Err(legacy::NotBegun::SessionGone) => {
                    self.link.upstream().eras.doubt(Instant::now());
                    return Err(Refusal::UpstreamError { status: StatusCode::NOT_FOUND });
                }
                Err(legacy::NotBegun::Refused(refusal)) => return Err(refusal),
            }
        }
    }

    /// What has to be settled with the server first. What is wrong with the request, if anything is.
    async fn prepare(&mut self, session: &Session, headers: &[(String, Vec<u8>)]) -> Option<RpcError> {
        if let Some(level) = self.level() {
            if severity(&level).is_none() {
                return Some(RpcError::new(rpc::INVALID_PARAMS, "unknown log level"));
            }
            if session.account.capabilities.object("logging").is_some() {
                // Without its messages the call still does what it is for.
                let _ = session.set_level(&mut self.link, &level).await;
            }
        }
        if self.request.method != "tools/call" || self.dress.is_some() {
            return None;
        }
        // What cannot be learned cannot be checked: the server decides by the body anyway.
        let schemas = session.schemas(&mut self.link).await.ok()?;
        let mirrored = schemas.mirrored.get(&self.request.params.string("name")?)?;
        let arguments = arguments(&self.request.params);
        let header = |name: &str| {
            let field = format!("mcp-param-{}", name.to_ascii_lowercase());
            let (_, value) = headers.iter().find(|(known, _)| *known == field)?;
            Some(decode_value(value).map(std::borrow::Cow::into_owned))
        };
        (!mirrored.agree(&arguments, header))
            .then(|| RpcError::new(rpc::HEADER_MISMATCH, "an Mcp-Param header differs from the arguments"))
    }

    fn level(&self) -> Option<String> {
        self.request.params.object("_meta")?.string(meta::LOG_LEVEL)
    }

    async fn resume(
        &mut self,
        id: &str,
        responses: Vec<(String, String)>,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let expired = Refusal::RequestState(seal::HandleError::Expired);
        let shared = Arc::clone(&self.link.shared);
        let arguments = arguments(&self.request.params);
        let (memory, owner) = (&shared.bridge.suspended, self.link.owner());
        let held = memory.resume(id, &owner, &arguments, Instant::now()).ok_or(expired)?;
        let mut call = held.call;
        call.hand_over(self.link.clone(), params::progress_token(&self.request.params));
        let responses = responses.into_iter().map(|(key, result)| Response { key, result: Ok(result) });
        call.answer(responses.collect()).await?;
        self.drive(call, out).await
    }

    /// Passes on what comes of the call, until its end or a question.
    async fn drive(&mut self, mut call: Box<LegacyCall>, out: &mut Out<'_>) -> Result<(), Refusal> {
        loop {
            let Some(step) = self.step(&mut call, out).await? else { return Ok(()) };
            let step = match &self.dress {
                Some(dress) => match step {
                    Ok(step) => match dress.step(&self.request.method, step).await {
                        Some(step) => Ok(step),
                        None => continue,
                    },
                    refused => refused,
                },
                None => step,
            };
            match step {
                Ok(Step::Note(method, params)) => self.note(&method, &params, out).await?,
                Ok(Step::Asks(asks)) => return self.suspend(call, asks, out).await,
                Ok(Step::Done(created)) if call.is_task() && created.object("task").is_some() => {
                    match self.created(&call, &created, out).await? {
                        Some(result) => call = result,
                        None => return Ok(()),
                    }
                }
                Ok(Step::Done(result)) if call.owned().is_some() && !result.has("content") => {
                    let why = self.why_failed(&call).await?;
                    return self.failed(call, &why, out).await;
                }
                Ok(Step::Done(result)) => return self.done(call, result, out).await,
                Ok(Step::Failed(error)) => return self.failed(call, &error, out).await,
                // Its user can still be asked, on the stream.
                Err(refusal) if out.is_stream() && !refusal.is_up_to_user() => {
                    out.note_failure(&refusal);
                    let error = RpcError::new(rpc::INTERNAL_ERROR, "The MCP server failed to answer");
                    return self.fail(StatusCode::OK, &error, out).await;
                }
                Err(refusal) => return Err(refusal),
            }
            if out.gone {
                return Ok(());
            }
        }
    }

    /// The next step; `None`: the client does not want it any more, and the call ends.
    async fn step(
        &self,
        call: &mut LegacyCall,
        out: &mut Out<'_>,
    ) -> Result<Option<Result<Step, Refusal>>, Refusal> {
        out.wait_for(pin!(call.next())).await
    }

    async fn note(&self, method: &str, params: &Object, out: &mut Out<'_>) -> Result<(), Refusal> {
        if method == "notifications/message" {
            // Only for requests that want them, and only from that level on.
            let wanted = self.level().and_then(|level| severity(&level));
            let level = params.string("level").and_then(|level| severity(&level));
            if wanted.is_none() || level < wanted {
                return Ok(());
            }
        }
        let params = narthex_mcp::bridge::discover::without_reserved(params);
        out.event(None, &message::notification(method, &params)).await
    }

    async fn done(
        &self,
        call: Box<LegacyCall>,
        mut result: Object,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        if self.request.method == "tools/list" {
            self.listed(call.session(), &mut result);
        }
        let own = self.dress.as_ref().and_then(Dress::info);
        let info = own.as_ref().or(call.session().account.server_info.as_ref());
        let translated = result::to_modern(&self.request.method, &result, info, std::time::Duration::ZERO);
        let body = match translated {
            Ok(result) => message::result(&self.request.id, &result),
            Err(bad) => message::error(&self.request.id, &bad.to_error()),
        };
        // Its places are free again before the client hears of it.
        drop(call);
        out.last(StatusCode::OK, None, body).await
    }

    fn listed(&self, session: &Session, result: &mut Object) {
        let names = schema::names(result);
        self.link.upstream().catalogue.learn(names.iter().map(String::as_str));
        let schemas = schema::read(result);
        schema::drop_invalid(result, &schemas);
        if task::is_offered(&session.account.capabilities) {
            schema::set_task_support(result, None);
        }
        if !self.request.params.has("cursor") && !result.has("nextCursor") {
            session.learn(Some(Arc::new(schemas)));
        }
        let policy = &self.link.route.policy;
        let tenant = &self.link.caller.tenant;
        if policy.hides_tools(tenant) {
            schema::retain(result, |name| policy.may_list(tenant, name));
        }
    }

    async fn failed(
        &self,
        call: Box<LegacyCall>,
        error: &RpcError,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let declared = call.session().declared.clone();
        drop(call);
        let uri = self.request.params.string("uri").filter(|_| self.request.method == "resources/read");
        match error::to_modern(error, uri.as_deref()) {
            Modern::Error(status, error) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                self.fail(status, &error, out).await
            }
            Modern::Visit(asks) => {
                if asks.iter().all(|ask| declared.may_ask(&ask.method, &ask.params))
                    && request_state::may_ask(&self.request.method)
                {
                    let keyed =
                        asks.into_iter().enumerate().map(|(n, ask)| (format!("visit-{}", n + 1), ask));
                    return self.input_required(keyed.collect(), State::VISIT, out).await;
                }
                let mut data = Object::default();
                data.set_json("requiredCapabilities", r#"{"elicitation":{"url":{}}}"#);
                let mut error = RpcError::new(rpc::MISSING_CLIENT_CAPABILITY, "URL elicitation is required");
                error.data = Some(data);
                self.fail(StatusCode::BAD_REQUEST, &error, out).await
            }
        }
    }

    /// Puts the call on hold, and asks.
    async fn suspend(
        &self,
        call: Box<LegacyCall>,
        asks: Vec<(String, Ask)>,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        if !request_state::may_ask(&self.request.method) {
            // Dropping the call cancels it.
            let error = RpcError::new(rpc::INTERNAL_ERROR, "the server asks where it may not");
            return self.fail(StatusCode::OK, &error, out).await;
        }
        let memory = &self.link.shared.bridge;
        let id = seal::random_id().map_err(|_| Refusal::Internal("no randomness"))?;
        let room = self.bounds.room;
        let until = seconds(SystemTime::now() + room.patience);
        let state = format!("{}{}:{id}:{until}", State::HELD, memory.node);
        let held = Held {
            call,
            owner: self.link.owner(),
            whose: self.link.whose(),
            arguments: arguments(&self.request.params),
            expires: Instant::now() + room.patience,
        };
        if memory.suspended.hold(id.clone(), held, room).is_err() {
            if !out.is_stream() {
                return Err(Refusal::TooManySuspended);
            }
            let error = RpcError::new(rpc::LIMIT_REACHED, "Too many calls wait for their client");
            return self.fail(StatusCode::OK, &error, out).await;
        }
        let asked = self.input_required(asks, &state, out).await;
        if asked.is_err() || out.gone {
            // Nobody has the state, and closing the stream cancels.
            memory.suspended.give_up(&id);
        }
        asked
    }

    async fn input_required(
        &self,
        asks: Vec<(String, Ask)>,
        state: &str,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let name = self.request.named();
        let asked =
            request_state::Asked { method: &self.request.method, name: name.as_deref().unwrap_or_default() };
        let binding = self.link.binding();
        let sealed =
            request_state::seal(&out.visit.snapshot.sealer, &binding, asked, state, SystemTime::now());
        let state = sealed.map_err(|_| Refusal::Internal("cannot seal a state"))?;
        let result = Asked { asks, state: Some(state) }.to_result();
        out.last(StatusCode::OK, None, message::result(&self.request.id, &result)).await
    }
}

fn arguments(params: &Object) -> Value {
    params.get("arguments").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
