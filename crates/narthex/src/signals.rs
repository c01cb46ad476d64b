//! What signals do: SIGTERM drains, SIGQUIT hands the sockets over and drains, SIGINT ends the process now.

use async_trait::async_trait;
use narthex_pins::Pins;
use narthex_telemetry::AccessLog;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// Waits for signals on pingora's behalf, except for SIGINT, which is dealt with here at any time, while the process
/// drains too.
///
/// pingora's own answer to SIGINT ends its runtimes one after the other while their listeners still accept: a loop
/// whose socket belongs to a runtime that is gone already fails for ever, at full speed, and the process stays.
pub(crate) struct Signals {
    pub(crate) pins: Arc<Pins>,
    pub(crate) access_log: Arc<AccessLog>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let (pins, access_log) = (Arc::clone(&self.pins), Arc::clone(&self.access_log));
        let interrupt = listen(SignalKind::interrupt());
        tokio::spawn(async move {
            next(interrupt).await;
            info!("interrupted");
            end(&pins, &access_log);
        });
        let (terminate, quit) = (listen(SignalKind::terminate()), listen(SignalKind::quit()));
        tokio::select! {
            () = next(terminate) => ShutdownSignal::GracefulTerminate,
            () = next(quit) => ShutdownSignal::GracefulUpgrade,
        }
    }
}

/// Ends the process, once what it has to say is said and what it has seen is written down.
pub(crate) fn end(pins: &Pins, access_log: &AccessLog) -> ! {
    pins.housekeep(SystemTime::now());
    access_log.flush();
    std::process::exit(0)
}

/// Nothing, if the signal cannot be listened for: it then does what it does to any process.
fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).inspect_err(|error| warn!(%error, ?kind, "cannot listen for a signal")).ok()
}

/// Until it comes; never, where nobody listens.
async fn next(signal: Option<Signal>) {
    if let Some(mut signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}
