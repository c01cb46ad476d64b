//! Stage 1: strict HTTP. What is ambiguous ends here; what is not MCP is answered here.

use crate::authority::ForAuthority;
use crate::cors;
use crate::facts::Facts;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::snapshot::{Document, RouteEntry};
use crate::strict;
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL};
use http::{HeaderValue, Method, StatusCode};
use narthex_identity::TokenError;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;

/// How a client uses an MCP endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Post,
    Get,
    Delete,
}

/// A well-formed request to a route.
pub(crate) struct Inbound {
    pub(crate) verb: Verb,
    pub(crate) route: Arc<RouteEntry>,
    /// Boxed: it is large, and goes from stage to stage.
    pub(crate) facts: Box<Facts>,
}

/// What a request turned out to be.
pub(crate) enum Accepted {
    /// For a route.
    Mcp(Inbound),
    /// Something that the gateway answers itself.
    Local(Reply),
    /// For the gateway's own authorization server.
    Authority(ForAuthority),
}

impl Verb {
    /// As in a request line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Get => "GET",
            Self::Delete => "DELETE",
        }
    }
}

const METHODS: &str = "POST, GET, DELETE, OPTIONS";

/// Checks framing, header and origin, and finds the route.
///
/// # Errors
/// Anything ambiguous, oversized, from a foreign origin, or to no route.
pub(crate) fn accept(session: &ServerSession, visit: &mut Visit) -> Result<Accepted, Refusal> {
    let snapshot = Arc::clone(&visit.snapshot);
    let header = session.req_header();
    strict::check(session, snapshot.limits.header_block).map_err(Refusal::Framing)?;
    let facts = Box::new(Facts::read(&header.headers).map_err(Refusal::Header)?);
    let path = header.uri.path();
    if let Some(document) = snapshot.documents.get(path) {
        visit.other_path = Some(path.to_owned());
        return serve(document, &header.method);
    }
    let Some(route) = snapshot.routes.get(path) else {
        if let Some(document) = snapshot.metadata_at(path) {
            visit.other_path = Some(path.to_owned());
            return serve(&document, &header.method);
        }
        let door = snapshot.authority.as_ref();
        if let Some(asked) = door.map(|door| door.take(path, &header.headers)).transpose()?.flatten() {
            return Ok(Accepted::Authority(asked));
        }
        visit.other_path = Some(loggable(path));
        return Err(Refusal::NoRoute);
    };
    visit.tally = Some(route.metrics.request());
    visit.route = Some(Arc::clone(route));
    if !snapshot.origins.allows(facts.origin.as_ref()) {
        return Err(Refusal::Origin);
    }
    visit.origin = facts.origin.clone();
    if header.uri.query().is_some_and(narthex_identity::query_has_token) {
        return Err(Refusal::Token(TokenError::TokenInQuery));
    }
    let verb = match header.method {
        Method::POST => Verb::Post,
        Method::GET => Verb::Get,
        Method::DELETE => Verb::Delete,
        Method::OPTIONS if facts.preflight && facts.origin.is_some() => {
            return preflight(header.headers.get(ACCESS_CONTROL_REQUEST_HEADERS));
        }
        _ => return Err(Refusal::Method { allow: METHODS }),
    };
    Ok(Accepted::Mcp(Inbound { verb, route: Arc::clone(route), facts }))
}

/// A path of no route, without segments long enough to be a token.
fn loggable(path: &str) -> String {
    const SEGMENT: usize = 32;
    let segments = path.split('/').map(|s| if s.len() > SEGMENT { "*" } else { s });
    segments.take(8).collect::<Vec<_>>().join("/")
}

/// Sends what [`accept`] made.
///
/// # Errors
/// None: a client that is gone needs no answer.
pub(crate) async fn answer(
    session: &mut ServerSession,
    visit: &mut Visit,
    reply: Reply,
) -> Result<(), Refusal> {
    if reply.send(session, visit).await.is_err() {
        visit.cut = Some("client_gone");
    }
    Ok(())
}

fn serve(document: &Document, method: &Method) -> Result<Accepted, Refusal> {
    let internal = |_| Refusal::Internal("cannot build an answer");
    let mut reply = match *method {
        Method::GET => {
            let (made, caching) = match document.body.bytes() {
                Some(body) => {
                    (Reply::new(StatusCode::OK, Some(document.content_type), body), "public, max-age=300")
                }
                None => (Reply::new(StatusCode::SERVICE_UNAVAILABLE, None, Bytes::new()), "no-store"),
            };
            let mut reply = made.map_err(internal)?;
            let caching = HeaderValue::from_static(caching);
            reply.header.insert_header(CACHE_CONTROL, caching).map_err(internal)?;
            reply
        }
        Method::OPTIONS => {
            let mut reply = Reply::new(StatusCode::NO_CONTENT, None, Bytes::new()).map_err(internal)?;
            cors::preflight(&mut reply.header, "GET, OPTIONS", None).map_err(internal)?;
            reply
        }
        _ => return Err(Refusal::Method { allow: "GET, OPTIONS" }),
    };
    cors::public(&mut reply.header).map_err(internal)?;
    Ok(Accepted::Local(reply))
}

fn preflight(asked: Option<&HeaderValue>) -> Result<Accepted, Refusal> {
    let internal = |_| Refusal::Internal("cannot build an answer");
    let mut reply = Reply::new(StatusCode::NO_CONTENT, None, Bytes::new()).map_err(internal)?;
    cors::preflight(&mut reply.header, METHODS, asked).map_err(internal)?;
    Ok(Accepted::Local(reply))
}
