//! Tasks: part of the protocol in 2025-11-25 (basic/utilities/tasks), an extension of 2026-07-28
//! (`io.modelcontextprotocol/tasks`, SEP-2663).
//!
//! Then the client asked for a task and fetched its result with `tasks/result`; now the server decides, and
//! `tasks/get` has the result in it.

use super::{Object, meta};
use crate::seal::{Binding, HandleError, Purpose, SealError, Sealer};
use std::time::SystemTime;

/// The extension's name in `capabilities.extensions`.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// `capabilities.tasks` of a server of 2025-11-25 that runs tool calls as tasks.
pub(crate) const LEGACY_CAPABILITY: &str = r#"{"cancel":{},"requests":{"tools":{"call":{}}}}"#;
/// Members that both eras write alike.
const ALIKE: [&str; 4] = ["status", "statusMessage", "createdAt", "lastUpdatedAt"];

/// Where a task stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It goes on.
    Working,
    /// It waits for the client.
    InputRequired,
    /// Its result is there.
    Completed,
    /// It has failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Status {
    /// `status` of a task of either era.
    #[must_use]
    pub fn of(task: &Object) -> Option<Self> {
        Some(match task.string("status")?.as_str() {
            "working" => Self::Working,
            "input_required" => Self::InputRequired,
            "completed" => Self::Completed,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            _ => return None,
        })
    }

    /// Whether it will not change any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A task of 2025-11-25 in the words of the extension. `id` is what the client is to know it by.
#[must_use]
pub fn to_modern(task: &Object, id: &str) -> Object {
    translate(task, id, [("ttl", "ttlMs"), ("pollInterval", "pollIntervalMs")])
}

/// A task of the extension in the words of 2025-11-25. `id` is what the client is to know it by.
#[must_use]
pub fn to_legacy(task: &Object, id: &str) -> Object {
    translate(task, id, [("ttlMs", "ttl"), ("pollIntervalMs", "pollInterval")])
}

fn translate(task: &Object, id: &str, renamed: [(&str, &str); 2]) -> Object {
    let mut out = Object::default();
    out.set_string("taskId", id);
    for member in ALIKE {
        if let Some(value) = task.get(member) {
            out.set_json(member, value);
        }
    }
    let [(ttl, ttl_there), (poll, poll_there)] = renamed;
    // In both, `null` says that it has no end.
    out.set_json(ttl_there, task.get(ttl).unwrap_or("null"));
    if let Some(interval) = task.get(poll) {
        out.set_json(poll_there, interval);
    }
    out
}

/// The answer to a `tools/call` that goes on as a task, for a client of 2025-11-25.
#[must_use]
pub fn created_for_legacy(task: &Object) -> Object {
    let mut result = Object::default();
    result.set_object("task", task);
    result
}

/// The same for a client of 2026-07-28.
#[must_use]
pub fn created_for_modern(task: &Object) -> Object {
    let mut result = Object::default();
    result.set_string("resultType", "task");
    task.iter().for_each(|(name, value)| result.set_json(name, value));
    result
}

/// Says in a message of 2025-11-25 which task it belongs to.
pub fn relate(message: &mut Object, id: &str) {
    let mut related = Object::default();
    related.set_string("taskId", id);
    let mut inner = message.object("_meta").unwrap_or_default();
    inner.set_object(meta::RELATED_TASK, &related);
    message.set_object("_meta", &inner);
}

/// Capabilities with the extension declared.
#[must_use]
pub fn declare(capabilities: &Object) -> Object {
    let mut extensions = Object::default();
    extensions.set_object(EXTENSION, &Object::default());
    let mut capabilities = capabilities.clone();
    capabilities.set_object("extensions", &extensions);
    capabilities
}

/// Whether the extension is declared.
#[must_use]
pub fn is_declared(capabilities: &Object) -> bool {
    capabilities.object("extensions").is_some_and(|extensions| extensions.object(EXTENSION).is_some())
}

/// Whether a server of 2025-11-25 runs tool calls as tasks.
#[must_use]
pub fn is_offered(capabilities: &Object) -> bool {
    let requests = capabilities.object("tasks").and_then(|tasks| tasks.object("requests"));
    requests.and_then(|requests| requests.object("tools")).is_some_and(|tools| tools.has("call"))
}

/// A task, and what it was made for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handle {
    /// The server's `taskId`.
    pub id: String,
    /// The tool that was called: whoever may not call it any more may not have its result either.
    pub tool: String,
}

/// What a client gets for a server's `taskId`: it opens for the same caller, route and upstream only.
///
/// # Errors
/// See [`SealError`].
pub fn seal(
    sealer: &Sealer,
    binding: &Binding<'_>,
    task: &Handle,
    expires: SystemTime,
) -> Result<String, SealError> {
    // No name of a tool has a NUL in it that would matter: the id is what comes after the first.
    let payload = format!("{}\0{}", task.tool.replace('\0', ""), task.id);
    sealer.seal(Purpose::Task, binding, payload.as_bytes(), expires)
}

/// What [`seal`] sealed.
///
/// # Errors
/// See [`HandleError`].
pub fn open(
    sealer: &Sealer,
    binding: &Binding<'_>,
    handle: &str,
    now: SystemTime,
) -> Result<Handle, HandleError> {
    let payload = sealer.open(Purpose::Task, binding, handle, now)?;
    let text = String::from_utf8(payload).map_err(|_| HandleError::Malformed)?;
    let (tool, id) = text.split_once('\0').ok_or(HandleError::Malformed)?;
    Ok(Handle { id: id.to_owned(), tool: tool.to_owned() })
}

/// `_meta` with the server's name in it, for results of 2026-07-28.
pub fn sign(result: &mut Object, server_info: Option<&Object>) {
    if let Some(info) = server_info {
        let mut inner = result.object("_meta").unwrap_or_default();
        inner.set_object(meta::SERVER_INFO, info);
        result.set_object("_meta", &inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGACY: &str = r#"{"taskId":"up-1","status":"working","statusMessage":"hm","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:01Z","ttl":60000,"pollInterval":500}"#;

    fn parse(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_task_means_the_same_in_both_eras() {
        let modern = to_modern(&parse(LEGACY), "ours");
        assert_eq!(
            (modern.get("ttlMs"), modern.get("pollIntervalMs"), modern.get("ttl"), modern.get("taskId")),
            (Some("60000"), Some("500"), None, Some("\"ours\""))
        );
        assert_eq!(to_legacy(&modern, "up-1"), parse(LEGACY));
        let endless = to_legacy(&parse(r#"{"taskId":"a","status":"completed"}"#), "b");
        assert_eq!(endless.get("ttl"), Some("null"));
        assert_eq!(Status::of(&endless), Some(Status::Completed));
    }

    #[test]
    fn a_created_task_is_nested_in_one_era_and_flat_in_the_other() {
        let task = to_modern(&parse(LEGACY), "ours");
        let modern = created_for_modern(&task);
        assert_eq!(
            (modern.string("resultType").as_deref(), modern.get("taskId")),
            (Some("task"), Some("\"ours\""))
        );
        let legacy = created_for_legacy(&to_legacy(&modern, "ours"));
        assert_eq!(legacy.object("task").unwrap().get("status"), Some("\"working\""));
        assert!(legacy.get("resultType").is_none());
    }

    #[test]
    fn capabilities_say_who_can_do_tasks() {
        assert!(is_declared(&declare(&Object::default())));
        assert!(!is_declared(&parse(r#"{"extensions":{"x":{}}}"#)));
        assert!(is_offered(&parse(r#"{"tasks":{"requests":{"tools":{"call":{}}}}}"#)));
        assert!(!is_offered(&parse(r#"{"tasks":{"requests":{"sampling":{}}}}"#)));
    }

    #[test]
    fn which_task_a_message_belongs_to_does_not_cross() {
        let mut message = parse(r#"{"a":1,"_meta":{"k":2}}"#);
        relate(&mut message, "t");
        assert!(message.to_json().contains(r#""io.modelcontextprotocol/related-task":{"taskId":"t"}"#));
        let ask = super::super::ask::Ask::from_legacy("elicitation/create", &message);
        assert_eq!(ask.params, parse(r#"{"a":1,"_meta":{"k":2}}"#));
    }
}
