//! Putting a changed configuration to use: all of it, or nothing.

use crate::authority;
use crate::run::Prepared;
use narthex_config::model::{Admin, ClientAuth, Server, Tls, UpstreamId};
use narthex_config::{Config, Loaded, Watcher};
use narthex_credentials::secret::Secrets;
use narthex_proxy::{Certificates, Certified, Gateway, Snapshot};
use narthex_telemetry::Metrics;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tracing::{error, info, warn};

const MOVED_IN_VAIN: &str = "a changed place of the store takes effect at the next start";

const CHANGED_IN_VAIN: &str = "a changed listener, thread count, client_ca, client_auth, grace_period or limit of connections takes effect \
     at the next start";

/// Reloads the configuration of a running gateway.
pub(crate) struct Reloader {
    pub(crate) path: PathBuf,
    pub(crate) prepared: Prepared,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) watcher: Option<Watcher>,
    /// What can only be set at the start.
    pub(crate) started_with: StartOnly,
    /// The secrets in use.
    pub(crate) secrets: watch::Sender<Arc<Secrets>>,
}

/// The endpoints of upstreams that have several, by name.
fn several(snapshot: &Snapshot) -> HashSet<(UpstreamId, Box<str>)> {
    let endpoints = snapshot.upstreams.iter().flat_map(|upstream| upstream.several());
    endpoints.map(|endpoint| (endpoint.id.clone(), endpoint.label.clone())).collect()
}

/// Settings that a running process cannot change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StartOnly {
    listen: std::net::SocketAddr,
    admin: Admin,
    threads: Option<usize>,
    has_tls: bool,
    client_auth: ClientAuth,
    connections: usize,
    grace_period: Duration,
}

impl StartOnly {
    pub(crate) fn of(config: &Config) -> Self {
        let Server { listen, threads, tls, limits, grace_period, .. } = &config.server;
        Self {
            listen: *listen,
            admin: config.admin.clone(),
            threads: *threads,
            has_tls: tls.is_some(),
            client_auth: tls.as_ref().map_or(ClientAuth::Off, |tls| tls.client_auth.clone()),
            connections: limits.connections,
            grace_period: *grace_period,
        }
    }
}

impl Reloader {
    /// Loads, validates, builds and swaps. A configuration that cannot be used changes nothing.
    /// Returns whether it was put to use.
    pub(crate) async fn reload(&self) -> bool {
        match self.try_reload().await {
            Ok(fingerprint) => {
                info!(config = %self.path.display(), fingerprint, "configuration reloaded");
                self.metrics.config_loaded(true, SystemTime::now());
                true
            }
            Err(cause) => {
                error!(config = %self.path.display(), cause, "configuration not reloaded, the old one stays in use");
                self.metrics.config_loaded(false, SystemTime::now());
                false
            }
        }
    }

    async fn try_reload(&self) -> Result<String, String> {
        let loaded = narthex_config::load(&self.path).map_err(|d| d.one_line())?;
        crate::run::warn_of(&loaded.warnings);
        let in_use = Arc::clone(&self.secrets.borrow());
        let secrets = Secrets::fetch(&loaded.config, Some(&in_use), self.metrics.events()).await;
        let secrets = Arc::new(secrets.map_err(|e| e.to_string())?);
        let done = self.put_to_use(loaded, &secrets).inspect_err(|_| self.prepared.discard());
        // A login that is used no more, if there is one: the new one where all was for nothing.
        let (dropped, kept) = if done.is_ok() { (in_use, secrets) } else { (secrets, in_use) };
        tokio::spawn(async move { dropped.log_out(Some(&kept)).await });
        done
    }

    fn put_to_use(&self, loaded: Loaded, secrets: &Arc<Secrets>) -> Result<String, String> {
        let tls = loaded.config.server.tls.clone();
        let start_only = StartOnly::of(&loaded.config);
        let (pins_file, store) = (loaded.config.pins.file.clone(), loaded.config.store.home.clone());
        let current = self.gateway.snapshot();
        let store_change = self.prepared.store.change(&loaded.config, secrets).map_err(|e| e.to_string())?;
        let snapshot = self.prepared.build(loaded.config, Arc::clone(secrets), Some(&current));
        let snapshot = snapshot.map_err(|e| e.to_string())?;
        let certificates = self.read_certificates(tls.as_ref())?;
        // Last of what may fail: with it, its change is in use.
        self.prepared.pins.use_file(&pins_file).map_err(|e| format!("pins: {e}"))?;
        if let (Some(current), Some(read)) = (&self.certificates, certificates) {
            current.replace(read);
        }
        self.gateway.swap(snapshot);
        authority::follow(&self.gateway);
        self.prepared.take_up();
        self.secrets.send_replace(Arc::clone(secrets));
        self.forget_removed(&current);
        if start_only != self.started_with {
            warn!("{CHANGED_IN_VAIN}");
        }
        if store_change.is_some_and(|change| self.prepared.store.use_change(change, &store)) {
            warn!("{MOVED_IN_VAIN}");
        }
        if let Some(watcher) = &self.watcher {
            watcher.set_files(&loaded.fingerprint, &loaded.files);
        }
        Ok(loaded.fingerprint)
    }

    /// Ends the gauges of upstreams and endpoints that are configured no more, lest they alert for ever.
    fn forget_removed(&self, previous: &Snapshot) {
        let current = self.gateway.snapshot();
        for upstream in previous.upstreams.iter() {
            if current.upstreams.get(&upstream.id).is_none() {
                self.metrics.upstream_removed(upstream.id.as_str());
            }
        }
        for (upstream, endpoint) in several(previous).difference(&several(&current)) {
            self.metrics.endpoint_removed(upstream.as_str(), endpoint);
        }
    }

    fn read_certificates(&self, tls: Option<&Tls>) -> Result<Option<Certified>, String> {
        match (&self.certificates, tls) {
            (Some(_), Some(tls)) => Certificates::read(tls).map(Some).map_err(|e| e.to_string()),
            _ => Ok(None),
        }
    }
}
