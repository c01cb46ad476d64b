//! The public listener: connection caps, TLS, and the gateway on it.

use crate::gateway::Gateway;
use crate::tls::{CertificateError, Certificates};
use async_trait::async_trait;
use narthex_config::model::Server as Settings;
use narthex_telemetry::Metrics;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::listeners::ListenerConfig;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::server::ShutdownWatch;
use pingora::services::listening::Service;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use thiserror::Error;

/// What is read of a client's TLS at once, bytes; rustls asks for 4 KiB at a time. Plain reads need no buffer: the header
/// and the body are read into buffers of their own.
const TLS_READ: usize = 16 * 1024;
/// A response up to this size goes out in one write, header and body together, bytes. Also, what each open connection
/// holds once it has sent as much.
const WRITE: usize = 4 * 1024;

/// The listener cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Its certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// pingora's TLS.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// The gateway on the listener that `settings` names. `certificates` is there if `settings.tls` is.
///
/// # Errors
/// See [`ServiceError`].
pub fn service(
    settings: &Settings,
    gateway: Arc<Gateway>,
    metrics: Arc<Metrics>,
    certificates: Option<Arc<Certificates>>,
) -> Result<Service<impl ServerApp + Send + Sync + 'static>, ServiceError> {
    let door = Door { gateway, metrics, open: AtomicUsize::new(0), most: settings.limits.connections };
    let mut service = Service::new("narthex".to_owned(), door);
    let read = if certificates.is_some() { TLS_READ } else { 0 };
    let buffers = L4BufferSettings::default().read(read).write(WRITE);
    let mut listener = ListenerConfig::tcp(settings.listen.to_string()).l4_buffer(buffers);
    if let Some(certificates) = certificates {
        let mut tls = TlsSettings::with_callbacks(Box::new(NoCallbacks))
            .map_err(|e| ServiceError::Tls(e.to_string()))?;
        if let Some(verifier) = certificates.client_verifier() {
            tls.set_client_cert_verifier(verifier);
        }
        tls.set_cert_resolver(certificates);
        tls.enable_h2();
        listener = listener.tls(tls);
    }
    service.add_listener(listener);
    service.threads = Some(settings.threads.unwrap_or_else(cpus));
    Ok(service)
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

struct NoCallbacks;

impl pingora::listeners::TlsAccept for NoCallbacks {}

/// Counts connections and turns away those over the cap.
struct Door {
    gateway: Arc<Gateway>,
    metrics: Arc<Metrics>,
    open: AtomicUsize,
    most: usize,
}

struct Place<'a>(&'a Door);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.metrics.connection_closed();
    }
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let before = self.open.fetch_add(1, Ordering::AcqRel);
        self.metrics.connection_opened();
        let _place = Place(self);
        if before >= self.most {
            self.metrics.denied("-", "too_many_connections");
            return None;
        }
        self.gateway.serve(stream, shutdown).await;
        None
    }

    async fn cleanup(&self) {
        self.gateway.http_cleanup().await;
    }
}
