//! What `make bench` is made of: a cheap MCP upstream, a bare Pingora proxy, a closed-loop load
//! generator, and a driver that runs them beside Narthex in interleaved rounds. It prints and never
//! asserts; `docs/benchmarks.md` says how to read what it prints.

pub mod bare;
pub mod client;
pub mod contender;
pub mod error;
pub mod federation;
pub mod gateway;
pub mod load;
pub mod memory;
pub mod options;
pub mod process;
pub mod report;
pub mod run;
pub mod sample;
pub mod scale;
pub mod tokens;
pub mod upstream;
pub mod workload;

pub use error::Error;

#[cfg(test)]
mod tests;
