//! Beginning a call of an older client, in the words of whichever server answers it.

use super::legacy::Front;
use crate::bridge::enter;
use crate::bridge::legacy::{self, LegacyCall, NotBegun};
use crate::bridge::modern::{self, ModernCall};
use crate::bridge::party::Call;
use crate::refusal::Refusal;
use crate::stage::route::is_replayable_method;
use http::StatusCode;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::declared::Declared;
use std::sync::Arc;

/// The level of log messages for clients that never say one: older servers send them unasked.
pub(super) const LEVEL: &str = "info";

impl Front {
    /// Begins it.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(super) async fn begin(&self, method: &str, params: &Object) -> Result<Call, Refusal> {
        let mut declared = self.live.opened.declared.clone();
        if self.as_task.is_some() {
            declared = declared.with_tasks();
        }
        let replayable = is_replayable_method(method);
        if self.asks_in_sessions().await {
            let start = legacy::Start { method, params, replayable, task: false };
            return self.begin_in_session(&declared, &start).await;
        }
        let level = self.live.level.lock().clone();
        let start = modern::Start {
            method,
            params,
            declared: &declared,
            level: level.as_deref().unwrap_or(LEVEL),
            schemas: &self.schemas,
            replayable,
        };
        ModernCall::begin(self.link.clone(), &start).await.map(|call| Call::Modern(Box::new(call)))
    }

    /// Whether the server is spoken to as the client is: if it has sessions at all, where there is a choice.
    async fn asks_in_sessions(&self) -> bool {
        let upstream = self.link.upstream();
        if self.merged.is_none() || upstream.has_wire() {
            return upstream.has_wire();
        }
        match upstream.eras.legacy(std::time::Instant::now()) {
            Some(speaks) => speaks,
            None => enter::speaks_modern(&self.link).await != Some(true) || self.opens_sessions().await,
        }
    }

    /// Finds out whether a server of 2026-07-28 has sessions, too.
    async fn opens_sessions(&self) -> bool {
        let (shared, mut link) = (Arc::clone(&self.link.shared), self.link.clone());
        let opened = shared.bridge.sessions.get(&mut link, &self.live.opened.declared, self.bounds).await;
        let eras = &link.upstream().eras;
        match &opened {
            Ok(_) => eras.learn_legacy(true, std::time::Instant::now()),
            Err(Refusal::UpstreamError { status }) if status.is_client_error() => {
                eras.learn_legacy(false, std::time::Instant::now());
            }
            Err(_) => {}
        }
        opened.is_ok()
    }

    async fn begin_in_session(
        &self,
        declared: &Declared,
        start: &legacy::Start<'_>,
    ) -> Result<Call, Refusal> {
        let shared = Arc::clone(&self.link.shared);
        let mut again = true;
        loop {
            let mut link = self.link.clone();
            let session = shared.bridge.sessions.get(&mut link, declared, self.bounds).await?;
            let level = self.live.level.lock().clone();
            let logs = session.account.capabilities.object("logging").is_some();
            if let Some(level) = level.filter(|_| logs || self.merged.is_none()) {
                // Without its messages the call still does what it is for.
                let _ = session.set_level(&mut link, &level).await;
            }
            match LegacyCall::begin(link, session, start).await {
                Ok(call) => return Ok(Call::Legacy(Box::new(call))),
                Err(NotBegun::Refused(refusal)) => return Err(refusal),
                // Nothing was done in it, so the call is made in a new one.
                Err(NotBegun::SessionGone) if again => again = false,
                Err(NotBegun::SessionGone) => {
                    return Err(Refusal::UpstreamError { status: StatusCode::NOT_FOUND });
                }
            }
        }
    }
}
