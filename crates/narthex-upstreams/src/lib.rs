//! The gateway's ways out: connections to MCP servers, and its own calls to authorization servers.

mod at_once;
mod breaker;
mod catalogue;
mod connection;
pub mod egress;
mod era;
#[cfg(test)]
mod fixtures;
mod group;
mod hash;
mod health;
mod identity;
mod peers;
mod pool;
pub mod stdio;
mod upstream;

pub use at_once::at_once;
pub use breaker::{Breaker, Passage};
pub use catalogue::Catalogue;
pub use connection::{ConnectError, Connection, Connections};
pub use era::Eras;
pub use group::Group;
pub use health::Check;
pub use identity::ClientIdentity;
pub use peers::ResolveError;
pub use upstream::{BuildError, Busy, Slot, Upstream, Upstreams};
