//! The HTTP application: MCP at `/mcp`, behind an API key if there is one.

use crate::tools::Demo;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// What is needed to serve.
pub(crate) struct App {
    /// Where it listens; its own name in the `Host` check, next to the loopback names.
    pub(crate) address: SocketAddr,
    /// Whether any `Host` and `Origin` is answered.
    pub(crate) any_host: bool,
    /// The key that every request must show.
    pub(crate) api_key: Option<ApiKey>,
    /// Whether no sessions are opened, so that a call may come without `initialize`.
    pub(crate) stateless: bool,
    /// Ends the sessions and their streams.
    pub(crate) stop: CancellationToken,
}

impl App {
    /// The routes, ready to be served.
    pub(crate) fn router(self) -> Router {
        let mcp = StreamableHttpService::new(
            || Ok(Demo),
            Arc::new(LocalSessionManager::default()),
            self.mcp_config(),
        );
        let router = Router::new().route_service("/mcp", mcp);
        match self.api_key {
            Some(key) => router.layer(from_fn_with_state(Arc::new(key), require_api_key)),
            None => router,
        }
    }

    fn mcp_config(&self) -> StreamableHttpServerConfig {
        let config = StreamableHttpServerConfig::default()
            .with_cancellation_token(self.stop.child_token())
            .with_legacy_session_mode(!self.stateless)
            // Only without sessions, and only for calls that send nothing before their result.
            .with_json_response(true);
        if self.any_host {
            return config.disable_allowed_hosts();
        }
        // Not a name from elsewhere that resolves to this machine (DNS rebinding).
        let own = self.address.ip().to_string();
        let hosts = ["localhost", "127.0.0.1", "::1", &own];
        config.with_allowed_hosts(hosts).with_allowed_origins([
            "http://localhost:*",
            "http://127.0.0.1:*",
            "http://[::1]:*",
        ])
    }
}

/// The content of `--api-key-file`.
pub(crate) struct ApiKey(Zeroizing<Vec<u8>>);

impl ApiKey {
    /// Reads the key; white space around it does not count.
    pub(crate) fn read(path: &Path) -> Result<Self, ApiKeyError> {
        let unreadable = |source| ApiKeyError::Read { path: path.to_owned(), source };
        let content = Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
        match content.trim_ascii() {
            [] => Err(ApiKeyError::Empty(path.to_owned())),
            key => Ok(Self(Zeroizing::new(key.to_vec()))),
        }
    }

    /// Whether the request shows this key, once.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all("x-api-key").iter();
        let (Some(key), None) = (shown.next(), shown.next()) else { return false };
        bool::from(self.0.ct_eq(key.as_bytes()))
    }
}

/// Why there is no API key although one was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiKeyError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: the API key is empty", .0.display())]
    Empty(PathBuf),
}

async fn require_api_key(State(key): State<Arc<ApiKey>>, request: Request, next: Next) -> Response {
    if key.admits(request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, "the X-Api-Key header is missing or wrong\n").into_response()
}

#[cfg(test)]
mod tests;
