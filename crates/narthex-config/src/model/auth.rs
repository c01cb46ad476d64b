//! Token issuers.

use super::{Authority, Dpop, ScopeName, SecretRef, TenantId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Who may issue tokens to callers, and how what they say is read.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// `auth.embedded: development`: the gateway issues development tokens itself. Only accepted
    /// when `server.listen` is a loopback address.
    pub embedded_development: bool,
    /// `auth.authority`: the gateway's own authorization server.
    pub authority: Option<Authority>,
    /// `auth.issuers`.
    pub issuers: Vec<Issuer>,
    /// `auth.scope_hierarchy`: a scope and the scopes that holding it includes. Transitive; checked
    /// to be free of cycles.
    pub scope_hierarchy: BTreeMap<ScopeName, Vec<ScopeName>>,
    /// `auth.leeway`: clock difference accepted for `exp` and `nbf`. Default 30 s, at most 5 min.
    pub leeway: Duration,
    /// `auth.token_cache`: most verified tokens kept in memory. Default 100,000.
    pub token_cache: usize,
    /// `auth.dpop`: how proofs of possession are judged.
    pub dpop: Dpop,
}

/// One trusted token issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The exact `iss` value; also where discovery starts.
    pub issuer: String,
    /// Where the signing keys are.
    pub keys: KeySource,
    /// Signature algorithms accepted from this issuer; never empty, never `none` or an HMAC.
    pub algorithms: Vec<Algorithm>,
    /// How a token of this issuer says which tenant it is for.
    pub tenant: TenantRule,
    /// How to ask about opaque tokens (RFC 7662); `None`: only JWTs are accepted.
    pub introspection: Option<Introspection>,
    /// `insecure: true`: plain `http` to a host that is not loopback is accepted.
    pub insecure: bool,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// RFC 8414 metadata of the issuer, then OpenID Connect discovery; then its `jwks_uri`.
    Discovery,
    /// `jwks_uri:` given in the configuration.
    Uri(Url),
    /// `jwks: {file: …}`.
    File(PathBuf),
    /// A JWK set (JSON) handed over in memory: the embedded development issuer's.
    Inline(String),
    /// Handed over in memory once the gateway runs, and whenever they change: those of its own authority.
    Own,
}

/// JWS signature algorithms (RFC 7518 §3.1, RFC 8037) that an issuer may be allowed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names are the registered `alg` values")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// How a token says which tenant its caller belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TenantRule {
    /// The value of this claim (a string), which must name a configured tenant.
    Claim(String),
    /// All of the issuer's callers belong to this tenant.
    Value(TenantId),
}

/// An RFC 7662 introspection endpoint.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// The endpoint.
    pub url: Url,
    /// How the gateway authenticates to it.
    pub client: OAuthClient,
    /// Longest time that an answer is cached. Default 60 s.
    pub cache: Duration,
}

/// The gateway's own registration at an authorization server.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct OAuthClient {
    /// `client_id`.
    pub id: String,
    /// How it authenticates at the token endpoint.
    pub auth: OAuthClientAuth,
}

/// Client authentication at a token or introspection endpoint (RFC 6749 §2.3, RFC 7523 §2.2).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum OAuthClientAuth {
    /// `client_secret_basic`, the default with `secret:`.
    Basic(SecretRef),
    /// `client_secret_post`.
    Post(SecretRef),
    /// `private_key_jwt`: a PEM key, its algorithm and key id.
    PrivateKeyJwt {
        /// PEM private key (PKCS#8).
        key: SecretRef,
        /// Signature algorithm of the assertion.
        algorithm: Algorithm,
        /// `kid` header of the assertion, if any.
        key_id: Option<String>,
    },
    /// `tls_client_auth` (RFC 8705 §2.1): the certificate of the connection.
    Tls {
        /// PEM file of the certificate chain.
        certificate: PathBuf,
        /// PEM private key.
        key: SecretRef,
    },
    /// A public client: only `client_id` is sent.
    None,
}
