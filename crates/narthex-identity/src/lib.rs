//! Inbound tokens to [`Caller`]s, and what a caller without a good one is told.
//!
//! [`access_token`] finds the token of a request, [`Identity`] verifies it, [`Presented`] has proven that it is
//! its sender's ([`dpop`], certificates), [`challenge`] and [`ResourceMetadata`] tell those without one where to get it. Nothing here knows what a caller may
//! do: that is `narthex-policy`.

mod bearer;
mod binding;
mod cache;
mod caller;
pub mod challenge;
pub mod client_auth;
pub mod dpop;
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
mod thumbprint;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use bearer::{access_token, query_has_token};
pub use binding::{Admitted, Binding, Evidence, Presented, Scheme};
pub use caller::Caller;
pub use client_auth::SecretSource;
pub use error::{BuildError, TokenError};
pub use identity::Identity;
pub use keys::jws_algorithm;
pub use metadata::{ProtectedResource, ResourceMetadata};
pub use signer::{JwtKind, Signer, claimed_issuer};
pub use thumbprint::Thumbprint;
