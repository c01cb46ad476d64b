//! One upstream's way to tokens: bounded, counted, and logged when it fails.

use crate::error::{CredentialError, Reason};
use crate::grant::{Asking, Given, Grant};
use narthex_config::model::UpstreamId;
use narthex_telemetry::Events;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Time for one call, and for one's turn to come.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Most calls for one upstream at a time.
pub(crate) const MAX_CALLS: usize = 64;

/// An upstream's grant and what bounds it.
pub(crate) struct Endpoint {
    pub(crate) upstream: UpstreamId,
    pub(crate) grant: Grant,
    pub(crate) events: Events,
    pub(crate) turns: Semaphore,
}

impl Endpoint {
    pub(crate) fn new(upstream: UpstreamId, grant: Grant, events: Events) -> Self {
        Self { upstream, grant, events, turns: Semaphore::new(MAX_CALLS) }
    }

    /// Asks for a token. A failure is logged here, once for all who wait for it.
    pub(crate) async fn ask(&self, asking: Asking<'_>) -> Result<Given, CredentialError> {
        let started = Instant::now();
        let given = self.in_turn(asking).await;
        self.events.token_exchanged(self.upstream.as_str(), given.is_ok(), started.elapsed());
        if let Err(error) = &given {
            tracing::warn!(
                upstream = %self.upstream,
                reason = error.reason(),
                detail = error.detail(),
                "no credential from the token endpoint"
            );
        }
        given
    }

    async fn in_turn(&self, asking: Asking<'_>) -> Result<Given, CredentialError> {
        let Ok(Ok(_turn)) = tokio::time::timeout(CALL_TIMEOUT, self.turns.acquire()).await else {
            return Err(CredentialError::with_detail(Reason::ExchangeUnreachable, "too many calls at once"));
        };
        self.grant.ask(asking).await
    }
}
