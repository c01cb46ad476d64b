//! What a credential's references stand for, as read.

use crate::error::BuildProblem;
use crate::secret::{Secret, Secrets};
use narthex_config::model::{Credential, Lines, OAuthClientAuth, SecretRef};
use narthex_upstreams::ClientIdentity;
use std::fmt;
use std::path::{Path, PathBuf};

/// The values of all references of one credential. A changed one takes effect at once, because these are
/// compared with those of before.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Values {
    secrets: Box<[(SecretRef, Secret)]>,
    /// Of clients that authenticate by a certificate.
    certificates: Box<[(PathBuf, ClientIdentity)]>,
}

impl Values {
    pub(crate) fn read(secrets: &Secrets, credential: &Credential) -> Result<Self, BuildProblem> {
        let read = |(reference, lines): (&SecretRef, Lines)| {
            let value = match lines {
                Lines::One => secrets.line(reference)?,
                Lines::Several => secrets.text(reference)?,
            };
            Ok((reference.clone(), value))
        };
        let mut values = Self {
            secrets: credential.secrets().into_iter().map(read).collect::<Result<_, BuildProblem>>()?,
            certificates: Box::default(),
        };
        let mut certificates = Vec::new();
        for client in credential.clients() {
            if let OAuthClientAuth::Tls { certificate, key } = &client.auth {
                let key = values.secret(key)?.expose().as_bytes();
                let identity = ClientIdentity::read(certificate, key).map_err(BuildProblem::Certificate)?;
                certificates.push((certificate.clone(), identity));
            }
        }
        values.certificates = certificates.into();
        Ok(values)
    }

    /// The value of a secret.
    pub(crate) fn secret(&self, reference: &SecretRef) -> Result<&Secret, BuildProblem> {
        let found = self.secrets.iter().find(|(known, _)| known == reference);
        found.map(|(_, value)| value).ok_or(BuildProblem::Header("a secret was not read"))
    }

    /// The certificate in a file, with its key.
    pub(crate) fn certificate(&self, file: &Path) -> Option<&ClientIdentity> {
        self.certificates.iter().find(|(known, _)| known == file).map(|(_, identity)| identity)
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.secrets.iter().map(|(reference, _)| reference)).finish()
    }
}
