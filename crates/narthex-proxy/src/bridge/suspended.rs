//! Calls of older servers that wait until their client brings what it was asked for.
//!
//! Between two requests of a 2026-07-28 client the server's answer stays open here. It is never asked for
//! again from the start: a tool may already have changed the world.

use super::legacy::LegacyCall;
use super::quota::Quota;
use dashmap::DashMap;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Calls on hold. Dropping one tells its server that it is cancelled.
#[derive(Debug, Default)]
pub(crate) struct Suspended {
    calls: DashMap<String, Held>,
    quota: Quota,
    turns: DashMap<String, Arc<tokio::sync::Mutex<()>>>,
}

/// The right to take and to hold the call of one name, until it is dropped.
pub(crate) struct Turn {
    suspended: Arc<Suspended>,
    id: String,
    held: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.held.take());
        self.suspended.turns.remove_if(&self.id, |_, turn| Arc::strong_count(turn) == 1);
    }
}

/// A call on hold.
pub(crate) struct Held {
    pub(crate) call: Box<LegacyCall>,
    /// See [`super::link::Link::owner`].
    pub(crate) owner: String,
    /// See [`super::link::Link::whose`].
    pub(crate) whose: String,
    /// `params.arguments` of the call: what was permitted is what is resumed.
    pub(crate) arguments: Value,
    pub(crate) expires: Instant,
}

/// How many calls may be on hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) calls: usize,
    pub(crate) per_caller: usize,
    pub(crate) patience: Duration,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Suspended {
    /// Drops a call of which the client was never told.
    pub(crate) fn give_up(&self, id: &str) {
        if let Some((_, held)) = self.calls.remove(id) {
            self.quota.give_back(&held.whose);
        }
    }

    /// Puts a call on hold.
    ///
    /// # Errors
    /// There are too many; the call comes back.
    pub(crate) fn hold(&self, id: String, mut held: Held, room: Room) -> Result<(), Held> {
        if self.quota.take(&held.whose, room.per_caller, room.calls).is_err() {
            return Err(held);
        }
        held.call.rest();
        if let Some(other) = self.calls.insert(id, held) {
            self.quota.give_back(&other.whose);
        }
        Ok(())
    }

    /// Waits until nobody else takes or holds the call of that name.
    pub(crate) async fn turn(self: &Arc<Self>, id: String) -> Turn {
        let turn = Arc::clone(&self.turns.entry(id.clone()).or_default());
        // It is there before the wait, so that giving up leaves nothing behind.
        let mut mine = Turn { suspended: Arc::clone(self), id, held: None };
        mine.held = Some(turn.lock_owned().await);
        mine
    }

    /// Takes a call of `owner` back, if its arguments are still the same and its time is not over.
    pub(crate) fn resume(&self, id: &str, owner: &str, arguments: &Value, now: Instant) -> Option<Held> {
        let is_it = |held: &Held| held.owner == owner && held.arguments == *arguments && now < held.expires;
        let (_, held) = self.calls.remove_if(id, |_, held| is_it(held))?;
        self.quota.give_back(&held.whose);
        Some(held)
    }

    /// Drops what nobody came back for.
    pub(crate) fn sweep(&self, now: Instant) {
        let expired: Vec<String> =
            self.calls.iter().filter(|entry| entry.expires <= now).map(|entry| entry.key().clone()).collect();
        for id in expired {
            if let Some((_, held)) = self.calls.remove_if(&id, |_, held| held.expires <= now) {
                self.quota.give_back(&held.whose);
            }
        }
    }

    /// Calls on hold now.
    pub(crate) fn count(&self) -> usize {
        self.quota.total()
    }
}
