//! A certificate authority for tests with TLS.

use crate::idp::url64;
use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

/// A certificate authority, made anew for each test.
pub struct Pki {
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

impl Pki {
    /// A new authority with a key of its own.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Narthex test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self { ca: CertifiedIssuer::self_signed(params, key).expect("a self-signed certificate") }
    }

    /// A certificate for these host names and addresses, good for servers and clients.
    #[must_use]
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let common_name = names.first().map_or("leaf", String::as_str).to_owned();
        let mut params = CertificateParams::new(names).expect("host names or addresses");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.ca).expect("a signed certificate");
        Leaf { cert_pem: cert.pem(), key_pem: key.serialize_pem(), cert: cert.der().clone(), key }
    }

    /// A certificate that is signed by its own key, as clients make them for themselves.
    #[must_use]
    pub fn self_signed(name: &str) -> Leaf {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a host name");
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a self-signed certificate");
        Leaf { cert_pem: cert.pem(), key_pem: key.serialize_pem(), cert: cert.der().clone(), key }
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// Writes the authority's certificate to `dir/ca.pem`.
    #[must_use]
    pub fn write_ca(&self, dir: &Path) -> PathBuf {
        write(dir, "ca.pem", &self.ca_pem())
    }

    /// A client that trusts this authority, showing `identity` if there is one, offering `alpn`.
    #[must_use]
    pub fn client_config(&self, identity: Option<&Leaf>, alpn: &[&str]) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(self.roots());
        let mut config = match identity {
            // Not `with_client_auth_cert`, which finds out that a key is not the certificate's.
            Some(leaf) => {
                let key = any_supported_type(&leaf.key()).expect("a client's key");
                let shown = SingleCertAndKey::from(CertifiedKey::new(leaf.chain(), key));
                builder.with_client_cert_resolver(Arc::new(shown))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols(alpn);
        Arc::new(config)
    }

    /// A server with this certificate, choosing among `alpn`.
    #[must_use]
    pub fn server_config(&self, leaf: &Leaf, alpn: &[&str]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(leaf.chain(), leaf.key())
            .expect("a server certificate");
        config.alpn_protocols = protocols(alpn);
        Arc::new(config)
    }

    /// The same, which asks clients for a certificate of this authority and takes nobody without one.
    #[must_use]
    pub fn demanding_server_config(&self, leaf: &Leaf, alpn: &[&str]) -> Arc<ServerConfig> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_client_cert_verifier(builder.build().expect("a verifier"))
            .with_single_cert(leaf.chain(), leaf.key())
            .expect("a server certificate");
        config.alpn_protocols = protocols(alpn);
        Arc::new(config)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).expect("our own certificate");
        roots
    }
}

/// A certificate and its key.
pub struct Leaf {
    /// The certificate, PEM.
    pub cert_pem: String,
    /// Its private key, PEM (PKCS#8).
    pub key_pem: String,
    cert: CertificateDer<'static>,
    key: KeyPair,
}

impl Leaf {
    /// Writes `dir/NAME.pem` and `dir/NAME.key`, and gives their paths.
    #[must_use]
    pub fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let cert = write(dir, &format!("{name}.pem"), &self.cert_pem);
        (cert, write(dir, &format!("{name}.key"), &self.key_pem))
    }

    /// The certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.cert
    }

    /// The SHA-256 digest of the certificate, as `cnf.x5t#S256` has it (RFC 8705 §3.1).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        url64(digest(&SHA256, &self.cert).as_ref())
    }

    /// The same certificate with the key of another: what somebody has who saw the one and not the other.
    #[must_use]
    pub fn with_key_of(&self, other: &Self) -> Self {
        let key = KeyPair::from_pem(&other.key_pem).expect("a key");
        let (cert_pem, key_pem) = (self.cert_pem.clone(), other.key_pem.clone());
        Self { cert_pem, key_pem, cert: self.cert.clone(), key }
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.cert.clone()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).expect("PKCS#8")
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}

fn write(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).expect("a writable directory");
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    async fn handshake(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: &'static str) -> bool {
        let (here, there) = tokio::io::duplex(16 * 1024);
        let accept = tokio::spawn(async move { TlsAcceptor::from(server).accept(here).await });
        // Held, so that the server can still write to it.
        let connected = TlsConnector::from(client).connect(name.try_into().unwrap(), there).await;
        connected.is_ok() && accept.await.unwrap().is_ok()
    }

    #[tokio::test]
    async fn a_client_of_the_authority_trusts_its_leaves_by_name_and_address_and_no_others() {
        let (pki, other) = (Pki::new(), Pki::new());
        let leaf = pki.leaf(&["localhost", "127.0.0.1"]);
        let server = || pki.server_config(&leaf, &["h2", "http/1.1"]);
        let client = |pki: &Pki| pki.client_config(None, &["http/1.1"]);
        assert!(handshake(server(), client(&pki), "localhost").await);
        assert!(handshake(server(), client(&pki), "127.0.0.1").await);
        assert!(!handshake(server(), client(&pki), "example.com").await);
        assert!(!handshake(server(), client(&other), "localhost").await);
    }
}
