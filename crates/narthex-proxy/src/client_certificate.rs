//! What a client has shown in the TLS handshake. Nothing that a header says counts: the handshake is with us,
//! or there is no certificate.

use narthex_identity::Thumbprint;
use pingora::protocols::http::ServerSession;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// The SHA-256 digest of the DER of the client's certificate, whose key it has proven to hold. `None`: it has
/// shown none, or there is no TLS.
pub(crate) fn of(session: &ServerSession) -> Option<Thumbprint> {
    digest_of(session).map(Thumbprint::from_digest)
}

/// The same as bytes.
pub(crate) fn digest_of(session: &ServerSession) -> Option<[u8; 32]> {
    // pingora's digest is SHA-256 of the leaf's DER, and empty where there is no certificate.
    let digest = &session.digest()?.ssl_digest.as_ref()?.cert_digest;
    <[u8; 32]>::try_from(digest.as_slice()).ok()
}

/// Takes any certificate, or none: that the client has its key is all that is verified. It says nothing of who
/// the client is, but a token that is bound to it is of use to nobody else (RFC 8705 §2.2, §6.2).
#[derive(Debug)]
pub(crate) struct AnyCertificate(pub(crate) WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
