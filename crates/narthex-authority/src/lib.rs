//! The embedded authorization server: OAuth 2.1 for MCP clients, logins at the company's identity provider,
//! and the pages that people see.
//!
//! [`Authority`] answers whole [`Request`]s; it knows no sockets, and its only way out is the guarded HTTP
//! client. All that outlives a request is in the vault, so that replicas of one store are one server.
//!
//! Beside it there is the development issuer: it has one key, which it makes itself at first start and keeps
//! in the gateway's state directory, and no endpoints of its own: whoever may read that directory may mint a
//! token ([`DevelopmentIssuer::mint`], behind `narthex token`), and the gateway publishes
//! [`DevelopmentIssuer::jwks`] and [`DevelopmentIssuer::metadata`]. The configuration accepts it on loopback
//! listeners only.

mod authority;
mod authorize;
mod build;
mod client;
pub mod connections;
mod consents;
mod endpoint;
mod error;
#[cfg(test)]
mod fixtures;
mod http;
mod issuer;
mod key;
mod lasting;
pub mod login;
mod metadata;
pub mod pages;
mod params;
mod rate;
mod replay;
mod reply;
mod resources;
mod secret;
mod signing;
mod token;

pub use crate::http::{Request, Response};
pub use authority::{Authority, AuthorityParts};
pub use build::BuildError;
pub use issuer::{DevelopmentIssuer, MAX_LIFETIME, MintError, TENANT_CLAIM, TokenRequest};
pub use key::OpenError;
pub use reply::Outcome;
