//! Tokens that each user consented to at the upstream's own authorization server (RFC 6749 §4.1).

use crate::consent::Changed;
use crate::credential::UpstreamCredential;
use crate::error::{CredentialError, Reason};
use crate::store::Outcome;
use narthex_config::model::UpstreamId;
use narthex_identity::Caller;
use std::time::SystemTime;
use tokio::sync::broadcast;

/// Changes that one who listens may be behind.
const CHANGES: usize = 256;

/// One upstream's connections.
pub(crate) struct Consented {
    upstream: UpstreamId,
    changes: broadcast::Sender<Changed>,
}

impl Consented {
    pub(crate) fn new(upstream: UpstreamId) -> Self {
        Self { upstream, changes: broadcast::Sender::new(CHANGES) }
    }

    pub(crate) fn ready(&self, _caller: &Caller, _now: SystemTime) -> Option<UpstreamCredential> {
        None
    }

    pub(crate) async fn obtain(&self, _caller: &Caller, _now: SystemTime) -> Outcome {
        let detail = format!("{} cannot be connected yet", self.upstream);
        Err(CredentialError::with_detail(Reason::ExchangeUnreachable, &detail))
    }

    pub(crate) async fn renew(
        &self,
        _rejected: &UpstreamCredential,
        caller: &Caller,
        now: SystemTime,
    ) -> Outcome {
        self.obtain(caller, now).await
    }

    pub(crate) async fn step_up(
        &self,
        _caller: &Caller,
        _challenge: &str,
        _now: SystemTime,
    ) -> CredentialError {
        Reason::ScopeNotGranted.into()
    }

    pub(crate) fn changed(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }
}
