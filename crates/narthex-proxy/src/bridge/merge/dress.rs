//! What an upstream says, on its way to the client.

use super::route::{Member, Merged};
use crate::bridge::link::Ways;
use crate::bridge::party::Step;
use crate::gateway::Shared;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::ask::Ask;
use narthex_mcp::bridge::message::RpcError;
use narthex_mcp::federation::{links, notice};
use std::sync::Arc;

/// Whose words they are, and for whom.
#[derive(Clone)]
pub(crate) struct Dress {
    shared: Arc<Shared>,
    merged: Arc<Merged>,
    member: Arc<Member>,
    owner: String,
    /// The tool runs as a task only.
    pub(crate) needs_task: bool,
}

impl Dress {
    /// Who the route is to clients, if not its upstream.
    pub(crate) fn info(&self) -> Option<Object> {
        super::parts::server_info(&self.merged)
    }

    pub(super) fn new(merged: &Arc<Merged>, member: &Arc<Member>, ways: &Ways) -> Self {
        Self {
            shared: Arc::clone(&ways.shared),
            merged: Arc::clone(merged),
            member: Arc::clone(member),
            owner: ways.door_owner(),
            needs_task: false,
        }
    }

    /// What comes of a call next; `None`: nothing that is to be passed on.
    pub(crate) async fn step(&self, method: &str, step: Step) -> Option<Step> {
        Some(match step {
            Step::Note(name, params) => Step::Note(name.clone(), self.note(&name, params).await?),
            Step::Asks(asks) => match self.asks(asks).await {
                Ok(asks) => Step::Asks(asks),
                Err(error) => Step::Failed(error),
            },
            Step::Done(result) => match self.result(method, result).await {
                Ok(result) => Step::Done(result),
                Err(error) => Step::Failed(error),
            },
            Step::Failed(error) => Step::Failed(self.error(error).await),
        })
    }

    /// A notification, if it may be passed on. What is logged says whose it is.
    pub(super) async fn note(&self, method: &str, params: Object) -> Option<Object> {
        let mut params = self.merged.guard.said(params, &self.member).await.ok()?;
        if self.merged.is_federation && method == "notifications/message" {
            notice::name_logger(&mut params, self.member.id.as_str());
        }
        Some(params)
    }

    /// What the client's user is asked, with the server's name: clients must tell who asks (2026-07-28,
    /// client/elicitation).
    ///
    /// # Errors
    /// It is not to be asked.
    pub(crate) async fn asks(&self, asks: Vec<(String, Ask)>) -> Result<Vec<(String, Ask)>, RpcError> {
        let mut passed = Vec::with_capacity(asks.len());
        for (key, ask) in asks {
            let params = self.merged.guard.said(ask.params, &self.member).await?;
            passed.push((key, Ask { method: ask.method, params }));
        }
        Ok(self.named(passed))
    }

    /// The same questions, with the server's name in them.
    pub(crate) fn named(&self, mut asks: Vec<(String, Ask)>) -> Vec<(String, Ask)> {
        if self.merged.is_federation {
            asks.iter_mut().for_each(|(_, ask)| notice::name_in(ask, self.member.id.as_str()));
        }
        asks
    }

    /// A result.
    ///
    /// # Errors
    /// It is not to be shown.
    pub(crate) async fn result(&self, method: &str, result: Object) -> Result<Object, RpcError> {
        let result = self.merged.guard.said(result, &self.member).await?;
        let links = matches!(method, "tools/call" | "prompts/get" | "resources/read" | "tasks/get");
        if links && self.merged.is_federation {
            let mentions = &self.shared.bridge.mentions;
            links::uris(&result.to_json(), |uri| mentions.note(&self.owner, &self.member.id, uri));
        }
        Ok(result)
    }

    /// An error: it is read by models, too.
    pub(crate) async fn error(&self, error: RpcError) -> RpcError {
        let mut said = Object::default();
        said.set_string("message", &error.message);
        if let Some(data) = &error.data {
            said.set_object("data", data);
        }
        match self.merged.guard.said(said, &self.member).await {
            Ok(said) => RpcError {
                message: said.string("message").unwrap_or_default(),
                data: said.object("data"),
                ..error
            },
            Err(withheld) => withheld,
        }
    }
}
