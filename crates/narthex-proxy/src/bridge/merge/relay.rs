//! A call of a 2026-07-28 client at a server of 2026-07-28: what both say stays as it is, but for names, handles and
//! what is looked into.

use super::dress::Dress;
use super::parts::signed;
use crate::bridge::front::Out;
use crate::bridge::front::modern::Request;
use crate::bridge::link::{Link, report};
use crate::bridge::modern;
use crate::bridge::reader::malformed;
use crate::refusal::Refusal;
use crate::stage::inspect::SESSION_LIFETIME;
use crate::stage::route::is_replayable_method;
use http::StatusCode;
use narthex_mcp::bridge::ask::Asked;
use narthex_mcp::bridge::discover::without_reserved;
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::schema::{ParamHeaders, Schemas};
use narthex_mcp::bridge::{Object, params, result, task};
use narthex_mcp::{request_state, rpc, seal};
use std::pin::pin;
use std::time::SystemTime;

/// The token of progress: it is alone on its stream.
const TOKEN: &str = r#""p""#;
/// Before the upstream's own state in that of ours.
const STATE: &str = "narthex:of:";

/// A call to be passed on.
pub(super) struct Relay<'r> {
    pub(super) request: &'r Request,
    /// `params` in the upstream's own words.
    pub(super) params: Object,
    pub(super) headers: Option<ParamHeaders>,
    pub(super) link: Link,
    pub(super) dress: &'r Dress,
    /// Who the route is to clients, if not its upstream.
    pub(super) info: Option<Object>,
    /// The handle of the task that the request is about.
    pub(super) task: Option<String>,
}

/// The upstream's state within a client's.
///
/// # Errors
/// It is none of this upstream's.
pub(super) fn own_state(state: &str, upstream: &str) -> Result<String, Refusal> {
    let own = state.strip_prefix(STATE).and_then(|rest| rest.split_once('\n'));
    let own = own.filter(|(of, _)| *of == upstream).map(|(_, own)| own.to_owned());
    own.ok_or(Refusal::RequestState(seal::HandleError::Foreign))
}

impl Relay<'_> {
    /// Makes the call, and passes on what comes of it.
    ///
    /// # Errors
    /// The upstream failed; nothing has been sent to the client.
    pub(super) async fn run(mut self, state: Option<&str>, out: &mut Out<'_>) -> Result<(), Refusal> {
        let client_token = params::progress_token(&self.params);
        self.prepare(state, client_token.is_some())?;
        let mut slot = self.link.enter()?;
        let method = self.request.method.as_str();
        let known = self.schemas();
        let replayable = is_replayable_method(method);
        let sent = tokio::select! {
            biased;
            sent = modern::post(&mut self.link, 1, method, &self.params, known.as_ref(), replayable) => sent,
            // Closing the stream cancels (2026-07-28, basic/patterns/cancellation).
            _ = out.session.read_body_or_idle(true) => {
                out.leave();
                return Ok(());
            }
        };
        report(&mut slot, &sent);
        let mut heard = sent?;
        loop {
            let Some(incoming) = next(&mut heard.reader, out).await? else { return Ok(()) };
            match incoming {
                Ok(Incoming::Notification { method, params }) => {
                    self.note(&method, params, client_token.as_deref(), out).await?;
                }
                Ok(Incoming::Result { result, .. }) => return self.finish(result, out).await,
                Ok(Incoming::Error { error, .. }) => {
                    let error = self.dress.error(error).await;
                    let body = message::error(&self.request.id, &error);
                    return out.last(heard.status, None, body).await;
                }
                // Servers of this revision ask in results only.
                Ok(Incoming::Request { .. }) => {
                    return self.broke(malformed("a request on a response stream"), out).await;
                }
                Err(refusal) => return self.broke(refusal, out).await,
            }
            if out.gone {
                return Ok(());
            }
        }
    }

    fn prepare(&mut self, state: Option<&str>, wants_progress: bool) -> Result<(), Refusal> {
        match state {
            Some(state) => {
                let own = own_state(state, self.link.upstream().id.as_str())?;
                self.params.set_string("requestState", &own);
            }
            None => drop(self.params.remove("requestState")),
        }
        if wants_progress && let Some(mut meta) = self.params.object("_meta") {
            meta.set_json("progressToken", TOKEN);
            self.params.set_object("_meta", &meta);
        }
        params::set_trace(&mut self.params, self.link.traceparent());
        Ok(())
    }

    fn schemas(&self) -> Option<Schemas> {
        let (headers, name) = (self.headers.clone()?, self.params.string("name")?);
        Some(Schemas { mirrored: [(name, headers)].into(), ..Schemas::default() })
    }

    async fn note(
        &self,
        method: &str,
        mut params: Object,
        client_token: Option<&str>,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        if method == "notifications/progress" {
            let ours = params.get("progressToken") == Some(TOKEN);
            let Some(token) = client_token.filter(|_| ours) else { return Ok(()) };
            params.set_json("progressToken", token);
        }
        // Whatever else it says belongs to no call, and could pass for what the client listens for.
        if !matches!(method, "notifications/progress" | "notifications/message") {
            return Ok(());
        }
        let params = without_reserved(&params);
        let Some(params) = self.dress.note(method, params).await else { return Ok(()) };
        out.event(None, &message::notification(method, &params)).await
    }

    async fn broke(&self, refusal: Refusal, out: &mut Out<'_>) -> Result<(), Refusal> {
        if !out.is_stream() {
            return Err(refusal);
        }
        out.note_failure(&refusal);
        let error = RpcError::new(rpc::INTERNAL_ERROR, "The MCP server failed to answer");
        out.last(StatusCode::OK, None, message::error(&self.request.id, &error)).await
    }

    async fn finish(&self, result: Object, out: &mut Out<'_>) -> Result<(), Refusal> {
        let made = match result.string("resultType").as_deref() {
            Some("input_required") if request_state::may_ask(&self.request.method) => {
                self.asks(&result, out).await?
            }
            Some("task") if self.request.method == "tools/call" => self.created(result, out).await,
            None | Some("complete") => self.done(result).await,
            Some(_) => Err(result::BadResult::Type.to_error()),
        };
        let body = match made {
            Ok(mut result) => {
                self.sign(&mut result);
                message::result(&self.request.id, &result)
            }
            Err(error) => message::error(&self.request.id, &error),
        };
        out.last(StatusCode::OK, None, body).await
    }

    async fn done(&self, result: Object) -> Result<Object, RpcError> {
        let mut result = self.dress.result(&self.request.method, result).await?;
        result.set_string("resultType", "complete");
        if let Some(handle) = self.task.as_ref().filter(|_| result.get("taskId").is_some()) {
            result.set_string("taskId", handle);
            self.name_in(&mut result).await?;
        }
        Ok(result)
    }

    /// Has what a task asks for say whose it is.
    async fn name_in(&self, result: &mut Object) -> Result<(), RpcError> {
        let Some(mut asked) = Asked::parse(result).ok().filter(|asked| !asked.asks.is_empty()) else {
            return Ok(());
        };
        asked.asks = self.dress.asks(asked.asks).await?;
        if let Some(requests) = asked.to_result().get("inputRequests") {
            result.set_json("inputRequests", requests);
        }
        Ok(())
    }

    /// What the client is asked, with a state that only it can bring back.
    async fn asks(&self, result: &Object, out: &Out<'_>) -> Result<Result<Object, RpcError>, Refusal> {
        let Ok(mut asked) = Asked::parse(result) else {
            return Ok(Err(result::BadResult::Type.to_error()));
        };
        let declared = &self.request.declared;
        // A server MUST NOT ask for what was not declared (basic/patterns/mrtr).
        if let Some((_, ask)) = asked.asks.iter().find(|(_, ask)| !declared.may_ask(&ask.method, &ask.params))
        {
            let what = format!("the server needs {}, which the client does not offer", ask.method);
            return Ok(Err(RpcError::new(rpc::INTERNAL_ERROR, what)));
        }
        match self.dress.asks(asked.asks).await {
            Ok(asks) => asked.asks = asks,
            Err(error) => return Ok(Err(error)),
        }
        if let Some(own) = &asked.state {
            let state = format!("{STATE}{}\n{own}", self.link.upstream().id);
            let name = self.request.named().unwrap_or_default();
            let what = request_state::Asked { method: &self.request.method, name: &name };
            let sealer = &out.visit.snapshot.sealer;
            let sealed = request_state::seal(sealer, &self.link.binding(), what, &state, SystemTime::now());
            asked.state = Some(sealed.map_err(|_| Refusal::Internal("cannot seal a state"))?);
        }
        let mut made = asked.to_result();
        if let Some(meta) = result.object("_meta") {
            match self.dress.result(&self.request.method, meta).await {
                Ok(meta) => made.set_object("_meta", &meta),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(made))
    }

    async fn created(&self, result: Object, out: &Out<'_>) -> Result<Object, RpcError> {
        if !task::is_declared(&self.request.declared.capabilities) {
            // A server MUST NOT start a task for a client that does not know them (SEP-2663).
            return Err(result::BadResult::Type.to_error());
        }
        let internal = || RpcError::new(rpc::INTERNAL_ERROR, "the server's task cannot be kept");
        let id = result.string("taskId").ok_or_else(internal)?;
        let mut result = self.dress.result(&self.request.method, result).await?;
        let tool = self.request.named().unwrap_or_default();
        let handle = task::Handle { id, tool };
        let expires = out.visit.now + SESSION_LIFETIME;
        let sealer = &out.visit.snapshot.sealer;
        let sealed = task::seal(sealer, &self.link.binding(), &handle, expires).map_err(|_| internal())?;
        result.set_string("taskId", &sealed);
        Ok(result)
    }

    fn sign(&self, result: &mut Object) {
        let Some(info) = &self.info else { return };
        let mut meta = result.object("_meta").unwrap_or_default();
        for (key, value) in signed(Some(info)).iter() {
            meta.set_json(key, value);
        }
        result.set_object("_meta", &meta);
    }
}

/// The next message; the outer `None`: the client does not want it any more.
async fn next(
    reader: &mut crate::bridge::reader::Reader,
    out: &mut Out<'_>,
) -> Result<Option<Result<Incoming, Refusal>>, Refusal> {
    let incoming = out.wait_for(pin!(reader.next())).await?;
    let ended = || malformed("the answer ended before its result");
    Ok(incoming.map(|incoming| incoming.and_then(|incoming| incoming.ok_or_else(ended))))
}
