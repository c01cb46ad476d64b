//! The stage: an identity provider, upstreams, and the gateway before them.

use super::consents::Consents;
use super::peer::Peer;
use narthex_config::model::UpstreamId;
use narthex_credentials::secret::Secrets;
use narthex_credentials::{ConnectError, Context, Visitor};
use narthex_identity::dpop::{Nonces, Seen};
use narthex_mcp::seal::Sealer;
use narthex_pins::Pins;
use narthex_proxy::{Gateway, Parts, Snapshot};
use narthex_store::{Capacity, KeyRing, Memory, Vault};
use narthex_telemetry::{AccessLog, Metrics};
use narthex_testkit::MockIdp;
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

const PUBLIC: &str = "http://localhost:8080";

/// All but the upstreams, running.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Arc<Gateway>,
    metrics: Arc<Metrics>,
    access: Arc<AccessLog>,
    log: Log,
    idp: MockIdp,
    _dir: TempDir,
    _stop: watch::Sender<bool>,
}

/// How the gateway is set up.
pub(crate) struct Setup {
    /// Lines of the route, indented by four.
    pub(crate) route: &'static str,
    /// Lines of the tenant, indented by four.
    pub(crate) tenant: &'static str,
    /// For how long what is asked for is waited for.
    pub(crate) patience: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self { route: "", tenant: "", patience: "20s" }
    }
}

impl Setup {
    fn yaml(&self, dir: &TempDir, idp: &MockIdp, consents: &Consents, peers: &[&Peer]) -> String {
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "client-secret-canary").unwrap();
        let mut yaml = format!(
            "server:\n  listen: 127.0.0.1:0\n  public_url: {PUBLIC}\n  state_dir: {dir}\n  limits: {{ suspend_timeout: {} }}\n\
             auth:\n  authority: {{ login: {{ users: [{{ name: carol, tenant: acme }}] }} }}\n  issuers:\n    - {}tenants:\n  acme:\n    routes: [main]\n{}upstreams:\n",
            self.patience,
            idp.issuer_yaml(6),
            self.tenant,
            dir = dir.path().display(),
        );
        for peer in peers {
            yaml += &format!(
                "  {}:\n    url: {}\n    timeout: 5s\n    catalogue: {{ timeout: 2s }}\n",
                peer.id,
                peer.upstream.url("/mcp")
            );
            if peer.wants_consent {
                yaml += &format!(
                    "    credential:\n      authorization_code:\n        title: \"The {}\"\n        issuer: {}\n        \
                     scopes: [read]\n        client: {{ id: narthex, secret: {{ file: \"{}\" }} }}\n",
                    peer.id,
                    consents.issuer(),
                    secret.display(),
                );
            }
        }
        let ids: Vec<_> = peers.iter().map(|peer| peer.id).collect();
        let target = match ids[..] {
            [one] => format!("upstream: {one}"),
            _ => format!("upstreams: [{}]", ids.join(", ")),
        };
        yaml + &format!("routes:\n  main:\n    path: /mcp\n    {target}\n{}", self.route)
    }

    /// Starts a gateway before these.
    pub(crate) async fn start(&self, consents: &Consents, peers: &[&Peer]) -> Stage {
        let (idp, dir) = (MockIdp::start().await, tempfile::tempdir().unwrap());
        let file = dir.path().join("gateway.yaml");
        std::fs::write(&file, self.yaml(&dir, &idp, consents, peers)).unwrap();
        let config = narthex_config::load(&file).unwrap_or_else(|found| panic!("{found}")).config;
        let metrics = Arc::new(Metrics::new("0", "0").unwrap());
        let secrets = Arc::new(Secrets::fetch(&config, None, metrics.events()).await.unwrap());
        let capacity = Capacity { entries: NonZeroUsize::new(10_000).unwrap(), bytes: 16 << 20 };
        let store = Memory::new(capacity, Arc::new(Instant::now));
        let vault = Vault::new(Arc::new(store), KeyRing::new(vec![[7; 32]]));
        let parts = Parts {
            previous: None,
            secrets,
            metrics: &metrics,
            pins: Arc::new(Pins::open(&dir.path().join("pins.json"), dir.path()).unwrap()),
            credentials: &Context { vault: Some(vault), ..Context::default() },
            sealer: Arc::new(Sealer::new(vec![[3; 32]]).unwrap()),
            nonces: Arc::new(Nonces::new(&[[3; 32]])),
            proofs: Arc::new(Seen::new(100)),
            documents: Vec::new(),
            authority: None,
        };
        let snapshot = Snapshot::build(&config, parts).unwrap();
        let log = Log::default();
        let access = Arc::new(AccessLog::new(Box::new(log.clone()), metrics.access_log_dropped()).unwrap());
        let gateway = Arc::new(Gateway::new(snapshot, Arc::clone(&metrics), Arc::clone(&access)));
        let (stop, shutdown) = watch::channel(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::clone(&gateway), shutdown));
        Stage { address, gateway, metrics, access, log, idp, _dir: dir, _stop: stop }
    }
}

async fn serve(listener: TcpListener, gateway: Arc<Gateway>, shutdown: watch::Receiver<bool>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (gateway, shutdown) = (Arc::clone(&gateway), shutdown.clone());
        tokio::spawn(async move {
            let stream = pingora::protocols::l4::stream::Stream::from(tcp);
            gateway.serve(Box::new(stream), &shutdown).await;
        });
    }
}

impl Stage {
    /// A token of `sub` for a route.
    pub(crate) fn token(&self, path: &str, sub: &str) -> String {
        self.idp.token_with(&format!("{PUBLIC}{path}"), json!({"sub": sub}))
    }

    /// What `sub` does at a browser with a link: opens it, agrees, and comes back.
    pub(crate) async fn connect(&self, consents: &Consents, sub: &str, link: &str) {
        self.try_to_connect(consents, sub, link).await.unwrap_or_else(|e| panic!("{link}: {e}"));
    }

    /// The same, where it may not work.
    pub(crate) async fn try_to_connect(
        &self,
        consents: &Consents,
        sub: &str,
        link: &str,
    ) -> Result<(), ConnectError> {
        let ticket = link.strip_prefix(&format!("{PUBLIC}/connect/")).unwrap_or_else(|| panic!("{link}"));
        let (snapshot, tenant, now) = (self.gateway.snapshot(), "acme".into(), SystemTime::now());
        let subject = format!("corp|{sub}");
        let visitor = Visitor {
            tenant: &tenant,
            subject: &subject,
            provider_issuer: self.idp.issuer(),
            provider_subject: sub,
        };
        let asked: Url = snapshot.credentials.begin(&visitor, "browser", ticket, now).await?;
        let field = |name: &str| {
            asked.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap()
        };
        let code = consents.agree(sub, &field("scope"));
        let answer = [("state", field("state")), ("code", code), ("iss", consents.issuer())];
        let answer = answer.map(|(name, value)| (name.to_owned(), value));
        snapshot.credentials.finish(&visitor, "browser", &answer, now).await.map(drop)
    }

    /// What `sub` does on the page of connections.
    pub(crate) async fn disconnect(&self, sub: &str, upstream: &str) {
        let (tenant, subject) = ("acme".into(), format!("corp|{sub}"));
        let visitor = Visitor {
            tenant: &tenant,
            subject: &subject,
            provider_issuer: self.idp.issuer(),
            provider_subject: sub,
        };
        let (credentials, upstream) =
            (Arc::clone(&self.gateway.snapshot().credentials), UpstreamId::from(upstream));
        credentials.revoke(&visitor, &upstream, SystemTime::now()).await.unwrap();
    }

    pub(crate) fn metrics(&self) -> String {
        self.metrics.encode().unwrap()
    }

    /// Whether a sample is among the metrics.
    pub(crate) fn counts(&self, sample: &str) {
        let metrics = self.metrics();
        assert!(metrics.lines().any(|line| line == sample), "{sample} is not in:\n{metrics}");
    }

    /// What is in the access log so far.
    pub(crate) fn log(&self) -> String {
        self.access.flush();
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned()
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs `attempt` until it gives something, for at most 20 s.
pub(crate) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if let Some(found) = attempt().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: not within 20 s")
}
