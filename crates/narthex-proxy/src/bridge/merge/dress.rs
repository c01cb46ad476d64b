//! What an upstream says, on its way to the client.

use super::route::{Member, Merged};
use crate::bridge::link::Ways;
use crate::bridge::party::Step;
use crate::gateway::Shared;
use narthex_config::model::UpstreamId;
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
    upstream: UpstreamId,
    owner: String,
    /// The tool runs as a task only.
    pub(crate) needs_task: bool,
}

impl Dress {
    /// Who the route is to clients, if not its upstream.
    pub(crate) fn info(&self) -> Option<Object> {
        super::parts::server_info(&self.merged)
    }

    pub(super) fn new(merged: &Arc<Merged>, member: &Member, ways: &Ways) -> Self {
        Self {
            shared: Arc::clone(&ways.shared),
            merged: Arc::clone(merged),
            upstream: member.id.clone(),
            owner: ways.door_owner(),
            needs_task: false,
        }
    }

    /// What comes of a call next.
    pub(crate) fn step(&self, method: &str, step: Step) -> Step {
        match step {
            Step::Note(name, mut params) => {
                self.note(&name, &mut params);
                Step::Note(name, params)
            }
            Step::Asks(mut asks) => {
                self.asks(&mut asks);
                Step::Asks(asks)
            }
            Step::Done(result) => match self.result(method, result) {
                Ok(result) => Step::Done(result),
                Err(error) => Step::Failed(error),
            },
            failed @ Step::Failed(_) => failed,
        }
    }

    /// A notification. What is logged says whose it is.
    pub(super) fn note(&self, method: &str, params: &mut Object) {
        if self.merged.is_federation && method == "notifications/message" {
            notice::name_logger(params, self.upstream.as_str());
        }
    }

    /// What the client's user is asked: clients must tell which server asks (2026-07-28, client/elicitation).
    pub(super) fn asks(&self, asks: &mut [(String, Ask)]) {
        if self.merged.is_federation {
            asks.iter_mut().for_each(|(_, ask)| notice::name_in(ask, self.upstream.as_str()));
        }
    }

    /// A result.
    ///
    /// # Errors
    /// It is not to be shown.
    pub(super) fn result(&self, method: &str, result: Object) -> Result<Object, RpcError> {
        if !matches!(method, "tools/call" | "prompts/get" | "resources/read" | "tasks/get") {
            return Ok(result);
        }
        if self.merged.is_federation {
            let mentions = &self.shared.bridge.mentions;
            links::uris(&result.to_json(), |uri| mentions.note(&self.owner, &self.upstream, uri));
        }
        Ok(result)
    }
}
