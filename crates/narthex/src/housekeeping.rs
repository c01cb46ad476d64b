//! What is done beside the requests: reloads, key refreshes, gauges, the end.

use crate::reload::Reloader;
use crate::signals;
use crate::signing::Signing;
use crate::store::Keeper;
use async_trait::async_trait;
use narthex_admin::Readiness;
use narthex_credentials::secret::Secrets;
use narthex_proxy::Gateway;
use narthex_telemetry::{AccessLog, Metrics};
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

/// How often gauges are set and what is due is done.
const TICK: Duration = Duration::from_secs(2);
/// How often it is looked whether health checks are due, and which idle connections are of no more use.
const CHECKS: Duration = Duration::from_millis(500);
/// How long after the signal a drained process still answers, so that balancers see it is going.
const LINGER: Duration = Duration::from_millis(300);
/// How long connections have to send what the last answers left to them.
const FLUSH: Duration = Duration::from_millis(100);
/// How long the vault has to take the end of the gateway's login.
const LOG_OUT: Duration = Duration::from_secs(1);

/// Whether the gateway can serve, for `/readyz`.
pub(crate) struct Ready {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) store: Arc<Keeper>,
    pub(crate) signing: Arc<Signing>,
    /// The public listener has its socket.
    pub(crate) listening: AtomicBool,
    pub(crate) draining: AtomicBool,
}

impl Readiness for Ready {
    fn not_ready(&self) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Acquire) {
            reasons.push("draining");
        }
        if !self.listening.load(Ordering::Acquire) {
            reasons.push("not listening");
        }
        if !self.gateway.snapshot().identity.keys_ready() {
            reasons.push("issuer keys not fetched");
        }
        if self.store.is_awaited() {
            reasons.push("store not reached");
        } else if self.signing.is_awaited() {
            reasons.push("signing keys not read");
        }
        reasons
    }
}

/// The one background service.
pub(crate) struct Housekeeping {
    pub(crate) reloader: Reloader,
    pub(crate) changed: Arc<Notify>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Arc<AccessLog>,
    pub(crate) ready: Arc<Ready>,
    /// When the pins file was last written, as far as was seen.
    pub(crate) pins_seen: AtomicU64,
}

/// Another number whenever the file was written.
fn stamp(file: &Path) -> u64 {
    let written = std::fs::metadata(file).and_then(|found| found.modified());
    let since = written.ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[async_trait]
impl BackgroundService for Housekeeping {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => Some(hangup),
            Err(error) => {
                warn!(%error, "SIGHUP will not reload");
                None
            }
        };
        let priming = self.gateway.snapshot();
        // An issuer that does not answer holds up neither a reload nor the end.
        tokio::spawn(async move { priming.identity.prime().await });
        let mut tick = tokio::time::interval(TICK);
        let mut checks = tokio::time::interval(CHECKS);
        let secrets = self.reloader.secrets.subscribe();
        let watching = tokio::spawn(watch_secrets(secrets, Arc::clone(&self.changed)));
        // A vault that is slow to answer a reload holds nothing else up.
        let mut reloading: Option<Reloading<'_>> = None;
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = tick.tick() => self.tick(),
                _ = checks.tick() => {
                    self.gateway.check_health();
                    self.gateway.sweep_connections();
                }
                // What changes meanwhile is taken up by a reload after this one.
                () = self.changed.notified(), if reloading.is_none() => {
                    reloading = Some(Box::pin(self.reloader.reload()));
                }
                _ = hung_up => self.changed.notify_one(),
                done = until(&mut reloading) => {
                    reloading = None;
                    self.reloaded(done);
                }
                _ = shutdown.changed() => {
                    watching.abort();
                    return self.drain().await;
                }
            }
        }
    }
}

/// A reload that is going on, and whether its configuration was put to use.
type Reloading<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// The end of a reload; never, if there is none.
async fn until(reloading: &mut Option<Reloading<'_>>) -> bool {
    match reloading {
        Some(reload) => reload.await,
        None => std::future::pending().await,
    }
}

/// Has `changed` told whenever the vault has another value than one in use, and keeps the login there.
async fn watch_secrets(mut in_use: watch::Receiver<Arc<Secrets>>, changed: Arc<Notify>) {
    loop {
        let secrets = Arc::clone(&in_use.borrow_and_update());
        tokio::select! {
            () = secrets.changed() => changed.notify_one(),
            replaced = in_use.changed() => if replaced.is_err() { return },
        }
    }
}

impl Housekeeping {
    fn reloaded(&self, done: bool) {
        if done {
            // They may be needed only now.
            self.reloader.prepared.signing.tend();
            let snapshot = self.gateway.snapshot();
            tokio::spawn(async move { snapshot.identity.prime().await });
        }
    }

    fn tick(&self) {
        let snapshot = self.gateway.snapshot();
        let found = snapshot.policy.housekeep(Instant::now());
        self.metrics.limit_keys(found.keys, found.overflows);
        for upstream in snapshot.upstreams.iter() {
            self.metrics.upstream_up(upstream.id.as_str(), upstream.is_up());
            self.metrics.breaker_open(upstream.id.as_str(), upstream.is_refusing());
            for endpoint in upstream.several() {
                let (up, in_flight) = (endpoint.is_up(), endpoint.in_flight());
                self.metrics.endpoint(upstream.id.as_str(), &endpoint.label, up, in_flight);
            }
        }
        self.keep_pins();
        self.reloader.prepared.signing.tend();
        let proofs = &self.reloader.prepared.proofs;
        proofs.sweep(SystemTime::now());
        self.metrics.dpop_proofs(proofs.len());
        self.keep_store();
        self.gateway.sweep();
        self.metrics.buffered_bytes(self.gateway.buffered_bytes());
        if let Some(authority) = snapshot.authority().cloned() {
            tokio::spawn(async move { authority.refresh(SystemTime::now()).await });
        }
        // A slow issuer holds nothing else up.
        tokio::spawn(async move { snapshot.identity.refresh_due(SystemTime::now()).await });
    }

    fn keep_store(&self) {
        let store = Arc::clone(&self.reloader.prepared.store);
        store.measure();
        // A slow server holds nothing else up.
        tokio::spawn(async move { store.tend().await });
    }

    fn keep_pins(&self) {
        let pins = &self.reloader.prepared.pins;
        // A file that is put back as it was when it was loaded is no change to whoever watches it, but what was
        // approved since is then to be forgotten.
        let stamp = stamp(&pins.file());
        if self.pins_seen.swap(stamp, Ordering::Relaxed) != stamp
            && let Err(error) = pins.reread()
        {
            warn!(%error, "the pins file cannot be taken up, the pins stay as they were");
        }
        pins.housekeep(SystemTime::now());
        let quarantined = pins.quarantined_counts();
        for upstream in self.gateway.snapshot().upstreams.iter() {
            let count = quarantined.get(upstream.id.as_str()).copied().unwrap_or(0);
            self.metrics.quarantined_tools(upstream.id.as_str(), count);
        }
    }

    /// Waits until the last request is answered, then ends the process: pingora itself would sleep
    /// its whole grace period, and cuts what is left at the end of it.
    async fn drain(&self) {
        self.ready.draining.store(true, Ordering::Release);
        info!("draining");
        tokio::time::sleep(LINGER).await;
        loop {
            while self.gateway.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                self.gateway.sweep_connections();
            }
            // What HTTP/2 streams wrote last is still on its way through their connections.
            tokio::time::sleep(FLUSH).await;
            if self.gateway.in_flight() == 0 {
                break;
            }
        }
        info!("drained");
        let secrets = Arc::clone(&self.reloader.secrets.borrow());
        if tokio::time::timeout(LOG_OUT, secrets.log_out(None)).await.is_err() {
            info!("the login at the vault is left to end by itself");
        }
        signals::end(&self.reloader.prepared.pins, &self.access_log);
    }
}
