//! What there is to get a token for, and who may: routes, tenants, grants, the scope hierarchy.

use narthex_config::Config;
use narthex_config::model::{RouteAuth, RouteId, ScopeGrant, ScopeName, SenderConstrained, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use url::Url;

/// Asks for a refresh token (OpenID Connect Core §11), and is in no token.
pub(crate) const OFFLINE: &str = "offline_access";

/// What the configuration says about resources and rights.
#[derive(Debug)]
pub(crate) struct Resources {
    /// By their identifiers, normalised as URLs.
    routes: BTreeMap<String, Resource>,
    tenants: HashMap<TenantId, BTreeSet<RouteId>>,
    grants: Vec<ScopeGrant>,
    hierarchy: BTreeMap<ScopeName, Vec<ScopeName>>,
    /// All scopes that anybody may be granted.
    grantable: BTreeSet<ScopeName>,
}

/// A route that wants tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Resource {
    /// The identifier: `aud` of tokens for it.
    pub(crate) id: String,
    pub(crate) route: RouteId,
    /// What everything on it needs: granted where a client asks for nothing in particular.
    pub(crate) scopes: BTreeSet<ScopeName>,
    /// How tokens for it must be bound to their sender.
    pub(crate) sender_constrained: Option<SenderConstrained>,
}

impl Resources {
    pub(crate) fn new(config: &Config, grants: &[ScopeGrant]) -> Self {
        let wanting = config.routes.values().filter(|route| route.auth == RouteAuth::Required);
        let routes = wanting.filter_map(|route| {
            let (id, scopes) = (route.resource.clone(), route.scopes.clone());
            let sender_constrained = route.sender_constrained;
            Some((normal(&id)?, Resource { id, route: route.id.clone(), scopes, sender_constrained }))
        });
        let mut resources = Self {
            routes: routes.collect(),
            tenants: config.tenants.iter().map(|(id, tenant)| (id.clone(), tenant.routes.clone())).collect(),
            grants: grants.to_vec(),
            hierarchy: config.auth.scope_hierarchy.clone(),
            grantable: BTreeSet::new(),
        };
        let all = grants.iter().flat_map(|grant| &grant.scopes).cloned().collect();
        resources.grantable = resources.closed(all);
        resources
    }

    /// The resource that a client names. URLs are compared, as some libraries write them anew on their way:
    /// the token says the identifier as the route has it.
    pub(crate) fn find(&self, name: &str) -> Option<&Resource> {
        self.routes.get(&normal(name)?)
    }

    /// The only resource, if there is one only.
    pub(crate) fn only(&self) -> Option<&Resource> {
        let mut all = self.routes.values();
        all.next().filter(|_| all.next().is_none())
    }

    /// The identifiers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.routes.values().map(|resource| resource.id.as_str())
    }

    /// All scopes that anybody may be granted.
    pub(crate) fn grantable(&self) -> &BTreeSet<ScopeName> {
        &self.grantable
    }

    /// Whether there is such a tenant, and it may use `resource`.
    pub(crate) fn may_use(&self, tenant: &TenantId, resource: &Resource) -> bool {
        self.tenants.get(tenant).is_some_and(|routes| routes.contains(&resource.route))
    }

    /// What of `asked` a user of `tenant` with these groups may be granted: all that any grant which fits them
    /// names, and what that includes.
    pub(crate) fn granted(
        &self,
        asked: &BTreeSet<ScopeName>,
        tenant: &TenantId,
        groups: &[String],
    ) -> BTreeSet<ScopeName> {
        let fits = |grant: &&ScopeGrant| {
            grant.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
                && grant
                    .groups
                    .as_ref()
                    .is_none_or(|wanted| groups.iter().any(|group| wanted.contains(group)))
        };
        let fitting = self.grants.iter().filter(fits);
        let may = self.closed(fitting.flat_map(|grant| &grant.scopes).cloned().collect());
        asked.intersection(&may).cloned().collect()
    }

    /// With all that the scopes include.
    fn closed(&self, mut scopes: BTreeSet<ScopeName>) -> BTreeSet<ScopeName> {
        let mut open: Vec<ScopeName> = scopes.iter().cloned().collect();
        while let Some(scope) = open.pop() {
            for included in self.hierarchy.get(&scope).into_iter().flatten() {
                if scopes.insert(included.clone()) {
                    open.push(included.clone());
                }
            }
        }
        scopes
    }
}

/// `scope` of a request (RFC 6749 §3.3). `None`: it is not well-formed, or names more than 100.
pub(crate) fn parse_scopes(text: &str) -> Option<BTreeSet<ScopeName>> {
    const MOST: usize = 100;
    let legal = |word: &&str| {
        word.len() <= 256 && word.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    };
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    (words.len() <= MOST && words.iter().all(legal)).then(|| words.into_iter().map(ScopeName::from).collect())
}

/// An absolute URL without a fragment, written in the one way.
fn normal(name: &str) -> Option<String> {
    let url = Url::parse(name).ok()?;
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    plain.then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn names(scopes: &[&str]) -> BTreeSet<ScopeName> {
        scopes.iter().map(|scope| ScopeName::from(*scope)).collect()
    }

    #[test]
    fn a_resource_is_found_by_its_url_however_that_is_written() {
        let config = fixtures::config("");
        let resources = Resources::new(&config, &[]);
        for name in ["https://gw.example/docs", "HTTPS://GW.example:443/docs", "https://gw.example/x/../docs"]
        {
            assert_eq!(
                resources.find(name).map(|found| found.id.as_str()),
                Some("https://gw.example/docs"),
                "{name}"
            );
        }
        for name in [
            "https://gw.example/docs/",
            "https://gw.example/docs#x",
            "https://gw.example/docs?x",
            "https://me@gw.example/docs",
            "http://gw.example/docs",
            "https://gw.example/open",
            "https://gw.example",
            "docs",
            "",
        ] {
            assert_eq!(resources.find(name), None, "{name}");
        }
        assert_eq!(resources.only(), None);
    }

    #[test]
    fn a_user_gets_what_the_grants_that_fit_name_and_nothing_without() {
        let config = fixtures::config("");
        let authority = config.auth.authority.as_ref().unwrap();
        let resources = Resources::new(&config, &authority.grants);
        let asked = names(&["mcp:read", "mcp:write", "mcp:admin", "other"]);
        let granted = |tenant: &str, groups: &[&str]| {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            resources.granted(&asked, &TenantId::from(tenant), &groups)
        };
        assert_eq!(granted("acme", &[]), names(&["mcp:read"]));
        assert_eq!(granted("acme", &["staff"]), names(&["mcp:read", "mcp:write"]), "what it includes, too");
        assert_eq!(granted("globex", &["staff"]), names(&["mcp:read"]));
        assert_eq!(Resources::new(&config, &[]).granted(&asked, &TenantId::from("acme"), &[]), names(&[]));
    }

    #[test]
    fn scopes_are_words_of_visible_ascii() {
        assert_eq!(parse_scopes(" a  b a "), Some(names(&["a", "b"])));
        assert_eq!(parse_scopes(""), Some(names(&[])));
        for bad in ["a\"b", "a\\b", "a\tb", "é", "a\u{0}", &"x".repeat(257)] {
            assert_eq!(parse_scopes(bad), None, "{bad}");
        }
        let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
        assert_eq!(parse_scopes(&many.join(" ")), None);
    }
}
