//! `auth.authority.login:`, how users log in.

use super::auth::OAuthClient;
use super::quirks::Preset;
use super::reference::Secret;
use super::scalar::{Alg, HumanDuration, Name};
use crate::yaml::{Field, Named};
use schemars::JsonSchema;
use serde::Deserialize;

/// How users log in: at identity providers (OpenID Connect), or, for development, as users named here.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Login {
    /// What the pages call this gateway. Default `Narthex`.
    pub(crate) title: Field<String>,
    /// Where users have their accounts, by an id of `a-z`, `0-9`, `-` and `_`, which `sub` of the tokens
    /// begins with: changing it makes its users others. With several, users choose.
    pub(crate) providers: Field<Named<Name, Provider>>,
    /// Users for development. Loopback listeners only.
    pub(crate) users: Field<Vec<Field<LocalUser>>>,
    /// How long a browser stays logged in.
    pub(crate) session: Field<Session>,
}

/// An identity provider. Its redirect URI for this gateway is `<public_url>/login/callback/<id>`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["client"]))]
pub(crate) struct Provider {
    /// What users are shown. Default: the host of the issuer.
    pub(crate) title: Field<String>,
    /// The exact issuer; everything else is found by OpenID Connect discovery. With `preset: google` there is
    /// a default.
    pub(crate) issuer: Field<String>,
    /// The product that it is, which says the defaults below. Default `generic`.
    pub(crate) preset: Field<Preset>,
    /// The gateway's registration there.
    pub(crate) client: Field<OAuthClient>,
    /// The scopes asked for. Default `[openid, profile, email]`.
    pub(crate) scopes: Field<Vec<Field<super::Scope>>>,
    /// What the claims mean.
    pub(crate) claims: Field<LoginClaims>,
    /// Ask the userinfo endpoint for claims that the ID token does not have. Default: only with
    /// `preset: keycloak`.
    pub(crate) userinfo: Field<bool>,
    /// Signature algorithms accepted of ID tokens. Default `[RS256, ES256, EdDSA]`.
    pub(crate) algorithms: Field<Vec<Field<Alg>>>,
    /// Accept plain `http` for a host that is not loopback.
    pub(crate) insecure: Field<bool>,
}

/// What the claims of a login mean. A claim within another is written `realm_access.roles`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LoginClaims {
    /// The claims that together say who it is, and never change. Default `[sub]`; with `preset: entra`
    /// `[tid, oid]`.
    pub(crate) subject: Field<Vec<Field<String>>>,
    /// How the login says which tenant it is for. Default: with `preset: entra` the claim `tid`, with `google`
    /// `hd`, with `auth0` `org_id`; else it must be given.
    pub(crate) tenant: Field<LoginTenant>,
    /// The claims that list the user's groups. Default `[groups]`; with `preset: keycloak`
    /// `[groups, realm_access.roles]`.
    pub(crate) groups: Field<Vec<Field<String>>>,
    /// The claim with the user's name, for pages only. Default: `name`, `preferred_username`, `email`,
    /// whichever is there.
    pub(crate) name: Field<String>,
}

/// How a login says which tenant it is for: `{ value: acme }` for all, or by a `claim`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LoginTenant {
    /// All users of the provider belong to this tenant.
    pub(crate) value: Field<Name>,
    /// This claim says the tenant.
    pub(crate) claim: Field<String>,
    /// The tenant for each value of the claim. Default: the value is the tenant's name.
    pub(crate) values: Field<Named<String, Name>>,
}

/// How long a browser stays logged in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Session {
    /// Without being used. Default `1h`.
    pub(crate) idle: Field<HumanDuration>,
    /// From the login on, at most `720h`. Default `12h`.
    pub(crate) lifetime: Field<HumanDuration>,
}

/// A user for development.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "tenant"]))]
pub(crate) struct LocalUser {
    /// The name, which is also the subject.
    pub(crate) name: Field<Name>,
    /// The password. Default: none, the user logs in by a button.
    pub(crate) password: Field<Secret>,
    /// The tenant that the user is of.
    pub(crate) tenant: Field<Name>,
    /// The groups that the user is in.
    pub(crate) groups: Field<Vec<Field<String>>>,
}
