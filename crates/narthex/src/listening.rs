//! Two things that pingora's listening services do not do: saying that they listen, and going on to
//! listen while the process drains.

use crate::housekeeping::Ready;
use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ListenFds, ShutdownWatch};
use pingora::services::Service;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// How often it is looked whether a socket is bound.
const BIND_POLL: Duration = Duration::from_millis(5);

/// Sets a flag when its service has its socket: until then, connections are refused.
pub(crate) struct Announced<S> {
    pub(crate) service: S,
    pub(crate) address: String,
    pub(crate) ready: Arc<Ready>,
}

#[async_trait]
impl<S: Service> Service for Announced<S> {
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, listeners: usize) {
        let Self { service, address, ready } = self;
        let table = fds.clone();
        let announce = async {
            while table.as_ref().is_some_and(|fds| fds.lock().get(address).is_none()) {
                tokio::time::sleep(BIND_POLL).await;
            }
            ready.listening.store(true, Ordering::Release);
        };
        tokio::join!(service.start_service(fds, shutdown, listeners), announce);
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.service.listen_addresses()
    }
}

/// Serves until the process ends, so that `/readyz` can say that it drains. Only where another process
/// has taken the sockets over does it stop when told to: from then on that one is asked.
pub(crate) struct Lasting<S> {
    pub(crate) service: S,
    pub(crate) phases: broadcast::Receiver<ExecutionPhase>,
}

#[async_trait]
impl<S: Service> Service for Lasting<S> {
    async fn start_service(&mut self, fds: Option<ListenFds>, mut shutdown: ShutdownWatch, listeners: usize) {
        let Self { service, phases } = self;
        let (stop, stopped) = watch::channel(false);
        let handed_over = async {
            if until_handed_over(phases).await {
                // An error means that the server is gone, which is an end as well.
                let _ = shutdown.wait_for(|stop| *stop).await;
                stop.send_replace(true);
            }
        };
        tokio::join!(service.start_service(fds, stopped, listeners), handed_over);
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.service.listen_addresses()
    }
}

/// Whether the sockets have been given to another process; `false` when that cannot happen any more.
async fn until_handed_over(phases: &mut broadcast::Receiver<ExecutionPhase>) -> bool {
    loop {
        match phases.recv().await {
            Ok(ExecutionPhase::GracefulUpgradeCloseTimeout) => return true,
            Err(RecvError::Closed) => return false,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
        }
    }
}
