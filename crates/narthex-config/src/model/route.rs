//! Routes: the paths that clients connect to.

use super::{Expose, Inspect, Limits, RouteId, ScopeName, SenderConstrained, Target, TenantId, ToolRule};
use std::collections::BTreeSet;

/// One MCP endpoint of the gateway.
#[derive(Clone, Debug)]
pub struct Route {
    /// The key under `routes:`.
    pub id: RouteId,
    /// `path:` starting with `/`, no trailing slash (but `/` itself), no `..`, no query.
    pub path: String,
    /// `public_url` + `path`: the resource identifier (RFC 8707) that tokens must name in `aud`.
    pub resource: String,
    /// `upstream:` or `upstreams:` where calls go.
    pub target: Target,
    /// `expose:` what is shown of them.
    pub expose: Expose,
    /// `instructions:` what is said of the route to clients, instead of what its servers say of themselves.
    pub instructions: Option<String>,
    /// `page_size:` most items of one page of a list. Default 1000.
    pub page_size: usize,
    /// `inspect:` what is looked for in results and arguments.
    pub inspect: Inspect,
    /// `auth:` whether a token is needed. It is, unless the route says `auth: none`.
    pub auth: RouteAuth,
    /// `auth: { sender_constrained: … }` how tokens must be bound to their sender, if they must.
    pub sender_constrained: Option<SenderConstrained>,
    /// `scopes:` needed for anything on the route.
    pub scopes: BTreeSet<ScopeName>,
    /// `tools:` rules, in order; all that match a tool apply.
    pub tools: Vec<ToolRule>,
    /// `limits:` for all calls of one tenant on the route.
    pub limits: Option<Limits>,
}

/// Whether callers of a route need a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RouteAuth {
    /// A token of a configured issuer with this route's resource as audience.
    Required,
    /// `auth: none` with `tenant:`: anyone may call, as this tenant, with the anonymous subject.
    None {
        /// The tenant that such calls are counted for.
        tenant: TenantId,
    },
}
