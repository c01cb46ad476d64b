//! The door to the gateway's own authorization server: what of HTTP it is given, and what of it goes out.

use crate::body;
use crate::client_certificate;
use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::Reply;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use narthex_authority::{Authority, Outcome, Request, Response};
use narthex_telemetry::names::OTHER;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::Duration;

/// Largest body that is read, bytes.
const BODY_CAP: usize = 64 * 1024;
/// Longest that a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Longest that an answer may take: some ask identity providers and upstreams first.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// The authority, and whether its public URL is this machine.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    authority: Arc<Authority>,
    /// The path of `public_url`, which a balancer in front may or may not have taken off.
    base: String,
    is_local: bool,
}

/// A request for the authority, its path below that of `public_url`.
#[derive(Debug)]
pub(crate) struct ForAuthority {
    door: Door,
    path: String,
}

impl Door {
    pub(crate) fn new(authority: Arc<Authority>, public_url: &narthex_config::model::PublicUrl) -> Self {
        let host = public_url.origin.split_once("://").map_or("", |(_, host)| host);
        Self { authority, base: public_url.path.clone(), is_local: is_loopback(host) }
    }

    pub(crate) fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Takes a request in, if its path is the authority's.
    ///
    /// # Errors
    /// A name that leads to this machine only by somebody's name server (DNS rebinding).
    pub(crate) fn take(&self, path: &str, headers: &HeaderMap) -> Result<Option<ForAuthority>, Refusal> {
        let below = path.strip_prefix(self.base.as_str()).filter(|rest| rest.starts_with('/'));
        let Some(path) = below.into_iter().chain([path]).find(|path| self.authority.owns(path)) else {
            return Ok(None);
        };
        let host = headers.get(HOST).map(|value| value.to_str().unwrap_or_default());
        if self.is_local && host.is_some_and(|host| !is_loopback(host)) {
            return Err(Refusal::Origin);
        }
        Ok(Some(ForAuthority { door: self.clone(), path: path.to_owned() }))
    }
}

/// Answers what [`Door::take`] took in.
///
/// # Errors
/// The body is too large, too slow or incomplete; the authority takes too long.
pub(crate) async fn answer(
    shared: &Shared,
    asked: ForAuthority,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<(), Refusal> {
    let within = visit.snapshot.limits.body_timeout.min(BODY_TIME);
    let body = body::read(session, BODY_CAP, within, &visit.snapshot.budget).await.map_err(Refusal::Body)?;
    visit.bytes_in = body.bytes.len();
    let header = session.req_header();
    let request = Request {
        method: header.method.clone(),
        path: asked.path,
        query: header.uri.query().map(str::to_owned),
        headers: header.headers.clone(),
        body: body.bytes.clone(),
        peer: visit.remote,
        client_certificate: client_certificate::digest_of(session),
        request_id: visit.request_id.as_str().to_owned(),
    };
    let is_head = request.method == Method::HEAD;
    let answering = asked.door.authority.answer(request, visit.now);
    let response = pingora::time::timeout(ANSWER_TIME, answering).await;
    let response = response.map_err(|_| Refusal::Internal("the authority takes too long"))?;
    note(shared, &response, visit);
    send(response, is_head, session, visit).await
}

/// What became of it, for metrics and the access log: never what stands in the query or in a path.
fn note(shared: &Shared, response: &Response, visit: &mut Visit) {
    let outcome = response.extensions().get::<Outcome>();
    let (endpoint, result) = outcome.map_or((OTHER, OTHER), |outcome| (outcome.endpoint, outcome.result));
    shared.metrics.authority(endpoint, result);
    visit.other_path = outcome.map(|outcome| outcome.path.to_owned());
    // That a user has approved a client is no refusal.
    if !matches!(result, "ok" | "approved") {
        visit.note_result(result);
    }
}

async fn send(
    response: Response,
    is_head: bool,
    session: &mut ServerSession,
    visit: &mut Visit,
) -> Result<(), Refusal> {
    let (parts, body) = response.into_parts();
    let body = if is_head { Bytes::new() } else { body };
    let header = head(&parts, body.len(), visit).map_err(|_| Refusal::Internal("cannot build an answer"))?;
    visit.status = parts.status;
    Reply { header: Box::new(header), body: body.into() }.pass_on(session, visit).await
}

/// The header as the authority made it: its security fields are its own, pages have others than data.
fn head(parts: &http::response::Parts, length: usize, visit: &Visit) -> pingora::Result<ResponseHeader> {
    let mut header = ResponseHeader::build_no_case(parts.status, Some(parts.headers.len() + 4))?;
    for (name, value) in &parts.headers {
        header.append_header(name.clone(), value.clone())?;
    }
    if parts.status != StatusCode::NO_CONTENT {
        header.insert_header(CONTENT_LENGTH, HeaderValue::from(length))?;
    }
    header.insert_header("x-request-id", visit.request_id.value().clone())?;
    if visit.snapshot.https {
        let hsts = HeaderValue::from_static("max-age=31536000");
        header.insert_header(http::header::STRICT_TRANSPORT_SECURITY, hsts)?;
    }
    Ok(header)
}

/// Whether a host (with a port, maybe) is this machine by its name alone.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let ip = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:80", "127.9.9.9", "[::1]:8080", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.test",
            "localhost.evil.test:80",
            "10.0.0.1",
            "[::2]:80",
            "127.0.0.1.evil.test",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
