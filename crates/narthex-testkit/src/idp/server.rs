//! HTTP: which endpoint is meant, how often, and in which trouble it is.

use super::{State, endpoints, login};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// What the provider serves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// Metadata by RFC 8414.
    OauthMetadata,
    /// Metadata by OpenID Connect discovery.
    OidcMetadata,
    /// The key set.
    Jwks,
    /// The token endpoint.
    Token,
    /// The introspection endpoint.
    Introspection,
    /// Where browsers log in.
    Authorize,
    /// The userinfo endpoint.
    UserInfo,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::OauthMetadata,
        Self::OidcMetadata,
        Self::Jwks,
        Self::Token,
        Self::Introspection,
        Self::Authorize,
        Self::UserInfo,
    ];

    /// Its path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::OauthMetadata => "/.well-known/oauth-authorization-server",
            Self::OidcMetadata => "/.well-known/openid-configuration",
            Self::Jwks => "/jwks",
            Self::Token => "/token",
            Self::Introspection => "/introspect",
            Self::Authorize => "/authorize",
            Self::UserInfo => "/userinfo",
        }
    }
}

/// What an endpoint does in the place of its work. Its calls are counted all the same.
#[derive(Clone, Debug, Default)]
pub enum Trouble {
    /// Nothing: it works.
    #[default]
    None,
    /// Answers with this status and no body.
    Status(u16),
    /// Answers 200 with this content type and body.
    Body(&'static str, Vec<u8>),
    /// Answers with this status and JSON body.
    Json(u16, serde_json::Value),
    /// Redirects to this URL.
    Redirect(String),
    /// Works, but only after so long.
    Slow(Duration),
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    Close,
}

/// Counts and troubles, by endpoint.
#[derive(Default)]
pub(super) struct Served {
    hits: Mutex<HashMap<Endpoint, usize>>,
    troubles: Mutex<HashMap<Endpoint, Trouble>>,
}

impl Served {
    pub(super) fn hits(&self, endpoint: Endpoint) -> usize {
        self.hits.lock().get(&endpoint).copied().unwrap_or_default()
    }

    pub(super) fn set_trouble(&self, endpoint: Endpoint, trouble: Trouble) {
        self.troubles.lock().insert(endpoint, trouble);
    }

    fn hit(&self, endpoint: Endpoint) -> Trouble {
        *self.hits.lock().entry(endpoint).or_default() += 1;
        self.troubles.lock().get(&endpoint).cloned().unwrap_or_default()
    }
}

/// A listener on 127.0.0.1.
pub(super) async fn listen(port: u16) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port to listen on");
    let address = listener.local_addr().expect("a bound socket has an address");
    (listener, address)
}

/// Serves until the handle is used.
pub(super) fn serve(listener: TcpListener, state: Arc<State>) -> AbortHandle {
    tokio::spawn(accept(listener, state)).abort_handle()
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Dropped, and its tasks with it, when this task is aborted.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
    // A connection that fails is its client's business.
    let _ = Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Answer = Response<Full<Bytes>>;

async fn respond(request: Request<Incoming>, state: Arc<State>) -> io::Result<Answer> {
    let path = request.uri().path();
    let Some(endpoint) = Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path) else {
        return Ok(answer(404, "text/plain", ""));
    };
    match state.served.hit(endpoint) {
        Trouble::None => {}
        Trouble::Status(status) => return Ok(answer(status, "text/plain", "")),
        Trouble::Body(kind, body) => return Ok(answer(200, kind, body)),
        Trouble::Json(status, body) => return Ok(answer(status, "application/json", body.to_string())),
        Trouble::Redirect(url) => return Ok(redirect(&url)),
        Trouble::Slow(delay) => tokio::time::sleep(delay).await,
        Trouble::Hang => std::future::pending().await,
        // An error closes the connection.
        Trouble::Close => return Err(io::ErrorKind::ConnectionReset.into()),
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if endpoint == Endpoint::Authorize {
        let back = login::authorize(&state, &head);
        return Ok(back.map_or_else(|| answer(400, "text/plain", ""), |url| redirect(&url)));
    }
    let (status, body) = endpoints::answer(&state, endpoint, &head, &body);
    Ok(answer(status, "application/json", body.to_string()))
}

fn answer(status: u16, kind: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    let headers = answer.headers_mut();
    headers.insert("content-type", kind.parse().expect("a content type"));
    headers.insert("cache-control", http::HeaderValue::from_static("no-store"));
    answer
}

fn redirect(url: &str) -> Answer {
    let mut answer = answer(302, "text/plain", "");
    answer.headers_mut().insert("location", url.parse().expect("a URL"));
    answer
}
