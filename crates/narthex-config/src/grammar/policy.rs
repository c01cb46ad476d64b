//! `tenants:`, `routes:` and limits.

use super::scalar::{Count, Name, PerWhom, Requests, Scope};
use super::{Expose, Inspect, Names, RouteAuth, Shown};
use crate::yaml::{Field, Named};
use schemars::JsonSchema;
use serde::Deserialize;

/// A customer or organisation whose callers share limits and route grants.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tenant {
    /// Routes that its callers may use. Default: none.
    pub(crate) routes: Field<Vec<Field<Name>>>,
    /// Limits over all of the tenant's routes.
    pub(crate) limits: Field<Limits>,
    /// What its callers are shown of a route, by route. Default: what the route shows.
    pub(crate) expose: Field<Named<Name, Shown>>,
}

/// How much may be asked. At least one of `requests` and `concurrent`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["requests"]}, {"required": ["concurrent"]}]))]
pub(crate) struct Limits {
    /// Requests per window, such as `600/1m`.
    pub(crate) requests: Field<Requests>,
    /// How many may come at once. Default: the count of `requests`.
    pub(crate) burst: Field<Count>,
    /// Calls in flight at one time.
    pub(crate) concurrent: Field<Count>,
    /// Whom the numbers are counted for. Default `tenant`.
    pub(crate) per: Field<PerWhom>,
}

/// One MCP endpoint of the gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend(
    "required" = ["path"],
    "oneOf" = [{ "required": ["upstream"] }, { "required": ["upstreams"] }],
    "dependentRequired" = { "names": ["upstreams"] }
))]
pub(crate) struct Route {
    /// Path of the endpoint. `server.public_url` and this are the resource identifier that tokens must
    /// name as their audience.
    pub(crate) path: Field<String>,
    /// The upstream that answers. Exactly one of `upstream` and `upstreams`.
    pub(crate) upstream: Field<Name>,
    /// The upstreams that answer together, as one server.
    #[schemars(extend("minItems" = 1, "maxItems" = 256, "uniqueItems" = true))]
    pub(crate) upstreams: Field<Vec<Field<Name>>>,
    /// How the tools and prompts of `upstreams` are named.
    pub(crate) names: Field<Box<Names>>,
    /// Which tools, prompts and resources are shown, and how.
    pub(crate) expose: Field<Box<Expose>>,
    /// What clients are told of the route, instead of what its servers say of themselves. At most 16 KiB.
    #[schemars(extend("maxLength" = 16384))]
    pub(crate) instructions: Field<String>,
    /// Most items of one page of a list, at most 10000. Default 1000.
    pub(crate) page_size: Field<Count>,
    /// What is looked for in results and arguments, and what is done about it.
    pub(crate) inspect: Field<Box<Inspect>>,
    /// `none`: no token is needed; `tenant` then says for which tenant calls count. Or how tokens must be bound
    /// to their sender. Default: a token is needed, bound or not.
    pub(crate) auth: Field<RouteAuth>,
    /// The tenant of all calls; only with `auth: none`.
    pub(crate) tenant: Field<Name>,
    /// Scopes needed for anything on the route.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// Rules for tools. All that match a tool apply.
    pub(crate) tools: Field<Vec<Field<ToolRule>>>,
    /// Limits for all calls of one tenant on the route.
    pub(crate) limits: Field<Limits>,
}

/// A rule for tools whose names match.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["match"]))]
pub(crate) struct ToolRule {
    /// Tool names; `*` stands for any run of characters.
    pub(crate) r#match: Field<Vec<Field<String>>>,
    /// Scopes needed in addition to the route's.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// The tools are hidden from lists and unknown when called.
    pub(crate) deny: Field<bool>,
    /// Limits for calls of these tools.
    pub(crate) limits: Field<Limits>,
}
