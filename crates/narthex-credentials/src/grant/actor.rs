//! The gateway's own token, which says who acts for the caller (RFC 8693 §1.1).

use crate::assertion::Claims;
use crate::credential::UpstreamCredential;
use crate::error::{CredentialError, Reason};
use crate::obtain::{Need, Obtained};
use crate::secret::Secret;
use crate::signing::SigningKeys;
use narthex_config::model::AssertionAlgorithm;
use narthex_identity::Caller;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// How long an assertion of the gateway about itself is good for.
const LIFETIME: Duration = Duration::from_secs(60);

/// `actor_token`, and what it is.
pub(crate) struct Actor {
    source: Source,
    token_type: String,
}

enum Source {
    /// Kept somewhere.
    Given(Secret),
    /// From the token endpoint, and kept until it ends.
    Obtained(Arc<Obtained>),
    /// Made for each exchange.
    Asserted { keys: SigningKeys, issuer: String, client_id: String, audience: String },
}

/// A token in use.
pub(super) enum ActorToken<'a> {
    Given(&'a Secret),
    Obtained(UpstreamCredential, Zeroizing<String>),
    Asserted(Zeroizing<String>),
}

impl Actor {
    pub(crate) fn given(token: Secret, token_type: String) -> Self {
        Self { source: Source::Given(token), token_type }
    }

    pub(crate) fn obtained(from: Obtained, token_type: String) -> Self {
        Self { source: Source::Obtained(Arc::new(from)), token_type }
    }

    /// `issuer` is the gateway, which speaks of itself as the client that it is at the token endpoint.
    pub(crate) fn asserted(
        keys: SigningKeys,
        issuer: String,
        client_id: String,
        audience: String,
        token_type: String,
    ) -> Self {
        Self { source: Source::Asserted { keys, issuer, client_id, audience }, token_type }
    }

    pub(super) fn token_type(&self) -> &str {
        &self.token_type
    }

    pub(super) async fn token(&self, now: SystemTime) -> Result<ActorToken<'_>, CredentialError> {
        match &self.source {
            Source::Given(token) => Ok(ActorToken::Given(token)),
            Source::Obtained(obtained) => {
                // It is the gateway's own: whose name is given does not matter.
                let caller = Caller::anonymous("".into());
                let need = Need { caller: &caller, subject_token: None, now };
                let credential = match obtained.ready(need) {
                    Some(ready) => ready,
                    None => obtained.obtain(need).await?,
                };
                let token = credential.token().ok_or(Reason::BadTokenResponse)?.to_owned();
                Ok(ActorToken::Obtained(credential, Zeroizing::new(token)))
            }
            Source::Asserted { keys, issuer, client_id, audience } => {
                let claims = Claims::new(issuer, client_id, audience, now, LIFETIME)?;
                let json = serde_json::to_vec(&claims).map_err(|_| Reason::AssertionFailed)?;
                let signed = keys.key(AssertionAlgorithm::Es256, now)?.sign(&json);
                Ok(ActorToken::Asserted(signed.ok_or(Reason::AssertionFailed)?))
            }
        }
    }

    /// Has another one obtained the next time.
    pub(super) fn forget(&self, refused: &ActorToken<'_>) {
        if let (Source::Obtained(obtained), ActorToken::Obtained(credential, _)) = (&self.source, refused) {
            obtained.forget(credential);
        }
    }
}

impl ActorToken<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Given(token) => token.expose(),
            Self::Obtained(_, token) | Self::Asserted(token) => token,
        }
    }
}
