//! Keys that were made together, as they are kept.

use super::SigningError;
use super::key::SigningKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use narthex_config::model::AssertionAlgorithm;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// One key of each algorithm, made at one time.
#[derive(Clone)]
pub(super) struct Generation {
    pub(super) made: SystemTime,
    pub(super) es256: Arc<SigningKey>,
    pub(super) eddsa: Arc<SigningKey>,
    kept: Kept,
}

/// A generation as it is kept.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// Seconds since the epoch.
    made: u64,
    /// PKCS#8 in base64.
    #[serde(with = "text")]
    es256: Zeroizing<String>,
    #[serde(with = "text")]
    eddsa: Zeroizing<String>,
}

/// Text that is zeroed when it is dropped.
mod text {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(
        text: &Zeroizing<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

impl Generation {
    pub(super) fn new(made: SystemTime) -> Result<Self, SigningError> {
        let key = |algorithm| -> Result<_, SigningError> {
            Ok(Zeroizing::new(STANDARD.encode(SigningKey::generate(algorithm)?.as_slice())))
        };
        let seconds = made.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (es256, eddsa) = (key(AssertionAlgorithm::Es256)?, key(AssertionAlgorithm::EdDsa)?);
        Kept { made: seconds, es256, eddsa }.parse()
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    pub(super) fn key(&self, algorithm: AssertionAlgorithm) -> &Arc<SigningKey> {
        match algorithm {
            AssertionAlgorithm::Es256 => &self.es256,
            AssertionAlgorithm::EdDsa => &self.eddsa,
        }
    }
}

impl Kept {
    pub(super) fn parse(self) -> Result<Generation, SigningError> {
        let key = |algorithm, text: &str| -> Result<_, SigningError> {
            let der = STANDARD.decode(text).map_err(|_| SigningError::Form("a key that is not base64"))?;
            SigningKey::parse(algorithm, &Zeroizing::new(der)).map(Arc::new)
        };
        let made = UNIX_EPOCH.checked_add(Duration::from_secs(self.made));
        Ok(Generation {
            made: made.ok_or(SigningError::Form("a time beyond all times"))?,
            es256: key(AssertionAlgorithm::Es256, &self.es256)?,
            eddsa: key(AssertionAlgorithm::EdDsa, &self.eddsa)?,
            kept: self,
        })
    }
}
