//! The pins, for the admin listener: as JSON.

use narthex_admin::{Approval, PinDesk};
use narthex_pins::{ApproveError, Definition, Pinned, Pins, Quarantined, diff};
use narthex_telemetry::rfc3339;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::SystemTime;

/// What the admin listener asks.
pub(crate) struct Desk(pub(crate) Arc<Pins>);

#[derive(Serialize)]
struct All {
    pinned: Vec<PinRow>,
    quarantined: Vec<QuarantineRow>,
    /// Why pins cannot be written down, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

#[derive(Serialize)]
struct PinRow {
    upstream: String,
    tool: String,
    sha256: String,
    /// Whether another definition of the tool waits.
    changed: bool,
}

#[derive(Serialize)]
struct QuarantineRow {
    upstream: String,
    tool: String,
    why: &'static str,
    sha256: String,
    approved_sha256: Option<String>,
    since: String,
    seen: String,
    suspicion: Option<String>,
    diff: String,
}

#[derive(Serialize)]
struct One<'a> {
    upstream: &'a str,
    tool: &'a str,
    approved: Option<Shown>,
    quarantined: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    row: QuarantineRow,
    definition: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Shown {
    sha256: String,
    definition: Option<Box<RawValue>>,
}

impl PinDesk for Desk {
    fn list(&self) -> String {
        let quarantined = self.0.quarantined();
        let pinned = self.0.pinned().into_iter().map(|Pinned { upstream, definition }| {
            let changed = quarantined.iter().any(|q| q.upstream == upstream && q.tool == definition.name);
            PinRow { upstream, sha256: definition.sha256(), tool: definition.name, changed }
        });
        let pinned = pinned.collect();
        json(&All { pinned, quarantined: quarantined.iter().map(row).collect(), trouble: self.0.trouble() })
    }

    fn tool(&self, upstream: &str, tool: &str) -> Option<String> {
        let mut pinned = self.0.pinned().into_iter();
        let approved = pinned.find(|pin| pin.upstream == upstream && pin.definition.name == tool);
        let quarantined = self.0.quarantined().into_iter();
        let quarantined: Vec<_> = quarantined
            .filter(|q| q.upstream == upstream && q.tool == tool)
            .map(|q| Found { row: row(&q), definition: raw(&q.found) })
            .collect();
        if approved.is_none() && quarantined.is_empty() {
            return None;
        }
        let approved =
            approved.map(|pin| Shown { sha256: pin.definition.sha256(), definition: raw(&pin.definition) });
        Some(json(&One { upstream, tool, approved, quarantined }))
    }

    fn approve(&self, upstream: &str, tool: &str, sha256: &str) -> Approval {
        match self.0.approve(upstream, tool, sha256, SystemTime::now()) {
            Ok(()) => Approval::Done,
            Err(ApproveError::NotFound) => Approval::NotFound,
            Err(error @ ApproveError::Other { .. }) => Approval::Conflict(error.to_string()),
            Err(error @ ApproveError::File(_)) => Approval::Failed(error.to_string()),
        }
    }
}

fn row(quarantined: &Quarantined) -> QuarantineRow {
    QuarantineRow {
        upstream: quarantined.upstream.clone(),
        tool: quarantined.tool.clone(),
        why: quarantined.why.as_str(),
        sha256: quarantined.found.sha256(),
        approved_sha256: quarantined.approved.as_ref().map(Definition::sha256),
        since: rfc3339(quarantined.since),
        seen: rfc3339(quarantined.seen),
        suspicion: quarantined.suspicion.clone(),
        diff: diff(quarantined.approved.as_ref(), &quarantined.found),
    }
}

/// The definition as it is hashed, its numbers as they are written.
fn raw(definition: &Definition) -> Option<Box<RawValue>> {
    RawValue::from_string(definition.canonical().to_owned()).ok()
}

fn json(value: &impl Serialize) -> String {
    // Nothing here has keys that are no text, or fails to serialise.
    serde_json::to_string(value).unwrap_or_default()
}
