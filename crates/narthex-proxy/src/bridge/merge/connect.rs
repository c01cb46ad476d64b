//! Upstreams that each user has to connect first: finding out whether the caller has, and what is said if not.

use super::catalogue::Catalogue;
use super::find::{self, Found, NotFound};
use super::route::{Member, Merged};
use crate::bridge::enter::Bounds;
use crate::bridge::link::Ways;
use crate::record::{Refused, Visit};
use crate::refusal::Refusal;
use narthex_credentials::Consent;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::message::RpcError;
use narthex_mcp::federation::connect::{self, Invitation};
use narthex_mcp::rpc;
use std::sync::Arc;
use std::time::Instant;

/// What the user is wanted for before a call can be made.
pub(crate) struct Wanted {
    pub(crate) member: Arc<Member>,
    /// See [`Refusal::is_up_to_user`].
    pub(crate) refusal: Refusal,
    /// The call is of the tool that connects the upstream.
    pub(crate) tool: bool,
}

/// Who answers a request.
pub(super) enum Looked<'m> {
    Found(Box<Found<'m>>),
    /// Nobody.
    Unknown(RpcError),
    /// The gateway: it is the tool that would connect this one, which is connected.
    Connected(Arc<Member>),
    /// Whoever it is, once the caller has connected it.
    Wanted(Wanted),
}

/// Finds out who answers a request, and whether the caller has connected it.
///
/// # Errors
/// Nobody can be asked.
pub(super) async fn find<'m>(
    merged: &'m Arc<Merged>,
    ways: &Ways,
    method: &str,
    params: &Object,
    bounds: Bounds,
) -> Result<Looked<'m>, Refusal> {
    let mut again = true;
    loop {
        let unconnected = match find::owner(merged, ways, method, params, bounds).await {
            Ok(found) => return Ok(Looked::Found(Box::new(found))),
            Err(NotFound::Refused(refusal)) => return Err(refusal),
            Err(NotFound::Unknown(error)) => return Ok(Looked::Unknown(error)),
            Err(NotFound::Connected(member)) => return Ok(Looked::Connected(Arc::clone(member))),
            Err(NotFound::Unconnected(unconnected)) => unconnected,
        };
        let (member, tool) = (Arc::clone(unconnected.part.member), unconnected.tool);
        match Box::pin(look(ways, &member, &unconnected.part.catalogue)).await {
            Ok(()) if tool => return Ok(Looked::Connected(member)),
            // It has just been connected: what it has is known now.
            Ok(()) if again => again = false,
            Ok(()) => return Err(find::out_of_reach()),
            Err(refusal) if refusal.is_up_to_user() => {
                return Ok(Looked::Wanted(Wanted { member, refusal, tool }));
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

/// Looks whether the caller has connected it. If so, its lists are waited for.
///
/// # Errors
/// The caller has not, or that cannot be found out.
pub(super) async fn look(ways: &Ways, member: &Member, catalogue: &Catalogue) -> Result<(), Refusal> {
    ways.to(member.endpoint(Instant::now())).await?;
    let content = catalogue.connected(tokio::time::Instant::now() + member.patience()).await;
    match &content.unconnected {
        // There is a credential, but one that is not good enough for that.
        Some(wanted) => Err(Refusal::Credential(wanted.clone())),
        None => Ok(()),
    }
}

/// What the user is shown.
pub(crate) fn invitation(consent: &Consent, host: &str) -> Invitation {
    let gateway = consent.url.host_str().unwrap_or_default();
    Invitation {
        title: consent.title.to_string(),
        host: host.to_owned(),
        gateway: consent.url.port().map_or_else(|| gateway.to_owned(), |port| format!("{gateway}:{port}")),
        url: consent.url.to_string(),
        id: consent.id.to_string(),
    }
}

/// What is said of a call that cannot be made, in words alone.
pub(crate) enum Words {
    /// A tool's result.
    Result(Object),
    /// What else there is to be said, there being no tool.
    Error(RpcError),
}

impl Wanted {
    /// What the user is shown; `None` if it is no use to ask.
    pub(crate) fn invitation(&self) -> Option<Invitation> {
        self.refusal.consent().map(|consent| invitation(consent, self.member.host()))
    }

    /// How a client is told that cannot be asked. `is_call`: it calls a tool.
    pub(crate) fn in_words(&self, is_call: bool) -> Words {
        match self.invitation() {
            // To hand the link out is what the tool is for.
            Some(invitation) if is_call => Words::Result(invitation.result(!self.tool)),
            Some(invitation) => Words::Error(invitation.error()),
            None => words(&connect::not_granted(self.member.id.as_str()), is_call),
        }
    }
}

impl Words {
    /// The name of it in metrics.
    pub(crate) fn how(&self) -> &'static str {
        match self {
            Self::Result(_) => "tool_result",
            Self::Error(_) => "error",
        }
    }
}

/// Why a call cannot be made.
pub(crate) fn words(text: &str, is_call: bool) -> Words {
    if is_call {
        return Words::Result(connect::said(text, true));
    }
    Words::Error(RpcError::new(rpc::INTERNAL_ERROR, text))
}

/// Takes note that the user was asked, and how.
pub(crate) fn note_asked(ways: &Ways, wanted: &Wanted, how: &'static str, visit: &mut Visit) {
    let (metrics, route) = (&ways.shared.metrics, ways.door.id.as_str());
    if wanted.refusal.consent().is_some() {
        metrics.consent_asked(route, wanted.member.id.as_str(), how);
    }
    note_refused(ways, wanted.refusal.reason(), visit);
}

/// Takes note that a call was not made, as the user is wanted for something first.
pub(crate) fn note_refused(ways: &Ways, reason: &'static str, visit: &mut Visit) {
    ways.shared.metrics.denied(ways.door.id.as_str(), reason);
    visit.refused = Some(Refused { reason, denied: true, security: false });
}
