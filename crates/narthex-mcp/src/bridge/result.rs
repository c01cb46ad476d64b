//! Results of a server.

use super::ask::{Asked, BadAsk};
use super::message::RpcError;
use super::{Object, meta, schema, strip_meta};
use std::time::Duration;

/// A result that cannot be translated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadResult {
    /// `resultType` is none that its method may answer with.
    #[error("the server's result has an unknown resultType")]
    Type,
    /// It asks for something, but not sensibly.
    #[error(transparent)]
    Ask(#[from] BadAsk),
}

impl BadResult {
    /// What the client is told.
    #[must_use]
    pub fn to_error(self) -> RpcError {
        RpcError::new(crate::rpc::INTERNAL_ERROR, self.to_string())
    }
}

/// Whether results of `method` say for how long they may be kept (2026-07-28, server/utilities/caching).
#[must_use]
pub fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// A legacy server's result for a modern client. `ttl` is how long it may be kept, always by this caller
/// alone; `server_info` is the server's own, as JSON text.
///
/// # Errors
/// It has a `resultType` that says something else than that it is complete.
pub fn to_modern(
    method: &str,
    result: &Object,
    server_info: Option<&Object>,
    ttl: Duration,
) -> Result<Object, BadResult> {
    if result.get("resultType").is_some_and(|kind| kind != r#""complete""#) {
        return Err(BadResult::Type);
    }
    let mut result = result.clone();
    strip_meta(&mut result);
    result.set_string("resultType", "complete");
    result.remove("ttlMs");
    result.remove("cacheScope");
    if is_cacheable(method) {
        result.set_number("ttlMs", u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        result.set_string("cacheScope", "private");
    }
    if let Some(info) = server_info {
        let mut inner = result.object("_meta").unwrap_or_default();
        inner.set_object(meta::SERVER_INFO, info);
        result.set_object("_meta", &inner);
    }
    Ok(result)
}

/// What a modern server answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The result for a legacy client.
    Complete(Object),
    /// Something is needed first.
    Asks(Asked),
    /// It goes on as a task, in the server's words.
    Task(Object),
}

/// A modern server's result for a legacy client.
///
/// # Errors
/// See [`BadResult`].
pub fn to_legacy(method: &str, result: &Object) -> Result<Answer, BadResult> {
    match result.get("resultType") {
        None | Some(r#""complete""#) => {}
        Some(r#""input_required""#) if crate::request_state::may_ask(method) => {
            return Ok(Answer::Asks(Asked::parse(result)?));
        }
        Some(r#""task""#) if method == "tools/call" => return Ok(Answer::Task(result.clone())),
        Some(_) => return Err(BadResult::Type),
    }
    let mut result = result.clone();
    strip_meta(&mut result);
    result.remove("resultType");
    if is_cacheable(method) {
        result.remove("ttlMs");
        result.remove("cacheScope");
    }
    match method {
        "tools/list" => schema::tools_to_legacy(&mut result),
        // Until 2025-11-25 it is an object (server/tools); the text beside it says the same.
        "tools/call" if result.get("structuredContent").is_some_and(|c| !c.starts_with('{')) => {
            result.remove("structuredContent");
        }
        _ => {}
    }
    Ok(Answer::Complete(result))
}
