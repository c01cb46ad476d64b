//! What an endpoint says when it does not do what it was asked (RFC 6749 §5.2, RFC 7591 §3.2.2).

use crate::Response;
use crate::reply;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use narthex_store::Error as StoreError;
use serde::Serialize;
use std::fmt;

/// An OAuth error. It has two faces: the code and the description are for the client, the detail is for the
/// log. None of them holds what the client sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OAuthError {
    pub(crate) code: Code,
    pub(crate) description: &'static str,
    /// What the log says beside it.
    pub(crate) detail: Option<String>,
    /// Ask for HTTP Basic: the client tried that (RFC 6749 §5.2).
    pub(crate) basic: bool,
    /// The nonce that the client's next proof is to have (RFC 9449 §8).
    pub(crate) nonce: Option<String>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:ident;)*) => {
        /// The registered error codes that are used here.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub(crate) enum Code { $($(#[$doc])* $name),* }

        impl Code {
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }
        }
    };
}

codes! {
    AccessDenied = "access_denied", FORBIDDEN;
    ConsentRequired = "consent_required", BAD_REQUEST;
    InvalidClient = "invalid_client", UNAUTHORIZED;
    InvalidClientMetadata = "invalid_client_metadata", BAD_REQUEST;
    /// RFC 9449 §5.
    InvalidDpopProof = "invalid_dpop_proof", BAD_REQUEST;
    InvalidGrant = "invalid_grant", BAD_REQUEST;
    InvalidRedirectUri = "invalid_redirect_uri", BAD_REQUEST;
    InvalidRequest = "invalid_request", BAD_REQUEST;
    InvalidScope = "invalid_scope", BAD_REQUEST;
    /// RFC 8707 §2.
    InvalidTarget = "invalid_target", BAD_REQUEST;
    /// RFC 6750 §3.1: of an initial access token.
    InvalidToken = "invalid_token", UNAUTHORIZED;
    LoginRequired = "login_required", BAD_REQUEST;
    RequestNotSupported = "request_not_supported", BAD_REQUEST;
    RequestUriNotSupported = "request_uri_not_supported", BAD_REQUEST;
    ServerError = "server_error", INTERNAL_SERVER_ERROR;
    /// Of our own: too many of these from one address.
    SlowDown = "slow_down", TOO_MANY_REQUESTS;
    TemporarilyUnavailable = "temporarily_unavailable", SERVICE_UNAVAILABLE;
    UnauthorizedClient = "unauthorized_client", BAD_REQUEST;
    UnsupportedGrantType = "unsupported_grant_type", BAD_REQUEST;
    UnsupportedResponseType = "unsupported_response_type", BAD_REQUEST;
    /// RFC 9449 §8.
    UseDpopNonce = "use_dpop_nonce", BAD_REQUEST;
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: &'static str,
}

impl OAuthError {
    pub(crate) const fn new(code: Code, description: &'static str) -> Self {
        Self { code, description, detail: None, basic: false, nonce: None }
    }

    /// With words for the log.
    pub(crate) fn detail(self, detail: impl fmt::Display) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }

    /// The answer of an endpoint that clients ask.
    pub(crate) fn answer(&self) -> Response {
        let body = Body { error: self.code.as_str(), error_description: self.description };
        let mut response = reply::json(self.code.status(), &body);
        let headers = response.headers_mut();
        if self.code == Code::InvalidClient && self.basic {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"narthex\", charset=\"UTF-8\""),
            );
        }
        if self.code == Code::InvalidToken {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
        }
        if matches!(self.code, Code::SlowDown | Code::TemporarilyUnavailable) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
        }
        reply::give_nonce(&mut response, self.nonce.as_deref());
        reply::note(&mut response, self.code.as_str());
        response
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Self::new(Code::TemporarilyUnavailable, "The server cannot remember anything just now.").detail(error)
    }
}

/// The grant cannot be used. Why not is for the log: whoever tries stolen ones need not know.
pub(crate) fn invalid_grant(detail: &'static str) -> OAuthError {
    OAuthError::new(Code::InvalidGrant, "The grant is invalid, used, expired, revoked, or another client's.")
        .detail(detail)
}

/// The request has no sense.
pub(crate) const fn invalid_request(description: &'static str) -> OAuthError {
    OAuthError::new(Code::InvalidRequest, description)
}
