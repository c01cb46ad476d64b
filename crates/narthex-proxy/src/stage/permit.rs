//! Stage 5: whether this caller may do this, now.

use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::stage::frame::Verb;
use crate::stage::route::Routed;
use crate::streams::StreamGuard;
use narthex_mcp::{Kind, Message};
use narthex_policy::{Call, Permit};

/// A request that may be made. Holds its places in the limits until it is over.
pub(crate) struct Permitted<'b> {
    pub(crate) routed: Routed<'b>,
    /// Its places in the limits are free again when it is dropped.
    pub(crate) permit: Permit,
    /// The place of a GET stream; an answer that turns out to be a stream takes its own.
    pub(crate) stream: Option<StreamGuard>,
}

/// Asks the policy about every message of the request; all must pass.
///
/// # Errors
/// The tenant, a scope, a tool rule or a limit says no.
pub(crate) fn decide<'b>(
    shared: &Shared,
    routed: Routed<'b>,
    visit: &mut Visit,
) -> Result<Box<Permitted<'b>>, Refusal> {
    let route = &routed.inbound().route;
    // Before anything is refused: a refused call of a tool is counted as that tool's, too.
    if let Some(tool) = &visit.tool {
        let names = route.merged.as_ref().map_or(&route.upstream.catalogue, |merged| &merged.names);
        visit.known_tool = names.get(tool);
    }
    let (policy, caller) = (&route.policy, routed.caller());
    let permit = match routed.scanned.messages() {
        [] => policy.permit(
            caller,
            &[Call { method: visit.method, tool: None, name: None, counts: true }],
            visit.started,
        ),
        [one] => policy.permit(caller, &[call(one)], visit.started),
        many => policy.permit(caller, &many.iter().map(call).collect::<Vec<_>>(), visit.started),
    };
    let permit = permit.map_err(Refusal::Denied)?;
    let stream = match routed.inbound().verb {
        Verb::Get => Some(shared.streams.open(caller, visit)?),
        Verb::Post => {
            // Its answer may be a stream, and once it is done it is too late to refuse it.
            if routed.scanned.messages().iter().any(|m| m.kind == Kind::Request) {
                shared.streams.check(caller, visit)?;
            }
            None
        }
        Verb::Delete => None,
    };
    // In a box: from here on it goes through many hands, some of which wait.
    Ok(Box::new(Permitted { routed, permit, stream }))
}

fn call<'a>(message: &'a Message<'_>) -> Call<'a> {
    Call {
        method: &message.method,
        tool: if message.is_tool_call() { message.name.as_deref() } else { None },
        name: if message.is_tool_call() { None } else { message.name.as_deref() },
        // An answer to a server's request is not a call of its own.
        counts: message.kind != Kind::Response,
    }
}
