//! Inbound tokens to [`Caller`]s, and what a caller without a good one is told.

mod caller;

pub use caller::Caller;
