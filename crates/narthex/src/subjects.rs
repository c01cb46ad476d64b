//! ID tokens of callers, for credentials that are made of them.

use async_trait::async_trait;
use narthex_authority::login::IdTokens;
use narthex_credentials::SubjectTokens;
use narthex_credentials::secret::Secret;
use narthex_identity::Caller;
use std::time::SystemTime;
use tracing::warn;

/// Those that the login of the gateway's own authority keeps.
pub(crate) struct Logins {
    /// The authority's issuer: what others call their users says nothing here.
    pub(crate) issuer: String,
    pub(crate) tokens: IdTokens,
}

#[async_trait]
impl SubjectTokens for Logins {
    async fn id_token(&self, caller: &Caller, _now: SystemTime) -> Option<Secret> {
        if *caller.issuer != *self.issuer {
            return None;
        }
        let found = self.tokens.of(&caller.tenant, &caller.subject).await;
        let found = found.inspect_err(|error| warn!(%error, "ID tokens cannot be read")).ok()?;
        found.map(|token| Secret::from(token.as_str()))
    }
}
