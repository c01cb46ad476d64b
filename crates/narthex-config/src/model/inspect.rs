//! What is looked for in what passes.

use narthex_inspect::Settings;

/// `inspect:` of a route.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Inspect {
    /// For results, and for what servers say of themselves and of their tools, prompts and resources.
    pub results: Settings,
    /// For the arguments of calls: the same, but where `arguments:` says otherwise.
    pub arguments: Settings,
    /// Whether the key is there. Without it, the settings are the defaults.
    pub given: bool,
}
