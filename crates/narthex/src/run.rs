//! `narthex run`: the parts, assembled.

use crate::authority;
use crate::check::complain;
use crate::cli::RunArgs as Args;
use crate::connections;
use crate::desk::Desk;
use crate::development;
use crate::housekeeping::{Housekeeping, Ready};
use crate::keys::{self, KeyError, SEAL};
use crate::listening::{Announced, Lasting};
use crate::reload::{Reloader, StartOnly};
use crate::signals::Signals;
use crate::signing::{self, Signing};
use crate::store::{Keeper, StoreError};
use crate::subjects::Logins;
use narthex_admin::Admin;
use narthex_authority::login::IdTokens;
use narthex_authority::{AuthorityParts, DevelopmentIssuer, OpenError};
use narthex_config::model::{Server as Settings, StoreHome};
use narthex_config::{Config, Diagnostics, Loaded, Watcher};
use narthex_credentials::secret::{SecretError, Secrets};
use narthex_credentials::{Context, SigningError, SigningKeys, SubjectTokens};
use narthex_identity::dpop::{Nonces, Replay, Seen, SeenByAll};
use narthex_mcp::seal::{SealError, Sealer};
use narthex_pins::{Pins, PinsError};
use narthex_proxy::{BuildError, CertificateError, Certificates, Gateway, Parts, ServiceError, Snapshot};
use narthex_store::{Sharing, Vault};
use narthex_telemetry::{AccessLog, Metrics};
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

/// Why the gateway does not start.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Issuer(#[from] OpenError),
    #[error(transparent)]
    Authority(#[from] narthex_authority::BuildError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("pins: {0}")]
    Pins(#[from] PinsError),
    #[error("server.seal_keys: {0}")]
    Seal(#[from] SealError),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: std::io::Error },
    #[error("access log: {0}")]
    AccessLog(std::io::Error),
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    #[error("metrics: {0}")]
    Metrics(String),
}

/// What every snapshot of this process is built with.
pub(crate) struct Prepared {
    metrics: Arc<Metrics>,
    /// What the gateway signs with. The same over all reloads.
    pub(crate) signing: Arc<Signing>,
    /// Which definitions of tools are approved. The same over all reloads.
    pub(crate) pins: Arc<Pins>,
    /// Which proofs of possession have been used. The same over all reloads.
    pub(crate) proofs: Arc<Seen>,
    /// What must outlive a request. The same over all reloads.
    pub(crate) store: Arc<Keeper>,
    /// What users connect, for the pages where they do. The same over all reloads.
    pub(crate) connections: Arc<connections::Desk>,
}

/// What a snapshot is built with that the gateway makes and keeps itself.
struct Own<'a> {
    issuer: Option<&'a DevelopmentIssuer>,
    seal_keys: Vec<[u8; keys::LEN]>,
    signing_keys: Option<SigningKeys>,
    vault: Option<Vault>,
}

impl Prepared {
    fn new(metrics: Arc<Metrics>, pins: Pins, sharing: Sharing) -> Self {
        let (pins, proofs) = (Arc::new(pins), Arc::new(Seen::new(0)));
        let store = Arc::new(Keeper::new(Arc::clone(&metrics), sharing));
        Self { metrics, signing: Arc::default(), pins, proofs, store, connections: Arc::default() }
    }

    /// Builds everything that `config` asks for and throws it away. Writes nothing: whoever checks may
    /// be another user than the one who serves.
    pub(crate) fn try_out(config: Config) -> Result<(), StartError> {
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), env!("NARTHEX_REVISION"));
        let metrics = Arc::new(metrics.map_err(|e| StartError::Metrics(e.to_string()))?);
        let pins = Pins::preview(&config.pins.file, &config.server.state_dir)?;
        let prepared = Self::new(metrics, pins, Sharing::Alone);
        if let Some(tls) = &config.server.tls {
            Certificates::load(tls)?;
        }
        let issuer = development::preview(&config)?;
        let secrets = Arc::new(fetch_now(&config, &prepared.metrics)?);
        let Settings { seal_keys, state_dir, .. } = &config.server;
        let keys = SEAL.preview(seal_keys, state_dir, &secrets)?;
        let signing = Signing::preview(&config)?;
        let vault = Keeper::preview(&config, &secrets)?;
        let own = Own { issuer: issuer.as_ref(), seal_keys: keys, signing_keys: signing, vault };
        let built = prepared.build_with(config, Arc::clone(&secrets), None, own).map(drop);
        // A login that nobody uses on.
        wait_for(secrets.log_out(None))?;
        built
    }

    /// A snapshot of `config`, whose secrets were read, with the state of `previous`.
    pub(crate) fn build(
        &self,
        config: Config,
        secrets: Arc<Secrets>,
        previous: Option<&Snapshot>,
    ) -> Result<Snapshot, StartError> {
        let issuer = development::open(&config)?;
        let Settings { seal_keys, state_dir, .. } = &config.server;
        let keys = SEAL.load(seal_keys, state_dir, &secrets)?;
        let vault = self.store.vault(&config, &secrets)?;
        let signing = self.signing.open(&config, self.store.shared())?;
        let own = Own { issuer: issuer.as_ref(), seal_keys: keys, signing_keys: signing, vault };
        self.build_with(config, secrets, previous, own)
    }

    /// What was built last is in use.
    pub(crate) fn take_up(&self) {
        self.store.take_up();
        self.connections.take_up();
    }

    /// What was built last is not to be used, so nothing of it is kept.
    pub(crate) fn discard(&self) {
        self.connections.discard();
        self.store.discard();
    }

    /// Where proofs of possession are remembered: in this process, and where replicas share a store, there as well.
    fn replay(&self, config: &Config, vault: Option<&Vault>) -> Arc<dyn Replay> {
        self.proofs.set_capacity(config.auth.dpop.replay_cache);
        let proofs = Arc::clone(&self.proofs);
        match (&config.store.home, vault) {
            (StoreHome::Redis(_), Some(vault)) => Arc::new(SeenByAll::new(proofs, vault.clone())),
            _ => proofs,
        }
    }

    fn build_with(
        &self,
        mut config: Config,
        secrets: Arc<Secrets>,
        previous: Option<&Snapshot>,
        own: Own<'_>,
    ) -> Result<Snapshot, StartError> {
        let Own { issuer, seal_keys, signing_keys, vault } = own;
        let mut documents = Vec::new();
        if let Some(issuer) = issuer {
            development::trust(&mut config, issuer);
            documents = development::documents(&config, issuer);
        }
        let nonces = Arc::new(Nonces::new(&seal_keys));
        let authority = match &vault {
            Some(vault) => {
                let parts = AuthorityParts {
                    previous: previous.and_then(|previous| previous.authority().map(Arc::as_ref)),
                    vault: vault.clone(),
                    secrets: Arc::clone(&secrets) as _,
                    events: self.metrics.events().clone(),
                    connections: Some(Arc::clone(&self.connections) as _),
                    nonces: Arc::clone(&nonces),
                };
                authority::open(&mut config, &parts)?
            }
            // It has one wherever it is configured.
            None => None,
        };
        documents.extend(signing_keys.clone().map(|keys| signing::document(&config, keys)));
        documents.extend(connections::document(&config));
        let proofs = self.replay(&config, vault.as_ref());
        let subject_tokens = subjects(&config, vault.as_ref());
        let credentials = Context { signing_keys, subject_tokens, vault };
        let sealer = Arc::new(Sealer::new(seal_keys)?);
        let snapshot = Snapshot::build(
            &config,
            Parts {
                previous,
                secrets,
                metrics: &self.metrics,
                pins: Arc::clone(&self.pins),
                sealer,
                nonces,
                proofs,
                credentials: &credentials,
                documents,
                authority,
            },
        )?;
        authority::hand_keys(&snapshot);
        let held = Arc::clone(&snapshot.credentials);
        self.connections.prepare(connections::Current::new(&config, held));
        Ok(snapshot)
    }
}

/// Serves until told to stop.
pub(crate) fn run(args: &Args) -> ExitCode {
    if let Err(error) = narthex_telemetry::init_logging() {
        return complain(&format!("error: cannot set up logging: {error}\n"));
    }
    if let Err(error) = outlive_hangups() {
        warn!(%error, "SIGHUP will end the process until it listens");
    }
    let loaded = match narthex_config::load(&args.config.config) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return complain(&diagnostics.to_string()),
    };
    match assemble(args, loaded) {
        Ok((server, signals)) => {
            let access_log = Arc::clone(&signals.access_log);
            server.run(RunArgs { shutdown_signal: Box::new(signals) });
            access_log.flush();
            ExitCode::SUCCESS
        }
        Err(error) => complain(&format!("error: {error}\n")),
    }
}

/// [`Secrets::fetch`] before there is any runtime.
fn fetch_now(config: &Config, metrics: &Metrics) -> Result<Secrets, StartError> {
    Ok(wait_for(Secrets::fetch(config, None, metrics.events()))??)
}

/// What `done` comes to, on a runtime of its own, of which nothing is left.
fn wait_for<T>(done: impl Future<Output = T>) -> Result<T, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(StartError::Runtime)?.block_on(done))
}

/// Takes SIGHUP away from its default, which ends the process. One that comes before `housekeeping`
/// listens for it changes nothing, and need not: the file is about to be read.
fn outlive_hangups() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    // The handler stays when this listener goes.
    signal(SignalKind::hangup()).map(drop)
}

fn assemble(args: &Args, loaded: Loaded) -> Result<(Server, Signals), StartError> {
    let path: &Path = &args.config.config;
    let Loaded { config, fingerprint, files, warnings } = loaded;
    warn_of(&warnings);
    if !args.upgrade {
        try_to_listen(config.server.listen)?;
        try_to_listen(config.admin.listen)?;
    }
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), env!("NARTHEX_REVISION"));
    let metrics = Arc::new(metrics.map_err(|e| StartError::Metrics(e.to_string()))?);
    let access_log =
        Arc::new(AccessLog::stdout(metrics.access_log_dropped()).map_err(StartError::AccessLog)?);
    let pins = Pins::open(&config.pins.file, &config.server.state_dir)?;
    let sharing = if args.upgrade { Sharing::Successor } else { Sharing::Alone };
    let prepared = Prepared::new(Arc::clone(&metrics), pins, sharing);
    let (pins, store) = (Arc::clone(&prepared.pins), Arc::clone(&prepared.store));
    let signing = Arc::clone(&prepared.signing);
    let (settings, admin, started_with) =
        (config.server.clone(), config.admin.clone(), StartOnly::of(&config));
    let certificates = settings.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new);
    let secrets = Arc::new(fetch_now(&config, &metrics)?);
    let snapshot = prepared.build(config, Arc::clone(&secrets), None)?;
    metrics.config_loaded(true, std::time::SystemTime::now());
    let gateway = Arc::new(Gateway::new(snapshot, Arc::clone(&metrics), Arc::clone(&access_log)));
    authority::follow(&gateway);
    prepared.take_up();
    #[cfg(target_os = "linux")]
    gateway.keep_children_with(narthex_upstreams::stdio::Keeper::this_program());
    let ready = Arc::new(Ready {
        gateway: Arc::clone(&gateway),
        store,
        signing,
        listening: AtomicBool::new(false),
        draining: AtomicBool::new(false),
    });
    let changed = Arc::new(Notify::new());
    let watcher = watch_files(path, &fingerprint, &files, Arc::clone(&changed));
    let reloader = Reloader {
        path: path.to_owned(),
        prepared,
        gateway: Arc::clone(&gateway),
        metrics: Arc::clone(&metrics),
        certificates: certificates.clone(),
        watcher,
        started_with,
        secrets: watch::Sender::new(secrets),
    };
    let mut server =
        Server::new_with_opt_and_conf(Some(Opt { upgrade: args.upgrade, ..Opt::default() }), conf(&settings));
    server.bootstrap();
    server.add_service(Announced {
        service: narthex_proxy::service(&settings, Arc::clone(&gateway), Arc::clone(&metrics), certificates)?,
        address: settings.listen.to_string(),
        ready: Arc::clone(&ready),
    });
    let application = Admin::new(Arc::clone(&metrics), Arc::clone(&ready) as _);
    let application = application.with_pins(Arc::new(Desk(Arc::clone(&pins))));
    server.add_service(Lasting {
        service: narthex_admin::service(admin.listen, application),
        phases: server.watch_execution_phase(),
    });
    let (pins_seen, access_log_kept) = (AtomicU64::new(0), Arc::clone(&access_log));
    let housekeeping =
        Housekeeping { reloader, changed, gateway, metrics, access_log: access_log_kept, ready, pins_seen };
    server.add_service(background_service("housekeeping", housekeeping));
    info!(listen = %settings.listen, public_url = settings.public_url.url, admin = %admin.listen, fingerprint, "starting");
    Ok((server, Signals { pins, access_log }))
}

/// Has `changed` told of changes; without notifications SIGHUP still reloads.
fn watch_files(path: &Path, fingerprint: &str, files: &[PathBuf], changed: Arc<Notify>) -> Option<Watcher> {
    narthex_config::watch(path, fingerprint, files, move || changed.notify_one())
        .inspect_err(|error| warn!(%error, "changes of the file will not be seen; SIGHUP reloads"))
        .ok()
}

/// Fails now if the address cannot be listened on: pingora would try for half a minute and go on
/// without it.
fn try_to_listen(address: SocketAddr) -> Result<(), StartError> {
    TcpListener::bind(address).map(drop).map_err(|cause| StartError::Listen { address, cause })
}

/// Says what is probably not meant.
pub(crate) fn warn_of(warnings: &Diagnostics) {
    if !warnings.is_empty() {
        warn!(warnings = warnings.one_line(), "configuration");
    }
}

fn conf(settings: &Settings) -> ServerConf {
    ServerConf {
        // Several single-threaded runtimes: fewer wake-ups across cores than one that steals work.
        work_stealing: false,
        grace_period_seconds: Some(settings.grace_period.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        upgrade_sock: settings.state_dir.join("upgrade.sock").display().to_string(),
        pid_file: settings.state_dir.join("narthex.pid").display().to_string(),
        ..ServerConf::default()
    }
}

/// The ID tokens of users, where a credential is made of them.
fn subjects(config: &Config, vault: Option<&Vault>) -> Option<Arc<dyn SubjectTokens>> {
    let vault = vault.filter(|_| config.wants_id_tokens())?;
    let issuer = config.server.public_url.url.clone();
    Some(Arc::new(Logins { issuer, tokens: IdTokens::new(vault.clone()) }))
}
