//! A child process (2025-11-25, basic/transports#stdio): a line for each message, both ways.

use super::ear::Ear;
use super::routes::Routes;
use super::source::Source;
use crate::bridge::link::Link;
use crate::refusal::{ChildTrouble, Refusal};
use narthex_config::model::Instances;
use narthex_mcp::bridge::message;
use narthex_upstreams::stdio::{Messages, Process};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// A child process that is spoken to. Dropped, it is ended.
pub(super) struct StdioWire {
    process: Arc<Process>,
    pub(super) routes: Arc<Routes>,
    task: AbortHandle,
}

impl StdioWire {
    /// Starts the child.
    ///
    /// # Errors
    /// It cannot be started, or has to wait.
    pub(super) fn open(link: &Link, ear: Arc<Ear>) -> Result<Self, Refusal> {
        let upstream = link.upstream();
        let is_shared = is_shared(link);
        // What one caller makes of its own child costs no other caller a wait.
        let owner = if is_shared { upstream.origin.clone() } else { link.owner() };
        let environment = link.environment()?;
        let started = link.shared.children.start(upstream, &owner, &environment, Instant::now());
        let (process, messages) = started.map_err(|error| Refusal::Child(ChildTrouble::NotStarted(error)))?;
        let (process, routes) = (Arc::new(process), Routes::of_child(ear, is_shared));
        let reading = read(Arc::clone(&routes), Arc::clone(&process), messages);
        let task = tokio::spawn(reading).abort_handle();
        Ok(Self { process, routes, task })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.routes.is_closed() || self.process.is_over()
    }

    /// Sends a request; its messages will come by its id.
    ///
    /// # Errors
    /// The child has ended, or does not read.
    pub(super) async fn call(&self, link: &Link, id: &str, body: String) -> Result<Source, Refusal> {
        let inbox = self.routes.register(id)?;
        self.tell(link.upstream().timeout, body).await?;
        Ok(Source::Wire(inbox))
    }

    /// Sends what has no answer.
    ///
    /// # Errors
    /// Likewise.
    pub(super) async fn tell(&self, patience: Duration, body: String) -> Result<(), Refusal> {
        match tokio::time::timeout(patience, self.process.send(body)).await {
            Ok(sent) => sent.map_err(|_| Refusal::Child(ChildTrouble::Gone)),
            // It was not sent: it waited for others to be.
            Err(_elapsed) => Err(Refusal::Child(ChildTrouble::Stuck)),
        }
    }

    /// Ends the child, as MCP says (2025-11-25, basic/lifecycle#shutdown). What it answers while it ends is
    /// still taken.
    pub(super) fn end(&self) {
        self.process.end();
    }
}

impl Drop for StdioWire {
    fn drop(&mut self) {
        self.process.end();
        self.task.abort();
    }
}

/// Whether all callers share the child.
pub(super) fn is_shared(link: &Link) -> bool {
    link.upstream().stdio().is_some_and(|stdio| stdio.instances == Instances::Shared)
}

async fn read(routes: Arc<Routes>, process: Arc<Process>, mut messages: Messages) {
    while let Some(line) = messages.next().await {
        let Ok(all) = message::parse(&line) else {
            tracing::debug!(pid = process.pid(), length = line.len(), "not a JSON-RPC message, on stdout");
            continue;
        };
        for reply in all.into_iter().filter_map(|incoming| routes.route(incoming)) {
            // One that asks faster than it reads gets no answer.
            if !process.try_send(reply) {
                tracing::debug!(pid = process.pid(), "not replied");
            }
        }
    }
    process.end();
    routes.close();
}
