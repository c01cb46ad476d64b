//! Certificates that the gateway shows to servers.

use narthex_config::model::ClientTls;
use pingora::utils::tls::CertKey;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A certificate, those between it and its authority, and its private key. They are known to fit together.
/// Two are equal if their content is.
#[derive(Clone)]
pub struct ClientIdentity(Arc<Inner>);

#[derive(Eq, PartialEq)]
struct Inner {
    /// DER, the gateway's own first.
    chain: Vec<Vec<u8>>,
    /// DER.
    key: Zeroizing<Vec<u8>>,
    /// Both, as PEM.
    pem: Zeroizing<Vec<u8>>,
}

impl ClientIdentity {
    /// Reads both files of `tls:`.
    ///
    /// # Errors
    /// As for [`ClientIdentity::read`]; or the key's file cannot be read.
    pub fn load(tls: &ClientTls) -> Result<Self, String> {
        let key = std::fs::read(&tls.key).map_err(|e| format!("{}: {e}", tls.key.display()))?;
        Self::read(&tls.certificate, &Zeroizing::new(key))
    }

    /// Reads the certificates of a PEM file, for this key (PEM).
    ///
    /// # Errors
    /// The file cannot be read, one of the two is not what it should be, or they do not fit together. The
    /// text names the certificate's file, and repeats nothing of the key.
    pub fn read(certificate: &Path, key: &[u8]) -> Result<Self, String> {
        let name = certificate.display();
        let text = std::fs::read(certificate).map_err(|e| format!("{name}: {e}"))?;
        let mut known = RootCertStore::empty();
        let mut chain = Vec::new();
        for cert in CertificateDer::pem_slice_iter(&text) {
            let cert = cert.map_err(|e| format!("{name}: {e}"))?;
            // pingora parses these again and panics on a bad one, so they are tried here first.
            known.add(cert.clone()).map_err(|e| format!("{name}: {e}"))?;
            chain.push(cert);
        }
        if chain.is_empty() {
            return Err(format!("{name}: no certificate in it"));
        }
        let parsed = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| format!("the key of {name} is not a private key in PEM"))?;
        let der = Zeroizing::new(parsed.secret_der().to_vec());
        try_out(chain.clone(), parsed).map_err(|cause| format!("{name} and its key: {cause}"))?;
        let pem = Zeroizing::new([&text, b"\n".as_slice(), key].concat());
        let chain = chain.iter().map(|cert| cert.as_ref().to_vec()).collect();
        Ok(Self(Arc::new(Inner { chain, key: der, pem })))
    }

    /// As pingora wants it.
    pub(crate) fn for_peers(&self) -> Arc<CertKey> {
        Arc::new(CertKey::new(self.0.chain.clone(), self.0.key.to_vec()))
    }

    /// As reqwest wants it.
    pub(crate) fn for_client(&self) -> reqwest::Result<reqwest::Identity> {
        reqwest::Identity::from_pem(&self.0.pem)
    }
}

/// What both TLS stacks do with it later, one of them with a panic.
fn try_out(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), String> {
    if PrivateKeyDer::try_from(key.secret_der()).is_err() {
        return Err("a private key of an unknown form".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_root_certificates(RootCertStore::empty()).with_client_auth_cert(chain, key)
        })
        .map(drop)
        .map_err(|error| error.to_string())
}

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for ClientIdentity {}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("certificates", &self.0.chain.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_testkit::Pki;

    fn files(dir: &Path, pki: &Pki, name: &str) -> ClientTls {
        let (certificate, key) = pki.leaf(&[name]).write(dir, name);
        ClientTls { certificate, key }
    }

    #[test]
    fn a_certificate_and_its_key_make_an_identity_which_is_its_content() {
        let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
        let (one, other) = (files(dir.path(), &pki, "one"), files(dir.path(), &pki, "other"));
        let identity = ClientIdentity::load(&one).unwrap();
        assert!(identity == ClientIdentity::load(&one).unwrap());
        assert!(identity != ClientIdentity::load(&other).unwrap());
        assert!(identity.for_client().is_ok());
        assert_eq!(identity.for_peers().key(), &*identity.0.key);
        assert_eq!(format!("{identity:?}"), "ClientIdentity { certificates: 1, .. }");
    }

    #[test]
    fn what_does_not_fit_together_is_found_without_showing_the_key() {
        let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
        let (one, other) = (files(dir.path(), &pki, "one"), files(dir.path(), &pki, "other"));
        let text = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let canary = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
        let bad_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, words) in [
            (&one.certificate, &other.key, "and its key"),
            (&one.key, &one.key, "no certificate"),
            (&one.certificate, &one.certificate, "not a private key"),
            (&one.certificate, &text("canary.key", canary), "and its key"),
            (&one.certificate, &text("empty", ""), "not a private key"),
            (&text("bad.pem", bad_certificate), &one.key, "bad.pem"),
            (&dir.path().join("missing"), &one.key, "missing"),
            (&one.certificate, &dir.path().join("missing.key"), "missing.key"),
        ] {
            let tls = ClientTls { certificate: certificate.clone(), key: key.clone() };
            let error = ClientIdentity::load(&tls).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("canary\"") && !error.contains("Y2FuYXJ5"), "{error}");
        }
    }
}
