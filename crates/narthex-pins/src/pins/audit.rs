//! Security events on the gateway's log: who was trusted, and who was not. Names and hashes, never what a
//! definition says.

use crate::definition::Definition;
use crate::judge::{Candidate, Why};
use crate::shown::shown;
use std::collections::BTreeMap;
use tracing::{info, warn};

/// Lines written of one catalogue; the rest is counted.
const MAX_LINES: usize = 20;

/// Longest name that is logged, characters.
const MAX_NAME: usize = 128;

pub(super) fn quarantined(upstream: &str, news: &[(&Candidate, Why)]) {
    for (Candidate { definition, suspicion }, why) in news.iter().take(MAX_LINES) {
        let suspicion = suspicion.as_deref().map(name);
        let (tool, sha256) = (name(&definition.name), prefix(definition));
        let why = why.as_str();
        warn!(security = true, event = "quarantined", upstream, tool, sha256, why, suspicion, "pins");
    }
    if let Some(further) = news.len().checked_sub(MAX_LINES).filter(|further| *further > 0) {
        warn!(security = true, event = "quarantined", upstream, further, "pins");
    }
}

pub(super) fn trusted_on_first_use(upstream: &str, tools: &BTreeMap<String, Definition>) {
    for definition in tools.values() {
        let (tool, sha256) = (name(&definition.name), prefix(definition));
        info!(security = true, event = "trusted_on_first_use", upstream, tool, sha256, "pins");
    }
}

pub(super) fn approved(upstream: &str, definition: &Definition) {
    let (tool, sha256) = (name(&definition.name), prefix(definition));
    info!(security = true, event = "approved", upstream, tool, sha256, "pins");
}

pub(super) fn forgotten(upstream: &str, tool: Option<&str>, pins: usize) {
    info!(security = true, event = "forgotten", upstream, tool = tool.map(name), pins, "pins");
}

fn name(text: &str) -> String {
    shown(&text.chars().take(MAX_NAME).collect::<String>())
}

fn prefix(definition: &Definition) -> String {
    definition.sha256().chars().take(12).collect()
}
