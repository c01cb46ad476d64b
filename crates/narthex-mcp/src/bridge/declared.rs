//! What a client says of itself: once a session in the older revisions, on every request in 2026-07-28.

use super::{Object, meta, task};
use crate::rpc::quote;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a client has declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// Its capabilities, as it wrote them.
    pub capabilities: Object,
    /// Name and version of its software.
    pub client_info: Option<Object>,
}

/// A declaration that is missing or malformed: -32602.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the client's capabilities are missing or malformed")]
pub struct BadDeclaration;

impl Declared {
    /// From a request's `params._meta` (2026-07-28, basic/index#_meta).
    ///
    /// # Errors
    /// See [`BadDeclaration`].
    pub fn from_meta(params: &Object) -> Result<Self, BadDeclaration> {
        let meta = params.object("_meta").ok_or(BadDeclaration)?;
        Self::read(&meta, meta::CLIENT_CAPABILITIES, meta::CLIENT_INFO)
    }

    /// From `params` of `initialize` (2025-11-25, basic/lifecycle).
    ///
    /// # Errors
    /// See [`BadDeclaration`].
    pub fn from_initialize(params: &Object) -> Result<Self, BadDeclaration> {
        Self::read(params, "capabilities", "clientInfo")
    }

    fn read(from: &Object, capabilities: &str, info: &str) -> Result<Self, BadDeclaration> {
        let client_info = match from.get(info) {
            None | Some("null") => None,
            Some(_) => Some(from.object(info).ok_or(BadDeclaration)?),
        };
        Ok(Self { capabilities: from.object(capabilities).ok_or(BadDeclaration)?, client_info })
    }

    /// `params` of an `initialize` that declares the same to a legacy server. What the other era cannot
    /// carry is left out: extensions, tasks, and changes of the roots, which 2026-07-28 does not announce.
    #[must_use]
    pub fn to_initialize(&self, revision: &str) -> Object {
        let mut params = Object::default();
        params.set_string("protocolVersion", revision);
        params.set_object("capabilities", &self.portable());
        let mut unknown = Object::default();
        unknown.set_string("name", "unknown");
        unknown.set_string("version", "0");
        let mut info = self.client_info.clone().unwrap_or(unknown);
        for member in ["name", "version"] {
            if info.string(member).is_none() {
                info.set_string(member, "unknown");
            }
        }
        params.set_object("clientInfo", &info);
        params
    }

    /// Writes the same into `params._meta` of a request to a modern server, in the place of whatever stood
    /// there under reserved keys.
    pub fn to_meta(&self, params: &mut Object, revision: &str, log_level: Option<&str>) {
        super::strip_meta(params);
        let mut inner = params.object("_meta").unwrap_or_default();
        inner.set_string(meta::PROTOCOL_VERSION, revision);
        let mut capabilities = self.portable();
        if task::is_declared(&self.capabilities) {
            capabilities = task::declare(&capabilities);
        }
        inner.set_object(meta::CLIENT_CAPABILITIES, &capabilities);
        if let Some(info) = &self.client_info {
            inner.set_object(meta::CLIENT_INFO, info);
        }
        if let Some(level) = log_level {
            inner.set_string(meta::LOG_LEVEL, level);
        }
        params.set_object("_meta", &inner);
    }

    fn portable(&self) -> Object {
        let mut capabilities = self.capabilities.clone();
        capabilities.retain(|name| matches!(name, "elicitation" | "sampling" | "roots" | "experimental"));
        match capabilities.object("roots") {
            Some(mut roots) => {
                roots.remove("listChanged");
                capabilities.set_object("roots", &roots);
            }
            None => drop(capabilities.remove("roots")),
        }
        capabilities
    }

    /// The same, for a call that may go on as a task.
    #[must_use]
    pub fn with_tasks(&self) -> Self {
        Self { capabilities: task::declare(&self.capabilities), client_info: self.client_info.clone() }
    }

    /// Whether a server may ask this client for that: `elicitation/create` in the mode that `params` names,
    /// `sampling/createMessage`, `roots/list`. An empty `elicitation` means forms (2025-11-25,
    /// client/elicitation); tools in a sampling take `sampling.tools` (client/sampling).
    #[must_use]
    pub fn may_ask(&self, method: &str, params: &Object) -> bool {
        match method {
            "sampling/createMessage" => {
                let Some(kinds) = self.capabilities.object("sampling") else { return false };
                kinds.object("tools").is_some() || !(params.has("tools") || params.has("toolChoice"))
            }
            "roots/list" => self.capabilities.object("roots").is_some(),
            "elicitation/create" => {
                let Some(modes) = self.capabilities.object("elicitation") else { return false };
                match params.string("mode").as_deref() {
                    Some("url") => modes.object("url").is_some(),
                    _ => modes.object("form").is_some() || modes.object("url").is_none(),
                }
            }
            _ => false,
        }
    }

    /// The same without what may be long and steers nothing, to be kept in a handle.
    #[must_use]
    pub fn concise(&self) -> Self {
        let mut capabilities = self.portable();
        capabilities.remove("experimental");
        let client_info = self.client_info.as_ref().map(|info| {
            let mut short = Object::default();
            for member in ["name", "version"] {
                let text: String = info.string(member).unwrap_or_default().chars().take(128).collect();
                short.set_string(member, &text);
            }
            short
        });
        Self { capabilities, client_info }
    }

    /// The same text for declarations that mean the same, whatever the order of their members.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let plain = |object: &Object| ordered(&object.to_json(), DEEPEST);
        let info = self.client_info.as_ref().map(plain).unwrap_or_default();
        format!("{}{info}", plain(&self.portable()))
    }
}

/// How deep members are put in order. Declarations that differ in order only, and deeper, count as different.
const DEEPEST: u8 = 16;

/// JSON text with the members of its objects in order. Numbers stay as they are written, as rounded ones could
/// be taken for each other; so does an object that names a member twice.
fn ordered(text: &str, depth: u8) -> String {
    let Some(below) = depth.checked_sub(1) else { return text.to_owned() };
    if let Ok(object) = Object::parse(text.as_bytes()) {
        let members: BTreeMap<&str, &str> = object.iter().collect();
        let members = members.iter().map(|(name, value)| quote(name) + ":" + &ordered(value, below));
        return format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    }
    if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let items = items.iter().map(|item| ordered(item.get(), below));
        return format!("[{}]", items.collect::<Vec<_>>().join(","));
    }
    serde_json::from_str::<String>(text).map_or_else(|_| text.to_owned(), |text| quote(&text))
}

/// The levels of log messages, the most verbose first (RFC 5424; 2025-11-25, server/utilities/logging).
pub const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Where `level` stands among [`LEVELS`].
#[must_use]
pub fn severity(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}
