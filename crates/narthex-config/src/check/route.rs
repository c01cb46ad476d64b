//! `routes:`.

use super::{Check, Names};
use crate::diagnostic::Finding;
use crate::grammar::{self, Name};
use crate::model::{
    Credential, Instances, PublicUrl, Route, RouteAuth, RouteId, SenderConstrained, Server, Tenant, TenantId,
    ToolRule, Upstream, UpstreamId,
};
use crate::yaml::{Field, Named, Span};
use ahash::{HashMap, HashMapExt as _, HashSet};
use std::collections::BTreeMap;

/// Paths that the gateway answers itself.
const OWN_PATHS: [&str; 2] = ["/.well-known", "/oauth"];
/// Further ones, where it is an authorization server.
const AUTHORITY_PATHS: [&str; 4] = ["/login", "/logout", "/connections", "/connect"];
const DEFAULT_PAGE: usize = 1000;
const MAX_PAGE: u32 = 10_000;

impl Check<'_> {
    pub(super) fn routes(
        &self,
        field: Field<Named<Name, grammar::Route>>,
        server: Option<&Server>,
        names: &Names,
        trusts_somebody: bool,
        tenants: &BTreeMap<TenantId, Tenant>,
        upstreams: &BTreeMap<UpstreamId, Upstream>,
    ) -> BTreeMap<RouteId, Route> {
        let mut routes = BTreeMap::new();
        let entries = field.into_value().unwrap_or_default().0;
        let mut paths: HashMap<String, Span> = HashMap::with_capacity(entries.len());
        let mut needs_token = None;
        let granted: HashSet<&RouteId> = tenants.values().flat_map(|tenant| &tenant.routes).collect();
        for entry in entries {
            let Some(given) = entry.value.into_value() else { continue };
            let id = RouteId::from(entry.key.0.as_str());
            self.unique_path(&given.path, &mut paths);
            if given.auth.is_absent() || sender_constrained(&given.auth).is_some() {
                needs_token = needs_token.or(Some(entry.at));
            }
            let public_url = server.map(|server| &server.public_url);
            let Some(route) = self.route(&id, &given, entry.at, public_url, names) else { continue };
            self.can_be_bound(&route, &given, entry.at, server.and_then(|server| server.tls.as_ref()));
            self.reach(&given, &route);
            self.usable(&route, entry.at, granted.contains(&id), tenants, upstreams);
            routes.insert(id, route);
        }
        if let Some(server) = server {
            self.no_path_is_two(&paths, &server.public_url.path);
        }
        if let (Some(at), false) = (needs_token, trusts_somebody) {
            let help =
                "add an issuer under `auth.issuers`, or `auth: { embedded: development }` to try things out";
            let message = "this route needs a token, and nobody is trusted to issue one";
            self.report.error_with_help(at, message, help);
        }
        routes
    }

    /// Reports routes at paths of the gateway's own authority.
    pub(super) fn own_paths(&self, field: &Field<Named<Name, grammar::Route>>, has_authority: bool) {
        let routes =
            field.get().into_iter().flat_map(|routes| &routes.0).filter_map(|entry| entry.value.get());
        for (at, path) in routes.filter_map(|route| Some((route.path.span()?, route.path.get()?))) {
            if has_authority && AUTHORITY_PATHS.iter().any(|own| is_under(path, own)) {
                let message = "with `auth.authority` the gateway itself answers under `/login`, `/logout`, \
                               `/connections` and `/connect`";
                self.report.error(at, message);
            }
        }
    }

    fn route(
        &self,
        id: &RouteId,
        given: &grammar::Route,
        at: Span,
        public_url: Option<&PublicUrl>,
        names: &Names,
    ) -> Option<Route> {
        let limits = self.limits(&given.limits);
        let auth = self.route_auth(given, at, names);
        let tools = given.tools.get().into_iter().flatten();
        let tools = tools.filter_map(|rule| self.tool_rule(rule, auth.as_ref())).collect();
        let target = self.target(given, at, names);
        let expose = self.expose(&given.expose);
        let instructions = self.prose(&given.instructions);
        let inspect = self.inspect(&given.inspect);
        self.within(&given.page_size, |count| count.0.get() <= MAX_PAGE, "a page has at most 10000 items");
        self.no_scopes_without_token(&given.scopes, auth.as_ref());
        self.need(&given.path, at, "path", "/mcp");
        let path = self.route_path(&given.path);
        let (target, path) = (target?, path?);
        Some(Route {
            id: id.clone(),
            resource: resource(public_url?, &path),
            path,
            target,
            expose,
            instructions,
            page_size: Self::usize(&given.page_size, DEFAULT_PAGE),
            inspect,
            auth: auth?,
            sender_constrained: sender_constrained(&given.auth),
            scopes: Self::scopes(&given.scopes),
            tools,
            limits,
        })
    }

    fn unique_path(&self, field: &Field<String>, paths: &mut HashMap<String, Span>) {
        let (Some(path), Some(at)) = (field.get(), field.span()) else { return };
        if let Some(first) = paths.get(path) {
            let finding = Finding::error(at, format!("two routes have the path `{path}`"));
            self.report.add(finding.related(*first, "the other one is here"));
        } else {
            paths.insert(path.clone(), at);
        }
    }

    /// A balancer in front may strip the path of `public_url` or not, so that a route answers with and without it.
    fn no_path_is_two(&self, paths: &HashMap<String, Span>, prefix: &str) {
        let behind = |path: &str| paths.get(path.strip_prefix(prefix)?).copied();
        for (path, at) in paths.iter().filter(|_| !prefix.is_empty()) {
            if let Some(other) = behind(path) {
                let message = format!("`{path}` is also where another route is behind `public_url`");
                self.report.add(Finding::error(*at, message).related(other, "the other one is here"));
            }
        }
    }

    fn route_path(&self, field: &Field<String>) -> Option<String> {
        let (at, path) = (field.span()?, field.get()?);
        match path_mistake(path) {
            None => Some(path.clone()),
            Some(mistake) => {
                self.report.error(at, mistake);
                None
            }
        }
    }

    fn route_auth(&self, given: &grammar::Route, at: Span, names: &Names) -> Option<RouteAuth> {
        let bound = matches!(given.auth.get(), Some(grammar::RouteAuth::SenderConstrained(_)));
        match (given.auth.span().filter(|_| !bound), given.tenant.span()) {
            (None, None) => Some(RouteAuth::Required),
            (None, Some(at)) => {
                let help = "remove it; callers with a token bring their tenant along";
                self.report.error_with_help(at, "`tenant` goes with `auth: none` only", help);
                None
            }
            (Some(_), None) => {
                given.auth.get()?;
                let help = "add `tenant: name`, for which such calls count";
                self.report.error_with_help(at, "`auth: none` needs a `tenant`", help);
                None
            }
            (Some(_), Some(at)) => {
                given.auth.get()?;
                let name = given.tenant.get()?;
                self.refers("tenant", name, at, &names.tenants)
                    .then(|| RouteAuth::None { tenant: TenantId::from(name.0.as_str()) })
            }
        }
    }

    fn tool_rule(&self, field: &Field<grammar::ToolRule>, auth: Option<&RouteAuth>) -> Option<ToolRule> {
        let (at, rule) = (field.span()?, field.get()?);
        self.need(&rule.r#match, at, "match", "[\"create_*\"]");
        self.no_scopes_without_token(&rule.scopes, auth);
        let limits = self.limits(&rule.limits);
        let deny = rule.deny.get().copied().unwrap_or(false);
        if rule.scopes.is_absent() && rule.limits.is_absent() && !deny {
            let help = "give it `scopes`, `limits` or `deny: true`";
            self.report.error_with_help(at, "this rule changes nothing", help);
        }
        if let (Some(at), Some([])) = (rule.r#match.span(), rule.r#match.get().map(Vec::as_slice)) {
            self.report.error_with_help(at, "this rule matches no tool", "name tools: `[\"create_*\"]`");
        }
        let patterns = self.patterns(&rule.r#match);
        Some(ToolRule { patterns, scopes: Self::scopes(&rule.scopes), deny, limits })
    }

    fn no_scopes_without_token(&self, field: &Field<Vec<Field<grammar::Scope>>>, auth: Option<&RouteAuth>) {
        let scoped = field.get().is_some_and(|scopes| !scopes.is_empty());
        if let (true, Some(at), Some(RouteAuth::None { .. })) = (scoped, field.span(), auth) {
            self.report.error(at, "with `auth: none` no caller has a scope, so every call would be refused");
        }
    }

    /// What makes a well-written route useless.
    fn usable(
        &self,
        route: &Route,
        at: Span,
        granted: bool,
        tenants: &BTreeMap<TenantId, Tenant>,
        upstreams: &BTreeMap<UpstreamId, Upstream>,
    ) {
        let open_to = match &route.auth {
            RouteAuth::Required => granted,
            RouteAuth::None { tenant } => {
                tenants.get(tenant).is_none_or(|tenant| tenant.routes.contains(&route.id))
            }
        };
        if !open_to {
            let message = format!("no caller may use route `{}`", route.id);
            self.report.warn(at, message, "add it to the `routes` of a tenant");
        }
        if route.auth == RouteAuth::Required {
            return;
        }
        for (id, upstream) in route.target.upstreams().iter().filter_map(|id| Some((id, upstreams.get(id)?)))
        {
            if upstream.credential.needs_subject_token() {
                let message = format!(
                    "with `auth: none` there is no caller's token to make the credential of upstream `{id}` from"
                );
                self.report.error(at, message);
            }
            if matches!(upstream.credential, Credential::AuthorizationCode(_)) {
                let message = format!("with `auth: none` there is no user who could connect upstream `{id}`");
                self.report.error(at, message);
            }
            if upstream.transport.stdio().is_some_and(|stdio| stdio.instances == Instances::PerCaller) {
                let message = format!("with `auth: none` all callers share one process of upstream `{id}`");
                let help = "they are all one caller; say `instances: shared` if that is meant";
                self.report.warn(at, message, help);
            }
        }
    }
}

fn sender_constrained(field: &Field<grammar::RouteAuth>) -> Option<SenderConstrained> {
    match field.get()? {
        grammar::RouteAuth::None => None,
        grammar::RouteAuth::SenderConstrained(how) => Some(match how {
            grammar::SenderConstrained::Dpop => SenderConstrained::Dpop,
            grammar::SenderConstrained::Mtls => SenderConstrained::Mtls,
            grammar::SenderConstrained::Any => SenderConstrained::Any,
        }),
    }
}

/// The resource identifier (RFC 8707) of a path. That of `/` has no trailing slash, as MCP advises.
fn resource(public_url: &PublicUrl, path: &str) -> String {
    [public_url.url.as_str(), if path == "/" { "" } else { path }].concat()
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn path_mistake(path: &str) -> Option<&'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(c);
    Some(match path {
        "/" => return None,
        _ if !path.starts_with('/') => "a path begins with `/`",
        _ if path.contains('?') => "a path has no query",
        _ if path.contains('#') => "a path has no fragment",
        _ if path.contains('%') => "a path has no percent-encoding; it is compared as it stands",
        _ if path.contains("//") => "a path has no empty segments (`//`)",
        _ if path.ends_with('/') => "a path does not end with `/`",
        _ if path.split('/').any(|segment| matches!(segment, "." | "..")) => {
            "a path has no `.` or `..` segments"
        }
        _ if !path.chars().all(legal) => "this character cannot stand in a path",
        _ if OWN_PATHS.iter().any(|own| is_under(path, own)) => {
            "the gateway itself answers under `/.well-known` and `/oauth`"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::path_mistake;

    #[test]
    fn a_path_that_could_be_read_in_two_ways_is_refused() {
        let bad = [
            "",
            "mcp",
            "/mcp/",
            "//",
            "//mcp",
            "/a//b",
            "/..",
            "/a/../b",
            "/./a",
            "/a%2fb",
            "/a?b",
            "/a#b",
            "/a b",
            "/ä",
            "/a\\b",
            "/.well-known",
            "/.well-known/x",
            "/oauth",
            "/oauth/token",
        ];
        for path in bad {
            assert!(path_mistake(path).is_some(), "{path}");
        }
        for path in ["/", "/mcp", "/a/b/c", "/oauthority", "/.well-known-x", "/a.b", "/..a"] {
            assert_eq!(path_mistake(path), None, "{path}");
        }
    }
}
