//! A tool's definition, and its hash.

use crate::json::{self, Value};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use thiserror::Error;

/// The members of a `Tool` (MCP 2025-11-25 and 2026-07-28, schema) that say what it is and does, to models
/// and people. `_meta`, `icons` and `execution` are not among them.
pub(crate) const MEMBERS: [&str; 6] =
    ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];

/// Largest tool that is looked at, bytes.
const MAX_BYTES: usize = 1 << 20;

/// Longest name of a tool, bytes; MCP advises 128 characters.
const MAX_NAME: usize = 1024;

/// One tool's definition in its canonical form: in the manner of RFC 8785, with members sorted, without
/// white space and with the fewest escapes, but with numbers as they are written; and only the members
/// that say what the tool is (`name`, `title`, `description`, `inputSchema`, `outputSchema`,
/// `annotations`).
#[derive(Clone, Eq, PartialEq)]
pub struct Definition {
    /// The tool's name.
    pub name: String,
    canonical: Arc<str>,
    digest: [u8; 32],
}

/// Why something is no definition of a tool. Such a tool cannot be approved; it must stay hidden.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadDefinition {
    /// Not JSON, nested too deeply, or a member is given twice.
    #[error("line {line}, column {column}: {what}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Not an object.
    #[error("a definition is an object")]
    NotAnObject,
    /// There is no `name` that is text of 1 to 1024 bytes.
    #[error("`name` must be text of 1 to {MAX_NAME} bytes")]
    Name,
    /// A member that some clients read as another, such as `Description`.
    #[error("a member differs from `{0}` only in its letters' case")]
    Lookalike(&'static str),
    /// Over 1 MiB.
    #[error("a definition is at most {MAX_BYTES} bytes")]
    TooLarge,
}

// === impl Definition ===

impl Definition {
    /// The definition in `tool_json`, a tool as `tools/list` shows it.
    ///
    /// # Errors
    /// It is none, or one that clients may read differently.
    pub fn of(tool_json: &str) -> Result<Self, BadDefinition> {
        if tool_json.len() > MAX_BYTES {
            return Err(BadDefinition::TooLarge);
        }
        let value = json::parse(tool_json)
            .map_err(|json::Fault { line, column, what }| BadDefinition::Json { line, column, what })?;
        Self::from_members(value.into_object().ok_or(BadDefinition::NotAnObject)?)
    }

    pub(crate) fn from_members(mut members: BTreeMap<String, Value>) -> Result<Self, BadDefinition> {
        let lookalike = members.keys().find_map(|given| meant(given).filter(|member| member != given));
        if let Some(member) = lookalike {
            return Err(BadDefinition::Lookalike(member));
        }
        members.retain(|name, _| MEMBERS.contains(&name.as_str()));
        let name = members.get("name").and_then(Value::as_str).ok_or(BadDefinition::Name)?.to_owned();
        if !(1..=MAX_NAME).contains(&name.len()) {
            return Err(BadDefinition::Name);
        }
        let canonical: Arc<str> = Value::Object(members).canonical().into();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, canonical.as_bytes()).as_ref());
        Ok(Self { name, canonical, digest: sha256 })
    }

    /// SHA-256 of the canonical form, in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.digest {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// The canonical form.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(crate) fn members(&self) -> BTreeMap<String, Value> {
        // It was written from an object, so it is one.
        json::parse(&self.canonical).ok().and_then(Value::into_object).unwrap_or_default()
    }
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Definition").field("name", &self.name).field("sha256", &self.sha256()).finish()
    }
}

/// The member that a reader who ignores case takes `name` for. Go's `encoding/json` is one; it also takes
/// `ſ` for `s` and the Kelvin sign for `k`.
fn meant(name: &str) -> Option<&'static str> {
    let folds = |c: char| match c {
        'ſ' => 's',
        'K' => 'k',
        c => c.to_ascii_lowercase(),
    };
    MEMBERS.into_iter().find(|member| member.chars().map(folds).eq(name.chars().map(folds)))
}

#[cfg(test)]
mod tests;
