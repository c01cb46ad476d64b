//! The validated configuration: what the rest of the gateway is built from.
//!
//! Nothing here knows YAML. Every value has been parsed into a type that cannot hold a bad one,
//! every name that refers to something has been checked to refer to something, and every default
//! has been filled in. Secrets are still references ([`SecretRef`]); `narthex-credentials` reads them.

mod auth;
mod authority;
mod consent;
mod dpop;
mod exchange;
mod expose;
mod id;
mod inspect;
mod login;
mod pins;
mod policy;
mod protocol;
mod quirks;
mod route;
mod secret;
mod server;
mod stdio;
mod store;
mod upstream;

pub use auth::{Algorithm, Auth, Introspection, Issuer, KeySource, OAuthClient, OAuthClientAuth, TenantRule};
pub use authority::{
    AssertionIssuer, Authority, DynamicRegistration, HostPattern, MetadataDocuments, RefreshTokens,
    RegisteredAuth, RegisteredClient, ScopeGrant,
};
pub use consent::{AuthorizationCode, ResourceParameter};
pub use dpop::{ClientAuth, Dpop, SenderConstrained};
pub use exchange::{
    Actor, ActorToken, AssertedSubject, Assertion, AssertionAlgorithm, AwsKeys, AwsSigV4, ClientCredentials,
    ClientTls, IdJag, IdentityProvider, JwtBearer, OnBehalfOf, SubjectToken, TokenExchange, Wanted,
};
pub use expose::{Expose, Merged, Names, Selection, Shown, Target};
pub use id::{RouteId, ScopeName, TenantId, UpstreamId};
pub use inspect::Inspect;
pub use login::{LocalUser, Login, LoginClaims, LoginTenant, Provider, SessionLife};
pub use pins::{PinMode, Pins};
pub use policy::{Limits, Per, Rate, Tenant, ToolPattern, ToolRule};
pub use protocol::{LegacyRevision, Protocol};
pub use quirks::{Asked, OfflineAs, Preset, Quirks, ResourceAs};
pub use route::{Route, RouteAuth};
pub use secret::{SecretRef, SecretStores, Vault, VaultAuth, VaultRef};
pub use server::{Admin, HttpLimits, PublicUrl, Server, Tls};
pub use stdio::{Instances, ProcessLimits, Restart, Stdio};
pub use store::{RedisHome, Store, StoreCapacity, StoreHome};
pub use upstream::{
    Breaker, CatalogueLimits, Credential, Endpoints, Health, HttpVersion, Lines, Transport, Upstream,
};

use std::collections::BTreeMap;

/// One whole, checked `gateway.yaml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public listener.
    pub server: Server,
    /// The admin listener.
    pub admin: Admin,
    /// The vault, and what is read from it.
    pub secrets: SecretStores,
    /// Who may issue tokens to callers.
    pub auth: Auth,
    /// The tenants that exist; a caller of any other tenant is refused.
    pub tenants: BTreeMap<TenantId, Tenant>,
    /// Which definitions of tools are trusted.
    pub pins: Pins,
    /// Where what must outlive a request is kept.
    pub store: Store,
    /// The MCP servers behind the gateway.
    pub upstreams: BTreeMap<UpstreamId, Upstream>,
    /// The paths that clients connect to.
    pub routes: BTreeMap<RouteId, Route>,
}

impl Config {
    /// Whether any upstream's credential is made of the ID token of the caller's login.
    #[must_use]
    pub fn wants_id_tokens(&self) -> bool {
        self.upstreams.values().any(|upstream| upstream.credential.wants_id_token())
    }
}
