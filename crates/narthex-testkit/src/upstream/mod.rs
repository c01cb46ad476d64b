//! An MCP server that keeps what it was sent and answers as told.

mod answer;
mod consenting;
mod feed;
mod http1;
mod http2;
mod legacy;
mod mcp;
mod modern;
mod record;

pub use answer::Answer;
pub use consenting::ConsentingUpstream;
pub use feed::SseFeed;
pub use legacy::{LegacyServer, Opened};
pub use modern::ModernOnly;
pub use record::UpstreamRequest;

use crate::pki::{Leaf, Pki};
use parking_lot::Mutex;
use record::Record;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// An MCP server in this process, on a port of 127.0.0.1.
///
/// Each request is answered by the first that there is of: the answers queued with [`Self::next`],
/// the rule given with [`Self::always`], and [`Answer::mcp`], which knows enough MCP for a client to
/// be content. Dropping it ends it and all its connections.
pub struct RecordingUpstream {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl RecordingUpstream {
    /// A server that speaks HTTP/1.1 in plain text.
    pub async fn start() -> Self {
        Self::start_with(UpstreamOptions::default()).await
    }

    /// A server as told.
    pub async fn start_with(options: UpstreamOptions) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await.expect("a port to listen on");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let tls = options.tls.is_some();
        let accepting = tokio::spawn(accept(listener, options, Arc::clone(&shared))).abort_handle();
        Self { address, tls, shared, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL with `path`: by address in plain text, as `localhost` with TLS.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match self.tls {
            true => format!("https://localhost:{}{path}", self.address.port()),
            false => format!("http://{}{path}", self.address),
        }
    }

    /// Queues the answer to one request.
    pub fn next(&self, answer: Answer) {
        self.shared.queue.lock().push_back(answer);
    }

    /// Answers every request that no queued answer is left for by `rule`.
    pub fn always(&self, rule: impl Fn(&UpstreamRequest) -> Answer + Send + Sync + 'static) {
        *self.shared.rule.lock() = Some(Arc::new(rule));
    }

    /// The requests received so far whose body is complete, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<UpstreamRequest> {
        self.shared.record.requests.lock().clone()
    }

    /// How many requests it has received whole.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.record.requests.lock().len()
    }

    /// The requests for the JSON-RPC method `method`.
    #[must_use]
    pub fn requests_for(&self, method: &str) -> Vec<UpstreamRequest> {
        self.requests()
            .into_iter()
            .filter(|request| request.rpc_method().as_deref() == Some(method))
            .collect()
    }

    /// Waits until it has received `count` whole requests in all, and gives them.
    ///
    /// # Panics
    /// They do not come within 20 s.
    pub async fn wait_for(&self, count: usize) -> Vec<UpstreamRequest> {
        let mut changes = self.shared.record.changes.subscribe();
        let enough = changes.wait_for(|()| self.count() >= count);
        if timeout(PATIENCE, enough).await.is_err() {
            panic!("{} of {count} requests came", self.count());
        }
        self.requests()
    }

    /// Waits until `done`, looking again after each whole request.
    ///
    /// # Panics
    /// Not within 20 s; the message has the requests.
    pub async fn wait_until(&self, done: impl Fn() -> bool) {
        let mut changes = self.shared.record.changes.subscribe();
        if timeout(PATIENCE, changes.wait_for(|()| done())).await.is_err() {
            let requests = self.requests();
            let told = |r: &UpstreamRequest| format!("{} {}", r.method, String::from_utf8_lossy(&r.body));
            panic!(
                "it did not come; all that came:\n{}",
                requests.iter().map(told).collect::<Vec<_>>().join("\n")
            );
        }
    }

    /// Waits until it has received `count` whole requests for the JSON-RPC method `method`, and gives them.
    ///
    /// # Panics
    /// They do not come within 20 s.
    pub async fn wait_for_method(&self, method: &str, count: usize) -> Vec<UpstreamRequest> {
        let mut changes = self.shared.record.changes.subscribe();
        let enough = changes.wait_for(|()| self.requests_for(method).len() >= count);
        if timeout(PATIENCE, enough).await.is_err() {
            panic!("{} of {count} requests for {method} came", self.requests_for(method).len());
        }
        self.requests_for(method)
    }

    /// Waits until every connection that was opened is closed again.
    ///
    /// # Panics
    /// Not within 20 s.
    pub async fn wait_for_no_connections(&self) {
        let mut open = self.shared.open.subscribe();
        if timeout(PATIENCE, open.wait_for(|&open| open == 0)).await.is_err() {
            panic!("{} connections are still open", self.open_connections());
        }
    }

    /// The certificate (DER) that the client showed on a connection, counted from 0.
    #[must_use]
    pub fn certificate(&self, connection: usize) -> Option<Vec<u8>> {
        self.shared.record.certificates.lock().get(&connection).cloned()
    }

    /// How many connections have been opened in all.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.record.streams.lock().len()
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// Every byte received, one connection after the other; behind TLS, the plain text. Of HTTP/2,
    /// whose headers are compressed, each request as HTTP/1.1 would have it.
    #[must_use]
    pub fn received_bytes(&self) -> Vec<u8> {
        self.shared.record.streams.lock().concat()
    }

    /// Whether `canary` is anywhere in what a connection sent, in any case of its letters.
    #[must_use]
    pub fn seen(&self, canary: impl AsRef<[u8]>) -> bool {
        self.shared.record.seen(canary.as_ref())
    }

    /// Forgets the requests and the bytes received so far; connections stay open.
    pub fn forget(&self) {
        self.shared.record.forget();
    }

    /// Stops listening and drops every connection. The port is free again when this returns.
    pub async fn stop(self) {
        self.accepting.abort();
        while !self.accepting.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for RecordingUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// How a [`RecordingUpstream`] serves.
#[derive(Default)]
pub struct UpstreamOptions {
    /// The port; 0 for any that is free.
    port: u16,
    tls: Option<Arc<ServerConfig>>,
    http2: bool,
}

impl UpstreamOptions {
    /// On this port of 127.0.0.1, to come back where another was stopped.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Speaks HTTP/2: with TLS if the client offers `h2` (ALPN), else to whoever connects (prior
    /// knowledge).
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Speaks TLS with `leaf`. Say [`Self::http2`] before if it is to.
    #[must_use]
    pub fn tls(mut self, pki: &Pki, leaf: &Leaf) -> Self {
        let alpn: &[&str] = if self.http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        self.tls = Some(pki.server_config(leaf, alpn));
        self
    }

    /// The same, and takes only clients that show a certificate of `clients`.
    #[must_use]
    pub fn mutual_tls(mut self, clients: &Pki, leaf: &Leaf) -> Self {
        let alpn: &[&str] = if self.http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        self.tls = Some(clients.demanding_server_config(leaf, alpn));
        self
    }
}

/// How long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

type Rule = Arc<dyn Fn(&UpstreamRequest) -> Answer + Send + Sync>;

/// What the connections of one server have in common.
pub(super) struct Shared {
    record: Record,
    queue: Mutex<VecDeque<Answer>>,
    rule: Mutex<Option<Rule>>,
    open: watch::Sender<usize>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            record: Record::default(),
            queue: Mutex::default(),
            rule: Mutex::default(),
            open: watch::Sender::new(0),
        }
    }
}

impl Shared {
    /// Records `request` and decides its answer.
    fn answer(&self, request: UpstreamRequest) -> Answer {
        let queued = self.queue.lock().pop_front();
        let rule = self.rule.lock().clone();
        let answer = match (queued, rule) {
            (Some(queued), _) => queued,
            (None, Some(rule)) => rule(&request),
            (None, None) => Answer::mcp(&request),
        };
        self.record.push(request);
        answer
    }
}

/// Counts a connection as open while it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

async fn accept(listener: TcpListener, options: UpstreamOptions, shared: Arc<Shared>) {
    // Dropped, and its tasks with it, when this task is aborted.
    let mut connections = JoinSet::new();
    let (tls, http2) = (options.tls.map(TlsAcceptor::from), options.http2);
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        // A connection that fails is the gateway's business, not this server's.
        connections.spawn(async move { serve(stream, tls, http2, shared).await.ok() });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    http2: bool,
    shared: Arc<Shared>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = shared.record.open_stream();
    let _open = Open::new(&shared);
    let Some(tls) = tls else {
        return match http2 {
            true => http2::serve(stream, connection, shared).await,
            false => http1::serve(stream, connection, shared).await,
        };
    };
    let stream = tls.accept(stream).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    if let Some(shown) = shown {
        shared.record.certificates.lock().insert(connection, shown.to_vec());
    }
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => http2::serve(stream, connection, shared).await,
        _ => http1::serve(stream, connection, shared).await,
    }
}

#[cfg(test)]
mod tests;
