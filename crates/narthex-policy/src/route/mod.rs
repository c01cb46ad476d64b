//! The policy of one route.

use crate::denial::Denial;
use crate::limit::{Charge, TenantLimit, nanos};
use crate::permit::Permit;
use narthex_config::model::{ScopeName, Selection, Shown, TenantId, ToolPattern};
use narthex_identity::Caller;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// The method that calls a tool.
const TOOLS_CALL: &str = "tools/call";

/// One call of a request, as parsed from its body. A batch has several.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The JSON-RPC method.
    pub method: &'a str,
    /// The tool named by the call.
    pub tool: Option<&'a str>,
    /// The prompt or URI named by the call.
    pub name: Option<&'a str>,
    /// Whether limits count it.
    pub counts: bool,
}

/// What a route allows whom.
#[derive(Debug)]
pub struct RoutePolicy {
    pub(crate) tenants: Arc<HashSet<TenantId>>,
    pub(crate) grants: HashMap<TenantId, Box<Grant>>,
    pub(crate) scopes: Vec<ScopeName>,
    pub(crate) rules: Vec<Rule>,
    /// What of its tools, prompts and resources there is for anybody.
    pub(crate) shown: Shown,
    /// The tools that connect upstreams, and what the names of those upstreams' own tools begin with.
    pub(crate) connecting: HashMap<String, String>,
    /// Where the limits' time line begins.
    pub(crate) epoch: Instant,
}

/// A tenant's leave to use the route, and the limits that it has there.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The tenant's own and the route's.
    pub(crate) limits: Vec<TenantLimit>,
    /// Those of the rules, in the rules' order.
    pub(crate) rules: Vec<Option<TenantLimit>>,
    /// What there is for the tenant, of what the route shows.
    pub(crate) shown: Shown,
}

/// One of the route's `tools:`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) patterns: Vec<ToolPattern>,
    pub(crate) scopes: Vec<ScopeName>,
    pub(crate) deny: bool,
}

// === impl RoutePolicy ===

impl RoutePolicy {
    /// Decides on a request of `caller` with these calls, all or none; `now` is when it came.
    ///
    /// The order is: the tenant is configured and the route granted to it; the caller holds the route's
    /// scopes; no rule denies a tool; the caller holds the scopes of all rules that match; what is named is
    /// shown to the tenant; no limit is reached. A request without calls (a GET stream, a DELETE) is decided by the first two.
    ///
    /// # Errors
    /// The first thing that stands against it.
    pub fn permit(&self, caller: &Caller, calls: &[Call<'_>], now: Instant) -> Result<Permit, Denial> {
        let grant = self.grant(&caller.tenant)?;
        self.check_scopes(caller, calls)?;
        for call in calls {
            self.check_shown(grant, *call)?;
        }
        let mut charge = Charge::default();
        for call in calls.iter().filter(|call| call.counts) {
            self.charge(&mut charge, grant, caller, *call);
        }
        if calls.len() > 1 {
            charge.merge();
        }
        charge.take(nanos(now.saturating_duration_since(self.epoch)))
    }

    /// Whether a list of tools may show this one: no rule denies it, and it is among those that the tenant is
    /// shown. A tool that the caller only lacks a scope for is shown, and challenged when called.
    #[must_use]
    pub fn may_list(&self, tenant: &TenantId, tool: &str) -> bool {
        !self.rules.iter().any(|rule| rule.deny && rule.matches(tool))
            && self.shows(tenant, |s| &s.tools, tool)
    }

    /// Whether a list of tools may show this one, with which a user connects an upstream: whoever is shown any of the
    /// upstream's tools is shown how to get at them.
    #[must_use]
    pub fn may_connect(&self, tenant: &TenantId, tool: &str) -> bool {
        !self.rules.iter().any(|rule| rule.deny && rule.matches(tool))
            && self.grants.get(tenant).is_some_and(|grant| self.shows_connecting(grant, tool))
    }

    fn shows_connecting(&self, grant: &Grant, tool: &str) -> bool {
        let Some(prefix) = self.connecting.get(tool) else { return false };
        self.shown.tools.has_any(prefix, tool) && grant.shown.tools.has_any(prefix, tool)
    }

    /// Whether any tool is kept from the tenant, so that lists have to be looked into.
    #[must_use]
    pub fn hides_tools(&self, tenant: &TenantId) -> bool {
        self.rules.iter().any(|rule| rule.deny) || !self.shows_all(tenant, |shown| &shown.tools)
    }

    /// Whether the tenant is shown the prompt of that name.
    #[must_use]
    pub fn may_list_prompt(&self, tenant: &TenantId, name: &str) -> bool {
        self.shows(tenant, |shown| &shown.prompts, name)
    }

    /// Whether the tenant is shown the resource, or the template of resources, of that URI.
    #[must_use]
    pub fn may_list_resource(&self, tenant: &TenantId, uri: &str) -> bool {
        self.shows(tenant, |shown| &shown.resources, uri)
    }

    /// Whether any tool, prompt or resource is kept from the tenant.
    #[must_use]
    pub fn hides_anything(&self, tenant: &TenantId) -> bool {
        self.hides_tools(tenant)
            || !self.shows_all(tenant, |shown| &shown.prompts)
            || !self.shows_all(tenant, |shown| &shown.resources)
    }

    fn shows(&self, tenant: &TenantId, kind: impl Fn(&Shown) -> &Selection, name: &str) -> bool {
        let grant = self.grants.get(tenant);
        kind(&self.shown).has(name) && grant.is_some_and(|grant| kind(&grant.shown).has(name))
    }

    fn shows_all(&self, tenant: &TenantId, kind: impl Fn(&Shown) -> &Selection) -> bool {
        let grant = self.grants.get(tenant);
        kind(&self.shown).is_everything() && grant.is_some_and(|grant| kind(&grant.shown).is_everything())
    }

    fn grant(&self, tenant: &TenantId) -> Result<&Grant, Denial> {
        match self.grants.get(tenant) {
            Some(grant) => Ok(grant),
            None if self.tenants.contains(tenant) => Err(Denial::RouteNotGranted),
            None => Err(Denial::UnknownTenant),
        }
    }

    fn check_scopes(&self, caller: &Caller, calls: &[Call<'_>]) -> Result<(), Denial> {
        let holds = |scopes: &[ScopeName]| scopes.iter().all(|scope| caller.holds(scope));
        let may_use_route = holds(&self.scopes);
        let mut holds_all = may_use_route;
        for call in calls {
            for (_, rule) in self.matching(*call) {
                // Who may not even use the route is not told what it hides.
                if rule.deny && may_use_route {
                    return Err(Denial::HiddenTool { name: call.tool.unwrap_or_default().to_owned() });
                }
                holds_all &= holds(&rule.scopes);
            }
        }
        if holds_all { Ok(()) } else { Err(Denial::MissingScopes { required: self.required(calls) }) }
    }

    /// What is not shown does not exist.
    fn check_shown(&self, grant: &Grant, call: Call<'_>) -> Result<(), Denial> {
        let shown = |kind: fn(&Shown) -> &Selection, name: &str| {
            kind(&self.shown).has(name) && kind(&grant.shown).has(name)
        };
        let tool = call.tool.or_else(|| (call.method == TOOLS_CALL).then_some(""));
        if let Some(tool) =
            tool.filter(|tool| !shown(|s| &s.tools, tool) && !self.shows_connecting(grant, tool))
        {
            return Err(Denial::HiddenTool { name: tool.to_owned() });
        }
        let Some(name) = call.name else { return Ok(()) };
        match call.method {
            "prompts/get" if !shown(|s| &s.prompts, name) => {
                Err(Denial::HiddenPrompt { name: name.to_owned() })
            }
            "resources/read" if !shown(|s| &s.resources, name) => {
                Err(Denial::HiddenResource { uri: name.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// All scopes that these calls need; those of denied tools are nobody's business.
    fn required(&self, calls: &[Call<'_>]) -> Vec<ScopeName> {
        let mut scopes: BTreeSet<&ScopeName> = self.scopes.iter().collect();
        for call in calls {
            if !self.matching(*call).any(|(_, rule)| rule.deny) {
                scopes.extend(self.matching(*call).flat_map(|(_, rule)| &rule.scopes));
            }
        }
        scopes.into_iter().cloned().collect()
    }

    fn charge<'a>(&self, charge: &mut Charge<'a>, grant: &'a Grant, caller: &Caller, call: Call<'_>) {
        for limit in &grant.limits {
            charge.add(limit, caller, call.tool);
        }
        if grant.rules.iter().any(Option::is_some) {
            let limits = self.matching(call).filter_map(|(number, _)| grant.rules.get(number)?.as_ref());
            limits.for_each(|limit| charge.add(limit, caller, call.tool));
        }
    }

    /// The rules about this call's tool, with their numbers. A call of a tool without a name is one of
    /// the tool with the empty name, which `*` matches.
    fn matching<'a>(&'a self, call: Call<'a>) -> impl Iterator<Item = (usize, &'a Rule)> {
        let tool = call.tool.or_else(|| (call.method == TOOLS_CALL).then_some(""));
        self.rules.iter().enumerate().filter(move |(_, rule)| tool.is_some_and(|tool| rule.matches(tool)))
    }
}

// === impl Rule ===

impl Rule {
    fn matches(&self, tool: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(tool))
    }
}
