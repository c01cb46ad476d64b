//! `auth.authority.login:`.

use super::url::{http_url, is_loopback};
use super::{Check, Names};
use crate::diagnostic::Finding;
use crate::grammar::{self, Name};
use crate::model::{
    LocalUser, Login, LoginClaims, LoginTenant, Preset, Provider, Server, SessionLife, TenantId,
};
use crate::yaml::{Field, Named, Span};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use url::Url;

const HOUR: Duration = Duration::from_secs(3600);
/// Longest login.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// The id that stands for the users of this file.
pub(super) const LOCAL: &str = "local";
/// Paths that say no organisation: whoever has an account with Microsoft logs in there. The last is the directory of
/// all personal accounts.
const ENTRA_ANYONE: [&str; 4] =
    ["/common", "/organizations", "/consumers", "/9188040d-6c67-4c5b-b112-36a304b66dad"];
/// Hosts of Entra, whatever preset is named.
const ENTRA_HOSTS: [&str; 5] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.windows.net",
    "sts.windows.net",
];
/// Claims that name somebody else tomorrow, or whatever a user wants them to.
const CHANGING: [&str; 6] = ["email", "name", "nickname", "phone_number", "preferred_username", "upn"];

impl Check<'_> {
    pub(super) fn login(
        &self,
        field: Field<grammar::Login>,
        server: Option<&Server>,
        names: &Names,
    ) -> Option<Login> {
        let (at, given) = field.with_span()?;
        let is_empty = given.providers.get().is_none_or(|providers| providers.0.is_empty())
            && given.users.get().is_none_or(Vec::is_empty);
        let has_bad = matches!(given.providers, Field::Bad(_)) || matches!(given.users, Field::Bad(_));
        if is_empty && !has_bad {
            let help = "add an entry under `providers`, or, for development, under `users`";
            self.report.error_with_help(at, "nobody can log in", help);
        }
        self.local_only(&given.users, server);
        let title = self.text(given.title).unwrap_or_else(|| "Narthex".to_owned());
        Some(Login {
            title,
            providers: self.providers(given.providers, names),
            users: self.local_users(given.users, names),
            session: self.session_life(&given.session),
            tenants: names.tenants.iter().map(|name| TenantId::from(name.as_str())).collect(),
        })
    }

    fn local_only(&self, users: &Field<Vec<Field<grammar::LocalUser>>>, server: Option<&Server>) {
        let (Some(at), Some(server)) = (users.span(), server) else { return };
        let is_public_url_local = http_url(&server.public_url.url).is_ok_and(|url| is_loopback(&url));
        if !server.listen.ip().is_loopback() || !is_public_url_local {
            let message = "users in the configuration are for development: the gateway must listen on a \
                           loopback address, and be at one";
            self.report.error_with_help(at, message, "name an identity provider under `providers`");
        }
    }

    fn session_life(&self, field: &Field<grammar::Session>) -> SessionLife {
        let default = grammar::Session::default();
        let given = field.get().unwrap_or(&default);
        let lifetime = self.nonzero(&given.lifetime, 12 * HOUR);
        let idle = self.nonzero(&given.idle, HOUR.min(lifetime));
        self.within(&given.lifetime, |life| life.0 <= LONGEST, "a login holds at most for `720h`");
        if let Some(at) = given.idle.span()
            && idle > lifetime
        {
            self.report.error(at, "`idle` is longer than `lifetime`");
        }
        SessionLife { idle, lifetime }
    }

    fn providers(&self, field: Field<Named<Name, grammar::Provider>>, names: &Names) -> Vec<Provider> {
        let entries = field.into_value().unwrap_or_default().0.into_iter();
        let checked = entries.filter_map(|entry| {
            let (id, at) = (entry.key.0, entry.at);
            let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
            if id.len() > 64 || !id.bytes().all(legal) {
                self.report.error(at, "the id of a provider is 1 to 64 of `a-z`, `0-9`, `-` and `_`");
            } else if id == LOCAL {
                self.report.error(at, "`local` stands for the users of this file; take another id");
            }
            self.provider(id, entry.value.into_value()?, at, names)
        });
        checked.collect()
    }

    fn provider(&self, id: String, given: grammar::Provider, at: Span, names: &Names) -> Option<Provider> {
        let preset = Self::preset(&given.preset);
        let insecure = given.insecure.get().copied().unwrap_or(false);
        let issuer = self.provider_issuer(given.issuer, preset, at, insecure);
        let client = self.client(given.client, at);
        let claims = self.login_claims(given.claims, preset, issuer.as_ref(), at, names);
        let algorithms = self.algorithms(&given.algorithms);
        let (issuer, url) = issuer?;
        let title = self.text(given.title);
        Some(Provider {
            id,
            title: title.unwrap_or_else(|| url.host_str().unwrap_or_default().to_owned()),
            issuer,
            url,
            preset,
            client: client?,
            scopes: self.login_scopes(&given.scopes),
            claims: claims?,
            userinfo: given.userinfo.get().copied().unwrap_or(preset == Preset::Keycloak),
            algorithms,
        })
    }

    fn provider_issuer(
        &self,
        field: Field<String>,
        preset: Preset,
        at: Span,
        insecure: bool,
    ) -> Option<(String, Url)> {
        let issuer = if field.is_absent() && preset == Preset::Google {
            "https://accounts.google.com".to_owned()
        } else {
            let example = match preset {
                Preset::Entra => "https://login.microsoftonline.com/<tenant id>/v2.0",
                Preset::Okta => "https://acme.okta.com",
                Preset::Keycloak => "https://keycloak.example.com/realms/acme",
                Preset::Auth0 => "https://acme.eu.auth0.com/",
                Preset::Generic | Preset::Google => "https://idp.example.com",
            };
            let (at, text) = self.required(field, at, "issuer", example)?;
            self.issuer_name(text, at, insecure)?
        };
        let url = http_url(&issuer).ok()?;
        Some((issuer, url))
    }

    fn login_scopes(&self, field: &Field<Vec<Field<grammar::Scope>>>) -> Vec<String> {
        let Some(listed) = field.get() else {
            return ["openid", "profile", "email"].map(str::to_owned).to_vec();
        };
        let scopes: Vec<String> = listed.iter().filter_map(Field::get).map(|scope| scope.0.clone()).collect();
        if let Some(at) = field.span()
            && !scopes.iter().any(|scope| scope == "openid")
        {
            let help = "add `openid`";
            self.report.error_with_help(at, "without the scope `openid` there is no ID token", help);
        }
        scopes
    }

    fn login_claims(
        &self,
        field: Field<grammar::LoginClaims>,
        preset: Preset,
        issuer: Option<&(String, Url)>,
        at: Span,
        names: &Names,
    ) -> Option<LoginClaims> {
        let (at, given) = field.with_span().unwrap_or_else(|| (at, grammar::LoginClaims::default()));
        let subject: &[&str] = if preset == Preset::Entra { &["tid", "oid"] } else { &["sub"] };
        let groups: &[&str] =
            if preset == Preset::Keycloak { &["groups", "realm_access.roles"] } else { &["groups"] };
        let tenant = self.login_tenant(given.tenant, preset, issuer, at, names);
        self.subject_stays(&given.subject);
        let name = match self.text(given.name) {
            Some(claim) => vec![claim],
            None => ["name", "preferred_username", "email"].map(str::to_owned).to_vec(),
        };
        Some(LoginClaims {
            subject: self.claim_paths(&given.subject, subject),
            tenant: tenant?,
            groups: self.claim_paths(&given.groups, groups),
            name,
        })
    }

    fn subject_stays(&self, field: &Field<Vec<Field<String>>>) {
        let (Some(at), Some(listed)) = (field.span(), field.get()) else { return };
        let names: Vec<&str> = listed.iter().filter_map(|claim| claim.get().map(String::as_str)).collect();
        if listed.is_empty() {
            self.report.error(at, "without a claim nobody is told from anybody");
        } else if !names.is_empty() && names.iter().all(|name| CHANGING.contains(name)) {
            let message = "whoever gets the name or address of another user becomes that user here";
            let help = "leave it out: `sub` (with Entra `tid` and `oid`) never changes hands";
            self.report.warn(at, message, help);
        }
    }

    fn claim_paths(&self, field: &Field<Vec<Field<String>>>, default: &[&str]) -> Vec<String> {
        let Some(listed) = field.get() else {
            return default.iter().map(|claim| (*claim).to_owned()).collect();
        };
        for claim in listed {
            self.within(claim, |name| !name.is_empty(), "the name of the claim is empty");
        }
        listed.iter().filter_map(Field::get).cloned().collect()
    }

    fn login_tenant(
        &self,
        field: Field<grammar::LoginTenant>,
        preset: Preset,
        issuer: Option<&(String, Url)>,
        owner: Span,
        names: &Names,
    ) -> Option<LoginTenant> {
        let default = match preset {
            Preset::Entra => Some("tid"),
            Preset::Google => Some("hd"),
            Preset::Auth0 => Some("org_id"),
            Preset::Generic | Preset::Okta | Preset::Keycloak => None,
        };
        if let (Field::Absent, Some(claim)) = (&field, default) {
            return Some(LoginTenant::Claim { claim: claim.to_owned(), values: None });
        }
        let (at, given) =
            self.required(field, owner, "claims.tenant", "{ value: acme }` or `{ claim: org_id }")?;
        if given.value.is_absent() {
            return self.tenant_claim(given, default, at, names);
        }
        if let Some(other) = given.claim.span().or_else(|| given.values.span()) {
            self.report.error(other, "a login is for a tenant by `value` or by `claim`, not both");
        }
        let anyone = issuer.is_some_and(|(_, url)| is_for_anyone(preset, url));
        if anyone {
            let message =
                "whoever has an account with this provider, at any company, would be of this tenant";
            let help = "say it by the claim: `{ claim: hd, values: { example.com: acme } }`, or, with Entra, by \
                        the issuer of your own directory";
            self.report.error_with_help(at, message, help);
        }
        self.tenant(&given.value, names).map(LoginTenant::Value)
    }

    fn tenant_claim(
        &self,
        given: grammar::LoginTenant,
        default: Option<&str>,
        at: Span,
        names: &Names,
    ) -> Option<LoginTenant> {
        let claim = match (given.claim.is_absent(), default) {
            (true, Some(default)) if !given.values.is_absent() => default.to_owned(),
            (true, _) => {
                self.need(&given.claim, at, "claim", "org_id");
                return None;
            }
            (false, _) => self.text(given.claim)?,
        };
        let values = given.values.with_span().map(|(at, values)| {
            if values.0.is_empty() {
                self.report.error(at, "without a value nobody can log in");
            }
            let tenant = |entry: crate::yaml::Entry<String, Name>| {
                Some((entry.key, self.tenant(&entry.value, names)?))
            };
            values.0.into_iter().filter_map(tenant).collect::<BTreeMap<_, _>>()
        });
        Some(LoginTenant::Claim { claim, values })
    }

    fn tenant(&self, field: &Field<Name>, names: &Names) -> Option<TenantId> {
        let (at, name) = (field.span()?, field.get()?);
        self.refers("tenant", name, at, &names.tenants).then(|| TenantId::from(name.0.as_str()))
    }

    fn local_users(&self, field: Field<Vec<Field<grammar::LocalUser>>>, names: &Names) -> Vec<LocalUser> {
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut users = Vec::new();
        for (at, user) in field.into_value().into_iter().flatten().filter_map(Field::with_span) {
            if let (Some(name), Some(place)) = (user.name.get(), user.name.span()) {
                match seen.get(&name.0) {
                    Some(first) => self.report.add(
                        Finding::error(place, format!("user `{}` is given twice", name.0))
                            .related(*first, "it is first given here"),
                    ),
                    None => _ = seen.insert(name.0.clone(), place),
                }
            }
            users.extend(self.local_user(&user, at, names));
        }
        users
    }

    fn local_user(&self, given: &grammar::LocalUser, at: Span, names: &Names) -> Option<LocalUser> {
        self.need(&given.name, at, "name", "alice");
        self.need(&given.tenant, at, "tenant", "acme");
        let tenant = self.tenant(&given.tenant, names);
        let password = match &given.password {
            Field::Absent => None,
            field => Some(self.secret(field)?),
        };
        let groups = given.groups.get().into_iter().flatten().filter_map(Field::get).cloned().collect();
        Some(LocalUser { name: given.name.get()?.0.clone(), password, tenant: tenant?, groups })
    }
}

/// Whether anybody can get an account with this provider, by its product or by where it is.
fn is_for_anyone(preset: Preset, issuer: &Url) -> bool {
    let (host, path) = (issuer.host_str().unwrap_or_default(), issuer.path().to_ascii_lowercase());
    let is_entra = preset == Preset::Entra || ENTRA_HOSTS.contains(&host);
    preset == Preset::Google
        || host == "accounts.google.com"
        || (is_entra && ENTRA_ANYONE.iter().any(|anyone| path.starts_with(anyone)))
}
