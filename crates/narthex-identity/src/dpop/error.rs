//! Why a proof is refused.

use http::StatusCode;
use thiserror::Error;

/// What is wrong with a proof of possession (RFC 9449 §4.3). None of it holds anything that was sent.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum DpopError {
    /// There is no `DPoP` header.
    #[error("no proof of possession was sent")]
    Missing,
    /// There are several `DPoP` headers, or several proofs in one.
    #[error("several proofs were sent")]
    Several,
    /// The proof is over 8 KiB.
    #[error("the proof is too large")]
    TooLarge,
    /// It is no JWS in compact form with a JSON header and payload, or an object has a key twice.
    #[error("the proof cannot be read")]
    Malformed,
    /// `typ` is not `dpop+jwt`.
    #[error("the proof is not of the type dpop+jwt")]
    Type,
    /// The header has a parameter that would change what is verified: `crit`, `b64`, `enc`, `zip`, or a
    /// place to fetch keys from.
    #[error("the proof has header parameters that are not accepted")]
    Header,
    /// `alg` is not on the list of accepted ones, which are all asymmetric.
    #[error("the proof's algorithm is not accepted")]
    Algorithm,
    /// There is no `jwk` in the header.
    #[error("the proof does not say its key")]
    NoKey,
    /// `jwk` has a private or symmetric member.
    #[error("the proof's key is not a public one")]
    PrivateKey,
    /// `jwk` is no key that is supported, or does not go with `alg`.
    #[error("the proof's key cannot be used")]
    Key,
    /// The signature is not that key's.
    #[error("the proof's signature is wrong")]
    Signature,
    /// A claim is missing, or of the wrong type or form.
    #[error("a claim of the proof is missing or has the wrong form")]
    Claims,
    /// `htm` is not the request's method.
    #[error("the proof is for another method")]
    Method,
    /// `htu` is not the request's URL.
    #[error("the proof is for another URL")]
    Target,
    /// `iat` is too long ago, or `exp` has passed.
    #[error("the proof is too old")]
    TooOld,
    /// `iat` or `nbf` has not come.
    #[error("the proof is from the future")]
    TooNew,
    /// `ath` is not the digest of the access token that came with it.
    #[error("the proof is for another access token")]
    Token,
    /// There is no `nonce`, and one is needed.
    #[error("the proof has no nonce")]
    NoNonce,
    /// `nonce` is none that was handed out, or too old.
    #[error("the proof's nonce is not one of ours, or too old")]
    Nonce,
    /// The proof's key is not the one that the token or grant is bound to.
    #[error("the proof is by another key than the token is bound to")]
    OtherKey,
    /// The proof has been used before.
    #[error("the proof has been used before")]
    Replayed,
    /// No more proofs can be remembered, so no more are accepted.
    #[error("too many proofs are in use")]
    Full,
    /// So many proofs of this key are remembered that no more of it are, for the sake of others.
    #[error("too many proofs of this key are in use")]
    TooMany,
    /// The place where replicas remember proofs does not answer.
    #[error("it cannot be known whether the proof has been used before")]
    Unavailable,
}

impl DpopError {
    /// A stable name for metrics, logs and audit.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "dpop_missing",
            Self::Several => "dpop_several",
            Self::TooLarge => "dpop_too_large",
            Self::Malformed => "dpop_malformed",
            Self::Type => "dpop_type",
            Self::Header => "dpop_header",
            Self::Algorithm => "dpop_algorithm",
            Self::NoKey => "dpop_no_key",
            Self::PrivateKey => "dpop_private_key",
            Self::Key => "dpop_key",
            Self::Signature => "dpop_signature",
            Self::Claims => "dpop_claims",
            Self::Method => "dpop_method",
            Self::Target => "dpop_target",
            Self::TooOld => "dpop_too_old",
            Self::TooNew => "dpop_too_new",
            Self::Token => "dpop_other_token",
            Self::NoNonce => "dpop_no_nonce",
            Self::Nonce => "dpop_nonce",
            Self::OtherKey => "dpop_other_key",
            Self::Replayed => "dpop_replayed",
            Self::Full => "dpop_cache_full",
            Self::TooMany => "dpop_too_many",
            Self::Unavailable => "dpop_store_unavailable",
        }
    }

    /// The HTTP status at a protected resource: 401, 429 for a key that asks too much, or 503 when it is not the
    /// caller's fault. At a token endpoint a 400 stands for the 401 (RFC 9449 §5).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            _ if self.is_ours() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The `error` of the answer (RFC 9449 §5, §7.1, §8). `None` where nothing is wrong with the proof.
    #[must_use]
    pub fn error_code(&self) -> Option<&'static str> {
        match self {
            Self::Full | Self::TooMany | Self::Unavailable => None,
            Self::NoNonce | Self::Nonce => Some("use_dpop_nonce"),
            Self::OtherKey => Some("invalid_token"),
            _ => Some("invalid_dpop_proof"),
        }
    }

    /// Whether the gateway is to blame.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Full | Self::Unavailable)
    }
}
