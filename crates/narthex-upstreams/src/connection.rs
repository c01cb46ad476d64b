//! Pooled connections to upstreams.

use crate::at_once::at_once;
use crate::peers::{Peer, Peers, ResolveError};
use crate::pool::Pool;
use bytes::Bytes;
use pingora::connectors::http::Connector;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::http::RequestHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v1::client::{HttpSession as Http1Session, http_req_header_to_wire};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// Body up to which header and body are copied together, bytes.
const ONE_WRITE: usize = 32 * 1024;

/// Connections that pingora keeps over all upstreams: of HTTP/2, and of HTTP/1.1 where that was agreed in TLS.
const POOL_SIZE: usize = 4096;

/// The connections to all upstreams, in use and idle. Lives as long as the process.
pub struct Connections {
    /// HTTP/1.1 where nothing else is spoken.
    idle: Pool,
    transport: TransportConnector,
    /// All else.
    connector: Connector,
}

/// An open connection (HTTP/1.1) or stream (HTTP/2) to an upstream, for one exchange.
pub struct Connection {
    /// pingora's session. Of no use before [`Connection::write_request`].
    pub session: HttpSession,
    /// Whether it was idle before, and so may turn out to be stale.
    pub reused: bool,
    /// An HTTP/1.1 connection before its session begins.
    stream: Option<Stream>,
    spoiled: bool,
    peer: Arc<Peer>,
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
        let options = || Some(ConnectorOptions::new(POOL_SIZE));
        let transport = TransportConnector::new(options());
        Self { idle: Pool::default(), transport, connector: Connector::new(options()) }
    }
}

impl Connections {
    /// A connection to one of `peers`: an idle one to its current address if there is one, else new; other addresses of
    /// the same host are tried when one cannot be connected to. Nothing has been sent on it.
    pub(crate) async fn open(
        &self,
        peers: &Arc<Peers>,
        now: Instant,
    ) -> Result<Box<Connection>, ConnectError> {
        let peer = match peers.current(now) {
            Some(peer) => peer,
            None => peers.resolve(now).await?,
        };
        match peer.place(&self.idle).and_then(|place| place.take(now)) {
            Some(stream) => Ok(Connection::http1(stream, true, peer)),
            // In a box: its future is large, and hardly any call needs it.
            None => Box::pin(self.open_any(peers, peer)).await,
        }
    }

    async fn open_any(&self, peers: &Peers, mut peer: Arc<Peer>) -> Result<Box<Connection>, ConnectError> {
        let mut attempts = peers.count().max(1);
        let mut pooled_failed = false;
        loop {
            match self.open_one(&peer).await {
                Ok(connection) => return Ok(connection),
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

    /// A connection to this address: new, unless pingora has one.
    async fn open_one(&self, peer: &Arc<Peer>) -> Result<Box<Connection>, Box<Error>> {
        if peer.place(&self.idle).is_some() {
            let stream = self.transport.new_stream(&peer.settings).await?;
            return Ok(Connection::http1(stream, false, Arc::clone(peer)));
        }
        let (session, reused) = self.connector.get_http_session(&peer.settings).await?;
        let peer = Arc::clone(peer);
        Ok(Box::new(Connection { session, reused, stream: None, spoiled: false, peer }))
    }

    /// A new connection to one of `peers`, that shares nothing with those of [`Connections::open`] and is never
    /// pooled: it is closed when it is dropped. The addresses have `within` for themselves, in equal parts.
    pub(crate) async fn open_apart(
        &self,
        peers: &Arc<Peers>,
        now: Instant,
        within: Duration,
    ) -> Result<Box<Connection>, ConnectError> {
        let mut peer = match peers.current(now) {
            Some(peer) => peer,
            None => peers.resolve(now).await?,
        };
        let mut attempts = u32::try_from(peers.count()).unwrap_or(u32::MAX).max(1);
        let each = within / attempts;
        loop {
            let own = Arc::new(Peer::new(apart(&peer.settings, each)));
            let error = match self.open_one(&own).await {
                Ok(mut connection) => {
                    connection.spoil();
                    return Ok(connection);
                }
                Err(error) => error,
            };
            attempts -= 1;
            match peers.after(&peer).filter(|_| attempts > 0) {
                Some(next) => peer = next,
                None => return Err(ConnectError::Connect(error.to_string())),
            }
        }
    }

    /// Gives back a connection whose answer was read to its end; it is kept if it may be.
    pub fn release(&self, connection: Box<Connection>, keep: Duration) {
        if connection.spoiled {
            return self.abandon(connection);
        }
        let Connection { session, peer, .. } = *connection;
        match (session, peer.place(&self.idle)) {
            (HttpSession::H1(mut session), Some(place)) => {
                session.respect_keepalive();
                // It waits for nothing but the last words of a connection that is closed.
                if let Some(stream) = at_once(session.reuse()).flatten() {
                    place.give(stream, keep, Instant::now());
                }
            }
            (session, _) => self.give_to_pingora(session, &peer, Some(keep)),
        }
    }

    /// Gives up an exchange that did not come to its end: closes an HTTP/1.1 connection, resets an
    /// HTTP/2 stream, whose connection goes back to the pool (dropped, it would idle without end).
    pub fn abandon(&self, connection: Box<Connection>) {
        let Connection { session, peer, .. } = *connection;
        if session.as_http2().is_some() {
            self.give_to_pingora(session, &peer, peer.settings.options.idle_timeout);
        }
    }

    fn give_to_pingora(&self, session: HttpSession, peer: &Peer, idle: Option<Duration>) {
        at_once(self.connector.release_http_session(session, &peer.settings, idle));
    }

    /// Closes idle HTTP/1.1 connections whose time is over or whose server has closed them. To be called often: until
    /// then, what a server has closed keeps its socket.
    pub fn sweep(&self, now: Instant) {
        self.idle.sweep(now);
    }
}

impl Connection {
    fn http1(stream: Stream, reused: bool, peer: Arc<Peer>) -> Box<Self> {
        let session = HttpSession::Custom(());
        Box::new(Self { session, reused, stream: Some(stream), spoiled: false, peer })
    }

    /// Sends a request: header and body in one write where that can be, because on HTTP/1.1 two writes
    /// are two segments and wake the server twice. If this future is dropped, the connection is too.
    ///
    /// # Errors
    /// It could not be written, or not as a whole.
    pub async fn write_request(&mut self, header: &RequestHeader, body: &Bytes) -> Result<(), Box<Error>> {
        if body.len() <= ONE_WRITE
            && let Some(stream) = self.take_stream()
        {
            return self.write_at_once(stream, header, body).await;
        }
        if let Some(stream) = self.stream.take() {
            self.begin(stream);
        }
        self.session.write_request_header(Box::new(header.clone())).await?;
        if !body.is_empty() {
            self.session.write_request_body(body.clone(), true).await?;
        }
        self.session.finish_request_body().await
    }

    /// The HTTP/1.1 connection, whether its session has begun or not.
    fn take_stream(&mut self) -> Option<Stream> {
        if let HttpSession::H1(_) = self.session
            && let HttpSession::H1(session) = std::mem::replace(&mut self.session, HttpSession::Custom(()))
        {
            return Some(session.into_inner());
        }
        self.stream.take()
    }

    fn begin(&mut self, stream: Stream) {
        self.session = HttpSession::H1(Http1Session::new_with_options(stream, &self.peer.settings));
    }

    async fn write_at_once(
        &mut self,
        mut stream: Stream,
        header: &RequestHeader,
        body: &Bytes,
    ) -> Result<(), Box<Error>> {
        let Some(mut wire) = http_req_header_to_wire(header) else {
            self.begin(stream);
            return Error::e_explain(ErrorType::InvalidHTTPHeader, "request line");
        };
        wire.extend_from_slice(body);
        let written = async {
            stream.write_all(&wire).await?;
            stream.flush().await
        };
        let written = written.await;
        self.begin(stream);
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
