//! For tests only: everything around the gateway, made so that a test sees and decides each byte.
//!
//! - [`MockIdp`]: an identity provider in this process: metadata, keys, tokens good and hostile,
//!   token exchange, introspection.
//! - [`RecordingUpstream`]: an MCP server in this process that keeps every byte it was sent and
//!   answers as told.
//! - [`LegacyServer`]: one of these that keeps sessions, as servers did before 2026-07-28.
//! - [`ConsentingUpstream`]: one with an authorization server of its own, where each user consents.
//! - [`RawClient`] and [`mcp`]: HTTP/1.1 as bytes, and MCP requests on it.
//! - [`GatewayProcess`]: the real binary, on ports and in a directory of its own.
//! - [`ProofKey`]: a client's key, and the proofs of possession that it makes.
//! - [`RedisServer`]: a real `redis-server`.
//! - [`Pki`]: a certificate authority for tests with TLS.
//!
//! The parts fail by panicking: a test that cannot set its stage has to fail at once.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod client;
mod gateway;
mod idp;
pub mod mcp;
mod pki;
mod port;
mod proof_key;
mod redis;
mod upstream;
pub mod visitor;
mod wire;

pub use client::{RawClient, RawResponse, SseEvent};
pub use gateway::{GatewayProcess, Launch, Place, StartFailure};
pub use idp::{Alg, Endpoint, HostileToken, Jws, LoginScript, MockIdp, SigningKeys, TokenCall, Trouble};
pub use nix::sys::signal::Signal;
pub use pki::{Leaf, Pki};
pub use port::free_port;
pub use proof_key::ProofKey;
pub use redis::RedisServer;
pub use upstream::{
    Answer, ConsentingUpstream, LegacyServer, ModernOnly, Opened, RecordingUpstream, SseFeed,
    UpstreamOptions, UpstreamRequest,
};
pub use wire::Headers;
