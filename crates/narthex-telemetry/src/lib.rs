//! Names and sinks of what the gateway reports about itself: metrics, logs, the access log.

mod events;

pub use events::Events;
