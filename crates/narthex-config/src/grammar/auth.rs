//! `auth:` and the OAuth client that the gateway is elsewhere.

use super::Dpop;
use super::authority::Authority;
use super::reference::{ClientMethod, FileRef, Secret};
use super::scalar::{Alg, HttpUrl, HumanDuration, Name, Scope};
use crate::yaml::{Field, Named};
use schemars::JsonSchema;
use serde::Deserialize;

/// Who may issue tokens to callers, and how what they say is read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// `development`: the gateway issues tokens itself (`narthex token`). Loopback listeners only.
    pub(crate) embedded: Field<Embedded>,
    /// The gateway's own authorization server: users log in, clients get tokens.
    pub(crate) authority: Field<Authority>,
    /// Trusted authorization servers.
    pub(crate) issuers: Field<Vec<Field<Issuer>>>,
    /// Scopes that holding another scope includes: `mcp:write: [mcp:read]`. Transitive.
    pub(crate) scope_hierarchy: Field<Named<Scope, Vec<Field<Scope>>>>,
    /// Clock difference accepted for `exp` and `nbf`, at most `5m`. Default `30s`.
    pub(crate) leeway: Field<HumanDuration>,
    /// Most verified tokens kept in memory. Default 100000.
    pub(crate) token_cache: Field<super::Count>,
    /// How proofs of possession (DPoP) are judged.
    pub(crate) dpop: Field<Dpop>,
}

/// An authorization server inside the gateway.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Embedded {
    /// Issues development tokens to whoever can run `narthex token` on this machine.
    Development,
}

/// One trusted authorization server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["issuer", "tenant"]))]
pub(crate) struct Issuer {
    /// The exact `iss` value. Its keys are found by RFC 8414 metadata, then OpenID Connect discovery,
    /// unless `jwks_uri` or `jwks` says where they are.
    pub(crate) issuer: Field<String>,
    /// URL of the issuer's keys.
    pub(crate) jwks_uri: Field<HttpUrl>,
    /// File with the issuer's keys (a JWK set).
    pub(crate) jwks: Field<FileRef>,
    /// Signature algorithms accepted. Default `[RS256, ES256, EdDSA]`.
    pub(crate) algorithms: Field<Vec<Field<Alg>>>,
    /// How a token says which tenant it is for.
    pub(crate) tenant: Field<TenantRule>,
    /// Accept opaque tokens, too, and ask this endpoint about them (RFC 7662).
    pub(crate) introspection: Field<Introspection>,
    /// Accept plain `http` for a host that is not loopback.
    pub(crate) insecure: Field<bool>,
}

/// How a token says which tenant its caller belongs to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TenantRule {
    /// The value of this claim names the tenant.
    Claim(String),
    /// All callers of the issuer belong to this tenant.
    Value(Name),
}

/// A token introspection endpoint (RFC 7662).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url", "client"]))]
pub(crate) struct Introspection {
    /// The endpoint.
    pub(crate) url: Field<HttpUrl>,
    /// How the gateway authenticates to it.
    pub(crate) client: Field<OAuthClient>,
    /// Longest time that an answer is cached. Default `60s`.
    pub(crate) cache: Field<HumanDuration>,
}

/// The gateway's registration at an authorization server. With `secret` it authenticates by
/// `client_secret_basic` (or as `method` says), with `private_key` by `private_key_jwt`, with `certificate` and
/// `private_key` by `tls_client_auth` (RFC 8705), with none of them it is a public client.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id"]))]
pub(crate) struct OAuthClient {
    /// The client id.
    pub(crate) id: Field<String>,
    /// The client secret.
    pub(crate) secret: Field<Secret>,
    /// How the secret is sent. Default `basic`.
    pub(crate) method: Field<ClientMethod>,
    /// PEM private key (PKCS#8) that signs the assertions of `private_key_jwt`, or that of `certificate`.
    pub(crate) private_key: Field<Secret>,
    /// PEM file of the certificate that is shown to the token endpoint.
    pub(crate) certificate: Field<FileRef>,
    /// Signature algorithm of the assertions.
    pub(crate) algorithm: Field<Alg>,
    /// `kid` of the assertions.
    pub(crate) key_id: Field<String>,
}
