//! MCP servers that are child processes (MCP 2025-11-25, basic/transports#stdio): started, spoken to line by
//! line, watched, and ended with all that they started themselves.
//!
//! A child has an environment of its own making (`PATH`, `HOME`, `LANG`, what the configuration says and its
//! credential), no open files but its three pipes, and limits. On Linux the gateway's own binary stands
//! between, as a [`keeper`]: it sets the limits, and sees to it that nothing of the child outlives the gateway.

mod backoff;
mod children;
#[cfg(target_os = "linux")]
pub mod keeper;
mod lines;
mod outbox;
mod process;
mod spawn;
mod stderr;
mod tree;
mod trickle;
mod watch;

pub use children::{Children, Hooks, NoHooks};
pub use lines::Messages;
pub use process::{Gone, Process, Reason};
pub use spawn::{Keeper, StartError};
