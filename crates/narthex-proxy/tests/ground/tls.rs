//! One certificate, and TLS on either side with it.

use super::wire::within;
use pingora::listeners::tls::Acceptor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A self-signed certificate for `localhost`.
pub(super) struct Tls {
    dir: tempfile::TempDir,
    serving: Acceptor,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Tls {
    pub(super) fn new() -> Arc<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("ca.pem"), made.cert.pem()).expect("ca.pem");
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).expect("a key");
        let config = Self::server_config(&certificate, &key, &["h2", "http/1.1"]);
        Arc::new(Self { dir, serving: Acceptor::from_server_config(config), certificate, key })
    }

    /// PEM of what to trust.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// pingora's acceptor; offers HTTP/2 and HTTP/1.1.
    pub(super) fn serving(&self) -> &Acceptor {
        &self.serving
    }

    /// A server's side of `tcp` that offers `protocols`.
    pub(super) async fn accept(&self, tcp: TcpStream, protocols: &[&str]) -> server::TlsStream<TcpStream> {
        let config = Self::server_config(&self.certificate, &self.key, protocols);
        within(TlsAcceptor::from(config).accept(tcp)).await.expect("a TLS session")
    }

    /// A client's side of `tcp` that speaks `protocol`.
    pub(super) async fn connect(&self, tcp: TcpStream, protocol: &str) -> client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        within(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.expect("a TLS session")
    }

    fn server_config(
        certificate: &CertificateDer<'static>,
        key: &PrivateKeyDer<'static>,
        protocols: &[&str],
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.clone_key())
            .expect("a certificate");
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
