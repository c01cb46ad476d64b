//! The policy of all routes, built from the configuration.

use crate::limit::{Limit, Place, TenantLimit, nanos};
use crate::route::{Grant, RoutePolicy, Rule};
use ahash::{HashMap, HashMapExt as _};
use narthex_config::Config;
use narthex_config::model::{
    Credential, Limits, Route, RouteAuth, RouteId, Tenant, TenantId, ToolPattern, ToolRule, UpstreamId,
};
use std::collections::{self, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// What the configuration allows whom, on all routes.
#[derive(Debug)]
pub struct Policy {
    routes: HashMap<RouteId, Arc<RoutePolicy>>,
    limits: HashMap<Place, Arc<Limit>>,
    /// Where the limits' time line begins; the same for all policies that follow one another.
    epoch: Instant,
}

/// What [`Policy::housekeep`] found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Housekeeping {
    /// Keys (tenants, subjects, clients, tools) that limits keep state for now.
    pub keys: usize,
    /// Calls since the last time whose key had to share one state with others of its tenant.
    pub overflows: u64,
}

impl Policy {
    /// The policy of `config`. Limits that `previous` has at the same place with the same numbers go on
    /// with what they have counted.
    #[must_use]
    pub fn build(config: &Config, previous: Option<&Self>) -> Self {
        let epoch = previous.map_or_else(Instant::now, |policy| policy.epoch);
        let mut builder = Builder {
            config,
            previous,
            granted: granted(config),
            limits: HashMap::new(),
            of_tenants: HashMap::new(),
        };
        let tenants: Arc<HashSet<TenantId>> = Arc::new(config.tenants.keys().cloned().collect());
        let mut routes = HashMap::with_capacity(config.routes.len());
        for route in config.routes.values() {
            let policy = RoutePolicy {
                tenants: Arc::clone(&tenants),
                grants: builder.grants(route),
                scopes: route.scopes.iter().cloned().collect(),
                rules: route.tools.iter().map(rule).collect(),
                shown: route.expose.shown.clone(),
                connecting: connecting(config, route),
                epoch,
            };
            routes.insert(route.id.clone(), Arc::new(policy));
        }
        Self { routes, limits: builder.limits, epoch }
    }

    /// The policy of one route, to be kept with it.
    #[must_use]
    pub fn route(&self, route: &RouteId) -> Option<Arc<RoutePolicy>> {
        self.routes.get(route).cloned()
    }

    /// Forgets keys that have not been used for so long that their limits are whole again. To be called
    /// every few seconds.
    pub fn housekeep(&self, now: Instant) -> Housekeeping {
        let now = nanos(now.saturating_duration_since(self.epoch));
        let mut found = Housekeeping::default();
        for limit in self.limits.values() {
            limit.evict_idle(now);
            found.keys += limit.len();
            found.overflows += limit.take_overflows();
        }
        found
    }
}

struct Builder<'a> {
    config: &'a Config,
    previous: Option<&'a Policy>,
    /// To whom each route is granted.
    granted: HashMap<&'a RouteId, Vec<&'a TenantId>>,
    limits: HashMap<Place, Arc<Limit>>,
    /// The limits of tenants, which are the same on all of their routes.
    of_tenants: HashMap<&'a TenantId, Option<TenantLimit>>,
}

/// Which tenants have which route, without looking at each tenant for each route.
fn granted(config: &Config) -> HashMap<&RouteId, Vec<&TenantId>> {
    let mut granted: HashMap<&RouteId, Vec<&TenantId>> = HashMap::with_capacity(config.routes.len());
    for (id, tenant) in &config.tenants {
        for route in &tenant.routes {
            granted.entry(route).or_default().push(id);
        }
    }
    granted
}

impl<'a> Builder<'a> {
    fn grants(&mut self, route: &'a Route) -> collections::HashMap<TenantId, Box<Grant>> {
        let anonymous = match &route.auth {
            RouteAuth::None { tenant } => Some(tenant),
            RouteAuth::Required => None,
        };
        let named = self.granted.remove(&route.id).unwrap_or_default();
        let config = self.config;
        let tenants = named.into_iter().chain(anonymous).filter_map(|id| config.tenants.get_key_value(id));
        tenants.map(|(id, tenant)| (id.clone(), Box::new(self.grant(route, id, tenant)))).collect()
    }

    fn grant(&mut self, route: &Route, id: &'a TenantId, tenant: &Tenant) -> Grant {
        let of_tenant = self.of_tenant(id, tenant);
        let of_route = self.limit(Place::Route(route.id.clone()), id, route.limits.as_ref());
        let places = places(route);
        let rules = places.into_iter().zip(&route.tools);
        Grant {
            limits: of_tenant.into_iter().chain(of_route).collect(),
            rules: rules.map(|(place, rule)| self.limit(place, id, rule.limits.as_ref())).collect(),
            shown: tenant.expose.get(&route.id).cloned().unwrap_or_default(),
        }
    }

    fn of_tenant(&mut self, id: &'a TenantId, tenant: &Tenant) -> Option<TenantLimit> {
        if let Some(known) = self.of_tenants.get(id) {
            return known.clone();
        }
        let limit = self.limit(Place::Tenant(id.clone()), id, tenant.limits.as_ref());
        self.of_tenants.insert(id, limit.clone());
        limit
    }

    fn limit(&mut self, place: Place, tenant: &TenantId, limits: Option<&Limits>) -> Option<TenantLimit> {
        let limits = limits?;
        let before =
            self.previous.and_then(|policy| policy.limits.get(&place)).filter(|limit| limit.is(limits));
        let limit = self.limits.entry(place).or_insert_with_key(|place| {
            before.map_or_else(|| Arc::new(Limit::new(place, limits)), Arc::clone)
        });
        Some(limit.of_tenant(tenant))
    }
}

fn rule(rule: &ToolRule) -> Rule {
    Rule { patterns: rule.patterns.clone(), scopes: rule.scopes.iter().cloned().collect(), deny: rule.deny }
}

/// See [`RoutePolicy::connecting`].
fn connecting(config: &Config, route: &Route) -> collections::HashMap<String, String> {
    let wants_consent = |upstream: &&UpstreamId| {
        let upstream = config.upstreams.get(*upstream);
        upstream.is_some_and(|upstream| matches!(upstream.credential, Credential::AuthorizationCode(_)))
    };
    let upstreams = route.target.upstreams().iter().filter(wants_consent);
    let named = upstreams.map(|upstream| {
        let (name, prefix) = route.target.connecting(upstream);
        (route.expose.rename.get(&name).cloned().unwrap_or(name), prefix)
    });
    named.collect()
}

/// The places of a route's rules. Rules may have the same patterns; each counts for itself.
fn places(route: &Route) -> Vec<Place> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let place = |rule: &ToolRule| {
        let patterns = rule.patterns.iter().map(ToolPattern::as_str).collect::<Vec<_>>().join(",");
        let before = seen.entry(patterns.clone()).or_default();
        *before += 1;
        Place::Tool(route.id.clone(), patterns, *before)
    };
    route.tools.iter().map(place).collect()
}

#[cfg(test)]
mod tests;
