//! All child processes of the gateway.

use super::backoff::Backoff;
use super::lines::Messages;
use super::outbox::{self, Outbox};
use super::process::{Process, Reason, Shared};
use super::spawn::{self, Keeper, StartError};
use super::stderr;
use super::tree::Table;
use super::watch::Watch;
use crate::Upstream;
use narthex_config::model::{Stdio, UpstreamId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How old the table of processes may be that memory is read from.
const FRESH: Duration = Duration::from_millis(500);
/// Owners whose waits are remembered.
const MOST_WAITS: usize = 16 * 1024;

/// Hears what becomes of children, to count it.
pub trait Hooks: Send + Sync {
    /// One was started; `again`: another before it had ended by itself.
    fn started(&self, upstream: &UpstreamId, again: bool);
    /// One has ended, or could not be started.
    fn ended(&self, upstream: &UpstreamId, reason: Reason);
    /// The resident bytes of an upstream's children have changed by so many.
    fn resident(&self, upstream: &UpstreamId, change: i64);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {
    fn started(&self, _upstream: &UpstreamId, _again: bool) {}
    fn ended(&self, _upstream: &UpstreamId, _reason: Reason) {}
    fn resident(&self, _upstream: &UpstreamId, _change: i64) {}
}

/// Starts children, and remembers which must wait. Lives as long as the process.
pub struct Children {
    hooks: Arc<dyn Hooks>,
    keeper: OnceLock<Keeper>,
    waits: Mutex<HashMap<Box<str>, Wait>>,
    table: Mutex<Option<(Instant, Arc<Table>)>>,
}

struct Wait {
    upstream: UpstreamId,
    backoff: Backoff,
}

impl Children {
    /// Tells `hooks` of all children.
    #[must_use]
    pub fn new(hooks: Arc<dyn Hooks>) -> Self {
        Self { hooks, keeper: OnceLock::new(), waits: Mutex::default(), table: Mutex::default() }
    }

    /// Has children that are started from now on kept by that program, for the first time that this is said.
    /// Without a keeper they have no limits but for memory, and may outlive a gateway that is killed.
    pub fn keep_with(&self, keeper: Keeper) {
        let _ = self.keeper.set(keeper);
    }

    /// Starts the child process of `upstream`, within a runtime. `owner` names those who wait together after
    /// one has ended by itself; `secrets` are variables of its environment.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        self: &Arc<Self>,
        upstream: &Upstream,
        owner: &str,
        secrets: &[(&str, &str)],
        now: Instant,
    ) -> Result<(Process, Messages), StartError> {
        let settings = upstream.stdio().ok_or(StartError::NotStdio)?;
        let again = match self.waits.lock().get(owner) {
            Some(wait) => {
                wait.backoff.check(now).map_err(|retry_after| StartError::BackingOff { retry_after })?;
                true
            }
            None => false,
        };
        let started = self.spawn(&upstream.id, settings, owner, secrets, now);
        match &started {
            Ok((process, _)) => {
                tracing::info!(upstream = %upstream.id, pid = process.pid(), again, "child process started");
                self.hooks.started(&upstream.id, again);
            }
            Err(error) => {
                tracing::warn!(upstream = %upstream.id, %error, "child process not started");
                self.hooks.ended(&upstream.id, Reason::NotStarted);
                self.make_wait(&upstream.id, owner, settings, now, now);
            }
        }
        started
    }

    fn spawn(
        self: &Arc<Self>,
        upstream: &UpstreamId,
        settings: &Stdio,
        owner: &str,
        secrets: &[(&str, &str)],
        now: Instant,
    ) -> Result<(Process, Messages), StartError> {
        let keeper = self.keeper.get();
        let mut command = spawn::command(settings, secrets, keeper, |name| std::env::var_os(name));
        let failed = |error: std::io::Error| StartError::Spawn(error.kind());
        let mut child = command.spawn().map_err(failed)?;
        // It holds copies of the secrets.
        drop(command);
        let broken = StartError::Spawn(std::io::ErrorKind::BrokenPipe);
        let pid = child.id().ok_or(broken)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else { return Err(broken) };
        let shared = Arc::new(Shared::new(self, upstream, (pid, now), owner, settings));
        let (outbox, waiting) = Outbox::new();
        tokio::spawn(outbox::write(stdin, waiting, shared.stopping()));
        tokio::spawn(stderr::log(stderr, Arc::clone(&shared), spawn::unloggable(secrets)));
        let (children, watched) = (Arc::clone(self), Arc::clone(&shared));
        let watch = Watch { children, shared: watched, kept: keeper.is_some() };
        tokio::spawn(watch.run(child));
        let messages = Messages::new(stdout, Arc::clone(&shared), settings.limits.message);
        Ok((Process::new(shared, outbox), messages))
    }

    /// Forgets the waits of an upstream that is there no more, or another than it was.
    pub fn forget(&self, upstream: &UpstreamId) {
        self.waits.lock().retain(|_, wait| wait.upstream != *upstream);
    }

    /// All processes, as of a short while ago.
    pub(super) fn table(&self) -> Arc<Table> {
        let mut table = self.table.lock();
        match &*table {
            Some((read, table)) if read.elapsed() < FRESH => Arc::clone(table),
            _ => {
                let new = Arc::new(Table::read());
                *table = Some((Instant::now(), Arc::clone(&new)));
                new
            }
        }
    }

    pub(super) fn report_resident(&self, upstream: &UpstreamId, before: u64, now: u64) {
        let number = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        let change = number(now) - number(before);
        if change != 0 {
            self.hooks.resident(upstream, change);
        }
    }

    pub(super) fn report_end(&self, upstream: &UpstreamId, reason: Reason) {
        self.hooks.ended(upstream, reason);
    }

    /// The next one of `owner` has to wait.
    pub(super) fn make_wait(
        &self,
        upstream: &UpstreamId,
        owner: &str,
        settings: &Stdio,
        started: Instant,
        now: Instant,
    ) {
        let mut waits = self.waits.lock();
        if waits.len() >= MOST_WAITS && !waits.contains_key(owner) {
            waits.retain(|_, wait| !wait.backoff.is_over(now));
        }
        // So many owners that wait are more than there are places for sessions.
        if waits.len() < MOST_WAITS || waits.contains_key(owner) {
            let new = || Wait { upstream: upstream.clone(), backoff: Backoff::default() };
            let wait = waits.entry(owner.into()).or_insert_with(new);
            wait.backoff.ended(started, now, &settings.restart);
        }
    }
}

impl std::fmt::Debug for Children {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Children").field("keeper", &self.keeper).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
