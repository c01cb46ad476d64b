//! Whose a name or URI is. No upstream is asked, and none learns of a URI that is another's.

use super::list::{may_connect, may_list};
use super::parts::{self, Begun, Part};
use super::route::{Member, Merged};
use super::view::View;
use crate::bridge::enter::Bounds;
use crate::bridge::link::Ways;
use crate::refusal::Refusal;
use http::StatusCode;
use narthex_config::model::UpstreamId;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::message::RpcError;
use narthex_mcp::bridge::schema::ParamHeaders;
use narthex_mcp::federation::completion::{self, Reference};
use narthex_mcp::federation::cursor::Kind;
use narthex_mcp::rpc;
use std::sync::Arc;

/// What a request is for, and of whom.
pub(super) struct Found<'m> {
    pub(super) part: Part<'m>,
    /// `params` in the upstream's own words.
    pub(super) params: Object,
    /// The arguments that the called tool mirrors in header fields.
    pub(super) headers: Option<ParamHeaders>,
    /// The name as the client knows it, if it calls a tool.
    pub(super) tool: Option<Arc<str>>,
    /// The tool runs as a task only.
    pub(super) needs_task: bool,
}

/// Why nobody is asked.
pub(super) enum NotFound<'m> {
    /// There is no such thing, as far as this caller is concerned.
    Unknown(RpcError),
    /// There is nobody to ask.
    Refused(Refusal),
    /// It is to be had, if at all, once the caller has connected this one.
    Unconnected(Box<Unconnected<'m>>),
    /// It is the tool that would connect this one, which is connected.
    Connected(&'m Arc<Member>),
}

/// What the caller has to connect first.
pub(super) struct Unconnected<'m> {
    pub(super) part: Part<'m>,
    /// What is asked for is the tool to do that with.
    pub(super) tool: bool,
}

impl<'m> Unconnected<'m> {
    fn by(part: Part<'m>, tool: bool) -> NotFound<'m> {
        NotFound::Unconnected(Box::new(Self { part, tool }))
    }
}

impl From<Refusal> for NotFound<'_> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Who answers a request that one upstream has to answer.
///
/// # Errors
/// See [`NotFound`].
pub(super) async fn owner<'m>(
    merged: &'m Arc<Merged>,
    ways: &Ways,
    method: &str,
    params: &Object,
    bounds: Bounds,
) -> Result<Found<'m>, NotFound<'m>> {
    let find = Finder { merged, ways, bounds };
    match method {
        "tools/call" => find.named(Kind::Tools, params).await,
        "prompts/get" => find.named(Kind::Prompts, params).await,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            let uri = params.string("uri").ok_or_else(|| missing("uri"))?;
            let (part, own) = find.resource(&uri).await?;
            let mut params = params.clone();
            if let Some(own) = own {
                params.set_string("uri", &own);
            }
            Ok(Found { part, params, headers: None, tool: None, needs_task: false })
        }
        "completion/complete" => find.reference(params).await,
        _ => Err(NotFound::Unknown(RpcError::new(rpc::METHOD_NOT_FOUND, "Method not found"))),
    }
}

fn missing<'m>(member: &str) -> NotFound<'m> {
    NotFound::Unknown(RpcError::new(rpc::INVALID_PARAMS, format!("params.{member} is missing")))
}

/// What is said of a resource that is nobody's (2026-07-28, basic/index#error-codes).
pub(super) fn no_resource(uri: &str) -> RpcError {
    let mut error = RpcError::new(rpc::INVALID_PARAMS, "Resource not found");
    let mut data = Object::default();
    data.set_string("uri", uri);
    error.data = Some(data);
    error
}

struct Finder<'m, 'w> {
    merged: &'m Arc<Merged>,
    ways: &'w Ways,
    bounds: Bounds,
}

impl<'m> Finder<'m, '_> {
    async fn named(&self, kind: Kind, params: &Object) -> Result<Found<'m>, NotFound<'m>> {
        let name = params.string("name").ok_or_else(|| missing("name"))?;
        let unknown = || {
            let what = if kind == Kind::Tools { "tool" } else { "prompt" };
            NotFound::Unknown(RpcError::new(rpc::INVALID_PARAMS, format!("Unknown {what}: {name}")))
        };
        let may_list = may_list(self.ways, kind, &name);
        let may_connect = kind == Kind::Tools && may_connect(self.ways, &name);
        if !may_list && !may_connect {
            return Err(unknown());
        }
        let mut silent = false;
        let (mut unconnected, mut connected) = (None, None);
        let candidates = self.merged.candidates(kind, &name);
        for begun in parts::begin(self.merged, self.ways, candidates, self.bounds).await {
            let Some(part) = begun.known().await else {
                silent = true;
                continue;
            };
            let connects =
                may_connect && part.member.wants_consent() && self.merged.connecting(part.member) == name;
            if part.content.unconnected.is_some() {
                // What it has is not known before. The tool to connect it is the likeliest to be meant.
                if connects || (may_list && unconnected.is_none()) {
                    unconnected = Some((part, connects));
                }
                continue;
            }
            let view = part.view(self.merged, self.ways).await;
            let Some(item) = view.list(kind).get(&name).filter(|_| may_list) else {
                connected = connected.or_else(|| connects.then_some(part.member));
                continue;
            };
            let mut params = params.clone();
            params.set_string("name", &item.key);
            let tool = (kind == Kind::Tools).then(|| Arc::clone(&item.name));
            let (headers, needs_task) = (item.headers.clone(), item.needs_task);
            return Ok(Found { params, headers, tool, needs_task, part });
        }
        Err(match (unconnected, connected) {
            (Some((part, tool)), _) => Unconnected::by(part, tool),
            (None, Some(member)) => NotFound::Connected(member),
            // It may be a name of the one that says nothing.
            (None, None) if silent => unavailable(),
            (None, None) => unknown(),
        })
    }

    /// Who has the resource of that URI: whoever lists it, mentioned it to this caller, or has a template of it. And
    /// the upstream's own URI, if it lists it.
    async fn resource(&self, uri: &str) -> Result<(Part<'m>, Option<Arc<str>>), NotFound<'m>> {
        if !may_list(self.ways, Kind::Resources, uri) {
            return Err(NotFound::Unknown(no_resource(uri)));
        }
        let mut there: Vec<(Part<'m>, Arc<View>)> = Vec::new();
        let (mut silent, mut unconnected) = (false, Vec::new());
        for begun in self.everyone().await {
            match begun.known().await {
                Some(part) if part.content.unconnected.is_some() => unconnected.push(part),
                Some(part) => {
                    let view = part.view(self.merged, self.ways).await;
                    there.push((part, view));
                }
                None => silent = true,
            }
        }
        let mentioned = self.ways.shared.bridge.mentions.whose(&self.ways.door_owner(), uri);
        // What one has mentioned that is not connected any more is not to be shown to another.
        let is_spoken_for = unconnected.iter().any(|part| Some(&part.member.id) == mentioned.as_ref());
        let template = || there.iter().position(|(_, view)| has_template(view, uri));
        let at = there
            .iter()
            .position(|(_, view)| view.list(Kind::Resources).get(uri).is_some())
            .or_else(|| there.iter().position(|(part, _)| Some(&part.member.id) == mentioned.as_ref()))
            .or_else(|| template().filter(|_| !is_spoken_for))
            .or_else(|| only_one(&there).filter(|_| !silent && unconnected.is_empty()));
        match at {
            Some(at) => {
                let (part, view) = there.swap_remove(at);
                Ok((part, view.list(Kind::Resources).get(uri).map(|item| Arc::clone(&item.key))))
            }
            None => Err(match owner_of(unconnected, mentioned.as_ref()) {
                Some(part) => Unconnected::by(part, false),
                None if silent => unavailable(),
                None => NotFound::Unknown(no_resource(uri)),
            }),
        }
    }

    async fn everyone(&self) -> Vec<Begun<'m>> {
        parts::begin(self.merged, self.ways, 0..self.merged.members.len(), self.bounds).await
    }

    async fn reference(&self, params: &Object) -> Result<Found<'m>, NotFound<'m>> {
        let bad = || NotFound::Unknown(RpcError::new(rpc::INVALID_PARAMS, "params.ref is malformed"));
        match Reference::of(params).map_err(|_| bad())? {
            Reference::Prompt(name) => {
                let mut named = Object::default();
                named.set_string("name", &name);
                let found = self.named(Kind::Prompts, &named).await?;
                let own = found.params.string("name").unwrap_or_default();
                let params = completion::with_prompt(params, &own).map_err(|_| bad())?;
                Ok(Found { params, ..found })
            }
            Reference::Resource(uri) => {
                let part = self.template(&uri).await?;
                Ok(Found { part, params: params.clone(), headers: None, tool: None, needs_task: false })
            }
        }
    }

    async fn template(&self, uri: &str) -> Result<Part<'m>, NotFound<'m>> {
        for begun in self.everyone().await {
            let Some(part) = begun.known().await else { continue };
            let view = part.view(self.merged, self.ways).await;
            if view.list(Kind::Templates).get(uri).is_some() && may_list(self.ways, Kind::Templates, uri) {
                return Ok(part);
            }
        }
        self.resource(uri).await.map(|(part, _)| part)
    }
}

fn has_template(view: &View, uri: &str) -> bool {
    view.list(Kind::Templates).items.iter().any(|item| item.matches(uri))
}

/// The only one that has resources at all.
fn only_one(there: &[(Part<'_>, Arc<View>)]) -> Option<usize> {
    let has = |part: &Part<'_>| {
        part.content.account.as_ref().is_some_and(|a| a.capabilities.object("resources").is_some())
    };
    let mut with = there.iter().enumerate().filter(|(_, (part, _))| has(part)).map(|(at, _)| at);
    with.next().filter(|_| with.next().is_none())
}

/// Whose a resource may be, of upstreams that are not connected: that which mentioned it, or the only one.
fn owner_of<'m>(unconnected: Vec<Part<'m>>, mentioned: Option<&UpstreamId>) -> Option<Part<'m>> {
    let alone = unconnected.len() == 1;
    unconnected.into_iter().find(|part| alone || Some(&part.member.id) == mentioned)
}

fn unavailable<'m>() -> NotFound<'m> {
    NotFound::Refused(out_of_reach())
}

/// What is said when there is nobody to ask.
pub(super) fn out_of_reach() -> Refusal {
    Refusal::UpstreamError { status: StatusCode::SERVICE_UNAVAILABLE }
}
