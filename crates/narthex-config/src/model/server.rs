//! The listeners.

use super::{ClientAuth, SecretRef};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The public listener, where MCP clients connect.
#[derive(Clone, Debug)]
pub struct Server {
    /// `server.listen`: address and port.
    pub listen: SocketAddr,
    /// `server.public_url`: what clients see; every resource id and metadata URL starts with it.
    pub public_url: PublicUrl,
    /// `server.tls`: serve TLS (rustls) instead of plain HTTP.
    pub tls: Option<Tls>,
    /// `server.allowed_origins`: browser origins (`scheme://host[:port]`, lower case) that may call.
    /// A request without `Origin` is allowed; one with an `Origin` not listed is refused with 403.
    pub allowed_origins: Vec<String>,
    /// `server.seal_keys`: the first seals session ids and other handles, all of them open.
    /// Empty: a key is made and kept in `state_dir`.
    pub seal_keys: Vec<SecretRef>,
    /// `server.state_dir`: where the gateway keeps keys that it made itself.
    pub state_dir: PathBuf,
    /// `server.threads`: worker threads of the data path. `None`: one per CPU.
    pub threads: Option<usize>,
    /// `server.grace_period`: how long open streams may go on after SIGTERM.
    pub grace_period: Duration,
    /// `server.limits`: what one client may make us hold.
    pub limits: HttpLimits,
}

/// `server.public_url`: an absolute `http`/`https` URL without query, fragment or trailing slash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicUrl {
    /// The URL as used in resource identifiers, without a trailing slash.
    pub url: String,
    /// Its origin, `scheme://host[:port]`.
    pub origin: String,
    /// Its path, empty or starting with `/` and without a trailing slash.
    pub path: String,
}

/// `server.tls`. Files are re-read when the configuration is reloaded or they change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    /// PEM certificate chain, leaf first.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// `client_ca`, `client_auth`: which clients may connect.
    pub client_auth: ClientAuth,
}

/// `server.limits`: bounds on what clients may make the gateway read and hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpLimits {
    /// Request body, bytes. Default 16 MiB. Over it: 413.
    pub body: usize,
    /// Request header block, bytes. Default 32 KiB. Over it: 431.
    pub header_block: usize,
    /// Nesting depth of a JSON body. Default 64. Over it: 400.
    pub json_depth: usize,
    /// Open client connections. Default 10,000. Over it: closed at once.
    pub connections: usize,
    /// Body bytes buffered at one time over all requests. Default 256 MiB. Over it: 503.
    pub buffered: usize,
    /// Streams (SSE answers and GET streams) open at one time for one caller. Default 64. Over it: 429.
    pub streams_per_caller: usize,
    /// Time for a whole request header to arrive. Default 10 s.
    pub header_timeout: Duration,
    /// Time for a whole request body to arrive. Default 30 s.
    pub body_timeout: Duration,
    /// Idle time before a kept-alive client connection is closed. Default 60 s.
    pub idle_timeout: Duration,
    /// Time a single write to a client may stall before the client is dropped. Default 60 s.
    pub write_timeout: Duration,
    /// Calls held at one time while a client answers what an upstream asks it (MCP 2026-07-28,
    /// basic/patterns/mrtr). Default 1024.
    pub suspended_calls: usize,
    /// The same for one caller. Default 16.
    pub suspended_per_caller: usize,
    /// How long such a call waits for its client. Default 5 min.
    pub suspend_timeout: Duration,
    /// Bridged sessions that are open at one time: of clients, and at upstreams, each. Default 10,000.
    pub sessions: usize,
    /// The same for one caller. Default 100.
    pub sessions_per_caller: usize,
    /// Idle time before a bridged session is closed. Default 30 min.
    pub session_idle: Duration,
    /// Events kept of one stream for a client that comes back with `Last-Event-ID` (MCP 2025-11-25,
    /// basic/transports). Default 256.
    pub events_per_stream: usize,
    /// Bytes of such events kept for one session. Default 1 MiB.
    pub event_bytes_per_session: usize,
}

impl Default for HttpLimits {
    /// What holds where `server.limits` says nothing.
    fn default() -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        Self {
            body: 16 << 20,
            header_block: 32 << 10,
            json_depth: 64,
            connections: 10_000,
            buffered: 256 << 20,
            streams_per_caller: 64,
            header_timeout: 10 * SECOND,
            body_timeout: 30 * SECOND,
            idle_timeout: 60 * SECOND,
            write_timeout: 60 * SECOND,
            suspended_calls: 1024,
            suspended_per_caller: 16,
            suspend_timeout: 300 * SECOND,
            sessions: 10_000,
            sessions_per_caller: 100,
            session_idle: 1800 * SECOND,
            events_per_stream: 256,
            event_bytes_per_session: 1 << 20,
        }
    }
}

/// The admin listener: metrics and health.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Admin {
    /// `admin.listen`. Default `127.0.0.1:9090`.
    pub listen: SocketAddr,
}
