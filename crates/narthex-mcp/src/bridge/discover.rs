//! `server/discover` of 2026-07-28 and `initialize` of the revisions before.

use super::{Object, meta, strip_meta, task};
use crate::Revision;
use crate::rpc::quote;
use std::time::Duration;

/// A server's account of itself that cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the server's account of itself is malformed")]
pub struct BadAccount;

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// `capabilities`
    pub capabilities: Object,
    /// `serverInfo`
    pub server_info: Option<Object>,
    /// `instructions`, as JSON text.
    pub instructions: Option<String>,
    /// The revisions it speaks, as it names them; of a legacy server, the one that was settled on.
    pub versions: Vec<String>,
}

impl Account {
    /// From the result of `server/discover`.
    ///
    /// # Errors
    /// See [`BadAccount`].
    pub fn from_discover(result: &Object) -> Result<Self, BadAccount> {
        let versions = result.get("supportedVersions").ok_or(BadAccount)?;
        Ok(Self {
            capabilities: result.object("capabilities").ok_or(BadAccount)?,
            server_info: result.object("_meta").and_then(|meta| meta.object(meta::SERVER_INFO)),
            instructions: result.get("instructions").filter(|text| text.starts_with('"')).map(str::to_owned),
            versions: serde_json::from_str(versions).map_err(|_| BadAccount)?,
        })
    }

    /// From the result of `initialize`.
    ///
    /// # Errors
    /// See [`BadAccount`].
    pub fn from_initialize(result: &Object) -> Result<Self, BadAccount> {
        Ok(Self {
            capabilities: result.object("capabilities").ok_or(BadAccount)?,
            server_info: result.object("serverInfo"),
            instructions: result.get("instructions").filter(|text| text.starts_with('"')).map(str::to_owned),
            versions: vec![result.string("protocolVersion").ok_or(BadAccount)?],
        })
    }

    /// The result of `initialize` for a legacy client. Of the extensions, only tasks are bridged.
    #[must_use]
    pub fn to_initialize(&self, revision: Revision) -> Object {
        let mut result = Object::default();
        result.set_string("protocolVersion", revision.as_str());
        let mut capabilities = self.capabilities.clone();
        let tasks = task::is_declared(&capabilities) && revision == Revision::V2025_11_25;
        capabilities.retain(|name| !matches!(name, "extensions" | "tasks" | "experimental"));
        if tasks {
            capabilities.set_json("tasks", task::LEGACY_CAPABILITY);
        }
        result.set_object("capabilities", &capabilities);
        let mut info = self.server_info.clone().unwrap_or_default();
        for (member, default) in [("name", "unknown"), ("version", "0")] {
            if info.string(member).is_none() {
                info.set_string(member, default);
            }
        }
        result.set_object("serverInfo", &info);
        if let Some(instructions) = &self.instructions {
            result.set_json("instructions", instructions.as_str());
        }
        result
    }

    /// The result of `server/discover` for a modern client, to be kept for `ttl` at most.
    #[must_use]
    pub fn to_discover(&self, ttl: Duration) -> Object {
        let mut result = Object::default();
        result.set_string("resultType", "complete");
        let versions: Vec<_> = Revision::PER_REQUEST.iter().map(|r| quote(r.as_str())).collect();
        result.set_json("supportedVersions", format!("[{}]", versions.join(",")));
        let mut capabilities = self.capabilities.clone();
        let tasks = task::is_offered(&capabilities);
        capabilities.retain(|name| !matches!(name, "tasks" | "experimental" | "extensions"));
        if tasks {
            capabilities = task::declare(&capabilities);
        }
        result.set_object("capabilities", &capabilities);
        if let Some(instructions) = &self.instructions {
            result.set_json("instructions", instructions.as_str());
        }
        result.set_number("ttlMs", u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        result.set_string("cacheScope", "private");
        if let Some(info) = &self.server_info {
            let mut inner = Object::default();
            inner.set_object(meta::SERVER_INFO, info);
            result.set_object("_meta", &inner);
        }
        result
    }

    /// Whether the server offers `family` (`tools`, `prompts`, `resources`), and of it `flag`.
    #[must_use]
    pub fn offers(&self, family: &str, flag: &str) -> bool {
        self.capabilities.object(family).is_some_and(|family| family.get(flag) == Some("true"))
    }
}

/// Which revision a legacy client gets: the one that it asks for, or the newest it may know
/// (2025-11-25, basic/lifecycle#version-negotiation).
#[must_use]
pub fn negotiate(requested: &str) -> Revision {
    Revision::parse(requested).filter(|revision| !revision.is_modern()).unwrap_or(Revision::V2025_11_25)
}

/// `params` of a notification or result without what only the other era reads.
#[must_use]
pub fn without_reserved(params: &Object) -> Object {
    let mut params = params.clone();
    strip_meta(&mut params);
    params
}
