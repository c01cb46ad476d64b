//! Tokens that are of use only to their sender.

use super::Algorithm;
use std::time::Duration;

/// `routes.*.auth.sender_constrained`: how a token must be bound to whoever sends it. A token that is
/// bound is held to it on every route, whether the route asks for it or not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SenderConstrained {
    /// To a key, by DPoP (RFC 9449).
    Dpop,
    /// To a TLS client certificate (RFC 8705).
    Mtls,
    /// To either.
    Any,
}

impl SenderConstrained {
    /// Whether a token that is bound to a key will do.
    #[must_use]
    pub fn accepts_key(self) -> bool {
        matches!(self, Self::Dpop | Self::Any)
    }

    /// Whether a token that is bound to a certificate will do.
    #[must_use]
    pub fn accepts_certificate(self) -> bool {
        matches!(self, Self::Mtls | Self::Any)
    }
}

/// `auth.dpop`: how proofs of possession are judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dpop {
    /// `nonce: required`: a proof must have a nonce of the gateway's.
    pub nonce: bool,
    /// `window:` how long a proof may be used, from its `iat` on. At most 5 min.
    pub window: Duration,
    /// `algorithms:` accepted; never empty.
    pub algorithms: Vec<Algorithm>,
    /// `replay_cache:` most proofs that are remembered as used.
    pub replay_cache: usize,
}

impl Default for Dpop {
    fn default() -> Self {
        use Algorithm::{ES256, ES384, EdDSA, PS256, RS256};
        Self {
            nonce: false,
            window: Duration::from_secs(60),
            algorithms: vec![ES256, ES384, EdDSA, RS256, PS256],
            replay_cache: 1_000_000,
        }
    }
}

/// `server.tls.client_auth`: which TLS clients may connect.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ClientAuth {
    /// All; they are not asked for certificates.
    #[default]
    Off,
    /// Those with a certificate of the authorities in `client_ca`.
    Required(std::path::PathBuf),
    /// Those with a certificate of the authorities in `client_ca`, and those without any.
    Optional(std::path::PathBuf),
    /// All; certificates may be of any authority, or self-signed.
    Any,
}
