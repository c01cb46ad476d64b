//! Pooled connections to upstreams.

use crate::peers::{Peers, ResolveError};
use pingora::ErrorType;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Idle connections kept over all upstreams.
const POOL_SIZE: usize = 4096;

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
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
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
            self.connector.release_http_session(session, peer.as_ref(), peer.options.idle_timeout).await;
        }
    }
}

impl Connection {
    /// Marks the connection as not to be used again, whatever its answer says.
    pub fn spoil(&mut self) {
        self.spoiled = true;
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}
