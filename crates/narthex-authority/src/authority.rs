//! The authorization server: what it is made of, and which part of it answers.

use crate::build::{self, BuildError};
use crate::client::Clients;
use crate::connections::{ConnectionPages, Connections};
use crate::endpoint::Endpoint;
use crate::error::{Code, OAuthError};
use crate::lasting::Lasting;
use crate::login::{Login, Problem};
use crate::pages::{ScopeWords, Site};
use crate::reply::{self, Outcome};
use crate::resources::Resources;
use crate::signing::Plan;
use crate::token::Provider;
use crate::{Request, Response};
use bytes::Bytes;
use http::{Method, StatusCode};
use narthex_config::Config;
use narthex_config::model::RefreshTokens;
use narthex_identity::SecretSource;
use narthex_identity::dpop::{Nonces, Target, Verifier};
use narthex_store::Vault;
use narthex_telemetry::Events;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The gateway's own authorization server (OAuth 2.1), under one configuration.
pub struct Authority {
    /// Its name: `public_url`.
    pub(crate) issuer: String,
    /// The origin of `public_url`.
    pub(crate) origin: String,
    /// The path of `public_url`.
    pub(crate) base: String,
    pub(crate) settings: Settings,
    pub(crate) site: Site,
    pub(crate) words: ScopeWords,
    pub(crate) resources: Resources,
    pub(crate) clients: Clients,
    /// Whose assertions are taken, by `iss`.
    pub(crate) providers: HashMap<String, Provider>,
    pub(crate) login: Option<Login>,
    pub(crate) connections: ConnectionPages,
    /// Judges proofs of possession.
    pub(crate) proofs: Verifier,
    /// The token endpoint, as they must have it.
    pub(crate) token_target: Target,
    pub(crate) lasting: Arc<Lasting>,
    /// As authorization server, and as OpenID provider.
    pub(crate) documents: (Bytes, Bytes),
}

/// Numbers of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) access_token_lifetime: Duration,
    pub(crate) refresh_token: RefreshTokens,
    pub(crate) keys: Plan,
    /// Clients may show certificates.
    pub(crate) certificates: bool,
}

/// What an authority is built with, beside the configuration.
pub struct AuthorityParts<'a> {
    /// The one in use, whose keys and caches are taken over.
    pub previous: Option<&'a Authority>,
    /// Where everything is kept that outlives a request.
    pub vault: Vault,
    /// Reads secret references.
    pub secrets: Arc<dyn SecretSource>,
    /// Where rare events are counted.
    pub events: Events,
    /// Makes nonces for proofs of possession.
    pub nonces: Arc<Nonces>,
    /// What users connected at upstreams.
    pub connections: Option<Arc<dyn Connections>>,
}

impl Authority {
    /// The authority that `config` asks for; `None`: it asks for none.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(config: &Config, parts: &AuthorityParts<'_>) -> Result<Option<Self>, BuildError> {
        build::build(config, parts)
    }

    /// The `iss` value of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether it answers at `path`, which is below the path of `public_url`.
    #[must_use]
    pub fn owns(&self, path: &str) -> bool {
        Endpoint::of(path, &self.base).is_some()
    }

    /// Answers a request to a path that it [owns](Self::owns). The answer has an [`Outcome`].
    pub async fn answer(&self, request: Request, now: SystemTime) -> Response {
        let Some(endpoint) = Endpoint::of(&request.path, &self.base) else {
            return reply::empty(StatusCode::NOT_FOUND);
        };
        let mut response = if endpoint.is_for_scripts() && request.method == Method::OPTIONS {
            reply::preflight(endpoint.methods())
        } else {
            // Boxed: some of these are large, and whoever waits for them is larger.
            Box::pin(self.dispatch(endpoint, &request, now)).await
        };
        if endpoint.is_for_scripts() {
            reply::for_all_origins(response.headers_mut());
        }
        let status = response.status();
        let default = if status.is_client_error() || status.is_server_error() { "refused" } else { "ok" };
        let result = response.extensions().get::<Outcome>().map_or(default, |outcome| outcome.result);
        let outcome = Outcome { endpoint: endpoint.name(), result, path: endpoint.path() };
        response.extensions_mut().insert(outcome);
        response
    }

    async fn dispatch(&self, endpoint: Endpoint, request: &Request, now: SystemTime) -> Response {
        match endpoint {
            Endpoint::ServerMetadata | Endpoint::ProviderMetadata | Endpoint::Keys => {
                if request.method != Method::GET {
                    return reply::method(endpoint.methods());
                }
                self.document(endpoint)
            }
            Endpoint::Authorize => self.authorize(request, now).await,
            Endpoint::Consent => self.consent(request, now).await,
            Endpoint::Token | Endpoint::Register | Endpoint::Revoke | Endpoint::Introspect => {
                if request.method != Method::POST {
                    return reply::method(endpoint.methods());
                }
                self.for_clients(endpoint, request, now).await
            }
            Endpoint::Login => self.log_in(request, now).await,
            Endpoint::Connections => self.connect(request, now).await,
        }
    }

    fn document(&self, endpoint: Endpoint) -> Response {
        match endpoint {
            Endpoint::ServerMetadata => reply::document(self.documents.0.clone()),
            Endpoint::ProviderMetadata => reply::document(self.documents.1.clone()),
            _ => match self.lasting.keys.ring() {
                Some(ring) => reply::document(Bytes::from(ring.jwks.clone())),
                None => {
                    OAuthError::new(Code::TemporarilyUnavailable, "The server is not ready yet.").answer()
                }
            },
        }
    }

    async fn for_clients(&self, endpoint: Endpoint, request: &Request, now: SystemTime) -> Response {
        if self.lasting.failures.is_blocked(request.peer) {
            return OAuthError::new(Code::SlowDown, "Too many failures from this address.").answer();
        }
        let answer = match endpoint {
            Endpoint::Token => self.token(request, now).await,
            Endpoint::Register => self.register(request, now).await,
            Endpoint::Revoke => self.revoke(request, now).await,
            _ => self.introspect(request, now).await,
        };
        answer.unwrap_or_else(|error| {
            // Whoever guesses does so by failing.
            if matches!(
                error.code,
                Code::InvalidClient | Code::InvalidDpopProof | Code::InvalidGrant | Code::InvalidToken
            ) {
                self.lasting.failures.failed(request.peer);
            }
            self.log(&error, request);
            error.answer()
        })
    }

    async fn log_in(&self, request: &Request, now: SystemTime) -> Response {
        let Some(login) = &self.login else { return reply::empty(StatusCode::NOT_FOUND) };
        let begins = request.method == Method::POST || request.path == "/login";
        if begins && !self.lasting.logins.take(request.peer) {
            return self.too_many(request);
        }
        login.answer(request, now).await
    }

    async fn connect(&self, request: &Request, now: SystemTime) -> Response {
        let Some(login) = &self.login else { return reply::empty(StatusCode::NOT_FOUND) };
        // Whoever is not logged in begins a login, and what was begun is kept.
        let is_known = login.user(&request.headers, now).await.is_ok_and(|session| session.is_some());
        if !is_known && !self.lasting.logins.take(request.peer) {
            return self.too_many(request);
        }
        self.connections.answer(login, request, now).await
    }

    /// Logins of one address cost memory, and passwords are guessed by them.
    fn too_many(&self, request: &Request) -> Response {
        let mut response = Problem::TooMany.page(&self.site, &request.request_id);
        reply::note(&mut response, Code::SlowDown.as_str());
        response
    }

    /// Says why not, without anything that a client sent.
    pub(crate) fn log(&self, error: &OAuthError, request: &Request) {
        let (code, detail) = (error.code.as_str(), error.detail.as_deref().unwrap_or(error.description));
        let id = request.request_id.as_str();
        match error.code {
            Code::ServerError | Code::TemporarilyUnavailable => {
                tracing::warn!(request_id = id, code, detail, "the authority could not do what it was asked");
            }
            _ => tracing::debug!(request_id = id, code, detail, "the authority refused a request"),
        }
    }

    /// The URL of a path of ours.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Has `publish` told the public keys (a JWK set) and the `jti` of revoked tokens, of that issuer, whenever
    /// they change. To be called once.
    pub fn when_keys_change(&self, publish: impl Fn(&str, &str, HashSet<String>) + Send + Sync + 'static) {
        self.lasting.set_publisher(Box::new(publish));
        self.lasting.publish(&self.issuer);
    }

    /// The public keys (a JWK set) and the `jti` of revoked tokens, as soon as there are keys.
    #[must_use]
    pub fn published(&self) -> Option<(String, HashSet<String>)> {
        self.lasting.keys.ring().map(|ring| (ring.jwks.clone(), self.lasting.revoked.ids()))
    }

    /// Housekeeping, to be called at start and every few seconds: reads the keys that replicas share, makes
    /// the next ones, forgets what has ended.
    pub async fn refresh(&self, now: SystemTime) {
        self.lasting.proofs.sweep(now);
        self.lasting.refresh(&self.settings.keys, &self.issuer, now).await;
        for provider in self.providers.values() {
            provider.signer.refresh_due(now).await;
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
