//! The keys of `gateway.yaml`, one type for each mapping. The docstrings are the descriptions in the
//! JSON Schema, which editors show; so they speak to operators.

mod auth;
mod authority;
mod consent;
mod dpop;
mod exchange;
mod expose;
mod inspect;
mod login;
mod pins;
mod policy;
mod protocol;
mod quirks;
mod reference;
mod scalar;
mod secrets;
mod server;
mod stdio;
mod store;
mod upstream;
mod vault_ref;

pub(crate) use auth::{Auth, Introspection, Issuer, OAuthClient, TenantRule};
pub(crate) use authority::{
    AssertionIssuer, Authority, DynamicRegistration, MetadataDocuments, RefreshTokens, RegisteredClient,
    ScopeGrant,
};
pub(crate) use consent::{AuthorizationCode, Registration, ResourceParameter};
pub(crate) use dpop::{ClientAuth, Dpop, DpopNonce, RouteAuth, SenderConstrained};
pub(crate) use exchange::{
    Actor, AssertedSubject, Assertion, AssertionAlgorithm, AssertionPer, AwsSigV4, ClientCredentials,
    ClientTls, IdJag, IdentityProvider, JwtBearer, OnBehalfOf, ScopesIn, Subject, Texts, TokenExchange,
    WebIdentity,
};
pub(crate) use expose::{Expose, Names, Prefix, Selection, Shown};
pub(crate) use inspect::{Handling, HiddenText, Inspect, Instructions, Pattern};
pub(crate) use login::{LocalUser, Login, LoginClaims, LoginTenant, Provider, Session};
pub(crate) use pins::Pins;
pub(crate) use policy::{Limits, Route, Tenant, ToolRule};
pub(crate) use protocol::{Protocol, Revision};
pub(crate) use quirks::Preset;
pub(crate) use reference::{ClientMethod, FileRef, Secret};
pub(crate) use scalar::{Alg, Count, HttpUrl, HumanDuration, Name, Scope, Size, Variable};
pub(crate) use secrets::{Secrets, Vault, VaultAuth};
pub(crate) use server::{Admin, HttpLimits, Server, Tls};
pub(crate) use stdio::{Instances, ProcessLimits, Restart};
pub(crate) use store::{RedisStore, Store};
pub(crate) use upstream::{Basic, Breaker, Catalogue, Credential, Header, Health, Upstream};
pub(crate) use vault_ref::{VaultRef, problem_of_path};

use crate::yaml::{Field, Named};
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of the Narthex gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["server"]))]
pub(crate) struct Gateway {
    /// The public listener, where MCP clients connect.
    pub(crate) server: Field<Server>,
    /// The admin listener: metrics, health.
    pub(crate) admin: Field<Admin>,
    /// Where secrets are read from, beside files and the environment.
    pub(crate) secrets: Field<Secrets>,
    /// Who may issue tokens to callers.
    pub(crate) auth: Field<Auth>,
    /// The tenants, by name. A caller of any other tenant is refused.
    pub(crate) tenants: Field<Named<Name, Tenant>>,
    /// Which definitions of tools are trusted. Default: all.
    pub(crate) pins: Field<Pins>,
    /// Where what must outlive a request is kept. Default: a file in `server.state_dir`.
    pub(crate) store: Field<Store>,
    /// The MCP servers behind the gateway, by name.
    pub(crate) upstreams: Field<Named<Name, Upstream>>,
    /// The MCP endpoints that clients connect to, by name.
    pub(crate) routes: Field<Named<Name, Route>>,
}
