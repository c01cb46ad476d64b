//! An HTTP/1.1 client that sends exactly the bytes it is given.

mod response;

pub use response::{RawResponse, SseEvent};

use crate::wire::{Framing, Head, Stream, Wire};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

/// One connection to a server. Every wait ends after [`RawClient::PATIENCE`] with
/// [`io::ErrorKind::TimedOut`].
pub struct RawClient {
    wire: Wire,
    framing: Framing,
    /// Bytes of an event stream that are not a whole event yet.
    partial: String,
}

impl RawClient {
    /// The longest that any single wait takes.
    pub const PATIENCE: Duration = Duration::from_secs(20);

    /// Connects in plain text. Every write leaves at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// No connection.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(dial(address).await?))
    }

    /// Connects with TLS; `name` is what the certificate must be for.
    ///
    /// # Errors
    /// No connection, or the handshake fails.
    pub async fn connect_tls(address: SocketAddr, name: &str, config: Arc<ClientConfig>) -> io::Result<Self> {
        let name = name.to_owned().try_into().map_err(io::Error::other)?;
        let handshake = TlsConnector::from(config).connect(name, dial(address).await?);
        Ok(Self::over(patiently(handshake).await?))
    }

    /// Sends `bytes` as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        patiently(self.wire.write(bytes.as_ref())).await
    }

    /// Sends `bytes` one at a time, each in a segment of its own.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn trickle(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        for byte in bytes.as_ref() {
            self.send([*byte]).await?;
            // Lets a server in the same runtime read it before the next.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Says that nothing more will be sent (half-close); answers can still be read.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn finish_sending(&mut self) -> io::Result<()> {
        patiently(self.wire.shut()).await
    }

    /// Reads a whole response; informational ones before it are skipped, and counted in it.
    ///
    /// # Errors
    /// The connection is gone, before or amid the response.
    pub async fn response(&mut self) -> io::Result<RawResponse> {
        let mut response = self.response_head().await?;
        response.body = patiently(self.wire.body(&mut self.framing)).await?;
        Ok(response)
    }

    /// Reads a response to a HEAD request, which has no body whatever its header says.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn response_to_head(&mut self) -> io::Result<RawResponse> {
        let response = self.response_head().await?;
        self.framing = Framing::Done;
        Ok(response)
    }

    /// Reads the header of a response, and leaves its body to [`Self::chunk`] and
    /// [`Self::sse_event`].
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn response_head(&mut self) -> io::Result<RawResponse> {
        let mut informational = Vec::new();
        loop {
            let head = self.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = head.status();
            if (100..200).contains(&status) && status != 101 {
                informational.push(status);
                continue;
            }
            self.framing = head.response_framing();
            self.partial.clear();
            return Ok(RawResponse { status, headers: head.headers, body: Vec::new(), informational });
        }
    }

    /// The next response header whatever it is, informational ones too; 0 for one that is none.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn next_status(&mut self) -> io::Result<u16> {
        let head = self.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.framing = head.response_framing();
        Ok(head.status())
    }

    /// The next piece of a body as it comes; `None` at its end.
    ///
    /// # Errors
    /// The connection is gone before the end.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        patiently(self.wire.piece(&mut self.framing)).await
    }

    /// The next event of a body that is an event stream, comments skipped; `None` at its end.
    ///
    /// # Errors
    /// The connection is gone before the end.
    pub async fn sse_event(&mut self) -> io::Result<Option<SseEvent>> {
        loop {
            if let Some(event) = response::take_event(&mut self.partial) {
                return Ok(Some(event));
            }
            match self.chunk().await? {
                Some(chunk) => self.partial.push_str(&String::from_utf8_lossy(&chunk)),
                None => return Ok(None),
            }
        }
    }

    /// Whether the server closes without another byte.
    ///
    /// # Errors
    /// It does neither in time.
    pub async fn closed(&mut self) -> io::Result<bool> {
        match self.head().await {
            Ok(head) => Ok(head.is_none()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(error),
            // A reset is a close without another byte, half a header is not.
            Err(error) => Ok(error.kind() == io::ErrorKind::ConnectionReset),
        }
    }

    async fn head(&mut self) -> io::Result<Option<Head>> {
        patiently(self.wire.head()).await
    }

    fn over(stream: impl Stream + 'static) -> Self {
        Self { wire: Wire::new(Box::new(stream)), framing: Framing::Done, partial: String::new() }
    }
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = patiently(TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(RawClient::PATIENCE, work).await {
        Ok(done) => done,
        Err(late) => Err(late.into()),
    }
}

#[cfg(test)]
mod tests;
