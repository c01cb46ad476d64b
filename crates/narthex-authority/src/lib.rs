//! The embedded development issuer: it signs access tokens for trying the gateway on one machine.
//!
//! It has one key, which it makes itself at first start and keeps in the gateway's state
//! directory, and no endpoints of its own: whoever may read that directory may mint a token
//! ([`DevelopmentIssuer::mint`], behind `narthex token`), and the gateway publishes
//! [`DevelopmentIssuer::jwks`] and [`DevelopmentIssuer::metadata`]. The configuration accepts it on
//! loopback listeners only.

pub mod connections;
mod http;
mod issuer;
mod key;
pub mod login;
pub mod pages;

pub use crate::http::{Request, Response};
pub use issuer::{DevelopmentIssuer, MAX_LIFETIME, MintError, TENANT_CLAIM, TokenRequest};
pub use key::OpenError;
