//! Pins: which definitions of tools are approved. A definition that is new or has changed is quarantined
//! (hidden and uncallable) until somebody approves exactly it.
//!
//! An MCP server may change at any time what its tools say they do, and what a model reads there it may
//! act on ("rug pull", "tool poisoning"). So what was looked at is kept, by its hash, in a file made to be
//! reviewed ([`Pins`]), and everything else waits.
//!
//! Nothing here knows HTTP or a clock. Files are read when they are opened or reread, and written only
//! when something has changed.

mod definition;
mod diff;
mod error;
mod file;
mod json;
mod judge;
mod pins;
mod quarantine;
mod shown;
mod write;

pub use definition::{BadDefinition, Definition};
pub use diff::diff;
pub use error::{ApproveError, PinsError};
pub use judge::{Candidate, Standing, Why};
pub use narthex_config::model::PinMode as Mode;
pub use pins::{Pinned, Pins, Quarantined};
pub use shown::shown;
