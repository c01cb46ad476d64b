//! Hearing that a user has connected an upstream, or ended the connection.

use super::route::Member;
use crate::bridge::link::Ways;
use narthex_credentials::{Changed, CredentialSource};
use narthex_identity::Caller;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// One user's connection to one upstream.
pub(crate) struct Connection {
    caller: Arc<Caller>,
    changes: Option<broadcast::Receiver<Changed>>,
}

impl Connection {
    /// That of the caller. What changes from now on is heard.
    pub(super) fn of(source: &CredentialSource, caller: &Arc<Caller>) -> Self {
        Self { caller: Arc::clone(caller), changes: source.changed() }
    }

    /// That of the caller to a member of the route.
    pub(super) fn to(member: &Member, ways: &Ways) -> Self {
        Self::of(&member.credentials, &ways.caller)
    }

    /// Waits until it has changed. It never does where users have no say. Dropping the future loses nothing.
    pub(crate) async fn changed(&mut self) {
        while let Some(changes) = &mut self.changes {
            match changes.recv().await {
                Ok(change) if change.concerns(&self.caller) => return,
                Ok(_) => {}
                // It may have been among them.
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => self.changes = None,
            }
        }
        std::future::pending().await
    }
}
