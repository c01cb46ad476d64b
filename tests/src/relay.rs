//! Shows a token for clients that have none.

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

/// A relay of HTTP/1.1 on a port of 127.0.0.1 that adds `Authorization` to what it is sent and changes
/// nothing else: `Host` and `Origin` reach the gateway as the client wrote them, and bodies stream in
/// both directions. Dropping it stops it.
pub struct Relay {
    port: u16,
    listener: Option<TcpListener>,
    serving: Option<AbortHandle>,
}

impl Relay {
    /// One that does not relay yet, so that its port can be in the gateway's configuration.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn bind() -> Self {
        let bound = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = bound.unwrap_or_else(|error| panic!("no free port: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        Self { port, listener: Some(listener), serving: None }
    }

    /// From now on relays to `gateway`; `tokens` has the token for each path.
    pub fn start(&mut self, gateway: SocketAddr, tokens: HashMap<String, String>) {
        if let Some(listener) = self.listener.take() {
            let way = Arc::new(Way { gateway, tokens });
            self.serving = Some(tokio::spawn(serve(listener, way)).abort_handle());
        }
    }

    /// What clients call it, and say as their `Origin`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Where it goes on to, and with what.
struct Way {
    gateway: SocketAddr,
    tokens: HashMap<String, String>,
}

/// The connection to the gateway that belongs to one of a client.
type Onward = Mutex<Option<SendRequest<Incoming>>>;

type Body = BoxBody<Bytes, hyper::Error>;

async fn serve(listener: TcpListener, way: Arc<Way>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (way, onward) = (Arc::clone(&way), Arc::new(Onward::default()));
        let service = service_fn(move |request| {
            let (way, onward) = (Arc::clone(&way), Arc::clone(&onward));
            async move { Ok::<_, Infallible>(way.answer(&onward, request).await) }
        });
        // An error is the client's going away.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl Way {
    async fn answer(&self, onward: &Onward, request: Request<Incoming>) -> Response<Body> {
        match self.forward(onward, request).await {
            Ok(response) => response.map(BodyExt::boxed),
            Err(error) => failure(&error),
        }
    }

    async fn forward(
        &self,
        onward: &Onward,
        mut request: Request<Incoming>,
    ) -> io::Result<Response<Incoming>> {
        if let Some(token) = self.tokens.get(request.uri().path()) {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(io::Error::other)?;
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let mut kept = onward.lock().await;
        // Where the gateway ended the connection, another takes its place before anything is sent.
        let mut sender = match ready(kept.take()).await {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        *kept = Some(sender);
        Ok(response)
    }

    async fn connect(&self) -> io::Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect(self.gateway).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// The connection, if it can still be used.
async fn ready(sender: Option<SendRequest<Incoming>>) -> Option<SendRequest<Incoming>> {
    let mut sender = sender?;
    sender.ready().await.ok().map(|()| sender)
}

/// 502 with the reason in a header, for the failure of a test to show.
fn failure(error: &io::Error) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    if let Ok(reason) = HeaderValue::from_str(&error.to_string()) {
        response.headers_mut().insert("x-relay-error", reason);
    }
    response
}

#[cfg(test)]
mod tests;
