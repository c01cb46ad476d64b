//! `gateway.yaml`: its grammar, its diagnostics, its JSON Schema, and the watcher that reloads it.
//!
//! A text goes through three forms: a tree of YAML nodes with their places in the file (`yaml`),
//! the keys of the configuration (`grammar`), and the checked [`model`] (`check`). Each step reports
//! everything it finds wrong before the next one's findings are added, so that one run of
//! `narthex check` shows all there is to mend.

mod check;
mod diagnostic;
mod fingerprint;
mod grammar;
mod load;
pub mod model;
mod schema;
mod snippet;
mod watch;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Related, Severity};
pub use load::{Loaded, load, parse};
pub use model::Config;
pub use schema::json_schema;
pub use snippet::Snippet;
pub use watch::{WatchError, Watcher, watch};
