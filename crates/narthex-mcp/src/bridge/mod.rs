//! Between the eras: what a 2026-07-28 peer says to one of 2025-11-25 or earlier, and back.
//!
//! 2026-07-28 is stateless and asks its client nothing in mid-call; the older revisions open a session with
//! `initialize` and let servers send requests. The functions here translate one message at a time and keep
//! nothing; who waits for whom is for whoever calls them. Members that no rule names stay byte for byte.
//!
//! "Modern" is 2026-07-28, "legacy" everything before it.

pub mod ask;
pub mod declared;
pub mod discover;
pub mod error;
pub mod listen;
pub mod message;
mod object;
pub mod params;
pub mod result;
pub mod schema;
pub mod task;
#[cfg(test)]
mod tests;

pub use object::{NotAnObject, Object};

/// `_meta` keys that 2026-07-28 reserves for itself (basic/index#_meta).
pub mod meta {
    /// The revision that a request is written in.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// What the client can do, on every request.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// Name and version of the client's software.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// From which level on the client wants log messages of this request.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// The `subscriptions/listen` request that a notification belongs to.
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    /// Name and version of the server's software.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

    /// The task that a message belongs to; 2025-11-25 only (basic/utilities/tasks#associating-task-related-messages).
    pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

    /// Those that mean nothing, or something else, in the other era.
    pub(super) const RESERVED: [&str; 7] = [
        PROTOCOL_VERSION,
        CLIENT_CAPABILITIES,
        CLIENT_INFO,
        LOG_LEVEL,
        SUBSCRIPTION_ID,
        SERVER_INFO,
        RELATED_TASK,
    ];
}

/// Takes the reserved keys out of `holder._meta`, and `_meta` itself if nothing is left in it.
fn strip_meta(holder: &mut Object) {
    let Some(mut inner) = holder.object("_meta") else {
        // No object, or one with a member named twice: it could carry reserved keys past us.
        holder.remove("_meta");
        return;
    };
    meta::RESERVED.iter().for_each(|key| drop(inner.remove(key)));
    if inner.is_empty() {
        holder.remove("_meta");
    } else {
        holder.set_object("_meta", &inner);
    }
}
