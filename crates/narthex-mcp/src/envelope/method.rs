//! What the methods of MCP need.

/// The member of `params` that says what a method is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NameMember {
    /// `params.name`
    Name,
    /// `params.uri`
    Uri,
    /// `params.taskId`
    TaskId,
    /// `params.taskId`, where the method may do without.
    OptionalTaskId,
}

/// Which member names what `method` is about, for the methods that have one.
pub(crate) fn name_member(method: &str) -> Option<NameMember> {
    match method {
        "tools/call" | "prompts/get" => Some(NameMember::Name),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some(NameMember::Uri),
        "tasks/get" | "tasks/result" | "tasks/update" | "tasks/cancel" => Some(NameMember::TaskId),
        _ if method.starts_with("tasks/") => Some(NameMember::OptionalTaskId),
        _ => None,
    }
}

/// Whether some revision of MCP defines `method` as a request to a server.
pub(crate) fn is_known_request(method: &str) -> bool {
    const FAMILIES: [&str; 6] = ["tools/", "prompts/", "resources/", "tasks/", "completion/", "logging/"];
    matches!(method, "initialize" | "ping" | "server/discover" | "subscriptions/listen")
        || FAMILIES.iter().any(|family| method.starts_with(family))
}
