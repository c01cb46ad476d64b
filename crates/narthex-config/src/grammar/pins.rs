//! `pins:`.

use super::scalar::PinsMode;
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// Pinning of tools: a definition that is new or has changed is hidden until it is approved.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pins {
    /// The approved definitions. Default `narthex.pins.json`, beside this file.
    pub(crate) file: Field<String>,
    /// What is trusted beside them: what an upstream shows at first, nothing, or everything. Default
    /// `trust-on-first-use`.
    pub(crate) mode: Field<PinsMode>,
}
