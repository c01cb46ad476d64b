//! Which definitions of tools are trusted.

use std::path::PathBuf;

/// `pins:`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pins {
    /// `pins.file`: the definitions that are approved. Default `narthex.pins.json` beside the configuration.
    pub file: PathBuf,
    /// `pins.mode`: what holds for upstreams that say nothing themselves. [`PinMode::Off`] without `pins:`.
    pub mode: PinMode,
}

/// What is trusted of an upstream's tools beside the definitions that are approved.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum PinMode {
    /// Everything.
    #[default]
    Off,
    /// What the upstream shows at first; nothing that is new or changed afterwards.
    TrustOnFirstUse,
    /// Nothing.
    Locked,
}
