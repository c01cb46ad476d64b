//! Everything that one configuration says, ready for use. A request holds one from start to end.

use crate::authority::Door;
use crate::body::BodyBudget;
use crate::bridge::merge::{Member, Merged};
use crate::cors::Origins;
use bytes::Bytes;
use http::HeaderValue;
use narthex_authority::Authority;
use narthex_config::Config;
use narthex_config::model::{
    Expose, HttpLimits, Route, RouteAuth, RouteId, ScopeName, SenderConstrained, Shown, Target, TenantId,
};
use narthex_credentials::secret::Secrets;
use narthex_credentials::{CredentialSource, Credentials};
use narthex_identity::dpop::{self, Nonces, Replay, Rules, Verifier};
use narthex_identity::{Caller, Identity, ResourceMetadata, SecretSource};
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

/// One configuration, built.
pub struct Snapshot {
    pub(crate) routes: HashMap<Box<str>, Arc<RouteEntry>>,
    pub(crate) documents: HashMap<Box<str>, Document>,
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
    pub(crate) target: dpop::Target,
    pub(crate) scopes: Vec<ScopeName>,
    pub(crate) metadata_url: String,
    pub(crate) policy: Arc<RoutePolicy>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) credentials: Arc<CredentialSource>,
    pub(crate) metrics: RouteMetrics,
    /// The header of every POST to the upstream, but for what differs from call to call.
    pub(crate) post: RequestHeader,
    /// What answers on the route, if it is not the one upstream as it is. The upstream above is then but the
    /// first of them.
    pub(crate) merged: Option<Arc<Merged>>,
}

/// A public document that the gateway serves itself, such as RFC 9728 metadata.
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
        let mut snapshot = Self {
            routes: HashMap::new(),
            documents: parts.documents.into_iter().map(|d| (d.path.clone().into(), d)).collect(),
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
            pins: Arc::clone(&parts.pins),
        };
        let hidden = hidden_from_tenants(config);
        for route in config.routes.values() {
            let hides = hidden.contains(&route.id);
            snapshot.add_route(config, route, hides, parts.metrics, &parts.pins)?;
        }
        Ok(snapshot)
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

    fn add_route(
        &mut self,
        config: &Config,
        route: &Route,
        hides: bool,
        metrics: &Arc<Metrics>,
        pins: &Arc<Pins>,
    ) -> Result<(), BuildError> {
        let anonymous = match &route.auth {
            RouteAuth::Required => None,
            RouteAuth::None { tenant } => Some(Arc::new(Caller::anonymous(tenant.clone()))),
        };
        let mut metadata_url = String::new();
        if let Some(metadata) = ResourceMetadata::new(config, route) {
            metadata_url = metadata.url;
            let (path, body) = (metadata.path, metadata.body);
            let document =
                Document { path: path.clone(), content_type: "application/json", body: Content::Fixed(body) };
            self.documents.insert(path.into(), document);
        }
        let target = if route.path == "/" { dpop::Target::root } else { dpop::Target::new };
        let target = target(&route.resource).ok_or_else(|| missing(route, "URL"))?;
        let policy = self.policy.route(&route.id).ok_or_else(|| missing(route, "policy"))?;
        let entry = |upstream: &Arc<Upstream>, credentials: &Arc<CredentialSource>| {
            let post =
                post_template(upstream).map_err(|e| BuildError::Route(route.id.clone(), e.to_string()))?;
            Ok(RouteEntry {
                id: route.id.clone(),
                path: route.path.as_str().into(),
                resource: route.resource.clone(),
                anonymous: anonymous.clone(),
                sender_constrained: route.sender_constrained,
                target: target.clone(),
                scopes: route.scopes.iter().cloned().collect(),
                metadata_url: metadata_url.clone(),
                policy: Arc::clone(&policy),
                credentials: Arc::clone(credentials),
                post,
                metrics: metrics.route(route.id.as_str()),
                upstream: Arc::clone(upstream),
                merged: None,
            })
        };
        let mut members = Vec::new();
        for id in route.target.upstreams() {
            let group = self.upstreams.get(id).ok_or_else(|| missing(route, "upstream"))?;
            let credentials = self.credentials.upstream(id).ok_or_else(|| missing(route, "credential"))?;
            let ways = group.iter().map(|endpoint| entry(endpoint, &credentials).map(Arc::new));
            let ways = ways.collect::<Result<Vec<_>, BuildError>>()?;
            let member = Member::new(route.target.prefix_of(id), group, credentials, ways);
            members.push(member.ok_or_else(|| missing(route, "endpoint"))?);
        }
        let first = members.first().ok_or_else(|| missing(route, "upstream"))?;
        let mut door = entry(first.group().first(), first.credentials())?;
        if hides || is_merged(route, &members) {
            let merged = Merged::new(route, members, Arc::clone(pins), Arc::clone(metrics));
            let merged = merged.map_err(|e| BuildError::Route(route.id.clone(), e))?;
            door.merged = Some(Arc::new(merged));
        }
        let entry = Arc::new(door);
        // A balancer in front may or may not strip the path of `public_url`; the resource is one.
        let prefix = &config.server.public_url.path;
        if !prefix.is_empty() {
            self.routes.insert(format!("{prefix}{}", route.path).into(), Arc::clone(&entry));
        }
        self.routes.insert(route.path.as_str().into(), entry);
        Ok(())
    }
}

fn missing(route: &Route, what: &str) -> BuildError {
    BuildError::Route(route.id.clone(), format!("no such {what}"))
}

/// Whether prompts or resources are hidden, which only a merged route does.
fn hides(shown: &Shown) -> bool {
    !shown.prompts.is_everything() || !shown.resources.is_everything()
}

/// The routes of which some tenant is not shown all.
fn hidden_from_tenants(config: &Config) -> HashSet<&RouteId> {
    let exposed = config.tenants.values().flat_map(|tenant| &tenant.expose);
    exposed.filter(|(_, shown)| hides(shown)).map(|(route, _)| route).collect()
}

/// Whether the route is more than one upstream as it is.
fn is_merged(route: &Route, members: &[Arc<Member>]) -> bool {
    let Expose { shown, rename, describe } = &route.expose;
    matches!(route.target, Target::Merged(_))
        || !rename.is_empty()
        || !describe.is_empty()
        || hides(shown)
        || route.instructions.is_some()
        || route.inspect.given
        || members.iter().any(|member| member.is_pinned())
        // Before a user has connected it there is nothing to pass through, and yet something to say.
        || members.iter().any(|member| member.wants_consent())
        || members.iter().any(|member| member.group().has_several())
}

/// Everything here is chosen by us: nothing of an inbound request is in it.
fn post_template(upstream: &Upstream) -> pingora::Result<RequestHeader> {
    const AGENT: &str = concat!("narthex/", env!("CARGO_PKG_VERSION"));
    let mut header = RequestHeader::build_no_case("POST", upstream.path.as_bytes(), Some(16))?;
    header.insert_header(http::header::HOST, upstream.host.clone())?;
    header.insert_header(http::header::USER_AGENT, HeaderValue::from_static(AGENT))?;
    header.insert_header(
        http::header::ACCEPT,
        HeaderValue::from_static("application/json, text/event-stream"),
    )?;
    header.insert_header(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))?;
    header.insert_header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
    Ok(header)
}
