//! Answers that the gateway gives by itself.

use crate::client;
use crate::cors;
use crate::proving;
use crate::record::Visit;
use crate::refusal::Refusal;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use narthex_identity::{Scheme, challenge};
use narthex_mcp::rpc;
use narthex_policy::Denial;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::borrow::Cow;
use std::time::Duration;

/// RFC 9449 §8.
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// A request body up to this size is read before a refusal is sent, so that the connection lives on.
const SETTLE_CAP: usize = 64 * 1024;
/// Time that such a body has to arrive.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// Room for the fields of an answer. Most have no more; and a stream keeps the room for as long as it goes on.
pub(crate) const FIELDS: usize = 12;

/// A body, in the pieces in which it is there: what is kept for many is not copied for each.
#[derive(Debug, Default)]
pub(crate) struct Body {
    first: Bytes,
    more: Vec<Bytes>,
}

impl Body {
    pub(crate) fn of(first: Bytes, more: impl IntoIterator<Item = Bytes>) -> Self {
        Self { first, more: more.into_iter().collect() }
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.more.iter().map(Bytes::len).sum::<usize>()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In one piece, as text.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        if self.more.is_empty() {
            return String::from_utf8_lossy(&self.first);
        }
        let pieces = std::iter::once(&self.first).chain(&self.more);
        pieces.map(|piece| String::from_utf8_lossy(piece)).collect::<String>().into()
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(whole: B) -> Self {
        Self { first: whole.into(), more: Vec::new() }
    }
}

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) header: Box<ResponseHeader>,
    pub(crate) body: Body,
}

impl Reply {
    /// # Errors
    /// None in practice: the fields are well-formed.
    pub(crate) fn new(
        status: StatusCode,
        content_type: Option<&'static str>,
        body: impl Into<Body>,
    ) -> pingora::Result<Self> {
        let body = body.into();
        let mut header = ResponseHeader::build_no_case(status, Some(FIELDS))?;
        if let Some(content_type) = content_type {
            header.insert_header(CONTENT_TYPE, HeaderValue::from_static(content_type))?;
        }
        if status != StatusCode::NO_CONTENT {
            header.insert_header(CONTENT_LENGTH, HeaderValue::from(body.len()))?;
        }
        Ok(Self { header: Box::new(header), body })
    }

    /// An upstream's answer that is there as a whole: it goes out in one piece, with its length.
    ///
    /// # Errors
    /// None in practice: a length is well-formed.
    pub(crate) fn whole(mut header: Box<ResponseHeader>, body: Bytes) -> Result<Self, Refusal> {
        header.remove_header(&TRANSFER_ENCODING);
        let length = header.insert_header(CONTENT_LENGTH, body.len());
        length.map_err(|_| Refusal::Internal("cannot build the answer"))?;
        Ok(Self { header, body: body.into() })
    }

    /// Sends what [`Reply::whole`] made; its header is decorated already.
    ///
    /// # Errors
    /// None: a client that is gone needs no answer.
    pub(crate) async fn pass_on(self, session: &mut ServerSession, visit: &mut Visit) -> Result<(), Refusal> {
        let Self { header, body } = self;
        visit.bytes_out = body.len();
        if write(session, header, body).await.is_err() {
            visit.cut = Some("client_gone");
        }
        Ok(())
    }

    /// Answers what is not even HTTP.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) async fn unreadable(session: &mut ServerSession) -> pingora::Result<()> {
        let mut reply = Self::new(StatusCode::BAD_REQUEST, None, Bytes::new())?;
        reply.header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
        let mut parts = Parts::from(*reply.header);
        harden(&mut parts.headers);
        client::begin(session, Box::new(parts.into())).await?;
        client::finish(session).await
    }

    /// What `refusal` looks like to the caller of `visit`.
    pub(crate) fn refusing(refusal: &Refusal, visit: &Visit) -> pingora::Result<Self> {
        let verdict = refusal.verdict();
        let soften = verdict.softened_for_legacy && visit.speaks_legacy() && visit.rpc_id.is_some();
        let status = if soften { StatusCode::OK } else { verdict.status };
        let body = match &verdict.rpc {
            Some((code, message)) => {
                let code = &verdict.legacy_code.filter(|_| visit.speaks_legacy()).unwrap_or(*code);
                rpc::error_body(visit.rpc_id.as_deref(), *code, message, verdict.data.as_deref()).into()
            }
            None => Body::default(),
        };
        let content_type = if body.is_empty() { None } else { Some("application/json") };
        let mut reply = Self::new(status, content_type, body)?;
        reply.header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
        if let Some(after) = verdict.retry_after {
            reply.header.insert_header(RETRY_AFTER, HeaderValue::from(seconds(after)))?;
        }
        reply.explain(refusal, visit)?;
        Ok(reply)
    }

    fn explain(&mut self, refusal: &Refusal, visit: &Visit) -> pingora::Result<()> {
        match refusal {
            Refusal::Method { allow } => {
                self.header.insert_header(ALLOW, HeaderValue::from_static(allow))?;
            }
            Refusal::Token(error) => {
                if let Some(route) = &visit.route {
                    let (first, second) = proving::challenges(error, route, visit);
                    if (first.as_bytes().starts_with(b"DPoP") || second.is_some())
                        && let Some(nonce) = proving::nonce(visit)
                    {
                        self.header.insert_header(DPOP_NONCE, nonce)?;
                    }
                    self.header.insert_header(WWW_AUTHENTICATE, first)?;
                    if let Some(second) = second {
                        self.header.append_header(WWW_AUTHENTICATE, second)?;
                    }
                }
            }
            Refusal::Denied(Denial::MissingScopes { required }) => {
                if let Some(route) = &visit.route {
                    let url = visit.snapshot.metadata_url(route);
                    let algorithms = &visit.snapshot.dpop_algorithms;
                    let value = match visit.scheme {
                        Scheme::Bearer => challenge::insufficient_scope(url.as_deref(), required),
                        Scheme::Dpop => {
                            challenge::dpop_insufficient_scope(algorithms, url.as_deref(), required)
                        }
                    };
                    self.header.insert_header(WWW_AUTHENTICATE, value)?;
                }
            }
            Refusal::Denied(Denial::Limited(limited)) => {
                // draft-ietf-httpapi-ratelimit-headers-10 §3, §4.
                let (policy, count) = (&limited.policy, limited.count);
                let window = limited.window.map_or_else(String::new, |w| format!(";w={}", seconds(w)));
                self.text(
                    HeaderName::from_static("ratelimit-policy"),
                    &format!("\"{policy}\";q={count}{window}"),
                )?;
                let reset = seconds(limited.retry_after);
                self.text(HeaderName::from_static("ratelimit"), &format!("\"{policy}\";r=0;t={reset}"))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, name: HeaderName, value: &str) -> pingora::Result<()> {
        match text_value(value) {
            Some(value) => self.header.insert_header(name, value),
            None => Ok(()),
        }
    }

    /// Sends it. The request's body is read first if it is small, because a client that is still
    /// sending when the connection closes may never see the answer.
    ///
    /// # Errors
    /// The client is gone.
    pub(crate) async fn send(self, session: &mut ServerSession, visit: &mut Visit) -> pingora::Result<()> {
        settle(session).await;
        let mut parts = Parts::from(*self.header);
        decorate(&mut parts.headers, visit);
        visit.status = parts.status;
        visit.bytes_out = self.body.len();
        write(session, Box::new(parts.into()), self.body).await
    }
}

async fn write(session: &mut ServerSession, header: Box<ResponseHeader>, body: Body) -> pingora::Result<()> {
    client::begin(session, header).await?;
    let mut last = body.first;
    for piece in body.more {
        session.write_response_body(std::mem::replace(&mut last, piece), false).await?;
    }
    client::end(session, last).await
}

/// `text` as the value of a field.
pub(crate) fn text_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

/// A header of these fields. pingora's own way to set one parses its name, and again for each.
pub(crate) fn header_of(status: StatusCode, fields: HeaderMap) -> Box<ResponseHeader> {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    (parts.status, parts.headers) = (status, fields);
    Box::new(ResponseHeader::from(parts))
}

/// What every answer carries: the request id, CORS where the origin is allowed, security fields.
pub(crate) fn decorate(fields: &mut HeaderMap, visit: &Visit) {
    fields.insert(HeaderName::from_static("x-request-id"), visit.request_id.value().clone());
    harden(fields);
    if visit.snapshot.https {
        const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
        fields.insert(http::header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if let Some(nonce) = &visit.dpop_nonce {
        fields.insert(DPOP_NONCE, nonce.clone());
    }
    if let Some(origin) = &visit.origin {
        cors::allow(fields, origin);
    }
}

/// Security fields: an answer is data, never a page.
fn harden(fields: &mut HeaderMap) {
    const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
    const CSP: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    const REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
    fields.insert(http::header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    fields.insert(http::header::CONTENT_SECURITY_POLICY, CSP);
    fields.insert(http::header::REFERRER_POLICY, REFERRER);
}

async fn settle(session: &mut ServerSession) {
    if session.is_body_done() || session.get_header(http::header::EXPECT).is_some() {
        return;
    }
    let declared = session.get_header(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|n| n <= SETTLE_CAP) {
        let _ = pingora::time::timeout(SETTLE_TIME, session.drain_request_body()).await;
    }
}

/// Whole seconds, rounded up: a caller that waits so long is not early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
