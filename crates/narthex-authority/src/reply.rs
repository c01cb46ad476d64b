//! Answers that are data, not pages.

use crate::Response;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, PRAGMA, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// What became of a request, for metrics and the access log: an extension of the [`Response`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The endpoint: of a small set.
    pub endpoint: &'static str,
    /// `ok`, or the error: of a small set.
    pub result: &'static str,
    /// What the access log calls the path: without what in it is secret.
    pub path: &'static str,
}

/// JSON that nobody may keep (RFC 6749 §5.1).
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Structs of strings and numbers always serialize.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = data(status, "application/json", body.into());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// A document that everybody may keep for some minutes.
pub(crate) fn document(body: Bytes) -> Response {
    let mut response = data(StatusCode::OK, "application/json", body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

/// Nothing to say.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = data(status, "", Bytes::new());
    response.headers_mut().remove(CONTENT_TYPE);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Another method is wanted.
pub(crate) fn method(allow: &'static str) -> Response {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    note(&mut response, "method");
    response
}

/// Answers a preflight request of a page of whatever origin (Fetch standard, "CORS protocol"): no cookie is
/// looked at where this is given.
pub(crate) fn preflight(methods: &'static str) -> Response {
    const HEADERS: &str = "Authorization, Content-Type, DPoP, MCP-Protocol-Version";
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// Gives a client the nonce for its next proof of possession, if there is one (RFC 9449 §8).
pub(crate) fn give_nonce(response: &mut Response, nonce: Option<&str>) {
    if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::from_str(nonce).ok()) {
        response.headers_mut().insert(HeaderName::from_static("dpop-nonce"), nonce);
    }
}

/// Lets pages of whatever origin read the answer.
pub(crate) fn for_all_origins(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("WWW-Authenticate, DPoP-Nonce, Retry-After"),
    );
}

/// Notes what became of the request; where it is noted already, that stays.
pub(crate) fn note(response: &mut Response, result: &'static str) {
    if response.extensions().get::<Outcome>().is_none() {
        response.extensions_mut().insert(Outcome { endpoint: "", result, path: "" });
    }
}

fn data(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}
