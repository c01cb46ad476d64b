//! For the black-box tests: products that others made, as processes, and the real gateway in front
//! of them with tokens, scopes, limits and header checks on.
//!
//! - [`Peer`] and [`servers`]: a process and all that it started; the MCP servers.
//! - [`Front`]: an identity provider, the gateway, and a [`Relay`] that shows tokens for clients that
//!   have none.
//! - [`Bao`]: a real OpenBao.
//! - [`logins`]: a login that has been.
//! - [`conformance`]: the suite of the MCP project, run and read.
//!
//! The parts fail by panicking: a test that cannot set its stage has to fail at once.

#![expect(clippy::panic, reason = "a test that cannot set its stage has to fail at once, with the reason")]

mod bao;
pub mod conformance;
mod front;
pub mod logins;
mod peer;
mod relay;
pub mod servers;

pub use bao::{Bao, Role};
pub use front::Front;
pub use peer::{Peer, built, installed, node, run};
pub use relay::Relay;
