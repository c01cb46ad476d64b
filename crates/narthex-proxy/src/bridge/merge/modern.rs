//! A merged route to a client of 2026-07-28.

mod consent;

use super::catalogue::Doubt;
use super::changes::Changes;
use super::connect::{self, Looked, Wanted};
use super::dress::Dress;
use super::find::{self, Found};
use super::list;
use super::parts::{Parts, server_info};
use super::relay::Relay;
use super::route::Merged;
use crate::bridge::TTL;
use crate::bridge::enter::{self, Bounds, Job};
use crate::bridge::front::modern::{Front, REMOVED, Request};
use crate::bridge::front::{MOST_URIS, Out, stream_changes};
use crate::bridge::link::Ways;
use crate::refusal::Refusal;
use http::StatusCode;
use narthex_mcp::Revision;
use narthex_mcp::bridge::declared::Declared;
use narthex_mcp::bridge::discover::Account;
use narthex_mcp::bridge::listen::Filter;
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::schema::ParamHeaders;
use narthex_mcp::bridge::{Object, task};
use narthex_mcp::federation::cursor::Kind;
use narthex_mcp::headers::decode_value;
use narthex_mcp::rpc;
use narthex_mcp::seal::Sealer;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// Answers it.
///
/// # Errors
/// See [`super::answer`].
pub(super) async fn answer(merged: Arc<Merged>, job: Job<Ways>, out: &mut Out<'_>) -> Result<(), Refusal> {
    let Job { link: ways, mut messages, state, param_headers, bounds, .. } = job;
    let Some(Incoming::Request { id, method, params }) = messages.pop() else {
        // This revision has no notifications for servers.
        return out.reply(StatusCode::ACCEPTED, None, None).await;
    };
    let Ok(declared) = Declared::from_meta(&params) else {
        let error = RpcError::new(rpc::INVALID_PARAMS, "the client's capabilities are malformed");
        return out.last(StatusCode::BAD_REQUEST, None, message::error(&id, &error)).await;
    };
    let request = Request { id, method, params, declared, shown: None };
    let sealer = Arc::clone(&out.visit.snapshot.sealer);
    let door = Door { merged, ways, bounds, param_headers, sealer };
    let list = Kind::of(&request.method);
    match request.method.as_str() {
        method if REMOVED.contains(&method) => {
            door.fail(&request, StatusCode::NOT_FOUND, &unknown(), out).await
        }
        method if method.starts_with("tasks/") => door.task(request, out).await,
        "server/discover" => door.discover(&request, out).await,
        "subscriptions/listen" => door.listen(&request, out).await,
        _ => match list {
            Some(kind) => door.list(&request, kind, out).await,
            None => door.call(request, state.as_deref(), out).await,
        },
    }
}

fn unknown() -> RpcError {
    RpcError::new(rpc::METHOD_NOT_FOUND, "Method not found")
}

struct Door {
    merged: Arc<Merged>,
    ways: Ways,
    bounds: Bounds,
    param_headers: Vec<(String, Vec<u8>)>,
    sealer: Arc<Sealer>,
}

impl Door {
    async fn fail(
        &self,
        request: &Request,
        status: StatusCode,
        error: &RpcError,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        out.last(status, None, message::error(&request.id, error)).await
    }

    async fn discover(&self, request: &Request, out: &mut Out<'_>) -> Result<(), Refusal> {
        let parts = Parts::gather(&self.merged, &self.ways, self.bounds).await;
        if parts.there.is_empty() && !self.merged.is_federation {
            return Err(find::out_of_reach());
        }
        let result = parts.account(&self.merged, Revision::V2026_07_28).to_discover(TTL);
        out.last(StatusCode::OK, None, message::result(&request.id, &result)).await
    }

    async fn account(&self) -> Account {
        let parts = Parts::gather(&self.merged, &self.ways, self.bounds).await;
        parts.account(&self.merged, Revision::V2026_07_28)
    }

    async fn list(&self, request: &Request, kind: Kind, out: &mut Out<'_>) -> Result<(), Refusal> {
        let asked = (request.id.as_str(), kind, &request.params);
        match list::answer(&self.merged, &self.ways, asked, self.bounds, out.visit).await? {
            Ok(page) => out.reply(StatusCode::OK, Some(page), None).await,
            Err(error) => self.fail(request, StatusCode::OK, &error, out).await,
        }
    }

    async fn listen(&self, request: &Request, out: &mut Out<'_>) -> Result<(), Refusal> {
        let wanted = Filter::parse(&request.params).ok().filter(|wanted| wanted.uris.len() <= MOST_URIS);
        let Some(wanted) = wanted else {
            let why = "params.notifications must say what to listen for, of at most 1000 resources";
            let error = RpcError::new(rpc::INVALID_PARAMS, why);
            return self.fail(request, StatusCode::BAD_REQUEST, &error, out).await;
        };
        let mut account = self.account().await;
        super::tell_of_changes(&mut account);
        let wanted = wanted.within(&account);
        let (declared, bounds) = (&request.declared, self.bounds);
        let changes = Changes::begin(&self.merged, &self.ways, None, declared, &wanted, bounds).await;
        stream_changes(changes, &request.id, out).await
    }

    /// A request that one upstream has to answer.
    async fn call(&self, request: Request, state: Option<&str>, out: &mut Out<'_>) -> Result<(), Refusal> {
        if self.merged.wants_consent() {
            return Box::pin(self.call_for_user(request, state, out)).await;
        }
        match self.attempt(request, state, out).await? {
            None => Ok(()),
            Some(wanted) => Err(wanted.refusal),
        }
    }

    /// Makes the call, if it can be made: nothing has been done of it where there is something that the user is
    /// wanted for first.
    async fn attempt(
        &self,
        request: Request,
        state: Option<&str>,
        out: &mut Out<'_>,
    ) -> Result<Option<Wanted>, Refusal> {
        let (method, params) = (&request.method, &request.params);
        let found = match connect::find(&self.merged, &self.ways, method, params, self.bounds).await? {
            Looked::Found(found) => *found,
            Looked::Unknown(error) => {
                let status = if error.code == -32601 { StatusCode::NOT_FOUND } else { StatusCode::OK };
                return self.fail(&request, status, &error, out).await.map(|()| None);
            }
            Looked::Connected(member) => {
                return Box::pin(self.say_connected(&request, &member, out)).await;
            }
            Looked::Wanted(wanted) => return Ok(Some(wanted)),
        };
        let member = Arc::clone(found.part.member);
        out.visit.known_tool = found.tool.clone();
        out.visit.upstream = Some(found.part.member.id.clone());
        if let Some(headers) = &found.headers
            && !self.agrees(headers, params)
        {
            let error = RpcError::new(rpc::HEADER_MISMATCH, "an Mcp-Param header differs from the arguments");
            return self.fail(&request, StatusCode::BAD_REQUEST, &error, out).await.map(|()| None);
        }
        let found = match self.merged.guard.params(found.params, found.part.member).await {
            Ok(params) => Found { params, ..found },
            Err(error) => return self.fail(&request, StatusCode::OK, &error, out).await.map(|()| None),
        };
        let (begun, doubt) = (Instant::now(), Doubt(Arc::clone(&found.part.catalogue)));
        let answered = self.pass_on(request, found, state, out).await;
        out.visit.upstream_time = Some(begun.elapsed());
        doubt.note(&answered);
        match answered {
            Err(refusal) if refusal.is_up_to_user() => Ok(Some(Wanted { member, refusal, tool: false })),
            answered => answered.map(|()| None),
        }
    }

    async fn pass_on(
        &self,
        mut request: Request,
        found: Found<'_>,
        state: Option<&str>,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let mut dress = Dress::new(&self.merged, found.part.member, &self.ways);
        dress.needs_task = found.needs_task;
        // What a task has done so far is with the endpoint that runs it.
        let sticks = task::is_declared(&request.declared.capabilities);
        let member = found.part.member;
        let whose = self.ways.whose();
        let endpoint =
            if sticks { member.endpoint_of(&whose, Instant::now()) } else { member.endpoint(Instant::now()) };
        let link = self.ways.to(endpoint).await?;
        if enter::speaks_modern(&link).await == Some(true) {
            let (params, headers, info) = (found.params, found.headers, server_info(&self.merged));
            let relay = Relay { request: &request, params, headers, link, dress: &dress, info, task: None };
            return relay.run(state, out).await;
        }
        let link = self.ways.to(member.endpoint_of(&whose, Instant::now())).await?;
        request.shown = request.named();
        request.params = found.params;
        let mut front = Front { link, request, bounds: self.bounds, dress: Some(dress) };
        Box::pin(front.call(state, &[], out)).await
    }

    /// Whether the `Mcp-Param-*` fields say what the arguments say.
    fn agrees(&self, headers: &ParamHeaders, params: &Object) -> bool {
        let arguments = params.get("arguments").and_then(|text| serde_json::from_str(text).ok());
        headers.agree(&arguments.unwrap_or_default(), |name| {
            let field = format!("mcp-param-{}", name.to_ascii_lowercase());
            let (_, value) = self.param_headers.iter().find(|(known, _)| *known == field)?;
            Some(decode_value(value).map(Cow::into_owned))
        })
    }

    /// `tasks/get`, `tasks/update` and `tasks/cancel` (SEP-2663).
    async fn task(&self, mut request: Request, out: &mut Out<'_>) -> Result<(), Refusal> {
        let known = matches!(request.method.as_str(), "tasks/get" | "tasks/update" | "tasks/cancel");
        if !known || !task::is_declared(&request.declared.capabilities) {
            return self.fail(&request, StatusCode::NOT_FOUND, &unknown(), out).await;
        }
        let sealer = Arc::clone(&out.visit.snapshot.sealer);
        let handle = request.params.string("taskId").unwrap_or_default();
        let Ok(own) = task::open(&sealer, &self.ways.binding(), &handle, out.visit.now) else {
            let error = RpcError::new(rpc::INVALID_PARAMS, "Unknown task");
            return self.fail(&request, StatusCode::OK, &error, out).await;
        };
        self.ways.may_call(&own.tool)?;
        let mut named = Object::default();
        named.set_string("name", &own.tool);
        let found = match connect::find(&self.merged, &self.ways, "tools/call", &named, self.bounds).await? {
            Looked::Found(found) => *found,
            Looked::Wanted(wanted) => return Err(wanted.refusal),
            Looked::Unknown(_) | Looked::Connected(_) => {
                let error = RpcError::new(rpc::INVALID_PARAMS, "Unknown task");
                return self.fail(&request, StatusCode::OK, &error, out).await;
            }
        };
        out.visit.upstream = Some(found.part.member.id.clone());
        let dress = Dress::new(&self.merged, found.part.member, &self.ways);
        let link = self.ways.to(found.part.member.endpoint_of(&self.ways.whose(), Instant::now())).await?;
        if enter::speaks_modern(&link).await == Some(true) {
            let mut params = request.params.clone();
            params.set_string("taskId", &own.id);
            let info = server_info(&self.merged);
            let task = Some(handle);
            let relay = Relay { request: &request, params, headers: None, link, dress: &dress, info, task };
            return relay.run(None, out).await;
        }
        request.shown = Some(own.tool);
        Front { link, request, bounds: self.bounds, dress: Some(dress) }.task(out).await
    }
}
