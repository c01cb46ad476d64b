//! What goes with `upstreams.*.command`.

use super::scalar::{Count, HumanDuration, Size};
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// Who shares a process.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Instances {
    /// One for all callers. It can ask no caller anything.
    Shared,
    /// One for each caller.
    PerCaller,
}

/// What one process, with its own children, may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProcessLimits {
    /// Resident memory. Over it, it is killed. Default `1GiB`.
    pub(crate) memory: Field<Size>,
    /// CPU time; at least `1s`. Over it, it is killed. Default: no limit.
    pub(crate) cpu: Field<HumanDuration>,
    /// Open files; at least 16. Default 1024.
    pub(crate) files: Field<Count>,
    /// Largest message that it may send; at most `256MiB`. Default `16MiB`.
    pub(crate) message: Field<Size>,
}

/// How a process that ended is started again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Restart {
    /// The first wait. Default `500ms`.
    pub(crate) min: Field<HumanDuration>,
    /// The longest wait; each is twice the one before. Default `30s`.
    pub(crate) max: Field<HumanDuration>,
}
