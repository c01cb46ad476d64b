//! Names and sinks of what the gateway reports about itself: metrics, logs, the access log.
//!
//! `docs/metrics.md` lists every metric and every field of the access log.

mod access;
mod events;
mod log;
mod metrics;
pub mod names;

pub use access::{AccessLog, AccessRecord, Decision, rfc3339};
pub use events::Events;
pub use log::{LogError, LogFormat, init_logging};
pub use metrics::{FinishedCall, Metrics, RouteMetrics, Tally};
