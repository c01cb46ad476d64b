//! What was received.

use crate::wire::{Headers, find};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use tokio::sync::watch;

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct UpstreamRequest {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// HTTP method.
    pub method: String,
    /// Request target.
    pub path: String,
    /// Header fields; of HTTP/2, the pseudo-header fields are left out and `host` is `:authority`.
    pub headers: Headers,
    /// Body, with its chunked coding taken off.
    pub body: Vec<u8>,
    /// Whether it came over HTTP/2.
    pub http2: bool,
}

impl UpstreamRequest {
    /// The first value of a header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as JSON; `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The JSON-RPC method of the body.
    #[must_use]
    pub fn rpc_method(&self) -> Option<String> {
        self.json()["method"].as_str().map(str::to_owned)
    }
}

/// All that a server received.
pub(super) struct Record {
    pub(super) requests: Mutex<Vec<UpstreamRequest>>,
    /// One for each connection.
    pub(super) streams: Mutex<Vec<Vec<u8>>>,
    /// What was shown on connections, by their numbers.
    pub(super) certificates: Mutex<HashMap<usize, Vec<u8>>>,
    /// Told of each new request.
    pub(super) changes: watch::Sender<()>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            requests: Mutex::default(),
            streams: Mutex::default(),
            certificates: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }
}

impl Record {
    /// A place for the bytes of a new connection; its number.
    pub(super) fn open_stream(&self) -> usize {
        let mut streams = self.streams.lock();
        streams.push(Vec::new());
        streams.len() - 1
    }

    pub(super) fn received(&self, connection: usize, bytes: &[u8]) {
        self.streams.lock()[connection].extend_from_slice(bytes);
    }

    pub(super) fn push(&self, request: UpstreamRequest) {
        self.requests.lock().push(request);
        self.changes.send_replace(());
    }

    pub(super) fn seen(&self, canary: &[u8]) -> bool {
        let canary = canary.to_ascii_lowercase();
        let in_stream = |stream: &Vec<u8>| find(&stream.to_ascii_lowercase(), &canary).is_some();
        self.streams.lock().iter().any(in_stream)
    }

    pub(super) fn forget(&self) {
        self.requests.lock().clear();
        self.streams.lock().iter_mut().for_each(Vec::clear);
    }
}
