//! Everything that one configuration says, ready for use. A request holds one from start to end.

mod routes;

use crate::authority::Door;
use crate::body::BodyBudget;
use crate::bridge::merge::Merged;
use crate::cors::Origins;
use ahash::RandomState;
use bytes::Bytes;
use narthex_authority::Authority;
use narthex_config::Config;
use narthex_config::model::{HttpLimits, RouteId, ScopeName, SenderConstrained, TenantId};
use narthex_credentials::secret::Secrets;
use narthex_credentials::{CredentialSource, Credentials};
use narthex_identity::dpop::{self, Nonces, Replay, Rules, Verifier};
use narthex_identity::{Caller, Identity, ProtectedResource, ResourceMetadata, SecretSource};
use narthex_mcp::ScanLimits;
use narthex_mcp::seal::Sealer;
use narthex_pins::Pins;
use narthex_policy::{Policy, RoutePolicy};
use narthex_telemetry::{Metrics, RouteMetrics};
use narthex_upstreams::{Upstream, Upstreams};
use pingora::http::RequestHeader;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;

/// The routes by their paths.
pub(crate) type Routes = HashMap<Box<str>, Arc<RouteEntry>, RandomState>;
/// The documents by their paths.
pub(crate) type Documents = HashMap<Box<str>, Document, RandomState>;

/// One configuration, built.
pub struct Snapshot {
    pub(crate) routes: Routes,
    pub(crate) documents: Documents,
    pub(crate) metadata: ResourceMetadata,
    pub(crate) tenants: HashSet<TenantId>,
    pub(crate) origins: Origins,
    pub(crate) limits: HttpLimits,
    pub(crate) scan: ScanLimits,
    pub(crate) budget: BodyBudget,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) https: bool,
    /// Proofs of possession.
    pub(crate) dpop: Verifier,
    /// The algorithms that they may have, as in a challenge.
    pub(crate) dpop_algorithms: String,
    /// The door to the gateway's own authorization server.
    pub(crate) authority: Option<Door>,
    /// Inbound tokens.
    pub identity: Arc<Identity>,
    /// Grants, scopes, limits.
    pub policy: Arc<Policy>,
    /// Credentials for upstreams.
    pub credentials: Arc<Credentials>,
    /// The MCP servers.
    pub upstreams: Arc<Upstreams>,
    /// Which definitions of tools are trusted.
    pub pins: Arc<Pins>,
}

/// A route with all that a request to it needs, resolved.
pub(crate) struct RouteEntry {
    pub(crate) id: RouteId,
    pub(crate) path: Box<str>,
    pub(crate) resource: String,
    /// The caller of everybody who comes here, on a route that says `auth: none`.
    pub(crate) anonymous: Option<Arc<Caller>>,
    /// How the caller's token must be bound to its sender.
    pub(crate) sender_constrained: Option<SenderConstrained>,
    /// The route's URL, as proofs of possession must have it.
    pub(crate) target: Arc<dpop::Target>,
    pub(crate) scopes: Vec<ScopeName>,
    pub(crate) policy: Arc<RoutePolicy>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) credentials: Arc<CredentialSource>,
    pub(crate) metrics: RouteMetrics,
    /// The header of every POST to the upstream, but for what differs from call to call.
    pub(crate) post: Arc<RequestHeader>,
    /// What answers on the route, if it is not the one upstream as it is. The upstream above is then but the
    /// first of them.
    pub(crate) merged: Option<Arc<Merged>>,
}

/// A public document that the gateway serves itself.
#[derive(Clone, Debug)]
pub struct Document {
    /// Path, from the origin's root.
    pub path: String,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The whole of it.
    pub body: Content,
}

/// The text of a [`Document`].
#[derive(Clone)]
pub enum Content {
    /// The same until the configuration changes.
    Fixed(Bytes),
    /// What this says whenever somebody asks; `None`: it cannot say yet.
    Live(Arc<dyn Fn() -> Option<Bytes> + Send + Sync>),
}

impl Content {
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Fixed(bytes) => Some(bytes.clone()),
            Self::Live(say) => say(),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed",
            Self::Live(_) => "Live",
        })
    }
}

/// What a snapshot is built from, besides the configuration.
pub struct Parts<'a> {
    /// The snapshot in use, whose state is taken over.
    pub previous: Option<&'a Snapshot>,
    /// Reads secret references.
    pub secrets: Arc<Secrets>,
    /// Where rare events are counted.
    pub metrics: &'a Arc<Metrics>,
    /// Which definitions of tools are trusted.
    pub pins: Arc<Pins>,
    /// Seals handles given to clients.
    pub sealer: Arc<Sealer>,
    /// Makes nonces for proofs of possession.
    pub nonces: Arc<Nonces>,
    /// Which proofs of possession have been used.
    pub proofs: Arc<dyn Replay>,
    /// What credentials are made with, besides the configuration.
    pub credentials: &'a narthex_credentials::Context,
    /// Further public documents.
    pub documents: Vec<Document>,
    /// The gateway's own authorization server.
    pub authority: Option<Arc<Authority>>,
}

/// A configuration that is well-formed but cannot be put to use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An issuer.
    #[error(transparent)]
    Identity(#[from] narthex_identity::BuildError),
    /// A credential.
    #[error(transparent)]
    Credentials(#[from] narthex_credentials::BuildError),
    /// An upstream.
    #[error(transparent)]
    Upstreams(#[from] narthex_upstreams::BuildError),
    /// A route.
    #[error("route {0}: {1}")]
    Route(RouteId, String),
}

impl Snapshot {
    /// Builds all parts, or none.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(config: &Config, parts: Parts<'_>) -> Result<Self, BuildError> {
        let previous = parts.previous;
        let events = parts.metrics.events().clone();
        let source = Arc::clone(&parts.secrets) as Arc<dyn SecretSource>;
        let identity =
            Identity::build(config, previous.map(|p| p.identity.as_ref()), source, events.clone())?;
        let held = previous.map(|p| p.credentials.as_ref());
        let credentials = Credentials::build(config, &parts.secrets, held, &events, parts.credentials)?;
        let upstreams = Upstreams::build(config, previous.map(|p| p.upstreams.as_ref()), Instant::now())?;
        let policy = Policy::build(config, previous.map(|p| p.policy.as_ref()));
        let limits = config.server.limits.clone();
        let dpop = Verifier::new(Rules::new(&config.auth, parts.nonces), parts.proofs);
        let documents: Documents =
            parts.documents.into_iter().map(|document| (document.path.clone().into(), document)).collect();
        let known = previous.map(|p| &p.routes);
        let routes =
            routes::Builder::new(config, &policy, &credentials, &upstreams, &parts.pins, parts.metrics)
                .build(known)?;
        Ok(Self {
            routes,
            documents,
            metadata: ResourceMetadata::new(config),
            tenants: config.tenants.keys().cloned().collect(),
            origins: Origins::new(&config.server.allowed_origins),
            scan: ScanLimits {
                depth: limits.json_depth.try_into().unwrap_or(u16::MAX),
                ..ScanLimits::default()
            },
            budget: previous
                .map_or_else(|| BodyBudget::new(limits.buffered), |p| p.budget.with_cap(limits.buffered)),
            limits,
            sealer: parts.sealer,
            https: config.server.public_url.url.starts_with("https:"),
            dpop_algorithms: dpop.algorithms().join(" "),
            dpop,
            authority: parts.authority.map(|authority| Door::new(authority, &config.server.public_url)),
            identity: Arc::new(identity),
            policy: Arc::new(policy),
            credentials: Arc::new(credentials),
            upstreams: Arc::new(upstreams),
            pins: parts.pins,
        })
    }

    /// Where a route's resource metadata is, for challenges; `None`: nobody needs a token there.
    pub(crate) fn metadata_url(&self, route: &RouteEntry) -> Option<String> {
        route.anonymous.is_none().then(|| self.metadata.url(&route.path))
    }

    /// The resource metadata (RFC 9728) at that path.
    pub(crate) fn metadata_at(&self, path: &str) -> Option<Document> {
        let own = self.metadata.route_of(path)?;
        let route = self.routes.get(own)?;
        // A route may answer at a second path; and where nobody needs a token, nobody has to know where to get one.
        if *route.path != *own || route.anonymous.is_some() {
            return None;
        }
        let route = ProtectedResource {
            resource: &route.resource,
            name: route.id.as_str(),
            scopes: &route.scopes,
            sender_constrained: route.sender_constrained,
        };
        let body = Content::Fixed(self.metadata.document(&route));
        Some(Document { path: path.to_owned(), content_type: "application/json", body })
    }

    /// The gateway's own authorization server, if it is one.
    #[must_use]
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.authority.as_ref().map(Door::authority)
    }

    /// Whether that child process, with that credential, is configured as it was.
    pub(crate) fn has_child(
        &self,
        child: &Arc<Upstream>,
        credentials: Option<&Arc<CredentialSource>>,
    ) -> bool {
        let is_same = self.upstreams.get(&child.id).is_some_and(|now| Arc::ptr_eq(now.first(), child));
        let source = self.credentials.upstream(&child.id);
        is_same && credentials.is_none_or(|known| source.is_some_and(|now| Arc::ptr_eq(&now, known)))
    }
}
