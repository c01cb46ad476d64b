//! Clients: HTTP/1.1 by hand, HTTP/2 by the `h2` crate.

use super::door::Door;
use super::tls::Tls;
use super::wire::{Duplex, Wire, chunked, within};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response, StatusCode};
use tokio::net::TcpStream;

/// A plain HTTP/1.1 connection to `door`.
pub(super) async fn h1(door: &Door) -> Wire {
    Wire::new(tcp(door).await)
}

/// The same over TLS.
pub(super) async fn h1_tls(door: &Door, tls: &Tls) -> Wire {
    Wire::new(tls.connect(tcp(door).await, "http/1.1").await)
}

pub(super) async fn tcp(door: &Door) -> TcpStream {
    let tcp = TcpStream::connect(door.addr).await.expect("connect");
    tcp.set_nodelay(true).expect("nodelay");
    tcp
}

/// A POST with Content-Length, header and body together.
pub(super) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: door\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A chunked POST.
pub(super) fn post_chunked(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: door\r\nTransfer-Encoding: chunked\r\n\r\n");
    [head.as_bytes(), &chunked(body, 40_000)].concat()
}

/// A GET.
pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: door\r\n\r\n").into_bytes()
}

/// An HTTP/2 connection.
pub(super) struct H2 {
    send: SendRequest<Bytes>,
    /// Ends when the connection does.
    pub(super) driver: tokio::task::JoinHandle<()>,
}

/// The answer to an HTTP/2 request, whose body is still to come.
pub(super) struct Incoming {
    pub(super) status: StatusCode,
    pub(super) stream: h2::RecvStream,
}

impl H2 {
    /// With prior knowledge.
    pub(super) async fn plain(door: &Door) -> Self {
        Self::over(tcp(door).await).await
    }

    /// By ALPN.
    pub(super) async fn tls(door: &Door, tls: &Tls) -> Self {
        Self::over(tls.connect(tcp(door).await, "h2").await).await
    }

    /// For requests of a test's own.
    pub(super) fn sender(&mut self) -> &mut SendRequest<Bytes> {
        &mut self.send
    }

    async fn over(io: impl Duplex + 'static) -> Self {
        let (send, connection) = within(h2::client::handshake(io)).await.expect("HTTP/2");
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self { send, driver }
    }

    /// Sends a request; `length`: with Content-Length.
    pub(super) async fn start(
        &mut self,
        path: &str,
        body: &[u8],
        length: bool,
    ) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut request = Request::post(format!("http://door{path}"));
        if length {
            request = request.header("content-length", body.len());
        }
        let request = request.body(()).expect("a request");
        self.send = within(self.send.clone().ready()).await.expect("a free stream");
        let (answer, mut stream) = self.send.send_request(request, false).expect("sent");
        let _ = stream.send_data(Bytes::copy_from_slice(body), true);
        (answer, stream)
    }

    /// Sends a request and reads the header of its answer.
    pub(super) async fn open(
        &mut self,
        path: &str,
        body: &[u8],
        length: bool,
    ) -> Result<Incoming, h2::Error> {
        let (answer, _request) = self.start(path, body, length).await;
        let (parts, stream) = within(answer).await.map(Response::into_parts)?;
        Ok(Incoming { status: parts.status, stream })
    }

    /// Sends a request and reads its whole answer.
    pub(super) async fn call(
        &mut self,
        path: &str,
        body: &[u8],
        length: bool,
    ) -> Result<(StatusCode, Vec<u8>), h2::Error> {
        let mut incoming = self.open(path, body, length).await?;
        let mut all = Vec::new();
        while let Some(chunk) = incoming.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok((incoming.status, all))
    }
}

impl Incoming {
    /// The next piece of the body, not counting the empty one that ends it.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, h2::Error> {
        loop {
            let Some(chunk) = within(self.stream.data()).await.transpose()? else { return Ok(None) };
            let _ = self.stream.flow_control().release_capacity(chunk.len());
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }
}
