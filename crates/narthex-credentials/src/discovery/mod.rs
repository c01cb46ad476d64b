//! Which authorization server an upstream has, found out by asking (RFC 9728, then RFC 8414 or OpenID
//! Connect Discovery; MCP, basic/authorization).
//!
//! Everything here is said by strangers: documents are bounded in size and time, no redirect is followed, no
//! address is called that is further inside than the upstream itself, and an issuer is compared as written.

pub(crate) mod challenge;
mod fetch;
mod resource;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use fetch::Fetcher;
pub(crate) use server::Server;

use crate::error::{BuildProblem, CredentialError};
use fetch::{failed, passing};
use narthex_upstreams::egress::Reach;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;
use url::Url;

/// How long what was found is used.
pub(crate) const KEPT: Duration = Duration::from_secs(3600);

/// How long what was found is used while asking again fails: for a server that is down for a while.
const KEPT_IN_NEED: Duration = Duration::from_secs(24 * 3600);

/// How long a failure is remembered, so that a crowd does not ask at once.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// Time for all there is to ask.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Finds the authorization server of one upstream, and remembers it.
#[derive(Debug)]
pub(crate) struct Discovery {
    wanted: Wanted,
    state: Mutex<State>,
}

/// What is to be found.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The upstream.
    pub(crate) upstream: Url,
    /// Its authorization server, if the operator named it: then the upstream is not asked.
    pub(crate) issuer: Option<String>,
    /// The resource, if the operator named it.
    pub(crate) resource: Option<String>,
    /// Link-local addresses are accepted.
    pub(crate) allow_link_local: bool,
    /// Plain `http` is accepted inside the operator's network.
    pub(crate) insecure: bool,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The authorization server.
    pub(crate) server: Server,
    /// The resource that tokens are for (RFC 8707).
    pub(crate) resource: String,
    /// The scopes that the upstream challenged for.
    pub(crate) challenged: Vec<String>,
    /// The scopes that the upstream says it has.
    pub(crate) supported: Vec<String>,
    /// What may call the server's endpoints.
    pub(crate) fetcher: Fetcher,
}

#[derive(Debug, Default)]
struct State {
    found: Option<(Arc<Found>, SystemTime)>,
    failed: Option<(CredentialError, SystemTime)>,
    /// By reach: a client costs more than a call.
    fetchers: [Option<Fetcher>; 3],
}

impl Discovery {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { wanted, state: Mutex::default() }
    }

    /// What was found not longer than `age` ago, else what is found now. All who ask at the same time share
    /// one search.
    pub(crate) async fn found(&self, age: Duration, now: SystemTime) -> Result<Arc<Found>, CredentialError> {
        let mut state = self.state.lock().await;
        let is_fresh = |at: SystemTime, age| now.duration_since(at).map_or(true, |passed| passed < age);
        if let Some((found, _)) = state.found.as_ref().filter(|(_, at)| is_fresh(*at, age)) {
            return Ok(Arc::clone(found));
        }
        if let Some((error, _)) = state.failed.as_ref().filter(|(_, at)| is_fresh(*at, FAILURE_KEPT)) {
            return Err(error.clone());
        }
        let searched = tokio::time::timeout(TIMEOUT, self.search(&mut state.fetchers)).await;
        match searched.unwrap_or_else(|_| Err(passing("discovery took too long"))) {
            Ok(found) => {
                let found = Arc::new(found);
                state.found = Some((Arc::clone(&found), now));
                state.failed = None;
                Ok(found)
            }
            Err(error) => self.failed(&mut state, error, now),
        }
    }

    /// An outage is outlived by what was found before; that a server says something else now is not.
    fn failed(
        &self,
        state: &mut State,
        error: CredentialError,
        now: SystemTime,
    ) -> Result<Arc<Found>, CredentialError> {
        tracing::warn!(
            upstream = fetch::shown(&self.wanted.upstream),
            reason = error.reason(),
            detail = error.detail(),
            "the authorization server was not found"
        );
        if error.kind() == crate::Reason::ExchangeUnreachable
            && let Some((found, at)) = &state.found
            && now.duration_since(*at).map_or(true, |passed| passed < KEPT_IN_NEED)
        {
            return Ok(Arc::clone(found));
        }
        state.found = None;
        state.failed = Some((error.clone(), now));
        Err(error)
    }

    async fn search(&self, fetchers: &mut [Option<Fetcher>; 3]) -> Result<Found, CredentialError> {
        let Wanted { upstream, issuer, resource, .. } = &self.wanted;
        let fetcher = self.fetcher(fetchers).await?;
        let own = || identifier(upstream);
        if let Some(issuer) = issuer {
            let server = server::ask(&fetcher, issuer).await?;
            let resource = resource.clone().unwrap_or_else(own);
            return Ok(Found { server, resource, challenged: Vec::new(), supported: Vec::new(), fetcher });
        }
        let said = resource::ask(&fetcher, upstream, resource.as_deref()).await?;
        let server = match said.servers.first() {
            Some(issuer) => server::ask(&fetcher, issuer).await?,
            None => server::at_origin(&fetcher, upstream).await?,
        };
        let resource = resource.clone().or(said.identifier).unwrap_or_else(own);
        Ok(Found { server, resource, challenged: said.challenged, supported: said.supported, fetcher })
    }

    /// Goes as far inside as the one whose documents are read: the issuer that the operator named, or else the
    /// upstream.
    async fn fetcher(&self, fetchers: &mut [Option<Fetcher>; 3]) -> Result<Fetcher, CredentialError> {
        let Wanted { upstream, issuer, allow_link_local, insecure, .. } = &self.wanted;
        let issuer = issuer.as_deref().map(Url::parse).transpose();
        let issuer = issuer.map_err(|_| failed("the issuer is not a URL"))?;
        let asked = issuer.as_ref().unwrap_or(upstream);
        let reach = Reach::of_host(asked).await.ok_or_else(|| passing("the host has no address"))?;
        let slot = match reach {
            Reach::Public => &mut fetchers[0],
            Reach::Private => &mut fetchers[1],
            Reach::Loopback => &mut fetchers[2],
        };
        if let Some(fetcher) = slot {
            return Ok(fetcher.clone());
        }
        let host = asked.host_str().unwrap_or_default();
        let made = Fetcher::new(host, reach, *allow_link_local, *insecure);
        let made = made.map_err(|e| failed(&BuildProblem::from(e).to_string()))?;
        Ok(slot.insert(made).clone())
    }
}

/// The canonical identifier of a server (MCP, basic/authorization): no slash where there is no path.
fn identifier(upstream: &Url) -> String {
    match (upstream.path(), upstream.query()) {
        ("/", None) => upstream.origin().ascii_serialization(),
        _ => upstream.to_string(),
    }
}
