//! AWS Signature Version 4: a signature over a whole request, for servers behind API Gateway, Lambda, Bedrock
//! AgentCore and the like.
//!
//! Of our own, since the crate `aws-sigv4` brings a hundred others with it, among them a second `http`. It is held
//! to the vectors that AWS publishes.

mod canonical;
mod time;
#[cfg(test)]
mod vectors;

use crate::credential::{Outgoing, sensitive};
use crate::error::{CredentialError, Reason};
use crate::secret::Secret;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Tag};
use canonical::Canonical;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::time::SystemTime;
use time::Stamp;
use zeroize::Zeroizing;

/// Fields that are not signed: those that a proxy on the way may change, by the HTTP standard or by custom, and
/// those that follow from the rest.
const UNSIGNED: [HeaderName; 14] = [
    AUTHORIZATION,
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::EXPECT,
    http::header::PROXY_AUTHENTICATE,
    http::header::PROXY_AUTHORIZATION,
    http::header::TE,
    http::header::TRAILER,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
    http::header::USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-amzn-trace-id"),
];
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SESSION: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Keys of AWS.
#[derive(Clone)]
pub(crate) struct AwsCredentials {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
    pub(crate) session_token: Option<Secret>,
}

/// Signs requests for one service in one region.
pub(crate) struct SigV4 {
    credentials: AwsCredentials,
    region: Box<str>,
    service: Box<str>,
}

impl SigV4 {
    /// The keys are text that makes a header.
    pub(crate) fn new(credentials: AwsCredentials, region: &str, service: &str) -> Self {
        Self { credentials, region: region.into(), service: service.into() }
    }

    /// The fields that `request` has to carry in addition.
    pub(crate) fn sign(
        &self,
        request: &Outgoing<'_>,
        now: SystemTime,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, CredentialError> {
        let stamp = Stamp::of(now);
        let body = hex(digest(&SHA256, request.body).as_ref());
        let plain = |text: &str| HeaderValue::from_str(text).map_err(|_| Reason::AssertionFailed);
        let mut made = vec![(DATE, plain(&stamp.time)?), (CONTENT, plain(&body)?)];
        if let Some(token) = &self.credentials.session_token {
            made.push((SESSION, secret_value(token.expose())?));
        }
        let headers = signed(request.headers, &made);
        let is_normalized = &*self.service != "s3";
        let canonical = Canonical::of(request.method, request.target, &headers, &body, is_normalized);
        let signature = self.signature(&stamp, &canonical.text);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.credentials.id.expose(),
            self.scope(&stamp),
            canonical.signed_headers,
        );
        made.push((AUTHORIZATION, secret_value(&authorization)?));
        Ok(made)
    }

    fn scope(&self, stamp: &Stamp) -> String {
        format!("{}/{}/{}/aws4_request", stamp.day, self.region, self.service)
    }

    fn signature(&self, stamp: &Stamp, canonical: &str) -> String {
        let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", stamp.time, self.scope(stamp));
        let secret = Zeroizing::new(format!("AWS4{}", self.credentials.secret.expose()));
        let key = mac(secret.as_bytes(), &stamp.day);
        let key = mac(key.as_ref(), &self.region);
        let key = mac(key.as_ref(), &self.service);
        let key = mac(key.as_ref(), "aws4_request");
        hex(mac(key.as_ref(), &text).as_ref())
    }
}

impl fmt::Debug for SigV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigV4").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The fields that are signed, those that are `made` in the place of others of their names.
fn signed(sent: &HeaderMap, made: &[(HeaderName, HeaderValue)]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(sent.len() + made.len());
    for (name, value) in sent.iter().filter(|(name, _)| !UNSIGNED.contains(name)) {
        headers.append(name, value.clone());
    }
    headers.remove(SESSION);
    for (name, value) in made {
        headers.insert(name, value.clone());
    }
    headers
}

fn secret_value(text: &str) -> Result<HeaderValue, CredentialError> {
    sensitive(Zeroizing::new(text.as_bytes().to_vec())).ok_or_else(|| Reason::AssertionFailed.into())
}

fn mac(key: &[u8], text: &str) -> Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests;
