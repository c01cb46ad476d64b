//! Credentials that are made for the caller: exchanged, asserted or signed.

use super::{Algorithm, OAuthClient, ScopeName, SecretRef};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// What a token is to be good for.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Wanted {
    /// `scope`.
    pub scopes: Vec<ScopeName>,
    /// `resource` (RFC 8707).
    pub resource: Vec<String>,
    /// `audience` (RFC 8693 §2.1).
    pub audience: Vec<String>,
}

/// RFC 6749 §4.4: one token for the gateway itself.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClientCredentials {
    /// Token endpoint; `None`: it is discovered from the upstream.
    pub token_url: Option<Url>,
    /// Issuer of the authorization server, if it is named.
    pub issuer: Option<String>,
    /// The gateway's registration there.
    pub client: OAuthClient,
    /// What the token is to be good for.
    pub wanted: Wanted,
}

/// RFC 8693 token exchange.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TokenExchange {
    /// Token endpoint.
    pub token_url: Url,
    /// The gateway's registration there.
    pub client: OAuthClient,
    /// What the token is to be good for.
    pub wanted: Wanted,
    /// `subject_token_type`. Default `urn:ietf:params:oauth:token-type:access_token`.
    pub subject_token_type: String,
    /// `requested_token_type`, if any.
    pub requested_token_type: Option<String>,
    /// The gateway's own token, for delegation (RFC 8693 §1.1).
    pub actor: Option<Actor>,
}

/// `actor_token` of an exchange.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Actor {
    /// Where it comes from.
    pub token: ActorToken,
    /// `actor_token_type`.
    pub token_type: String,
}

/// Where the gateway's own token comes from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ActorToken {
    /// From the same token endpoint, by the client credentials grant.
    ClientCredentials(Wanted),
    /// Signed by the gateway for this audience; `None`: for the token endpoint.
    Assertion(Option<String>),
    /// Kept somewhere.
    Token(SecretRef),
}

/// An Identity Assertion Authorization Grant, obtained at the caller's identity provider and taken to the
/// upstream's authorization server (draft-ietf-oauth-identity-assertion-authz-grant).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct IdJag {
    /// Where the identity provider's token endpoint is.
    pub identity_provider: IdentityProvider,
    /// The gateway's registration at the identity provider.
    pub identity_client: OAuthClient,
    /// Issuer of the upstream's authorization server; `None`: it is discovered from the upstream.
    pub issuer: Option<String>,
    /// Its token endpoint; `None`: its metadata says where.
    pub token_url: Option<Url>,
    /// The gateway's registration there.
    pub client: OAuthClient,
    /// What is exchanged for the assertion.
    pub subject: SubjectToken,
    /// `resource` of the wanted token; `None`: what the upstream says it is, or its URL.
    pub resource: Option<String>,
    /// `scope` of the wanted token.
    pub scopes: Vec<ScopeName>,
}

/// Where an identity provider's token endpoint is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum IdentityProvider {
    /// Here.
    TokenUrl(Url),
    /// Where the metadata of this issuer says.
    Issuer(String),
}

/// What stands for the caller at the identity provider.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SubjectToken {
    /// The ID token of the caller's login.
    IdToken,
    /// The token that the caller came with.
    AccessToken,
}

/// The on-behalf-of flow of Microsoft Entra ID.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct OnBehalfOf {
    /// Token endpoint.
    pub token_url: Url,
    /// The gateway's registration there.
    pub client: OAuthClient,
    /// `scope` of the wanted token; never empty.
    pub scopes: Vec<ScopeName>,
}

/// RFC 7523 §2.1: a JWT signed by the gateway, for an access token.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct JwtBearer {
    /// Token endpoint.
    pub token_url: Url,
    /// `iss`.
    pub issuer: String,
    /// PEM private key (PKCS#8).
    pub key: SecretRef,
    /// Signature algorithm.
    pub algorithm: Algorithm,
    /// `kid`, if any.
    pub key_id: Option<String>,
    /// `sub`.
    pub subject: AssertedSubject,
    /// `aud`; `None`: the token endpoint.
    pub audience: Option<String>,
    /// Scopes of the wanted token.
    pub scopes: Vec<ScopeName>,
    /// Whether the scopes are a claim of the JWT, instead of a parameter.
    pub scopes_in_assertion: bool,
    /// How long the JWT is good for. Default 60 s, at most an hour.
    pub lifetime: Duration,
    /// The gateway's registration, if there is one.
    pub client: Option<OAuthClient>,
}

/// `sub` of a JWT.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum AssertedSubject {
    /// The caller's subject.
    Caller,
    /// A claim of the caller's token.
    Claim(String),
    /// The same for all callers.
    Value(String),
}

/// A JWT signed by the gateway for the upstream itself.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Assertion {
    /// `aud`. Default: the upstream's URL.
    pub audience: String,
    /// How long it is good for. Default 60 s, at most 5 min.
    pub lifetime: Duration,
    /// The header that carries it, lower case; `None`: `Authorization: Bearer`.
    pub header: Option<String>,
    /// Signature algorithm.
    pub algorithm: AssertionAlgorithm,
    /// Whether each request gets one of its own, with the request's id.
    pub per_request: bool,
}

/// What the gateway's own keys sign with.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum AssertionAlgorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    #[default]
    Es256,
    /// Ed25519 (RFC 8037).
    EdDsa,
}

/// AWS Signature Version 4.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct AwsSigV4 {
    /// Region.
    pub region: String,
    /// Service, as signatures name it.
    pub service: String,
    /// What it is signed with.
    pub keys: AwsKeys,
}

/// Keys of AWS.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum AwsKeys {
    /// Given ones.
    Given {
        /// Access key id.
        id: SecretRef,
        /// Its secret.
        secret: SecretRef,
        /// Session token of temporary ones.
        session_token: Option<SecretRef>,
    },
    /// Temporary ones, for a token of this workload.
    WebIdentity {
        /// ARN of the role.
        role: String,
        /// The workload's token.
        token: SecretRef,
        /// `RoleSessionName`.
        session: String,
        /// Endpoint of STS.
        sts_url: Url,
    },
}

/// The certificate that the gateway shows to a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientTls {
    /// PEM file of the certificate chain.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}
