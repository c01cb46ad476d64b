//! `auth.authority:`, the authorization server inside the gateway.

use super::auth::TenantRule;
use super::login::Login;
use super::reference::{FileRef, Secret};
use super::scalar::{Alg, Count, HttpUrl, HumanDuration, Name, Requests, Scope};
use crate::yaml::{Field, Named};
use schemars::JsonSchema;
use serde::Deserialize;

/// The gateway's own OAuth 2.1 authorization server. Its issuer is `server.public_url`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Authority {
    /// How long an access token is good, `5m` to `15m`. Default `10m`.
    pub(crate) access_token_lifetime: Field<HumanDuration>,
    /// How long refresh tokens are good.
    pub(crate) refresh_token: Field<RefreshTokens>,
    /// Signature algorithm of access tokens: `ES256` or `EdDSA`. Default `ES256`.
    pub(crate) algorithm: Field<Alg>,
    /// How long one key signs, at least `1h`. The next is published well before. Default `720h`.
    pub(crate) key_rotation: Field<HumanDuration>,
    /// Clients that are known beforehand, by client id.
    pub(crate) clients: Field<Named<Name, RegisteredClient>>,
    /// Accept clients whose id is the URL of a document about them (Client ID Metadata Documents).
    /// Default: none.
    pub(crate) metadata_documents: Field<MetadataDocuments>,
    /// Let clients register themselves (RFC 7591). Default: no.
    pub(crate) dynamic_registration: Field<DynamicRegistration>,
    /// Identity providers whose assertions (ID-JAG) are exchanged for access tokens, by the name of the
    /// provider.
    pub(crate) assertions: Field<Named<Name, AssertionIssuer>>,
    /// Which scopes users may be granted: all that any entry which fits them names. Default: none.
    pub(crate) grants: Field<Vec<Field<ScopeGrant>>>,
    /// What scopes let somebody do, in the words of the page of consent: `mcp:write: Change orders`. The
    /// common ones have words already.
    pub(crate) scopes: Field<Named<Scope, String>>,
    /// How users log in.
    pub(crate) login: Field<Login>,
}

/// How long refresh tokens are good.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RefreshTokens {
    /// From the login on, whatever is used meanwhile. Default `720h`.
    pub(crate) lifetime: Field<HumanDuration>,
    /// Without being used. Default `168h`.
    pub(crate) idle: Field<HumanDuration>,
}

/// A client that is known beforehand. With `secret` it authenticates by `client_secret_basic` or
/// `client_secret_post`, with `jwks` or `jwks_uri` by `private_key_jwt`, with none of them it is a public
/// client.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RegisteredClient {
    /// What users are shown. Default: the client id.
    pub(crate) name: Field<String>,
    /// Where users may be sent back to, compared exactly (but for the port of a loopback address).
    pub(crate) redirect_uris: Field<Vec<Field<String>>>,
    /// The client secret.
    pub(crate) secret: Field<Secret>,
    /// File with the client's public keys (a JWK set).
    pub(crate) jwks: Field<FileRef>,
    /// URL of the client's public keys.
    pub(crate) jwks_uri: Field<HttpUrl>,
    /// Most that it may be granted. Default: whatever the user may be.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// May exchange assertions of `assertions` for tokens. It must authenticate then.
    pub(crate) assertions: Field<bool>,
    /// May ask about tokens (RFC 7662). It must authenticate then.
    pub(crate) introspection: Field<bool>,
}

/// Which metadata documents are fetched.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["allow"]))]
pub(crate) struct MetadataDocuments {
    /// Hosts that clients' documents may be at: `claude.ai`, `*.example.com` for all below it, or `*`.
    pub(crate) allow: Field<Vec<Field<String>>>,
    /// For development: documents may also be at loopback addresses, by plain `http`. Only with a
    /// `public_url` that is loopback itself.
    pub(crate) allow_loopback: Field<bool>,
}

/// What clients may register.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DynamicRegistration {
    /// Hosts of redirect URIs, besides loopback ones: `claude.ai`, `*.example.com`, or `*`. Default: none.
    pub(crate) redirect_hosts: Field<Vec<Field<String>>>,
    /// Schemes without a dot that redirect URIs may have, as some programs claim them: `cursor`. Default: none.
    pub(crate) redirect_schemes: Field<Vec<Field<String>>>,
    /// Who registers must present this token.
    pub(crate) initial_access_token: Field<Secret>,
    /// Registrations from one address. Default `20/1h`.
    pub(crate) rate: Field<Requests>,
    /// Most clients at one time, at most 10000. Default 1000.
    pub(crate) most: Field<Count>,
    /// A client that is not used for so long is forgotten. Default `720h`.
    pub(crate) unused: Field<HumanDuration>,
}

/// An identity provider whose assertions are exchanged for tokens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["issuer", "tenant"]))]
pub(crate) struct AssertionIssuer {
    /// The exact `iss` value. Its keys are found by its metadata, unless `jwks_uri` or `jwks` says where
    /// they are.
    pub(crate) issuer: Field<String>,
    /// URL of the issuer's keys.
    pub(crate) jwks_uri: Field<HttpUrl>,
    /// File with the issuer's keys (a JWK set).
    pub(crate) jwks: Field<FileRef>,
    /// Signature algorithms accepted. Default `[RS256, ES256, EdDSA]`.
    pub(crate) algorithms: Field<Vec<Field<Alg>>>,
    /// How an assertion says which tenant its user belongs to.
    pub(crate) tenant: Field<TenantRule>,
    /// The claim that lists the user's groups.
    pub(crate) groups: Field<String>,
    /// Clients that may present them. Default: all that have `assertions: true`.
    pub(crate) clients: Field<Vec<Field<Name>>>,
    /// Accept plain `http` for a host that is not loopback.
    pub(crate) insecure: Field<bool>,
}

/// Scopes for the users that it fits.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["scopes"]))]
pub(crate) struct ScopeGrant {
    /// Users of these tenants. Default: of all.
    pub(crate) tenants: Field<Vec<Field<Name>>>,
    /// Users that are in any of these groups. Default: all.
    pub(crate) groups: Field<Vec<Field<String>>>,
    /// The scopes that they may be granted.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
}
