//! Addresses of one upstream: resolved by us, checked, pinned for a while.

use crate::egress::classify;
use crate::identity::ClientIdentity;
use crate::pool::{Place, Pool};
use arc_swap::ArcSwapOption;
use narthex_config::model::{HttpVersion, Upstream as Settings};
use pingora::protocols::ALPN;
use pingora::upstreams::peer::{HttpPeer, Peer as _};
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use thiserror::Error;
use url::Host;

/// How long a name's addresses are used before it is looked up again.
const TTL: Duration = Duration::from_secs(30);
/// HTTP/2 streams per connection.
const H2_STREAMS: usize = 100;
/// Bytes of one HTTP/2 answer that are buffered for a client that reads slowly.
const H2_STREAM_WINDOW: u32 = 512 * 1024;
/// Enough for all streams' windows at once: with pingora's default (8 MiB for both) a single client
/// that does not read stops every other answer on the same connection.
const H2_CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// How often an HTTP/2 connection in use is probed. One that a firewall dropped silently would take
/// every request until TCP gives up, which is minutes.
const H2_PING: Duration = Duration::from_secs(15);

/// Why an upstream has no address to connect to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name could not be looked up.
    #[error("cannot resolve {host}: {cause}")]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver said.
        cause: String,
    },
    /// All of its addresses are link-local, metadata or not unicast.
    #[error("{host} has no address that may be called")]
    NotAllowed {
        /// The name.
        host: String,
    },
}

/// The addresses of one upstream, each with the connection settings to use.
pub(crate) struct Peers {
    host: Host<String>,
    port: u16,
    allow_link_local: bool,
    lookup_timeout: Duration,
    template: HttpPeer,
    resolved: ArcSwapOption<Resolved>,
    refreshing: AtomicBool,
    preferred: AtomicUsize,
}

struct Resolved {
    peers: Vec<Arc<Peer>>,
    at: Instant,
}

/// One address, and how to connect to it.
pub(crate) struct Peer {
    pub(crate) settings: HttpPeer,
    place: OnceLock<Arc<Place>>,
}

impl Peer {
    pub(crate) fn new(settings: HttpPeer) -> Self {
        Self { settings, place: OnceLock::new() }
    }

    /// Where its idle connections are, if it is spoken to in HTTP/1.1 only: in other cases pingora knows.
    pub(crate) fn place(&self, pool: &Pool) -> Option<&Arc<Place>> {
        let is_http1 = self.settings.options.alpn.get_max_http_version() == 1;
        is_http1.then(|| self.place.get_or_init(|| pool.place(self.settings.reuse_hash())))
    }
}

impl Peers {
    /// The peers of the one endpoint of `settings`. `group` keeps pooled connections of different upstreams apart
    /// even where address and server name agree (pingora's pool key leaves out the CA, and of certificates it
    /// has but the serial number). `identity` is shown to servers that ask for a certificate.
    ///
    /// # Errors
    /// The URL has no host, or the CA file cannot be used; the text names the file.
    pub(crate) fn new(
        settings: &Settings,
        group: u64,
        identity: Option<&ClientIdentity>,
    ) -> Result<Self, String> {
        let url = &settings.transport.endpoints().ok_or("not reached by a URL")?.first;
        let host = url.host().ok_or("the URL has no host")?.to_owned();
        let port = url.port_or_known_default().ok_or("the URL has no port")?;
        let tls = url.scheme() == "https";
        // pingora turns verification off when the server name is empty; a host never is.
        let sni = match &host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        let mut template = HttpPeer::new(SocketAddr::from(([127, 0, 0, 1], port)), tls, sni);
        template.group_key = group;
        template.client_cert_key = identity.map(ClientIdentity::for_peers);
        let options = &mut template.options;
        options.connection_timeout = Some(settings.connect_timeout);
        options.total_connection_timeout = Some(settings.connect_timeout);
        options.idle_timeout = Some(settings.keepalive);
        options.max_h2_streams = H2_STREAMS;
        options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
        options.h2_connection_window_size = Some(H2_CONNECTION_WINDOW);
        options.h2_ping_interval = Some(H2_PING);
        match (settings.http, tls) {
            (HttpVersion::Auto, true) => options.alpn = ALPN::H2H1,
            (HttpVersion::Auto, false) | (HttpVersion::H1, _) => options.alpn = ALPN::H1,
            (HttpVersion::H2, _) => options.set_http_version(2, 2),
        }
        if let Some(ca) = &settings.ca {
            options.ca = Some(load_ca(ca)?);
        }
        Ok(Self {
            host,
            port,
            allow_link_local: settings.allow_link_local,
            lookup_timeout: settings.connect_timeout,
            template,
            resolved: ArcSwapOption::empty(),
            refreshing: AtomicBool::new(false),
            preferred: AtomicUsize::new(0),
        })
    }

    /// The peer to try first, without waiting: the fast path of a request.
    /// `None`: [`Peers::resolve`] has to be awaited. A look-up that is due is started meanwhile.
    pub(crate) fn current(self: &Arc<Self>, now: Instant) -> Option<Arc<Peer>> {
        let resolved = self.resolved.load();
        let found = resolved.as_ref()?;
        if now.saturating_duration_since(found.at) > TTL && !self.refreshing.swap(true, Ordering::AcqRel) {
            let peers = Arc::clone(self);
            tokio::spawn(async move {
                // A failed look-up leaves the known addresses in use.
                let _ = peers.resolve(Instant::now()).await;
                peers.refreshing.store(false, Ordering::Release);
            });
        }
        let preferred = self.preferred.load(Ordering::Relaxed) % found.peers.len().max(1);
        found.peers.get(preferred).cloned()
    }

    /// Looks the host up and keeps what may be called.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub(crate) async fn resolve(&self, now: Instant) -> Result<Arc<Peer>, ResolveError> {
        let addresses = self.lookup().await?;
        let allowed: Vec<Arc<Peer>> = addresses
            .into_iter()
            .filter(|ip| classify(*ip).is_allowed(self.allow_link_local))
            .map(|ip| self.peer(ip))
            .collect();
        let first = allowed
            .get(self.preferred.load(Ordering::Relaxed) % allowed.len().max(1))
            .cloned()
            .ok_or_else(|| ResolveError::NotAllowed { host: self.host.to_string() })?;
        self.resolved.store(Some(Arc::new(Resolved { peers: allowed, at: now })));
        Ok(first)
    }

    /// The next address after `failed` could not be connected to; `None` when there is no other.
    pub(crate) fn after(&self, failed: &Peer) -> Option<Arc<Peer>> {
        let resolved = self.resolved.load();
        let peers = &resolved.as_ref()?.peers;
        let at = peers.iter().position(|p| p.settings._address == failed.settings._address)?;
        let next = (at + 1) % peers.len();
        self.preferred.store(next, Ordering::Relaxed);
        if next == at { None } else { peers.get(next).cloned() }
    }

    /// How many addresses are known.
    pub(crate) fn count(&self) -> usize {
        self.resolved.load().as_ref().map_or(0, |r| r.peers.len())
    }

    async fn lookup(&self) -> Result<Vec<IpAddr>, ResolveError> {
        match &self.host {
            Host::Ipv4(ip) => Ok(vec![IpAddr::V4(*ip)]),
            Host::Ipv6(ip) => Ok(vec![IpAddr::V6(*ip)]),
            Host::Domain(name) => {
                let failed = |cause: String| ResolveError::Lookup { host: name.clone(), cause };
                let found = tokio::net::lookup_host((name.as_str(), self.port));
                let found = tokio::time::timeout(self.lookup_timeout, found).await;
                let found = found.map_err(|_| failed("timed out".to_owned()))?;
                Ok(found.map_err(|cause| failed(cause.to_string()))?.map(|a| a.ip()).collect())
            }
        }
    }

    fn peer(&self, ip: IpAddr) -> Arc<Peer> {
        let mut settings = self.template.clone();
        settings._address = SocketAddr::new(ip, self.port).into();
        Arc::new(Peer::new(settings))
    }
}

fn load_ca(path: &Path) -> Result<Arc<[WrappedX509]>, String> {
    let name = path.display();
    let mut store = RootCertStore::empty();
    let mut certs = Vec::new();
    for cert in CertificateDer::pem_file_iter(path).map_err(|e| format!("{name}: {e}"))? {
        let cert = cert.map_err(|e| format!("{name}: {e}"))?;
        // pingora parses these again and panics on a bad one, so they are tried here first.
        store.add(cert.clone()).map_err(|e| format!("{name}: {e}"))?;
        certs.push(WrappedX509::new(cert.as_ref().to_vec(), parse_x509));
    }
    if certs.is_empty() {
        return Err(format!("{name}: no certificate in it"));
    }
    Ok(certs.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::settings;

    fn resolve(url: &str, allow_link_local: bool) -> Result<Arc<Peer>, ResolveError> {
        let settings = Settings { allow_link_local, ..settings(&[url]) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Peers::new(&settings, 1, None).unwrap().resolve(Instant::now()))
    }

    #[test]
    fn a_metadata_address_is_never_connected_to_unless_the_upstream_says_so() {
        for url in
            ["http://169.254.169.254/mcp", "http://[fe80::1]/mcp", "http://[::ffff:169.254.169.254]/mcp"]
        {
            assert!(matches!(resolve(url, false), Err(ResolveError::NotAllowed { .. })), "{url}");
            assert!(resolve(url, true).is_ok(), "{url}");
        }
        assert!(matches!(resolve("http://0.0.0.0/mcp", true), Err(ResolveError::NotAllowed { .. })));
    }

    #[test]
    fn an_allowed_address_is_pinned() {
        let peer = resolve("http://127.0.0.1:9001/mcp", false).unwrap();
        assert_eq!(peer.settings._address.to_string(), "127.0.0.1:9001");
    }
}
