//! `/pins`: what is approved of the upstreams' tools, what waits, and approving it.
//!
//! The admin listener asks nobody who they are, so these pages are kept from web pages that an operator's
//! browser shows, also from those that give their own name this machine's address (DNS rebinding), and
//! approving is for this machine alone.

use crate::app::{JSON, TEXT, not_allowed, not_found, reply, without_body};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use pingora::protocols::http::ServerSession;
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Longest body, bytes.
const MAX_BODY: usize = 16 << 10;

/// Time for a whole body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The keeper of the pins. Its calls may take a while: they read, compare and write files.
pub trait PinDesk: Send + Sync {
    /// All that is approved and all that waits, as a JSON text.
    fn list(&self) -> String;

    /// What is approved and what waits of one tool, as a JSON text; `None` if nothing is.
    fn tool(&self, upstream: &str, tool: &str) -> Option<String>;

    /// Approves exactly the definition with this SHA-256.
    fn approve(&self, upstream: &str, tool: &str, sha256: &str) -> Approval;
}

/// What became of an approval.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Approval {
    /// The definition is approved.
    Done,
    /// No tool of that name waits.
    NotFound,
    /// One waits, but another definition, as the text says.
    Conflict(String),
    /// It could not be written down, as the text says.
    Failed(String),
}

/// The body of `POST /pins/approve`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    upstream: String,
    tool: String,
    sha256: String,
}

/// Why a request is refused before its path is looked at.
type Refused = (StatusCode, &'static str);

/// Whether a path is one of these pages.
pub(crate) fn is_ours(path: &str) -> bool {
    path.strip_prefix("/pins").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to a request for one of these pages, and whether the request's body has been read.
pub(crate) async fn answer(
    desk: &Arc<dyn PinDesk>,
    session: &mut ServerSession,
) -> (Response<Vec<u8>>, bool) {
    let peer = session.client_addr().and_then(|peer| peer.as_inet()).map(|peer| peer.ip());
    let header: &Parts = session.req_header();
    let (method, path) = (header.method.clone(), header.uri.path().to_owned());
    if let Err((status, why)) = guard(&method, header.uri.authority(), &header.headers, peer) {
        return (text(status, why), false);
    }
    if path == "/pins/approve" {
        return match method {
            Method::POST => match body(session).await {
                Ok(body) => (approve(desk, &body).await, true),
                Err((status, why)) => (text(status, why), false),
            },
            _ => (not_allowed("POST"), false),
        };
    }
    (read(desk, &method, path).await, false)
}

/// Refuses what a web page may have sent.
fn guard(
    method: &Method,
    authority: Option<&Authority>,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<(), Refused> {
    let forbidden = |why| Err((StatusCode::FORBIDDEN, why));
    if headers.contains_key(ORIGIN) || headers.get("sec-fetch-site").is_some_and(|site| site != "none") {
        return forbidden("not for web pages");
    }
    let mut hosts = headers.get_all(HOST).iter();
    let is_known = hosts.next().is_some_and(is_address) && hosts.next().is_none();
    if !is_known || authority.is_some_and(|authority| !is_address_or_localhost(authority)) {
        return forbidden("the Host header must be an IP address or localhost");
    }
    if *method == Method::GET || *method == Method::HEAD {
        return Ok(());
    }
    if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
        return forbidden("for clients on this machine only");
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    if !types.next().is_some_and(is_json) || types.next().is_some() {
        return forbidden("the Content-Type must be application/json");
    }
    Ok(())
}

/// A name that is neither may be anybody's, with any address.
fn is_address(host: &HeaderValue) -> bool {
    Authority::try_from(host.as_bytes()).is_ok_and(|authority| is_address_or_localhost(&authority))
}

fn is_address_or_localhost(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let has_user = authority.as_str().contains('@');
    !has_user && (host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok())
}

fn is_json(content_type: &HeaderValue) -> bool {
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

async fn body(session: &mut ServerSession) -> Result<Vec<u8>, Refused> {
    let reading = async {
        let mut body = Vec::new();
        loop {
            match session.read_request_body().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BODY => body.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err((StatusCode::PAYLOAD_TOO_LARGE, "at most 16 KiB")),
                Ok(None) => return Ok(body),
                Err(_) => return Err((StatusCode::BAD_REQUEST, "the body is broken")),
            }
        }
    };
    let late = Err((StatusCode::REQUEST_TIMEOUT, "the body takes too long"));
    tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or(late)
}

async fn approve(desk: &Arc<dyn PinDesk>, body: &[u8]) -> Response<Vec<u8>> {
    let Ok(Approve { upstream, tool, sha256 }) = serde_json::from_slice(body) else {
        let form = "the body must be {\"upstream\": \"…\", \"tool\": \"…\", \"sha256\": \"…\"}";
        return text(StatusCode::BAD_REQUEST, form);
    };
    match aside(desk, move |desk| desk.approve(&upstream, &tool, &sha256)).await {
        Some(Approval::Done) => reply(StatusCode::NO_CONTENT, TEXT, Vec::new()),
        Some(Approval::NotFound) => text(StatusCode::NOT_FOUND, "no such tool is quarantined"),
        Some(Approval::Conflict(why)) => text(StatusCode::CONFLICT, &why),
        Some(Approval::Failed(why)) => text(StatusCode::INTERNAL_SERVER_ERROR, &why),
        None => failed(),
    }
}

async fn read(desk: &Arc<dyn PinDesk>, method: &Method, path: String) -> Response<Vec<u8>> {
    if *method != Method::GET && *method != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    let found = aside(desk, move |desk| {
        if path == "/pins" {
            return Some(desk.list());
        }
        let (upstream, tool) = path.strip_prefix("/pins/")?.split_once('/')?;
        if tool.contains('/') {
            return None;
        }
        let decode = |segment| percent_decode_str(segment).decode_utf8().ok();
        desk.tool(&decode(upstream)?, &decode(tool)?)
    });
    let answer = match found.await {
        Some(Some(json)) => reply(StatusCode::OK, JSON, json.into_bytes()),
        Some(None) => not_found(),
        None => failed(),
    };
    if *method == Method::HEAD { without_body(answer) } else { answer }
}

/// Runs what may take a while on a thread where it holds no probe up. `None`: it has panicked.
async fn aside<T: Send + 'static>(
    desk: &Arc<dyn PinDesk>,
    work: impl FnOnce(&dyn PinDesk) -> T + Send + 'static,
) -> Option<T> {
    let desk = Arc::clone(desk);
    tokio::task::spawn_blocking(move || work(&*desk)).await.ok()
}

fn failed() -> Response<Vec<u8>> {
    text(StatusCode::INTERNAL_SERVER_ERROR, "the pins cannot be read")
}

fn text(status: StatusCode, line: &str) -> Response<Vec<u8>> {
    reply(status, TEXT, format!("{line}\n").into_bytes())
}

#[cfg(test)]
mod tests;
