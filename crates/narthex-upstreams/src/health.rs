//! Health checks: whether an endpoint that callers are kept away from, or may be sent to, is there.

use crate::connection::{ConnectError, Connection, Connections};
use crate::upstream::Upstream;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Version, header};
use pingora::http::RequestHeader;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Failures in a row after which an endpoint is taken for down: one may be bad luck.
const ENOUGH: u32 = 2;
/// Informational answers that are skipped before the endpoint is taken for broken.
const INFORMATIONAL: usize = 16;

/// What checks have found of one endpoint. All of it is atomics: no lock.
#[derive(Debug)]
pub(crate) struct Health {
    epoch: Instant,
    /// Failures in a row.
    failures: AtomicU32,
    /// Milliseconds after `epoch` at which the next check is due.
    due: AtomicU64,
    checking: AtomicBool,
}

impl Health {
    /// Up, and to be checked at once.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            failures: AtomicU32::new(0),
            due: AtomicU64::new(0),
            checking: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= ENOUGH
    }

    /// Takes it for up until checks say otherwise.
    pub(crate) fn forget(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Whether a check is due that nobody else is making. The next one is due after `interval`, give or take
    /// a tenth by `random`, lest all replicas ask at once.
    fn claim(&self, interval: Duration, now: Instant, random: u64) -> bool {
        let elapsed = millis(now.saturating_duration_since(self.epoch));
        if elapsed < self.due.load(Ordering::Relaxed) || self.checking.swap(true, Ordering::AcqRel) {
            return false;
        }
        let interval = millis(interval);
        let tenth = interval / 10;
        let next = (interval - tenth).saturating_add(random % tenth.saturating_mul(2).saturating_add(1));
        self.due.store(elapsed.saturating_add(next), Ordering::Relaxed);
        true
    }

    /// Takes note of a check. Returns whether it has changed what the endpoint is taken for.
    pub(crate) fn note(&self, alive: bool) -> bool {
        let was_down = self.is_down();
        if alive {
            self.forget();
        } else if !was_down {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.is_down() != was_down
    }
}

/// Why a check failed.
#[derive(Debug, Error)]
pub(crate) enum Ill {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no HTTP answer: {0}")]
    Broken(&'static str),
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("no answer in time")]
    Late,
}

impl From<Box<pingora::Error>> for Ill {
    fn from(error: Box<pingora::Error>) -> Self {
        Self::Broken(error.etype().as_str())
    }
}

/// One health check of one endpoint. No other is made of it until this one was made or dropped.
#[derive(Debug)]
pub struct Check {
    endpoint: Arc<Upstream>,
}

impl Check {
    pub(crate) fn claim(endpoint: &Arc<Upstream>, now: Instant, random: u64) -> Option<Self> {
        let interval = endpoint.settings().health.interval;
        endpoint.health().claim(interval, now, random).then(|| Self { endpoint: Arc::clone(endpoint) })
    }

    /// Makes it, within `timeout` of the upstream's `health`, and keeps what it finds: two failures in a row
    /// and the endpoint is down, one success and it is up.
    pub async fn run(self, connections: &Connections) {
        let within = self.endpoint.settings().health.timeout;
        let found = tokio::time::timeout(within, ask(&self.endpoint, connections, within));
        self.note(found.await.unwrap_or(Err(Ill::Late)));
    }

    fn note(&self, found: Result<(), Ill>) {
        let Upstream { id, origin, .. } = &*self.endpoint;
        match (self.endpoint.health().note(found.is_ok()), found) {
            (true, Ok(())) => tracing::info!(upstream = %id, origin, "endpoint is up"),
            (true, Err(error)) => tracing::warn!(upstream = %id, origin, %error, "endpoint is down"),
            (false, Ok(())) => {}
            (false, Err(error)) => tracing::debug!(upstream = %id, origin, %error, "health check failed"),
        }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.endpoint.health().checking.store(false, Ordering::Release);
    }
}

/// Connects anew, as a pooled connection says nothing of the next one, and asks in a way that has no effect
/// on any MCP server and opens no stream: OPTIONS (RFC 9110 §9.3.7), without credential or query. Servers
/// answer it with anything from 200 to 501, and all of that shows life, but for the answers with which a
/// balancer, or the server itself, says that nobody is there.
async fn ask(endpoint: &Upstream, connections: &Connections, within: Duration) -> Result<(), Ill> {
    let mut connection = endpoint.connect_apart(connections, Instant::now(), within).await?;
    let request = request(endpoint, connection.session.as_http2().is_some())?;
    connection.write_request(&request, &Bytes::new()).await?;
    match read_status(&mut connection).await? {
        status
        @ (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => {
            Err(Ill::Status(status))
        }
        _ => Ok(()),
    }
}

fn request(endpoint: &Upstream, http2: bool) -> pingora::Result<RequestHeader> {
    const AGENT: &str = concat!("narthex/", env!("CARGO_PKG_VERSION"));
    let path = endpoint.path.split('?').next().unwrap_or("/");
    let mut request = RequestHeader::build_no_case(Method::OPTIONS, path.as_bytes(), Some(4))?;
    request.insert_header(header::HOST, endpoint.host.clone())?;
    request.insert_header(header::USER_AGENT, HeaderValue::from_static(AGENT))?;
    request.insert_header(header::ACCEPT, HeaderValue::from_static("*/*"))?;
    if http2 {
        request.set_version(Version::HTTP_2);
    } else {
        request.insert_header(header::CONNECTION, HeaderValue::from_static("close"))?;
    }
    Ok(request)
}

async fn read_status(connection: &mut Connection) -> Result<StatusCode, Ill> {
    for _ in 0..INFORMATIONAL {
        connection.session.read_response_header().await?;
        match connection.session.response_header() {
            Some(header) if header.status.is_informational() => {}
            Some(header) => return Ok(header.status),
            None => return Err(Ill::Broken("no header")),
        }
    }
    Err(Ill::Broken("too many informational answers"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
