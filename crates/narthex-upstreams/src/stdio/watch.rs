//! Whoever waits for a child's end, or brings it about.

use super::children::Children;
use super::process::{Fault, Reason, Shared, Stop, stopped};
use super::tree;
use nix::sys::signal::Signal;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio::time::timeout;

/// How often its memory is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// MCP 2025-11-25, basic/lifecycle#shutdown: its input is closed; after this it gets SIGTERM.
pub(super) const BEFORE_TERM: Duration = Duration::from_secs(2);
/// And after this, SIGKILL.
pub(super) const BEFORE_KILL: Duration = Duration::from_secs(3);
/// How long its keeper may take for that beyond those two.
const KEEPER_SLACK: Duration = Duration::from_secs(2);
/// How often, and how long, what is killed is waited for before it is looked for again.
const ROUNDS: (u32, Duration) = (40, Duration::from_millis(50));

/// What is known of a child by whoever waits for its end.
pub(super) struct Watch {
    pub(super) children: Arc<Children>,
    pub(super) shared: Arc<Shared>,
    /// A keeper stands between.
    pub(super) kept: bool,
}

impl Watch {
    /// Waits for the child's end, or brings it about, and tells of it. The child is waited for in any case.
    pub(super) async fn run(self, mut child: Child) {
        let mut resident = 0;
        let reason = self.wait(&mut child, &mut resident).await;
        if !self.kept {
            tree::signal_group(self.shared.pid, Signal::SIGKILL);
        }
        let (upstream, pid) = (&self.shared.upstream, self.shared.pid);
        match reason {
            Reason::Ended => tracing::info!(%upstream, pid, "the child process was ended"),
            reason => tracing::warn!(%upstream, pid, reason = reason.as_str(), "the child process is gone"),
        }
        self.children.report_resident(upstream, resident, 0);
        if reason != Reason::Ended {
            self.shared.make_wait(Instant::now());
        }
        self.children.report_end(upstream, reason);
        self.shared.set_over();
    }

    async fn wait(&self, child: &mut Child, resident: &mut u64) -> Reason {
        let mut stop = self.shared.stopping();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stop = tokio::select! {
                biased;
                status = child.wait() => return self.reason(&status),
                stop = stopped(&mut stop) => stop,
                _ = look.tick() => {
                    if !self.is_over_memory(resident).await {
                        continue;
                    }
                    Stop::Kill(Fault::Memory)
                }
            };
            return match stop {
                Stop::No | Stop::End => {
                    let _ = self.end(child).await;
                    Reason::Ended
                }
                Stop::HungUp => Reason::of(&self.end(child).await),
                Stop::Kill(fault) => {
                    // Nobody is to talk to it any more.
                    self.shared.fail(fault);
                    self.kill(child).await;
                    fault.into()
                }
            };
        }
    }

    /// Why one has ended that nobody had waited for the end of yet: it may have been quick to do as it was to.
    fn reason(&self, status: &std::io::Result<ExitStatus>) -> Reason {
        match self.shared.stop() {
            Stop::End => Reason::Ended,
            Stop::Kill(fault) => fault.into(),
            Stop::No | Stop::HungUp => Reason::of(status),
        }
    }

    async fn is_over_memory(&self, resident: &mut u64) -> bool {
        let (children, pid, with_root) = (Arc::clone(&self.children), self.shared.pid, !self.kept);
        let look = move || children.table().resident(pid, with_root);
        let Ok(now) = tokio::task::spawn_blocking(look).await else { return false };
        self.children.report_resident(&self.shared.upstream, *resident, now);
        *resident = now;
        now > self.shared.settings().limits.memory
    }

    /// Its input is being closed: waits, and insists.
    async fn end(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
        let patience = if self.kept { BEFORE_TERM + BEFORE_KILL + KEEPER_SLACK } else { BEFORE_TERM };
        if let Ok(status) = timeout(patience, child.wait()).await {
            return status;
        }
        if !self.kept {
            tree::signal_group(self.shared.pid, Signal::SIGTERM);
            if let Ok(status) = timeout(BEFORE_KILL, child.wait()).await {
                return status;
            }
        }
        self.kill(child).await;
        child.wait().await
    }

    /// Kills all that it has started, and it. A keeper ends by itself when there is nothing left to keep.
    async fn kill(&self, child: &mut Child) {
        for _ in 0..ROUNDS.0 {
            tree::kill_below(self.shared.pid);
            if !self.kept {
                tree::signal_group(self.shared.pid, Signal::SIGKILL);
            }
            if timeout(ROUNDS.1, child.wait()).await.is_ok() {
                return;
            }
        }
        let _ = child.kill().await;
    }
}
