//! Why a caller is not let in, and why the parts cannot be built.

use crate::dpop::DpopError;
use http::StatusCode;
use std::path::PathBuf;
use thiserror::Error;

/// Why a request has no [`Caller`](crate::Caller).
///
/// It has two faces: [`status`](Self::status) and [`error_code`](Self::error_code) are for the
/// caller, [`reason`](Self::reason) and `Display` for metrics and logs. None of them holds anything
/// that the caller sent.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no `Authorization` header.
    #[error("no Authorization header")]
    Missing,
    /// The `Authorization` header has another scheme than `Bearer` or `DPoP`.
    #[error("the Authorization scheme is not Bearer or DPoP")]
    AuthScheme,
    /// The `Authorization` header is not one scheme and one token (RFC 6750 §2.1).
    #[error("the Authorization header is malformed or there are several")]
    Malformed,
    /// A token in the URL, where it would end up in logs (OAuth 2.1 §5.1).
    #[error("a token was sent in the query")]
    TokenInQuery,
    /// The token is over 16 KiB, or its header over 4 KiB.
    #[error("the token is too large")]
    TooLarge,
    /// The token is no JWS in compact form with a JSON header and payload, and nobody can be asked
    /// about it; or a JSON object has a key twice.
    #[error("the token cannot be read")]
    MalformedToken,
    /// The token is encrypted (JWE).
    #[error("the token is encrypted")]
    Encrypted,
    /// `typ` or `cty` says that this is no access token.
    #[error("the token is of a type that is no access token")]
    Type,
    /// The header names extensions that must be understood (`crit`, RFC 7515 §4.1.11).
    #[error("the token has critical header parameters")]
    Crit,
    /// The header has `b64` (RFC 7797): an unencoded payload.
    #[error("the token has a b64 header parameter")]
    UnencodedPayload,
    /// The header brings its own key or says where to fetch one: `jwk`, `jku`, `x5u`, `x5c`.
    #[error("the token brings its own key")]
    EmbeddedKey,
    /// `iss` is missing or names nobody who is trusted.
    #[error("the token's issuer is not trusted")]
    UnknownIssuer,
    /// `alg` is not on the issuer's list.
    #[error("the token's algorithm is not allowed for its issuer")]
    AlgNotAllowed,
    /// No key of the issuer fits the token's `kid` and `alg`.
    #[error("the issuer has no key that fits the token")]
    UnknownKey,
    /// The signature is not the issuer's.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// A claim is missing its rightful JSON type or form.
    #[error("a claim of the token has the wrong type or form")]
    BadClaims,
    /// There is no `exp`.
    #[error("the token has no expiry")]
    NoExpiry,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come, or `iat` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `sub` is missing, empty, over 255 bytes or has control characters.
    #[error("the token has no usable subject")]
    NoSubject,
    /// The claim that names the tenant is missing or no usable name.
    #[error("the token does not say a tenant")]
    NoTenant,
    /// The token is bound (`cnf`, RFC 7800) to something of which no proof is known here.
    #[error("the token is bound to something that cannot be proven here")]
    SenderConstrained,
    /// The token is bound to a key, but came as a bearer token (RFC 9449 §7.2).
    #[error("a token that is bound to a key came as a bearer token")]
    Downgraded,
    /// The token came with the scheme `DPoP`, but is bound to no key.
    #[error("a token that is bound to no key came with the scheme DPoP")]
    NotBound,
    /// The route demands a token that is bound in another way than this one, which may be bound to nothing.
    #[error("the token is not bound as the route demands")]
    BindingRequired,
    /// The token is bound to a certificate (RFC 8705), and the client has shown none.
    #[error("the token is bound to a certificate, and none was shown")]
    NoCertificate,
    /// The token is bound to another certificate than the client has shown.
    #[error("the token is bound to another certificate")]
    OtherCertificate,
    /// The proof that the token's key is the sender's is missing or no good.
    #[error(transparent)]
    Dpop(#[from] DpopError),
    /// `aud` does not name this route's resource (RFC 8707).
    #[error("the token is for another audience")]
    WrongAudience,
    /// Introspection says that the token is not active (RFC 7662).
    #[error("the token is not active")]
    Inactive,
    /// The issuer's keys were never had, and cannot be had now.
    #[error("the issuer's keys cannot be had")]
    KeysUnavailable,
    /// Nobody who could say something about the token answers.
    #[error("the introspection endpoint does not answer")]
    IntrospectionUnavailable,
}

impl TokenError {
    /// A stable name for metrics, logs and audit.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::AuthScheme => "auth_scheme",
            Self::Malformed => "malformed",
            Self::TokenInQuery => "token_in_query",
            Self::TooLarge => "token_too_large",
            Self::MalformedToken => "malformed_token",
            Self::Encrypted => "encrypted",
            Self::Type => "type",
            Self::Crit => "crit",
            Self::UnencodedPayload => "unencoded_payload",
            Self::EmbeddedKey => "embedded_key",
            Self::UnknownIssuer => "unknown_issuer",
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::BadClaims => "bad_claims",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NoSubject => "no_subject",
            Self::NoTenant => "no_tenant",
            Self::SenderConstrained => "sender_constrained",
            Self::Downgraded => "dpop_downgrade",
            Self::NotBound => "not_bound",
            Self::BindingRequired => "binding_required",
            Self::NoCertificate => "no_certificate",
            Self::OtherCertificate => "other_certificate",
            Self::Dpop(error) => error.reason(),
            Self::WrongAudience => "wrong_audience",
            Self::Inactive => "inactive",
            Self::KeysUnavailable => "keys_unavailable",
            Self::IntrospectionUnavailable => "introspection_unavailable",
        }
    }

    /// The HTTP status of the refusal: 401; 400 for a request that is malformed as such
    /// (RFC 6750 §3.1); 503 when it is not the caller's fault.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed | Self::TokenInQuery => StatusCode::BAD_REQUEST,
            Self::KeysUnavailable | Self::IntrospectionUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Dpop(error) => error.status(),
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The `error` of the challenge (RFC 6750 §3.1, RFC 9449 §7.1). `None` where there was no attempt with a token,
    /// and where the caller is not to blame.
    #[must_use]
    pub fn error_code(&self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::AuthScheme => None,
            Self::KeysUnavailable | Self::IntrospectionUnavailable => None,
            Self::Malformed | Self::TokenInQuery => Some("invalid_request"),
            Self::Dpop(error) => error.error_code(),
            _ => Some("invalid_token"),
        }
    }
}

/// Why [`Identity`](crate::Identity) cannot be built from a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A local JWK set cannot be read.
    #[error("issuer {issuer}: cannot read {path}: {cause}")]
    KeyFile {
        /// `iss`.
        issuer: String,
        /// `jwks: {file: …}`.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A local JWK set is none, or has no key that could verify a token.
    #[error("issuer {issuer}: JWK set: {cause}")]
    KeySet {
        /// `iss`.
        issuer: String,
        /// What is wrong.
        cause: String,
    },
    /// A secret of an introspection client cannot be read or used.
    #[error("issuer {issuer}: introspection client: {cause}")]
    Client {
        /// `iss`.
        issuer: String,
        /// What is wrong; never the secret.
        cause: String,
    },
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Egress(#[from] narthex_upstreams::egress::EgressError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_callers_fault_is_a_503() {
        for error in [TokenError::KeysUnavailable, TokenError::IntrospectionUnavailable] {
            assert_eq!((error.status().as_u16(), error.error_code()), (503, None));
        }
    }

    #[test]
    fn no_attempt_gets_no_error_code_and_a_bad_token_gets_one() {
        assert_eq!((TokenError::Missing.status().as_u16(), TokenError::Missing.error_code()), (401, None));
        assert_eq!(TokenError::AuthScheme.error_code(), None);
        assert_eq!(TokenError::Expired.error_code(), Some("invalid_token"));
        assert_eq!(TokenError::Malformed.error_code(), Some("invalid_request"));
        assert_eq!(TokenError::TokenInQuery.status().as_u16(), 400);
    }
}
