//! The authority's face to HTTP: what it is asked, and what it answers.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use std::net::IpAddr;

/// A request to one of the authority's paths.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path below that of `public_url`, starting with `/`.
    pub path: String,
    /// What follows the `?`.
    pub query: Option<String>,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body, at most 64 KiB.
    pub body: Bytes,
    /// Who is at the other end of the connection.
    pub peer: Option<IpAddr>,
    /// SHA-256 of the client certificate (DER) that TLS verified.
    pub client_certificate: Option<[u8; 32]>,
    /// What the access log calls this request; pages about a failure show it.
    pub request_id: String,
}

/// The media type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

impl Request {
    /// Whether the body is said to be of this media type, whatever its parameters.
    pub(crate) fn is_of(&self, media: &str) -> bool {
        let said = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media)
    }
}

/// An answer, complete with its security headers.
pub type Response = http::Response<Bytes>;
