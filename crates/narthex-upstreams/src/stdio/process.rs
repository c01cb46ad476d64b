//! One child process, from its start to its end.

use super::children::Children;
use super::outbox::{Outbox, one_line};
use bytes::Bytes;
use narthex_config::model::{Stdio, UpstreamId};
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Whether a child is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// No.
    No,
    /// Yes, as it pleases.
    End,
    /// It says no more, so it is about to end by itself, or may as well.
    HungUp,
    /// At once.
    Kill(Fault),
}

/// What a child is killed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// A message of its is longer than `limits.message`.
    MessageTooLong,
    /// It uses more memory than `limits.memory`.
    Memory,
}

/// Why a child is there no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The gateway has no more use for it.
    Ended,
    /// It ended by itself.
    Exited,
    /// A signal ended it, and not the gateway's.
    Signal,
    /// It used more memory than it may.
    Memory,
    /// It used more CPU time than it may.
    Cpu,
    /// It sent a message that is too long.
    Message,
    /// It could not be started.
    NotStarted,
}

impl Reason {
    /// Its stable name, for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Exited => "exited",
            Self::Signal => "signal",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Message => "message",
            Self::NotStarted => "not_started",
        }
    }

    /// Of one that ended by itself, as far as the gateway knows.
    pub(super) fn of(status: &std::io::Result<ExitStatus>) -> Self {
        const CPU: i32 = Signal::SIGXCPU as i32;
        let Ok(status) = status else { return Self::Exited };
        // A keeper tells the signal by its own exit code, as shells do.
        match status.signal().or_else(|| status.code()?.checked_sub(128)) {
            Some(CPU) => Self::Cpu,
            Some(1..) => Self::Signal,
            _ => Self::Exited,
        }
    }
}

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Memory => Self::Memory,
            Fault::MessageTooLong => Self::Message,
        }
    }
}

/// The child is there no more, or is about to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the child process has ended")]
pub struct Gone;

/// What all who deal with a child know of it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) upstream: UpstreamId,
    pub(super) pid: u32,
    children: Arc<Children>,
    /// Whose waits its end counts for.
    owner: Box<str>,
    settings: Stdio,
    started: Instant,
    stop: watch::Sender<Stop>,
    over: watch::Sender<bool>,
    waits: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        children: &Arc<Children>,
        upstream: &UpstreamId,
        (pid, started): (u32, Instant),
        owner: &str,
        settings: &Stdio,
    ) -> Self {
        Self {
            upstream: upstream.clone(),
            pid,
            children: Arc::clone(children),
            owner: owner.into(),
            settings: settings.clone(),
            started,
            stop: watch::Sender::new(Stop::No),
            over: watch::Sender::new(false),
            waits: AtomicBool::new(false),
        }
    }

    /// Whether it is to end, as of now.
    pub(super) fn stop(&self) -> Stop {
        *self.stop.borrow()
    }

    pub(super) fn settings(&self) -> &Stdio {
        &self.settings
    }

    pub(super) fn set_over(&self) {
        self.over.send_replace(true);
    }

    /// The next one has to wait, as of the moment when it was first seen that this one ends by itself.
    pub(super) fn make_wait(&self, now: Instant) {
        if !self.waits.swap(true, Ordering::AcqRel) {
            self.children.make_wait(&self.upstream, &self.owner, &self.settings, self.started, now);
        }
    }

    pub(super) fn stopping(&self) -> watch::Receiver<Stop> {
        self.stop.subscribe()
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.make_wait(Instant::now());
        self.stop.send_replace(Stop::Kill(fault));
    }

    /// Nothing more comes from it.
    pub(super) fn hang_up(&self) {
        if self.stop_first(Stop::HungUp) {
            self.make_wait(Instant::now());
        }
    }

    /// Whether it was not to stop before.
    fn stop_first(&self, how: Stop) -> bool {
        self.stop.send_if_modified(|stop| {
            let first = *stop == Stop::No;
            if first {
                *stop = how;
            }
            first
        })
    }

    /// Returns when the child has been gone for so long.
    pub(super) async fn lingered(&self, linger: Duration) {
        let gone = self.over.subscribe().wait_for(|over| *over).await.is_ok();
        if gone {
            tokio::time::sleep(linger).await;
        }
    }
}

/// Returns when the child is to end.
pub(super) async fn stopped(stop: &mut watch::Receiver<Stop>) -> Stop {
    stop.wait_for(|stop| *stop != Stop::No).await.map_or(Stop::End, |stop| *stop)
}

/// A child process. Dropped, it is ended with all that it has started.
#[derive(Debug)]
pub struct Process {
    shared: Arc<Shared>,
    outbox: Outbox,
}

impl Process {
    pub(super) fn new(shared: Arc<Shared>, outbox: Outbox) -> Self {
        Self { shared, outbox }
    }

    /// Its process id, or that of its keeper.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.shared.pid
    }

    /// Has a message (JSON text) written to it, as one line. Waits while others are in the way, without
    /// end if the child does not read. Dropped before that, nothing is sent.
    ///
    /// # Errors
    /// It has ended.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<(), Gone> {
        if self.is_over() {
            return Err(Gone);
        }
        self.outbox.send(one_line(message.into())).await
    }

    /// [`Process::send`], without waiting. Whether there was room.
    pub fn try_send(&self, message: impl Into<Bytes>) -> bool {
        !self.is_over() && self.outbox.try_send(one_line(message.into()))
    }

    /// Ends it: closes its input, then SIGTERM, then SIGKILL (MCP 2025-11-25, basic/lifecycle#shutdown).
    pub fn end(&self) {
        self.shared.stop_first(Stop::End);
    }

    /// Whether it has ended, or is about to.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.stop() != Stop::No || *self.shared.over.borrow()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
