//! The routes of a configuration, with what they refer to.

use super::{BuildError, RouteEntry, Routes};
use crate::bridge::merge::{Member, Merged};
use ahash::RandomState;
use http::{HeaderValue, header};
use narthex_config::Config;
use narthex_config::model::{Expose, Route, RouteAuth, RouteId, Shown, Target, UpstreamId};
use narthex_credentials::{CredentialSource, Credentials};
use narthex_identity::Caller;
use narthex_identity::dpop;
use narthex_pins::{Mode, Pins};
use narthex_policy::Policy;
use narthex_telemetry::{Metrics, RouteMetrics};
use narthex_upstreams::{Group, Upstream, Upstreams};
use pingora::http::RequestHeader;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Builds routes.
pub(super) struct Builder<'a> {
    config: &'a Config,
    policy: &'a Policy,
    credentials: &'a Credentials,
    upstreams: &'a Upstreams,
    pins: &'a Arc<Pins>,
    metrics: &'a Arc<Metrics>,
    /// The host of all routes, as proofs of possession have it.
    host: Option<dpop::Host>,
    /// The routes of which some tenant is not shown all.
    hidden: HashSet<&'a RouteId>,
    /// By endpoint: many routes may be to the same.
    posts: HashMap<*const Upstream, Arc<RequestHeader>>,
}

/// An upstream of a route.
struct Way<'a> {
    id: &'a UpstreamId,
    group: &'a Arc<Group>,
    credentials: Arc<CredentialSource>,
}

/// What the ways of one route have in common.
struct Common<'a> {
    route: &'a Route,
    anonymous: Option<Arc<Caller>>,
    target: Arc<dpop::Target>,
    metrics: RouteMetrics,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        config: &'a Config,
        policy: &'a Policy,
        credentials: &'a Credentials,
        upstreams: &'a Upstreams,
        pins: &'a Arc<Pins>,
        metrics: &'a Arc<Metrics>,
    ) -> Self {
        let host = dpop::Host::new(&config.server.public_url.origin);
        let (hidden, posts) = (hidden_from_tenants(config), HashMap::new());
        Self { config, policy, credentials, upstreams, pins, metrics, host, hidden, posts }
    }

    /// The routes, by their paths. `known` are those of before.
    ///
    /// # Errors
    /// One of them cannot be built.
    pub(super) fn build(mut self, known: Option<&Routes>) -> Result<Routes, BuildError> {
        // A balancer in front may or may not strip the path of `public_url`; the resource is one.
        let prefix = &self.config.server.public_url.path;
        let mut routes = Routes::with_capacity_and_hasher(self.config.routes.len(), RandomState::default());
        for route in self.config.routes.values() {
            let before = known.and_then(|known| known.get(route.path.as_str()));
            let metrics = match before.filter(|before| before.id == route.id) {
                Some(before) => before.metrics.clone(),
                None => self.metrics.route(route.id.as_str()),
            };
            let entry = Arc::new(self.route(route, metrics)?);
            routes.insert(route.path.as_str().into(), entry);
        }
        if !prefix.is_empty() {
            for route in self.config.routes.values() {
                let Some(entry) = routes.get(route.path.as_str()).map(Arc::clone) else { continue };
                // A path of its own goes before that of another.
                routes.entry(format!("{prefix}{}", route.path).into()).or_insert(entry);
            }
        }
        Ok(routes)
    }

    fn route(&mut self, route: &'a Route, metrics: RouteMetrics) -> Result<RouteEntry, BuildError> {
        let anonymous = match &route.auth {
            RouteAuth::Required => None,
            RouteAuth::None { tenant } => Some(Arc::new(Caller::anonymous(tenant.clone()))),
        };
        let target = match &self.host {
            _ if route.path == "/" => dpop::Target::root(&route.resource),
            Some(host) => host.target(&route.resource),
            None => None,
        };
        let target = Arc::new(target.ok_or_else(|| missing(route, "URL"))?);
        let common = Common { route, anonymous, target, metrics };
        let ways = route.target.upstreams().iter().map(|id| self.way(route, id));
        let ways = ways.collect::<Result<Vec<_>, _>>()?;
        let first = ways.first().ok_or_else(|| missing(route, "upstream"))?;
        let mut door = self.entry(&common, first.group.first(), &first.credentials)?;
        if self.hidden.contains(&route.id) || is_merged(route, &ways) {
            let members = ways.iter().map(|way| self.member(&common, way)).collect::<Result<Vec<_>, _>>()?;
            let merged = Merged::new(route, members, Arc::clone(self.pins), Arc::clone(self.metrics));
            let merged = merged.map_err(|e| BuildError::Route(route.id.clone(), e))?;
            door.merged = Some(Arc::new(merged));
        }
        Ok(door)
    }

    fn way(&self, route: &Route, id: &'a UpstreamId) -> Result<Way<'a>, BuildError> {
        let group = self.upstreams.get(id).ok_or_else(|| missing(route, "upstream"))?;
        let credentials = self.credentials.upstream(id).ok_or_else(|| missing(route, "credential"))?;
        Ok(Way { id, group, credentials })
    }

    fn member(&mut self, common: &Common<'_>, way: &Way<'_>) -> Result<Arc<Member>, BuildError> {
        let entries = way.group.iter().map(|endpoint| self.entry(common, endpoint, &way.credentials));
        let entries = entries.map(|entry| entry.map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let prefix = common.route.target.prefix_of(way.id);
        let member = Member::new(prefix, way.group, Arc::clone(&way.credentials), entries);
        member.ok_or_else(|| missing(common.route, "endpoint"))
    }

    fn entry(
        &mut self,
        common: &Common<'_>,
        upstream: &Arc<Upstream>,
        credentials: &Arc<CredentialSource>,
    ) -> Result<RouteEntry, BuildError> {
        let Common { route, anonymous, target, metrics } = common;
        Ok(RouteEntry {
            id: route.id.clone(),
            path: route.path.as_str().into(),
            resource: route.resource.clone(),
            anonymous: anonymous.clone(),
            sender_constrained: route.sender_constrained,
            target: Arc::clone(target),
            scopes: route.scopes.iter().cloned().collect(),
            policy: self.policy.route(&route.id).ok_or_else(|| missing(route, "policy"))?,
            credentials: Arc::clone(credentials),
            post: self.post(upstream).map_err(|e| BuildError::Route(route.id.clone(), e.to_string()))?,
            metrics: metrics.clone(),
            upstream: Arc::clone(upstream),
            merged: None,
        })
    }

    fn post(&mut self, upstream: &Arc<Upstream>) -> pingora::Result<Arc<RequestHeader>> {
        let endpoint = Arc::as_ptr(upstream);
        if let Some(known) = self.posts.get(&endpoint) {
            return Ok(Arc::clone(known));
        }
        let post = Arc::new(post_template(upstream)?);
        self.posts.insert(endpoint, Arc::clone(&post));
        Ok(post)
    }
}

fn missing(route: &Route, what: &str) -> BuildError {
    BuildError::Route(route.id.clone(), format!("no such {what}"))
}

/// Whether prompts or resources are hidden, which only a merged route does.
fn hides(shown: &Shown) -> bool {
    !shown.prompts.is_everything() || !shown.resources.is_everything()
}

fn hidden_from_tenants(config: &Config) -> HashSet<&RouteId> {
    let exposed = config.tenants.values().flat_map(|tenant| &tenant.expose);
    exposed.filter(|(_, shown)| hides(shown)).map(|(route, _)| route).collect()
}

/// Whether the route is more than one upstream as it is.
fn is_merged(route: &Route, ways: &[Way<'_>]) -> bool {
    let Expose { shown, rename, describe } = &route.expose;
    let is_more = |way: &Way<'_>| {
        is_pinned(way.group)
            // Before a user has connected it there is nothing to pass through, and yet something to say.
            || way.credentials.wants_consent()
            || way.group.has_several()
    };
    matches!(route.target, Target::Merged(_))
        || !rename.is_empty()
        || !describe.is_empty()
        || hides(shown)
        || route.instructions.is_some()
        || route.inspect.given
        || ways.iter().any(is_more)
}

fn is_pinned(group: &Group) -> bool {
    group.first().settings().pins != Mode::Off
}

/// Everything here is chosen by us: nothing of an inbound request is in it.
fn post_template(upstream: &Upstream) -> pingora::Result<RequestHeader> {
    const AGENT: &str = concat!("narthex/", env!("CARGO_PKG_VERSION"));
    let mut header = RequestHeader::build_no_case("POST", upstream.path.as_bytes(), Some(16))?;
    header.insert_header(header::HOST, upstream.host.clone())?;
    header.insert_header(header::USER_AGENT, HeaderValue::from_static(AGENT))?;
    header.insert_header(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"))?;
    header.insert_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))?;
    header.insert_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
    Ok(header)
}
