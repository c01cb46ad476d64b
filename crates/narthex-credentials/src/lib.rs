//! What the gateway presents to upstream servers.
//!
//! A call's inbound token is never passed on. Each upstream has a [`CredentialSource`], made from its
//! `credential:` in the configuration: nothing, a fixed header, HTTP Basic, a token for the gateway
//! itself (RFC 6749 §4.4), a token for this caller in exchange for the caller's own (RFC 8693) or for what is
//! asserted of the caller (RFC 7523), an assertion of the gateway's own, a signature over each request. What
//! comes out is an [`UpstreamCredential`], which only this crate can make and which can be read only for
//! the origin of the upstream that it was made for.
//!
//! Obtained tokens are kept for each upstream, tenant, issuer, subject, client and inbound token, until
//! shortly before they end and never longer than the inbound token. Callers that need the same one at
//! the same time share one call of the token endpoint.
//!
//! Secrets are read when [`Credentials`] are built, are zeroed when dropped, and print as `***`. The
//! buffers of the HTTP client that carry a token or secret on the wire are out of this crate's reach.

mod answer;
mod asserted;
mod assertion;
mod authorization_code;
mod build;
mod client_auth;
mod consent;
mod credential;
mod discovery;
mod endpoint;
mod error;
mod fixed;
mod grant;
mod key;
mod lifetime;
mod obtain;
pub mod secret;
mod signing;
mod sigv4;
mod source;
mod store;
mod subject;
mod token_client;
mod values;

#[cfg(test)]
mod tests;

pub use authorization_code::{ConnectError, Connected, Offered, Visitor, client_document};
pub use consent::{Changed, Consent};
pub use credential::{Outgoing, Presented, UpstreamCredential};
pub use error::{BuildError, BuildProblem, CredentialError, Reason};
pub use signing::{FileHome, KeyHome, SigningError, SigningKeys, VaultHome};
pub use source::{Context, CredentialSource, Credentials};
pub use subject::SubjectTokens;
