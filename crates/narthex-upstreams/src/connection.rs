//! Pooled connections to upstreams.

use crate::peers::{Peers, ResolveError};
use bytes::Bytes;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v1::client::{HttpSession as Http1Session, http_req_header_to_wire};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// Idle connections kept over all upstreams.
const POOL_SIZE: usize = 4096;

/// Body up to which header and body are copied together, bytes.
const ONE_WRITE: usize = 32 * 1024;

/// The pool that all upstreams share. Lives as long as the process.
pub struct Connections {
    connector: Connector,
}

/// An open connection (HTTP/1.1) or stream (HTTP/2) to an upstream, for one exchange.
pub struct Connection {
    /// pingora's session.
    pub session: HttpSession,
    /// Whether it comes from the pool, and so may turn out to be stale.
    pub reused: bool,
    spoiled: bool,
    peer: Arc<HttpPeer>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It is a child process, which nobody connects to.
    #[error("a child process is not connected to")]
    ChildProcess,
    /// No TCP connection or no TLS session, from any of the addresses.
    #[error("cannot connect: {0}")]
    Connect(String),
}

impl Default for Connections {
    fn default() -> Self {
        Self { connector: Connector::new(Some(ConnectorOptions::new(POOL_SIZE))) }
    }
}

impl Connections {
    /// A connection to one of `peers`: pooled if there is one, else new; other addresses of the same
    /// host are tried when one cannot be connected to. Nothing has been sent on it.
    pub(crate) async fn open(&self, peers: &Arc<Peers>, now: Instant) -> Result<Connection, ConnectError> {
        let mut peer = match peers.current(now) {
            Some(peer) => peer,
            None => peers.resolve(now).await?,
        };
        let mut attempts = peers.count().max(1);
        let mut pooled_failed = false;
        loop {
            match self.connector.get_http_session(peer.as_ref()).await {
                Ok((session, reused)) => return Ok(Connection { session, reused, spoiled: false, peer }),
                // A pooled HTTP/2 connection that has just failed is an error here, and out of the pool.
                Err(error) if *error.etype() == ErrorType::H2Error && !pooled_failed => pooled_failed = true,
                Err(error) => {
                    attempts -= 1;
                    match peers.after(&peer).filter(|_| attempts > 0) {
                        Some(next) => peer = next,
                        None => return Err(ConnectError::Connect(error.to_string())),
                    }
                }
            }
        }
    }

    /// A new connection to one of `peers`, that shares nothing with those of [`Connections::open`] and is never
    /// pooled: it is closed when it is dropped. The addresses have `within` for themselves, in equal parts.
    pub(crate) async fn open_apart(
        &self,
        peers: &Arc<Peers>,
        now: Instant,
        within: Duration,
    ) -> Result<Connection, ConnectError> {
        let mut peer = match peers.current(now) {
            Some(peer) => peer,
            None => peers.resolve(now).await?,
        };
        let mut attempts = u32::try_from(peers.count()).unwrap_or(u32::MAX).max(1);
        let each = within / attempts;
        loop {
            let own = Arc::new(apart(&peer, each));
            let error = match self.connector.get_http_session(own.as_ref()).await {
                Ok((session, reused)) => return Ok(Connection { session, reused, spoiled: true, peer: own }),
                Err(error) => error,
            };
            attempts -= 1;
            match peers.after(&peer).filter(|_| attempts > 0) {
                Some(next) => peer = next,
                None => return Err(ConnectError::Connect(error.to_string())),
            }
        }
    }

    /// Gives back a connection whose answer was read to its end; it is pooled if it may be.
    pub async fn release(&self, connection: Connection, keep: Duration) {
        if connection.spoiled {
            return self.abandon(connection).await;
        }
        let Connection { session, peer, .. } = connection;
        self.connector.release_http_session(session, peer.as_ref(), Some(keep)).await;
    }

    /// Gives up an exchange that did not come to its end: closes an HTTP/1.1 connection, resets an
    /// HTTP/2 stream, whose connection goes back to the pool (dropped, it would idle without end).
    pub async fn abandon(&self, connection: Connection) {
        let Connection { session, peer, .. } = connection;
        if session.as_http2().is_some() {
            // In a box, for the sake of all the futures that hardly ever come here.
            let idle = peer.options.idle_timeout;
            Box::pin(self.connector.release_http_session(session, peer.as_ref(), idle)).await;
        }
    }
}

impl Connection {
    /// Sends a request: header and body in one write where that can be, because on HTTP/1.1 two writes
    /// are two segments and wake the server twice. If this future is dropped, the connection is too.
    ///
    /// # Errors
    /// It could not be written, or not as a whole.
    pub async fn write_request(&mut self, header: &RequestHeader, body: &Bytes) -> Result<(), Box<Error>> {
        if matches!(self.session, HttpSession::H1(_)) && body.len() <= ONE_WRITE {
            return self.write_at_once(header, body).await;
        }
        self.session.write_request_header(Box::new(header.clone())).await?;
        if !body.is_empty() {
            self.session.write_request_body(body.clone(), true).await?;
        }
        self.session.finish_request_body().await
    }

    async fn write_at_once(&mut self, header: &RequestHeader, body: &Bytes) -> Result<(), Box<Error>> {
        let malformed = || Error::explain(ErrorType::InvalidHTTPHeader, "request line");
        let mut wire = http_req_header_to_wire(header).ok_or_else(malformed)?;
        wire.extend_from_slice(body);
        let HttpSession::H1(session) = std::mem::replace(&mut self.session, HttpSession::Custom(())) else {
            return Err(Error::explain(ErrorType::InternalError, "not HTTP/1.1"));
        };
        let mut stream = session.into_inner();
        let written = async {
            stream.write_all(&wire).await?;
            stream.flush().await
        };
        let written = written.await;
        self.session = HttpSession::H1(Http1Session::new_with_options(stream, self.peer.as_ref()));
        written.map_err(|e| Error::because(ErrorType::WriteError, "while writing the request", e))
    }

    /// Marks the connection as not to be used again, whatever its answer says.
    pub fn spoil(&mut self) {
        self.spoiled = true;
    }
}

/// `peer` with a pool of its own, in which nothing is ever left.
fn apart(peer: &HttpPeer, within: Duration) -> HttpPeer {
    let mut own = peer.clone();
    own.group_key = !peer.group_key;
    // pingora keeps an HTTP/2 connection for as long as it may have further streams.
    own.options.max_h2_streams = 1;
    own.options.h2_ping_interval = None;
    own.options.connection_timeout = Some(within);
    own.options.total_connection_timeout = Some(within);
    own
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}
