//! One call of a token endpoint.

use crate::answer::{self, Issued};
use crate::client_auth::ClientAuth;
use crate::error::{CredentialError, Reason};
use crate::grant::Grant;
use narthex_config::model::UpstreamId;
use narthex_telemetry::Events;
use narthex_upstreams::egress::{Answer, Egress};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;
use url::Url;

/// Time for one call, and for one's turn to come.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Most calls for one upstream at a time.
pub(crate) const MAX_CALLS: usize = 64;

/// An upstream's token endpoint and what is asked of it.
pub(crate) struct Endpoint {
    pub(crate) upstream: UpstreamId,
    pub(crate) url: Url,
    pub(crate) client: ClientAuth,
    pub(crate) grant: Grant,
    pub(crate) egress: Egress,
    pub(crate) events: Events,
    pub(crate) turns: Semaphore,
}

impl Endpoint {
    /// Asks for a token. A failure is logged here, once for all who wait for it.
    pub(crate) async fn ask(
        &self,
        subject: Option<&str>,
        now: SystemTime,
    ) -> Result<Issued, CredentialError> {
        let started = Instant::now();
        let issued = match self.call(subject, now).await {
            Ok(answer) => answer::read(answer, &self.grant, subject),
            Err(error) => Err(error),
        };
        self.events.token_exchanged(self.upstream.as_str(), issued.is_ok(), started.elapsed());
        if let Err(error) = &issued {
            tracing::warn!(
                upstream = %self.upstream,
                reason = error.reason(),
                detail = error.detail(),
                "no credential from the token endpoint"
            );
        }
        issued
    }

    async fn call(&self, subject: Option<&str>, now: SystemTime) -> Result<Answer, CredentialError> {
        let Ok(Ok(_turn)) = tokio::time::timeout(CALL_TIMEOUT, self.turns.acquire()).await else {
            return Err(CredentialError::with_detail(Reason::ExchangeUnreachable, "too many calls at once"));
        };
        let mut form = self.grant.form(subject)?;
        self.client.add_to(&mut form, now)?;
        self.egress
            .post_form(&self.url, &form.pairs(), self.client.authorization())
            .await
            .map_err(|e| CredentialError::with_detail(Reason::ExchangeUnreachable, &e.to_string()))
    }
}
