//! Upstreams: one that echoes, and one that a test plays itself.

use super::tls::Tls;
use super::wire::{Duplex, Wire, chunked, header, within};
use bytes::Bytes;
use futures_util::FutureExt;
use http::Response;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// An upstream that sends back what it got.
pub(super) struct Echo {
    pub(super) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// The protocol an echo speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Speaks {
    H1,
    H2,
}

impl Echo {
    pub(super) async fn serve(speaks: Speaks, tls: Option<Arc<Tls>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("bound");
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (accepted, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::AcqRel);
                tcp.set_nodelay(true).expect("nodelay");
                tokio::spawn(echo(tcp, speaks, tls.clone(), Arc::clone(&seen)));
            }
        });
        Self { addr, connections, requests }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }
}

async fn echo(tcp: TcpStream, speaks: Speaks, tls: Option<Arc<Tls>>, seen: Arc<AtomicUsize>) {
    match (tls, speaks) {
        (None, Speaks::H1) => echo_h1(tcp, seen).await,
        (None, Speaks::H2) => echo_h2(tcp, seen).await,
        (Some(tls), Speaks::H1) => echo_h1(tls.accept(tcp, &["http/1.1"]).await, seen).await,
        (Some(tls), Speaks::H2) => echo_h2(tls.accept(tcp, &["h2"]).await, seen).await,
    }
}

/// `/chunked…` is answered chunked, everything else with Content-Length.
async fn echo_h1(io: impl Duplex + 'static, seen: Arc<AtomicUsize>) {
    let mut wire = Wire::new(io);
    while let Some(head) = wire.head().await {
        seen.fetch_add(1, Ordering::AcqRel);
        assert_eq!(head.matches("content-length").count(), 1, "one length: {head}");
        let body = wire.body(&head).await;
        assert!(body.whole, "a whole body");
        let answer = if head.contains(" /chunked") {
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            [&head[..], &chunked(&body.bytes, 30_000)].concat()
        } else {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.bytes.len());
            [head.as_bytes(), &body.bytes].concat()
        };
        if wire.try_send(&answer).await.is_err() {
            return;
        }
    }
}

async fn echo_h2(io: impl Duplex + 'static, seen: Arc<AtomicUsize>) {
    let mut connection = within(h2::server::handshake(io)).await.expect("HTTP/2");
    while let Some(Ok((request, respond))) = connection.accept().await {
        seen.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(echo_stream(request, respond));
    }
}

async fn echo_stream(request: http::Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let path = request.uri().path().to_owned();
    let declared = request.headers().get("content-length").map(|v| v.to_str().expect("text").to_owned());
    let mut body = Vec::new();
    let mut stream = request.into_body();
    while let Some(Ok(chunk)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(chunk.len());
        body.extend_from_slice(&chunk);
    }
    assert_eq!(declared, Some(body.len().to_string()), "one length, and the right one");
    let mut response = Response::builder();
    if !path.starts_with("/chunked") {
        response = response.header("content-length", body.len());
    }
    let Ok(mut out) = respond.send_response(response.body(()).expect("a response"), false) else { return };
    let _ = out.send_data(body.into(), true);
}

/// An upstream whose connections a test plays by hand.
pub(super) struct Played {
    pub(super) addr: SocketAddr,
    listener: TcpListener,
}

impl Played {
    pub(super) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        Self { addr: listener.local_addr().expect("bound"), listener }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> Wire {
        Wire::new(self.accept_tcp().await)
    }

    pub(super) async fn accept_tcp(&self) -> TcpStream {
        let (tcp, _) = within(self.listener.accept()).await.expect("a connection");
        tcp.set_nodelay(true).expect("nodelay");
        tcp
    }

    /// The next connection, as HTTP/2.
    pub(super) async fn accept_h2(&self) -> h2::server::Connection<TcpStream, Bytes> {
        within(h2::server::handshake(self.accept_tcp().await)).await.expect("HTTP/2")
    }

    /// Whether anybody has connected whom [`Played::accept`] has not taken yet.
    pub(super) fn is_called(&self) -> bool {
        self.listener.accept().now_or_never().is_some()
    }
}

/// Reads one request off `wire`: its header and body.
pub(super) async fn request(wire: &mut Wire) -> (String, Vec<u8>) {
    let head = wire.head().await.expect("a request");
    assert!(header(&head, "transfer-encoding").is_none(), "framed by length: {head}");
    let body = wire.body(&head).await;
    assert!(body.whole, "a whole body");
    (head, body.bytes)
}

/// A plain answer.
pub(super) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
