//! `server:` and `admin:`.

use super::ClientAuth;
use super::reference::{FileRef, Secret};
use super::scalar::{Count, HumanDuration, Listen, Size};
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// The public listener.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["public_url"]))]
pub(crate) struct Server {
    /// Address and port to listen on. Default `127.0.0.1:8080`.
    pub(crate) listen: Field<Listen>,
    /// The URL that clients use. Resource identifiers and metadata URLs are made from it, never from
    /// the Host header.
    pub(crate) public_url: Field<String>,
    /// Serve TLS instead of plain HTTP.
    pub(crate) tls: Field<Tls>,
    /// Browser origins that may call, such as `https://app.example.com`. A request without an Origin
    /// header is allowed.
    pub(crate) allowed_origins: Field<Vec<Field<String>>>,
    /// Keys for session ids and other handles: the first seals, all of them open. Replicas must share
    /// them. Default: one is made and kept in `state_dir`.
    pub(crate) seal_keys: Field<Vec<Field<Secret>>>,
    /// Where the gateway keeps keys that it made itself. Default: systemd's STATE_DIRECTORY, else
    /// `.narthex` beside this file.
    pub(crate) state_dir: Field<String>,
    /// Worker threads of the data path. Default: one per CPU.
    pub(crate) threads: Field<Count>,
    /// How long open streams may go on after SIGTERM. Default `30s`.
    pub(crate) grace_period: Field<HumanDuration>,
    /// What one client may make the gateway hold.
    pub(crate) limits: Field<HttpLimits>,
}

/// TLS of the public listener. The files are read again when they change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cert", "key"]))]
pub(crate) struct Tls {
    /// PEM certificate chain, leaf first.
    pub(crate) cert: Field<FileRef>,
    /// PEM private key.
    pub(crate) key: Field<FileRef>,
    /// PEM certificates of the authorities that client certificates must chain to.
    pub(crate) client_ca: Field<FileRef>,
    /// Which clients may connect. Default `required` with `client_ca`; without, none is asked for a certificate.
    pub(crate) client_auth: Field<ClientAuth>,
}

/// Bounds on what clients may make the gateway read and hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpLimits {
    /// Request body. Over it: 413. Default `16MiB`.
    pub(crate) body: Field<Size>,
    /// Request header block. Over it: 431. Default `32KiB`.
    pub(crate) header_block: Field<Size>,
    /// Nesting depth of a JSON body, at most 512. Over it: 400. Default 64.
    pub(crate) json_depth: Field<Count>,
    /// Open client connections. Over it: closed at once. Default 10000.
    pub(crate) connections: Field<Count>,
    /// Body bytes buffered at one time over all requests. Over it: 503. Default `256MiB`.
    pub(crate) buffered: Field<Size>,
    /// Streams open at one time for one caller. Over it: 429. Default 64.
    pub(crate) streams_per_caller: Field<Count>,
    /// Time for a whole request header to arrive. Default `10s`.
    pub(crate) header_timeout: Field<HumanDuration>,
    /// Time for a whole request body to arrive. Default `30s`.
    pub(crate) body_timeout: Field<HumanDuration>,
    /// Idle time before a kept-alive client connection is closed. Default `60s`.
    pub(crate) idle_timeout: Field<HumanDuration>,
    /// Time a single write to a client may stall before the client is dropped. Default `60s`.
    pub(crate) write_timeout: Field<HumanDuration>,
    /// Calls held at one time while a client answers what an upstream asks it. Default 1024.
    pub(crate) suspended_calls: Field<Count>,
    /// The same for one caller. Default 16.
    pub(crate) suspended_per_caller: Field<Count>,
    /// How long such a call waits for its client. Default `5m`.
    pub(crate) suspend_timeout: Field<HumanDuration>,
    /// Bridged sessions open at one time: of clients, and at upstreams, each. Default 10000.
    pub(crate) sessions: Field<Count>,
    /// The same for one caller. Default 100.
    pub(crate) sessions_per_caller: Field<Count>,
    /// Idle time before a bridged session is closed. Default `30m`.
    pub(crate) session_idle: Field<HumanDuration>,
    /// Events kept of one stream for a client that comes back for them. Default 256.
    pub(crate) events_per_stream: Field<Count>,
    /// Bytes of such events kept for one session. Default `1MiB`.
    pub(crate) event_bytes_per_session: Field<Size>,
}

/// The admin listener.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// Address and port. Default `127.0.0.1:9090`.
    pub(crate) listen: Field<Listen>,
}
