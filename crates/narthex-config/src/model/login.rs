//! How users of the gateway's own authorization server log in.

use super::{Algorithm, OAuthClient, Preset, SecretRef, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use url::Url;

/// `auth.authority.login`. There is a provider or a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// What the pages call the gateway.
    pub title: String,
    /// Identity providers, in their order.
    pub providers: Vec<Provider>,
    /// Development users; only with a loopback listener and `public_url`.
    pub users: Vec<LocalUser>,
    /// How long a browser stays logged in.
    pub session: SessionLife,
    /// The tenants that a login may be for: those of the configuration.
    pub tenants: BTreeSet<TenantId>,
}

/// `session:`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionLife {
    /// Without being used. Default 1 h.
    pub idle: Duration,
    /// From the login on. Default 12 h, at most 30 days.
    pub lifetime: Duration,
}

/// An entry of `providers:`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// Its key: `[a-z0-9_-]{1,64}`, and not `local`.
    pub id: String,
    /// What users are shown.
    pub title: String,
    /// The exact issuer as configured.
    pub issuer: String,
    /// The same as a URL.
    pub url: Url,
    /// The product that it is.
    pub preset: Preset,
    /// The gateway's registration there.
    pub client: OAuthClient,
    /// The scopes asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// What the claims mean.
    pub claims: LoginClaims,
    /// Whether the userinfo endpoint is asked, too.
    pub userinfo: bool,
    /// Signature algorithms accepted of ID tokens; never empty.
    pub algorithms: Vec<Algorithm>,
}

/// `claims:`. A claim within another is written `outer.inner`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginClaims {
    /// The claims that together say who it is; never empty.
    pub subject: Vec<String>,
    /// How the login says which tenant it is for.
    pub tenant: LoginTenant,
    /// The claims that list the user's groups.
    pub groups: Vec<String>,
    /// The claims with the user's name: the first that is there counts.
    pub name: Vec<String>,
}

/// How a login says which tenant it is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LoginTenant {
    /// All users of the provider belong to this tenant.
    Value(TenantId),
    /// This claim says it.
    Claim {
        /// The claim.
        claim: String,
        /// The tenant for each value; `None`: the value is the tenant's name.
        values: Option<BTreeMap<String, TenantId>>,
    },
}

/// An entry of `users:`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalUser {
    /// The name, which is also the subject.
    pub name: String,
    /// The password; `None`: a button suffices.
    pub password: Option<SecretRef>,
    /// The tenant that the user is of.
    pub tenant: TenantId,
    /// The groups that the user is in.
    pub groups: Vec<String>,
}
