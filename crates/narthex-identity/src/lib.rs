//! Inbound tokens to [`Caller`]s, and what a caller without a good one is told.
//!
//! [`bearer_token`] finds the token of a request, [`Identity`] verifies it, [`challenge`] and
//! [`ResourceMetadata`] tell those without one where to get it. Nothing here knows what a caller may
//! do: that is `narthex-policy`.

mod bearer;
mod cache;
mod caller;
pub mod challenge;
mod client_auth;
mod error;
mod flights;
mod identity;
mod introspection;
mod issuer;
mod jwt;
mod keys;
mod metadata;
mod object;
mod scopes;
mod signer;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use bearer::{bearer_token, query_has_token};
pub use caller::Caller;
pub use client_auth::SecretSource;
pub use error::{BuildError, TokenError};
pub use identity::Identity;
pub use keys::jws_algorithm;
pub use metadata::ResourceMetadata;
pub use signer::{JwtKind, Signer, claimed_issuer};
