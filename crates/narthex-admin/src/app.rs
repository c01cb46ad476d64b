//! What is served, and how.

use crate::pins::{self, PinDesk};
use async_trait::async_trait;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response, StatusCode};
use narthex_telemetry::Metrics;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::Duration;

/// The Prometheus text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const METRICS_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Time that a client may take to accept a piece of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the gateway can take requests.
pub trait Readiness: Send + Sync {
    /// Why it cannot: short stable names such as `draining`; empty if it can.
    fn not_ready(&self) -> Vec<&'static str>;
}

/// The admin listener's application:
///
/// - `GET /metrics`: all metrics.
/// - `GET /healthz`: 200 as long as the process serves; depends on nothing else.
/// - `GET /readyz`: 200, or 503 with the reasons.
/// - `GET /pins`, `GET /pins/{upstream}/{tool}`, `POST /pins/approve`: see [`PinDesk`].
pub struct Admin {
    metrics: Arc<Metrics>,
    readiness: Arc<dyn Readiness>,
    pins: Option<Arc<dyn PinDesk>>,
}

impl Admin {
    /// Serves `metrics` and what `readiness` says.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, readiness: Arc<dyn Readiness>) -> Self {
        Self { metrics, readiness, pins: None }
    }

    /// Serves `/pins`, too.
    #[must_use]
    pub fn with_pins(self, desk: Arc<dyn PinDesk>) -> Self {
        Self { pins: Some(desk), ..self }
    }

    /// The answer to a request, whatever its header and body say.
    fn answer(&self, method: &Method, path: &str) -> Response<Vec<u8>> {
        let page = match path {
            "/metrics" => Self::metrics,
            "/healthz" => Self::health,
            "/readyz" => Self::ready,
            _ => return not_found(),
        };
        match *method {
            Method::GET => page(self),
            Method::HEAD => without_body(page(self)),
            _ => not_allowed("GET, HEAD"),
        }
    }

    fn metrics(&self) -> Response<Vec<u8>> {
        match self.metrics.encode() {
            Ok(text) => reply(StatusCode::OK, METRICS_TYPE, text.into_bytes()),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be encoded");
                reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, b"metrics cannot be encoded\n".to_vec())
            }
        }
    }

    #[expect(clippy::unused_self, reason = "one signature for all pages")]
    fn health(&self) -> Response<Vec<u8>> {
        reply(StatusCode::OK, TEXT, b"ok\n".to_vec())
    }

    fn ready(&self) -> Response<Vec<u8>> {
        let reasons = self.readiness.not_ready();
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
        reply(status, JSON, body.to_string().into_bytes())
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        let has_body = !session.is_body_empty();
        let header = session.req_header();
        let (mut answer, was_read) = match &self.pins {
            Some(desk) if pins::is_ours(header.uri.path()) => pins::answer(desk, session).await,
            _ => (self.answer(&header.method, header.uri.path()), false),
        };
        if has_body && !was_read {
            // It stays unread, so the connection cannot be used again.
            session.set_keepalive(None);
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

pub(crate) fn not_found() -> Response<Vec<u8>> {
    reply(StatusCode::NOT_FOUND, TEXT, b"not found\n".to_vec())
}

pub(crate) fn not_allowed(allowed: &'static str) -> Response<Vec<u8>> {
    let mut refused = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, b"method not allowed\n".to_vec());
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refused
}

pub(crate) fn reply(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Response<Vec<u8>> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The answer to HEAD: the header of the answer to GET (RFC 9110 §9.3.2).
pub(crate) fn without_body(mut response: Response<Vec<u8>>) -> Response<Vec<u8>> {
    response.body_mut().clear();
    response
}

#[cfg(test)]
mod tests;
