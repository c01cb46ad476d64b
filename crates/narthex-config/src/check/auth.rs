//! `auth:`.

use super::url::http_url;
use super::{Check, Names};
use crate::diagnostic::Finding;
use crate::grammar;
use crate::model::{
    Algorithm, Auth, Introspection, Issuer, KeySource, OAuthClientAuth, ScopeName, Server, TenantId,
    TenantRule,
};
use crate::yaml::{Entry, Field, Named, Span};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use url::Url;

const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
const MAX_LEEWAY: Duration = Duration::from_secs(300);
const DEFAULT_ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

impl Check<'_> {
    pub(super) fn auth(&self, field: Field<grammar::Auth>, server: Option<&Server>, names: &Names) -> Auth {
        let auth = field.into_value().unwrap_or_default();
        if let (Some(at), Some(server)) = (auth.embedded.span(), server)
            && !server.listen.ip().is_loopback()
        {
            let message = "the development issuer gives tokens to anyone on this machine, so the gateway must \
                           listen on a loopback address only";
            self.report.error_with_help(at, message, "set `server.listen: 127.0.0.1:8080`, or use `issuers`");
        }
        let leeway = Self::duration(&auth.leeway, DEFAULT_LEEWAY);
        if let Some(at) = auth.leeway.span()
            && leeway > MAX_LEEWAY
        {
            self.report.error(at, "a leeway over 5m would accept tokens long expired");
        }
        let own = auth.authority.span().zip(server.map(|server| server.public_url.url.as_str()));
        self.not_our_own(&auth.issuers, own);
        let authority = self.authority(auth.authority, auth.embedded.span(), server, names);
        Auth {
            embedded_development: auth.embedded.get().is_some(),
            authority,
            leeway,
            token_cache: Self::usize(&auth.token_cache, 100_000),
            dpop: self.dpop(auth.dpop),
            scope_hierarchy: self.scope_hierarchy(auth.scope_hierarchy),
            issuers: self.issuers(auth.issuers, names),
        }
    }

    /// Reports an issuer that is called as the gateway's own: the keys of one would stand for the other's.
    fn not_our_own(&self, issuers: &Field<Vec<Field<grammar::Issuer>>>, own: Option<(Span, &str)>) {
        let Some((authority, url)) = own else { return };
        for issuer in issuers.get().into_iter().flatten().filter_map(Field::get) {
            if let (Some(at), Some(name)) = (issuer.issuer.span(), issuer.issuer.get())
                && name.trim_end_matches('/').eq_ignore_ascii_case(url.trim_end_matches('/'))
            {
                let finding =
                    Finding::error(at, "this is the issuer of `authority`, which is trusted anyway");
                self.report.add(finding.related(authority, "`authority` is here"));
            }
        }
    }

    fn issuers(&self, field: Field<Vec<Field<grammar::Issuer>>>, names: &Names) -> Vec<Issuer> {
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut issuers = Vec::new();
        for (at, issuer) in field.into_value().into_iter().flatten().filter_map(Field::with_span) {
            if let (Some(name), Some(place)) = (issuer.issuer.get(), issuer.issuer.span()) {
                match seen.get(name) {
                    Some(first) => self.report.add(
                        Finding::error(place, format!("issuer `{name}` is given twice"))
                            .related(*first, "it is first given here"),
                    ),
                    None => _ = seen.insert(name.clone(), place),
                }
            }
            issuers.extend(self.issuer(issuer, at, names));
        }
        issuers
    }

    pub(super) fn issuer(&self, issuer: grammar::Issuer, at: Span, names: &Names) -> Option<Issuer> {
        let insecure = issuer.insecure.get().copied().unwrap_or(false);
        let keys = self.key_source(&issuer, insecure);
        let algorithms = self.algorithms(&issuer.algorithms);
        let introspection = issuer.introspection.with_span();
        let introspection = introspection.map(|(at, asked)| self.introspection(asked, at, insecure));
        self.need(&issuer.tenant, at, "tenant", "{ claim: org_id }");
        let tenant = self.tenant_rule(&issuer.tenant, names);
        let issuer = self.required(issuer.issuer, at, "issuer", "https://idp.example.com");
        let issuer = issuer.and_then(|(at, text)| self.issuer_name(text, at, insecure));
        Some(Issuer {
            issuer: issuer?,
            keys: keys?,
            algorithms,
            tenant: tenant?,
            introspection: match introspection {
                Some(checked) => Some(checked?),
                None => None,
            },
            insecure,
        })
    }

    /// An issuer is a URL without query or fragment (RFC 8414 §2), kept exactly as written since `iss`
    /// is compared byte by byte.
    pub(super) fn issuer_name(&self, text: String, at: Span, insecure: bool) -> Option<String> {
        match http_url(&text) {
            Ok(_) if text.contains('?') => {
                self.report.error(at, "an issuer has no query (RFC 8414 section 2)")
            }
            Ok(url) => {
                self.transport(&url, at, insecure);
                return Some(text);
            }
            Err(message) => {
                let message = message.split(crate::yaml::HELP).next().unwrap_or_default();
                self.report.error_with_help(at, message, "write the `iss` value: `https://idp.example.com`");
            }
        }
        None
    }

    fn key_source(&self, issuer: &grammar::Issuer, insecure: bool) -> Option<KeySource> {
        if let (Some(uri), Some(file)) = (issuer.jwks_uri.span(), issuer.jwks.span()) {
            let finding = Finding::error(file, "keys come from `jwks_uri` or from `jwks`, not both");
            self.report.add(finding.related(uri, "`jwks_uri` is here"));
            return None;
        }
        if !issuer.jwks.is_absent() {
            return self.file(&issuer.jwks).map(KeySource::File);
        }
        if issuer.jwks_uri.is_absent() {
            return Some(KeySource::Discovery);
        }
        self.endpoint(&issuer.jwks_uri, insecure).map(KeySource::Uri)
    }

    /// A URL to which the gateway itself connects.
    pub(super) fn endpoint(&self, field: &Field<grammar::HttpUrl>, insecure: bool) -> Option<Url> {
        let (at, url) = (field.span()?, field.get()?);
        self.transport(&url.0, at, insecure);
        Some(url.0.clone())
    }

    pub(super) fn algorithms(&self, field: &Field<Vec<Field<grammar::Alg>>>) -> Vec<Algorithm> {
        let Some(listed) = field.get() else {
            return DEFAULT_ALGORITHMS.to_vec();
        };
        if let (true, Some(at)) = (listed.is_empty(), field.span()) {
            let help = "name those that the issuer uses: `[RS256, ES256]`";
            self.report.error_with_help(at, "without an algorithm no token is accepted", help);
        }
        let mut algorithms = Vec::new();
        for alg in listed.iter().filter_map(Field::get) {
            if !algorithms.contains(&alg.0) {
                algorithms.push(alg.0);
            }
        }
        algorithms
    }

    fn tenant_rule(&self, field: &Field<grammar::TenantRule>, names: &Names) -> Option<TenantRule> {
        let at = field.span()?;
        match field.get()? {
            grammar::TenantRule::Claim(claim) if claim.is_empty() => {
                self.report.error(at, "the name of the claim is empty");
                None
            }
            grammar::TenantRule::Claim(claim) => Some(TenantRule::Claim(claim.clone())),
            grammar::TenantRule::Value(name) => self
                .refers("tenant", name, at, &names.tenants)
                .then(|| TenantRule::Value(TenantId::from(name.0.as_str()))),
        }
    }

    fn introspection(
        &self,
        asked: grammar::Introspection,
        at: Span,
        insecure: bool,
    ) -> Option<Introspection> {
        self.need(&asked.url, at, "url", "https://idp.example.com/introspect");
        let url = self.endpoint(&asked.url, insecure);
        let client = self.client(asked.client, at);
        self.confidential(client.as_ref(), at);
        if client.as_ref().is_some_and(|client| matches!(client.auth, OAuthClientAuth::Tls { .. })) {
            let help = "use `secret: { file: … }`, or `private_key` with its `algorithm`";
            self.report.error_with_help(at, "no certificate is shown to an introspection endpoint", help);
        }
        let cache = Self::duration(&asked.cache, Duration::from_secs(60));
        Some(Introspection { url: url?, client: client?, cache })
    }

    fn scope_hierarchy(
        &self,
        field: Field<Named<grammar::Scope, Vec<Field<grammar::Scope>>>>,
    ) -> BTreeMap<ScopeName, Vec<ScopeName>> {
        let entries = field.into_value().unwrap_or_default().0;
        let lower = |entry: &Entry<grammar::Scope, _>| {
            (ScopeName::from(entry.key.0.as_str()), Self::scopes(&entry.value))
        };
        let hierarchy: BTreeMap<ScopeName, Vec<ScopeName>> = entries.iter().map(lower).collect();
        for entry in &entries {
            if includes_itself(&entry.key.0, &hierarchy) {
                let message = format!("scope `{}` includes itself", entry.key.0);
                self.report.error_with_help(entry.at, message, "break the circle");
            }
        }
        hierarchy
    }
}

fn includes_itself(scope: &str, hierarchy: &BTreeMap<ScopeName, Vec<ScopeName>>) -> bool {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut open = vec![scope];
    while let Some(next) = open.pop() {
        for included in hierarchy.get(next).into_iter().flatten() {
            if included.as_str() == scope {
                return true;
            }
            if seen.insert(included.as_str()) {
                open.push(included.as_str());
            }
        }
    }
    false
}
