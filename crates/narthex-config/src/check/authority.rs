//! `auth.authority:`.

use super::login::LOCAL;
use super::url::{http_url, is_loopback};
use super::{Check, Names};
use crate::diagnostic::Finding;
use crate::grammar::{self, Name};
use crate::model::{
    Algorithm, AssertionIssuer, Authority, DynamicRegistration, HostPattern, Issuer, Login,
    MetadataDocuments, Rate, RefreshTokens, RegisteredAuth, RegisteredClient, ScopeGrant, ScopeName, Server,
    TenantId,
};
use crate::yaml::{Field, Named, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Most clients that register themselves.
const MOST_CLIENTS: u32 = 10_000;

impl Check<'_> {
    pub(super) fn authority(
        &self,
        field: Field<grammar::Authority>,
        embedded: Option<Span>,
        server: Option<&Server>,
        names: &Names,
    ) -> Option<Authority> {
        let (at, given) = field.with_span()?;
        if let Some(embedded) = embedded {
            let finding = Finding::error(embedded, "`embedded` and `authority` would be the same issuer");
            self.report.add(finding.related(at, "`authority` is here; it gives development users, too"));
        }
        let loopback =
            server.is_none_or(|server| http_url(&server.public_url.url).is_ok_and(|url| is_loopback(&url)));
        if !loopback && server.is_some_and(|server| server.public_url.url.starts_with("http:")) {
            let message = "users would log in over plain `http`";
            self.report.error_with_help(at, message, "give `server.public_url` as `https`, or as loopback");
        }
        self.within(
            &given.access_token_lifetime,
            |life| (5 * MINUTE..=15 * MINUTE).contains(&life.0),
            "an access token lives `5m` to `15m`: nothing takes it back earlier for sure",
        );
        self.within(&given.key_rotation, |time| time.0 >= 60 * MINUTE, "a key signs at least for `1h`");
        let login = self.login(given.login, server, names);
        Some(Authority {
            access_token_lifetime: Self::duration(&given.access_token_lifetime, 10 * MINUTE),
            refresh_token: self.refresh_tokens(&given.refresh_token),
            algorithm: self.signing_algorithm(&given.algorithm),
            key_rotation: Self::duration(&given.key_rotation, 30 * DAY),
            clients: self.registered_clients(given.clients),
            metadata_documents: self.metadata_documents(given.metadata_documents, loopback),
            dynamic_registration: self.dynamic_registration(given.dynamic_registration),
            assertions: self.assertions(given.assertions, login.as_ref(), names),
            grants: self.scope_grants(given.grants, names),
            login,
            scopes: self.scope_words(given.scopes),
        })
    }

    fn scope_words(&self, field: Field<Named<grammar::Scope, String>>) -> BTreeMap<ScopeName, String> {
        let entries = field.into_value().unwrap_or_default().0;
        let words = entries
            .into_iter()
            .filter_map(|entry| Some((ScopeName::from(entry.key.0.as_str()), self.text(entry.value)?)));
        words.collect()
    }

    fn refresh_tokens(&self, field: &Field<grammar::RefreshTokens>) -> RefreshTokens {
        let default = grammar::RefreshTokens::default();
        let given = field.get().unwrap_or(&default);
        let lifetime = self.nonzero(&given.lifetime, 30 * DAY);
        let idle = self.nonzero(&given.idle, (7 * DAY).min(lifetime));
        if let Some(at) = given.idle.span()
            && idle > lifetime
        {
            self.report.error(at, "`idle` is longer than `lifetime`");
        }
        RefreshTokens { lifetime, idle }
    }

    fn signing_algorithm(&self, field: &Field<grammar::Alg>) -> Algorithm {
        let supported = |alg: &grammar::Alg| matches!(alg.0, Algorithm::ES256 | Algorithm::EdDSA);
        self.within(field, supported, "tokens are signed with `ES256` or `EdDSA`");
        field.get().map_or(Algorithm::ES256, |alg| alg.0)
    }

    fn registered_clients(
        &self,
        field: Field<Named<Name, grammar::RegisteredClient>>,
    ) -> BTreeMap<String, RegisteredClient> {
        let entries = field.into_value().unwrap_or_default().0;
        let checked = entries.into_iter().filter_map(|entry| {
            let client = self.registered_client(&entry.key.0, entry.value.into_value()?, entry.at)?;
            Some((entry.key.0, client))
        });
        checked.collect()
    }

    fn registered_client(
        &self,
        id: &str,
        given: grammar::RegisteredClient,
        at: Span,
    ) -> Option<RegisteredClient> {
        if id.starts_with("https://") || id.starts_with("http://") {
            let help = "name its host under `metadata_documents`";
            self.report.error_with_help(at, "a client id that is a URL stands for a document", help);
        }
        let auth = self.registered_auth(&given);
        let redirect_uris: Vec<String> =
            given.redirect_uris.get().into_iter().flatten().filter_map(Field::get).cloned().collect();
        let flag = |field: &Field<bool>| field.get().copied().unwrap_or(false);
        let (assertions, introspection) = (flag(&given.assertions), flag(&given.introspection));
        if redirect_uris.is_empty() && !assertions && !introspection {
            let help = "add `redirect_uris`, `assertions: true` or `introspection: true`";
            self.report.error_with_help(at, "this client can do nothing", help);
        }
        if auth == Some(RegisteredAuth::None) && (assertions || introspection) {
            let help = "add `secret: { file: … }`, `jwks` or `jwks_uri`";
            self.report.error_with_help(at, "a client that may do this must authenticate", help);
        }
        let scopes = (!given.scopes.is_absent()).then(|| Self::scopes(&given.scopes));
        let name = self.text(given.name).unwrap_or_else(|| id.to_owned());
        Some(RegisteredClient { name, redirect_uris, auth: auth?, scopes, assertions, introspection })
    }

    fn registered_auth(&self, given: &grammar::RegisteredClient) -> Option<RegisteredAuth> {
        let spans = [given.secret.span(), given.jwks.span(), given.jwks_uri.span()];
        let mut spans = spans.into_iter().flatten();
        if let (Some(first), Some(second)) = (spans.next(), spans.next()) {
            let message = "a client authenticates in one way: `secret`, `jwks` or `jwks_uri`";
            self.report.add(Finding::error(second, message).related(first, "it has this one already"));
            return None;
        }
        if !given.secret.is_absent() {
            return self.secret(&given.secret).map(RegisteredAuth::Secret);
        }
        if !given.jwks.is_absent() {
            return self.file(&given.jwks).map(RegisteredAuth::KeyFile);
        }
        if given.jwks_uri.is_absent() {
            return Some(RegisteredAuth::None);
        }
        self.endpoint(&given.jwks_uri, false).map(RegisteredAuth::KeyUri)
    }

    fn metadata_documents(
        &self,
        field: Field<grammar::MetadataDocuments>,
        loopback: bool,
    ) -> Option<MetadataDocuments> {
        let (at, given) = field.with_span()?;
        let allow_loopback = given.allow_loopback.get().copied().unwrap_or(false);
        if allow_loopback && !loopback {
            let at = given.allow_loopback.span().unwrap_or(at);
            self.report.error(at, "documents at loopback addresses are for a loopback `public_url`");
        }
        let allow = self.host_patterns(&given.allow);
        if !allow_loopback {
            self.need(&given.allow, at, "allow", "[claude.ai]");
        }
        Some(MetadataDocuments { allow, allow_loopback })
    }

    fn host_patterns(&self, field: &Field<Vec<Field<String>>>) -> Vec<HostPattern> {
        let listed = field.get().into_iter().flatten();
        let checked = listed.filter_map(|pattern| {
            let (at, text) = (pattern.span()?, pattern.get()?);
            let parsed = HostPattern::parse(text);
            if parsed.is_none() {
                let help = "write `claude.ai`, `*.example.com` for all below it, or `*` for any";
                self.report.error_with_help(at, "not a host", help);
            }
            parsed
        });
        checked.collect()
    }

    /// Schemes (RFC 3986 §3.1) of programs on the user's machine.
    fn schemes(&self, field: &Field<Vec<Field<String>>>) -> Vec<String> {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-');
        let good =
            |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(letter);
        let listed = field.get().into_iter().flatten();
        let checked = listed.filter_map(|scheme| {
            let (at, text) = (scheme.span()?, scheme.get()?);
            if !good(text) || matches!(text.as_str(), "http" | "https") {
                let help =
                    "write the scheme of a program, such as `cursor`; one with a dot need not be listed";
                self.report.error_with_help(at, "not a scheme of a program's own", help);
                return None;
            }
            Some(text.clone())
        });
        checked.collect()
    }

    fn dynamic_registration(
        &self,
        field: Field<grammar::DynamicRegistration>,
    ) -> Option<DynamicRegistration> {
        const RATE: Rate =
            Rate { count: NonZeroU32::MIN.saturating_add(19), window: Duration::from_secs(3600) };
        let given = field.into_value()?;
        self.within(&given.most, |most| most.0.get() <= MOST_CLIENTS, "at most 10000 clients are kept");
        let most = Self::usize(&given.most, 1000);
        Some(DynamicRegistration {
            redirect_hosts: self.host_patterns(&given.redirect_hosts),
            redirect_schemes: self.schemes(&given.redirect_schemes),
            initial_access_token: self.secret(&given.initial_access_token),
            rate: given.rate.get().map_or(RATE, |rate| rate.0),
            most: NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN),
            unused: self.nonzero(&given.unused, 30 * DAY),
        })
    }

    fn assertions(
        &self,
        field: Field<Named<Name, grammar::AssertionIssuer>>,
        login: Option<&Login>,
        names: &Names,
    ) -> BTreeMap<String, AssertionIssuer> {
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        let mut assertions = BTreeMap::new();
        for entry in field.into_value().unwrap_or_default().0 {
            let Some(given) = entry.value.into_value() else { continue };
            if entry.key.0.contains('|') {
                self.report.error(entry.at, "the name of a provider has no `|`");
            }
            if let (Some(name), Some(at)) = (given.issuer.get(), given.issuer.span())
                && let Some(first) = seen.insert(name.clone(), at)
            {
                let finding = Finding::error(at, format!("issuer `{name}` is given twice"));
                self.report.add(finding.related(first, "it is first given here"));
            }
            if let Some(issuer) = self.assertion_issuer(given, entry.at, names) {
                self.asserted_users(&entry.key.0, &issuer.issuer, login, entry.at);
                assertions.insert(entry.key.0, issuer);
            }
        }
        assertions
    }

    /// `sub` of the authority's tokens begins with the name, so of two who have one, each could speak for the
    /// other's users.
    fn asserted_users(&self, name: &str, issuer: &str, login: Option<&Login>, at: Span) {
        let providers = login.into_iter().flat_map(|login| &login.providers);
        let mut others = providers.filter(|provider| provider.id == name && provider.issuer != issuer);
        if name == LOCAL {
            self.report.error(at, "`local` stands for the users of this file; take another name");
        } else if others.next().is_some() {
            let message =
                "a provider under `login` has this name and another issuer: they would have the same users";
            self.report.error_with_help(at, message, "take another name; the same is for the same issuer");
        }
    }

    fn assertion_issuer(
        &self,
        given: grammar::AssertionIssuer,
        at: Span,
        names: &Names,
    ) -> Option<AssertionIssuer> {
        let clients = given.clients.get();
        let clients = clients.map(|list| list.iter().filter_map(Field::get).map(|id| id.0.clone()).collect());
        let groups = self.text(given.groups);
        let issuer = grammar::Issuer {
            issuer: given.issuer,
            jwks_uri: given.jwks_uri,
            jwks: given.jwks,
            algorithms: given.algorithms,
            tenant: given.tenant,
            insecure: given.insecure,
            ..grammar::Issuer::default()
        };
        let Issuer { issuer, keys, algorithms, tenant, .. } = self.issuer(issuer, at, names)?;
        Some(AssertionIssuer { issuer, keys, algorithms, tenant, groups, clients })
    }

    fn scope_grants(&self, field: Field<Vec<Field<grammar::ScopeGrant>>>, names: &Names) -> Vec<ScopeGrant> {
        let listed = field.into_value().into_iter().flatten().filter_map(Field::with_span);
        let checked = listed.map(|(at, given)| {
            self.need(&given.scopes, at, "scopes", "[mcp:read]");
            let tenants = given.tenants.get().map(|tenants| {
                let listed = tenants.iter().filter_map(|name| Some((name.span()?, name.get()?)));
                let known = listed.filter(|(at, name)| self.refers("tenant", name, *at, &names.tenants));
                known.map(|(_, name)| TenantId::from(name.0.as_str())).collect()
            });
            let groups = given.groups.get();
            let groups: Option<BTreeSet<String>> =
                groups.map(|groups| groups.iter().filter_map(Field::get).cloned().collect());
            ScopeGrant { tenants, groups, scopes: Self::scopes(&given.scopes) }
        });
        checked.collect()
    }
}
