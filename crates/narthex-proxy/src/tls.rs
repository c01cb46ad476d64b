//! The listener's certificate, replaced while it runs.

use crate::client_certificate::AnyCertificate;
use arc_swap::ArcSwap;
use narthex_config::model::{ClientAuth, Tls};
use pingora::tls::{ClientCertVerifier, RootCertStore};
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// A certificate or key file that cannot be used.
#[derive(Debug, Error)]
#[error("{}: {cause}", path.display())]
pub struct CertificateError {
    path: PathBuf,
    cause: String,
}

/// A certificate with its key, read and found to go together.
#[derive(Debug)]
pub struct Certified(CertifiedKey);

/// The certificate that new connections are shown.
#[derive(Debug)]
pub struct Certificates {
    current: ArcSwap<CertifiedKey>,
    client_verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Certificates {
    /// Reads the files that `settings` names.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn load(settings: &Tls) -> Result<Self, CertificateError> {
        let client_verifier = client_verifier(&settings.client_auth)?;
        Ok(Self { current: ArcSwap::from_pointee(read(settings)?), client_verifier })
    }

    /// Reads the files of other settings, and changes nothing yet.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn read(settings: &Tls) -> Result<Certified, CertificateError> {
        read(settings).map(Certified)
    }

    /// New connections see this certificate from now on; open ones go on. Which client certificates are accepted
    /// stays as it was at the start.
    pub fn replace(&self, certified: Certified) {
        self.current.store(Arc::new(certified.0));
    }

    pub(crate) fn client_verifier(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.client_verifier.clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(settings: &Tls) -> Result<CertifiedKey, CertificateError> {
    let in_key = |cause: String| CertificateError { path: settings.key.clone(), cause };
    let chain = certificates(&settings.cert)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|e| in_key(e.to_string()))?;
    let key = any_supported_type(&key).map_err(|e| in_key(e.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|e| in_key(e.to_string()))?;
    Ok(certified)
}

fn client_verifier(mode: &ClientAuth) -> Result<Option<Arc<dyn ClientCertVerifier>>, CertificateError> {
    let (path, required) = match mode {
        ClientAuth::Off => return Ok(None),
        ClientAuth::Any => {
            let algorithms = default_provider().signature_verification_algorithms;
            return Ok(Some(Arc::new(AnyCertificate(algorithms))));
        }
        ClientAuth::Required(path) => (path, true),
        ClientAuth::Optional(path) => (path, false),
    };
    let fail = |cause: String| CertificateError { path: path.clone(), cause };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| fail(e.to_string()))?;
    }
    let provider = Arc::new(default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map(|verifier| Some(verifier as _)).map_err(|e| fail(e.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let fail = |cause: String| CertificateError { path: path.to_owned(), cause };
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|e| fail(e.to_string()))?.collect();
    let found = found.map_err(|e| fail(e.to_string()))?;
    if found.is_empty() { Err(fail("no certificate in it".to_owned())) } else { Ok(found) }
}
