//! Fetching clients' documents: guarded, bounded, remembered.

use super::document::{self, Document, Keys};
use super::{Client, ClientAuth};
use crate::error::{Code, OAuthError};
use crate::pages::ClientKind;
use crate::rate::Tries;
use dashmap::DashMap;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use narthex_config::model::{Algorithm, HostPattern, KeySource, MetadataDocuments, Rate};
use narthex_identity::Signer;
use narthex_telemetry::Events;
use narthex_upstreams::egress::{Answer, Egress, EgressError, Reach};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use url::Url;

/// Largest document, bytes.
const CAP: usize = 64 * 1024;
/// Time for all of one fetch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Fetches at one time.
const AT_ONCE: usize = 8;
/// Documents remembered.
const MOST: usize = 2000;
/// How long it is remembered that there was no good one.
const IN_VAIN: Duration = Duration::from_secs(60);
/// How long an old one serves while its server does not answer.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// How often one address may have us fetch something.
const RATE: Rate = Rate { count: NonZeroU32::MIN.saturating_add(59), window: Duration::from_secs(60) };
/// Signature algorithms of clients' assertions.
pub(crate) const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256];

/// Clients that have a document, under one configuration.
#[derive(Debug)]
pub(crate) struct Documents {
    allowed: MetadataDocuments,
    fetcher: Arc<Fetcher>,
}

/// What outlives a configuration: the HTTP clients, and what was fetched.
#[derive(Debug)]
pub(crate) struct Fetcher {
    public: Egress,
    loopback: Egress,
    events: Events,
    known: DashMap<String, Known>,
    flights: Semaphore,
    tries: Tries,
}

#[derive(Clone, Debug)]
struct Known {
    /// `None`: there was no good one.
    client: Option<Arc<Client>>,
    /// Until when nobody asks again.
    until: SystemTime,
    /// Until when it stands in while its server does not answer.
    stale: SystemTime,
}

impl Fetcher {
    pub(crate) fn new(events: Events) -> Result<Self, EgressError> {
        Ok(Self {
            public: Egress::within(TIMEOUT, Reach::Public, false)?.with_cap(CAP),
            loopback: Egress::within(TIMEOUT, Reach::Loopback, false)?.with_cap(CAP),
            events,
            known: DashMap::new(),
            flights: Semaphore::new(AT_ONCE),
            tries: Tries::new(RATE),
        })
    }

    /// The HTTP client for `url`, which is fit to be fetched: only who is known to be on this machine is
    /// called there.
    pub(super) fn egress(&self, url: &Url) -> &Egress {
        if document::is_loopback(url) { &self.loopback } else { &self.public }
    }

    /// Forgets what is too old even to stand in.
    pub(crate) fn sweep(&self, now: SystemTime) {
        self.tries.sweep();
        self.known.retain(|_, known| known.until.max(known.stale) > now);
    }

    fn remember(&self, id: &str, known: Known) {
        if self.known.len() >= MOST && !self.known.contains_key(id) {
            let soonest = self.known.iter().min_by_key(|entry| entry.until).map(|entry| entry.key().clone());
            soonest.map(|id| self.known.remove(&id));
        }
        self.known.insert(id.to_owned(), known);
    }
}

impl Documents {
    pub(crate) fn new(allowed: MetadataDocuments, fetcher: Arc<Fetcher>) -> Self {
        Self { allowed, fetcher }
    }

    /// Whose documents are asked for.
    pub(super) fn hosts(&self) -> &[HostPattern] {
        &self.allowed.allow
    }

    /// The client whose document is at `id`.
    pub(super) async fn find(
        &self,
        id: &str,
        peer: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Arc<Client>>, OAuthError> {
        let Ok(url) = document::url(id, &self.allowed) else { return Ok(None) };
        let fresh = |id: &str| {
            self.fetcher.known.get(id).filter(|known| known.until > now).map(|known| known.client.clone())
        };
        if let Some(client) = fresh(id) {
            return Ok(client);
        }
        if !self.fetcher.tries.take(peer) {
            return Err(OAuthError::new(Code::SlowDown, "Too many new clients from this address."));
        }
        // Slow servers of some clients are no reason to wait for ever for those of others.
        let busy =
            |_| OAuthError::new(Code::TemporarilyUnavailable, "Too many new clients are looked up just now.");
        let _flight = tokio::time::timeout(TIMEOUT, self.fetcher.flights.acquire()).await.map_err(busy)?;
        // Somebody else may have fetched it while we waited.
        if let Some(client) = fresh(id) {
            return Ok(client);
        }
        Ok(self.fetch(id, &url, now).await)
    }

    async fn fetch(&self, id: &str, url: &Url, now: SystemTime) -> Option<Arc<Client>> {
        let answer = self.fetcher.egress(url).get(url, "application/json").await;
        let failed = match answer {
            Ok(answer) if answer.status.is_server_error() => format!("status {}", answer.status),
            Ok(answer) => match self.read(id, &answer) {
                Ok(client) => {
                    let caching = answer.headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
                    let until = now + document::freshness(caching);
                    let known = Known { client: Some(Arc::clone(&client)), until, stale: until + STALE };
                    self.fetcher.remember(id, known);
                    return Some(client);
                }
                Err(problem) => {
                    tracing::info!(client = id, problem, "client document refused");
                    let until = now + IN_VAIN;
                    self.fetcher.remember(id, Known { client: None, until, stale: now });
                    return None;
                }
            },
            Err(error) => error.to_string(),
        };
        tracing::info!(client = id, error = failed, "client document not fetched");
        let old = self.fetcher.known.get(id).filter(|known| known.stale > now).map(|known| known.clone());
        let (client, stale) = old.map_or((None, now), |old| (old.client, old.stale));
        let until = if client.is_some() { stale.min(now + IN_VAIN) } else { now + IN_VAIN };
        self.fetcher.remember(id, Known { client: client.clone(), until, stale });
        client
    }

    fn read(&self, id: &str, answer: &Answer) -> Result<Arc<Client>, &'static str> {
        if answer.status != StatusCode::OK {
            return Err("the answer is not 200");
        }
        let media =
            answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media != "application/json" && !(media.starts_with("application/") && media.ends_with("+json")) {
            return Err("the answer is no JSON");
        }
        let document = Document::parse(id, &answer.body, self.allowed.allow_loopback)?;
        let host = Url::parse(id).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        Ok(Arc::new(Client {
            id: id.to_owned(),
            name: document.name.unwrap_or(host),
            kind: ClientKind::MetadataDocument,
            redirect_uris: document.redirect_uris,
            auth: self.auth(id, document.keys)?,
            refresh: document.refresh,
            dpop: document.dpop,
            assertions: false,
            introspection: false,
            scopes: None,
        }))
    }

    fn auth(&self, id: &str, keys: Keys) -> Result<ClientAuth, &'static str> {
        let (source, egress) = match keys {
            Keys::None => return Ok(ClientAuth::None),
            Keys::Inline(jwks) => (KeySource::Inline(jwks), self.fetcher.public.clone()),
            Keys::Uri(url) => {
                let egress = self.fetcher.egress(&url).clone();
                (KeySource::Uri(url), egress)
            }
        };
        let signer = Signer::new(id, source, ALGORITHMS.to_vec(), egress, self.fetcher.events.clone());
        signer.map(|signer| ClientAuth::Keys(Arc::new(signer))).map_err(|_| "has keys that cannot be read")
    }
}
