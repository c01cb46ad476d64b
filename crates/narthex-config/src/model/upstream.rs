//! Upstream MCP servers and the credentials made for them.

use super::{
    ActorToken, AssertedSubject, Assertion, AuthorizationCode, AwsKeys, AwsSigV4, ClientCredentials,
    ClientTls, IdJag, JwtBearer, OAuthClient, OAuthClientAuth, OnBehalfOf, PinMode, Protocol, SecretRef,
    Stdio, SubjectToken, TokenExchange,
};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// One MCP server behind the gateway.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream {
    /// `url:`, `urls:` or `command:` how it is reached.
    pub transport: Transport,
    /// `credential:` what the gateway presents to it.
    pub credential: Credential,
    /// `timeout:` from sending a request to the first byte of its answer. Default 60 s.
    pub timeout: Duration,
    /// `connect_timeout:` TCP and TLS together. Default 5 s.
    pub connect_timeout: Duration,
    /// `stream_idle_timeout:` silence on an answer's stream before it is given up. Default 5 min.
    pub stream_idle_timeout: Duration,
    /// `keepalive:` how long an idle pooled connection is kept. Default 4 s (Node.js closes at 5 s).
    pub keepalive: Duration,
    /// `http:` protocol version(s) spoken to it. Default: `h2` by ALPN over TLS, else HTTP/1.1.
    pub http: HttpVersion,
    /// `protocol:` which revisions of MCP it speaks. Default: found out.
    pub protocol: Protocol,
    /// `pins:` what is trusted of its tools. Default: `pins.mode`.
    pub pins: PinMode,
    /// `ca:` PEM file of the authorities its certificate must chain to, instead of the system's.
    pub ca: Option<PathBuf>,
    /// `tls:` the certificate that it is shown, if it wants one.
    pub tls: Option<ClientTls>,
    /// `max_concurrent:` requests in flight at one time. Default 1024. Over it: 503.
    pub max_concurrent: NonZeroU32,
    /// `breaker:` when to stop asking a failing server.
    pub breaker: Breaker,
    /// `health:` how its endpoints are looked after, if there are several.
    pub health: Health,
    /// `catalogue:` how its lists of tools, prompts and resources are kept on merged routes.
    pub catalogue: CatalogueLimits,
    /// `allow_link_local: true`: link-local and metadata-service addresses are accepted.
    pub allow_link_local: bool,
    /// `insecure: true`: plain `http` to a host that is not loopback is accepted.
    pub insecure: bool,
}

/// How a server is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Streamable HTTP (or HTTP+SSE, see [`Protocol`]), at one endpoint or several that are alike.
    Http(Endpoints),
    /// The standard input and output of a child process.
    Stdio(Stdio),
}

/// The endpoints of one server, of which there is at least one. Each has a host; `http` only for loopback
/// hosts or `insecure`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoints {
    /// `url:`, or the first of `urls:`.
    pub first: Url,
    /// The others of `urls:`.
    pub others: Vec<Url>,
}

impl Endpoints {
    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Url> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl From<Url> for Endpoints {
    fn from(first: Url) -> Self {
        Self { first, others: Vec::new() }
    }
}

impl Transport {
    /// The endpoints, unless it is stdio.
    #[must_use]
    pub fn endpoints(&self) -> Option<&Endpoints> {
        match self {
            Self::Http(endpoints) => Some(endpoints),
            Self::Stdio(_) => None,
        }
    }

    /// The child process, if it is stdio.
    #[must_use]
    pub fn stdio(&self) -> Option<&Stdio> {
        match self {
            Self::Http(_) => None,
            Self::Stdio(stdio) => Some(stdio),
        }
    }
}

/// `catalogue:` of an upstream: what is kept of its lists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CatalogueLimits {
    /// `ttl:` how long a list is used that does not say so itself. Default 60 s.
    pub ttl: Duration,
    /// `timeout:` how long a client's list waits for this server's part of it. Default 5 s.
    pub timeout: Duration,
    /// `items:` most items of one list. Default 10,000.
    pub items: usize,
    /// `bytes:` most bytes of one list. Default 16 MiB.
    pub bytes: usize,
}

impl Default for CatalogueLimits {
    /// What holds where `catalogue:` says nothing.
    fn default() -> Self {
        Self { ttl: Duration::from_secs(60), timeout: Duration::from_secs(5), items: 10_000, bytes: 16 << 20 }
    }
}

/// `health:` of an upstream with several endpoints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// `interval:` between two checks of one endpoint. Default 10 s.
    pub interval: Duration,
    /// `timeout:` how long a check waits for its answer. Default 2 s.
    pub timeout: Duration,
}

impl Default for Health {
    /// What holds where `health:` says nothing.
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(2) }
    }
}

/// HTTP versions spoken to an upstream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HttpVersion {
    /// HTTP/2 where TLS ALPN offers it, otherwise HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    H1,
    /// HTTP/2 only; over plain TCP with prior knowledge.
    H2,
}

/// When an upstream is taken for down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Breaker {
    /// Failures in a row (no answer, 502, 503, 504) that open it. Default 5.
    pub failures: NonZeroU32,
    /// How long it stays open before one probe call is let through. Default 10 s.
    pub cooldown: Duration,
}

/// How the gateway authenticates to one upstream. The caller's own token is never among them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Credential {
    /// Nothing is presented.
    None,
    /// A fixed header.
    Header {
        /// Header name, lower case; never one that the gateway itself controls.
        name: String,
        /// Its whole value.
        value: SecretRef,
    },
    /// HTTP Basic (RFC 7617).
    Basic {
        /// User name, without `:`.
        username: String,
        /// Password.
        password: SecretRef,
    },
    /// RFC 6749 §4.4: one token for the gateway itself.
    ClientCredentials(ClientCredentials),
    /// RFC 8693: a token for this caller, exchanged for the caller's own.
    TokenExchange(TokenExchange),
    /// RFC 6749 §4.1: a token that the caller consented to at the upstream's own authorization server.
    AuthorizationCode(Box<AuthorizationCode>),
    /// A token for this caller, for what its identity provider asserts.
    IdJag(IdJag),
    /// A token for this caller, on-behalf-of at Microsoft Entra ID.
    OnBehalfOf(OnBehalfOf),
    /// RFC 7523: a token for what the gateway asserts.
    JwtBearer(JwtBearer),
    /// What the gateway asserts of this caller, for the upstream itself.
    Assertion(Assertion),
    /// AWS Signature Version 4 over each request.
    AwsSigV4(AwsSigV4),
    /// `env:` environment variables of a child process, by name; with `command:` only.
    Env(BTreeMap<String, SecretRef>),
}

/// How many lines a secret may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lines {
    /// One: it goes into a header or form.
    One,
    /// Several, such as a PEM key.
    Several,
}

impl Credential {
    /// Every secret that it refers to, and how many lines that may have.
    #[must_use]
    pub fn secrets(&self) -> Vec<(&SecretRef, Lines)> {
        match self {
            Self::None | Self::Assertion(_) => Vec::new(),
            Self::Header { value: secret, .. } | Self::Basic { password: secret, .. } => {
                vec![(secret, Lines::One)]
            }
            Self::ClientCredentials(ClientCredentials { client, .. })
            | Self::OnBehalfOf(OnBehalfOf { client, .. }) => client.secret().into_iter().collect(),
            Self::TokenExchange(exchange) => {
                let actor = exchange.actor.as_ref().and_then(|actor| match &actor.token {
                    ActorToken::Token(secret) => Some((secret, Lines::One)),
                    ActorToken::ClientCredentials(_) | ActorToken::Assertion(_) => None,
                });
                exchange.client.secret().into_iter().chain(actor).collect()
            }
            Self::IdJag(id_jag) => {
                id_jag.identity_client.secret().into_iter().chain(id_jag.client.secret()).collect()
            }
            Self::AuthorizationCode(consent) => {
                consent.client.as_ref().and_then(OAuthClient::secret).into_iter().collect()
            }
            Self::JwtBearer(bearer) => {
                let client = bearer.client.as_ref().and_then(OAuthClient::secret);
                client.into_iter().chain([(&bearer.key, Lines::Several)]).collect()
            }
            Self::AwsSigV4(AwsSigV4 { keys, .. }) => match keys {
                AwsKeys::Given { id, secret, session_token } => {
                    [id, secret].into_iter().chain(session_token).map(|key| (key, Lines::One)).collect()
                }
                AwsKeys::WebIdentity { token, .. } => vec![(token, Lines::One)],
            },
            Self::Env(variables) => variables.values().map(|variable| (variable, Lines::Several)).collect(),
        }
    }

    /// The registrations that it authenticates with.
    #[must_use]
    pub fn clients(&self) -> Vec<&OAuthClient> {
        match self {
            Self::ClientCredentials(ClientCredentials { client, .. })
            | Self::TokenExchange(TokenExchange { client, .. })
            | Self::OnBehalfOf(OnBehalfOf { client, .. }) => vec![client],
            Self::IdJag(id_jag) => vec![&id_jag.identity_client, &id_jag.client],
            Self::JwtBearer(bearer) => bearer.client.iter().collect(),
            Self::AuthorizationCode(consent) => consent.client.iter().collect(),
            Self::None
            | Self::Header { .. }
            | Self::Basic { .. }
            | Self::Assertion(_)
            | Self::AwsSigV4(_)
            | Self::Env(_) => Vec::new(),
        }
    }

    /// Whether the gateway signs something with keys of its own.
    #[must_use]
    pub fn wants_signing_keys(&self) -> bool {
        match self {
            Self::Assertion(_) => true,
            Self::TokenExchange(exchange) => {
                exchange.actor.as_ref().is_some_and(|actor| matches!(actor.token, ActorToken::Assertion(_)))
            }
            _ => false,
        }
    }

    /// Whether it is made of the ID token of the caller's login.
    #[must_use]
    pub fn wants_id_token(&self) -> bool {
        matches!(self, Self::IdJag(grant) if grant.subject == SubjectToken::IdToken)
    }

    /// Whether calls need the caller's own token: not to be used on `auth: none` routes.
    #[must_use]
    pub fn needs_subject_token(&self) -> bool {
        match self {
            Self::TokenExchange(_) | Self::IdJag(_) | Self::OnBehalfOf(_) => true,
            Self::JwtBearer(bearer) => !matches!(bearer.subject, AssertedSubject::Value(_)),
            _ => false,
        }
    }
}

impl OAuthClient {
    /// The secret that it refers to, and how many lines that may have.
    #[must_use]
    pub fn secret(&self) -> Option<(&SecretRef, Lines)> {
        match &self.auth {
            OAuthClientAuth::Basic(secret) | OAuthClientAuth::Post(secret) => Some((secret, Lines::One)),
            OAuthClientAuth::PrivateKeyJwt { key, .. } | OAuthClientAuth::Tls { key, .. } => {
                Some((key, Lines::Several))
            }
            OAuthClientAuth::None => None,
        }
    }
}
