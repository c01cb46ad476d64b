//! `gateway.yaml`: its grammar, its diagnostics, its JSON Schema, and the watcher that reloads it.

pub mod model;

pub use model::Config;
