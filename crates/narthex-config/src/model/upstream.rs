//! Upstream MCP servers and the credentials made for them.

use super::{AuthorizationCode, OAuthClient, PinMode, Protocol, ScopeName, SecretRef, Stdio};
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
    ClientCredentials {
        /// Token endpoint.
        token_url: Url,
        /// The gateway's registration there.
        client: OAuthClient,
        /// `scope`.
        scopes: Vec<ScopeName>,
        /// `resource` (RFC 8707).
        resource: Option<String>,
        /// `audience`, for servers that want it.
        audience: Option<String>,
    },
    /// RFC 8693: a token for this caller, exchanged for the caller's own.
    TokenExchange(TokenExchange),
    /// RFC 6749 §4.1: a token that the caller consented to at the upstream's own authorization server.
    AuthorizationCode(Box<AuthorizationCode>),
    /// `env:` environment variables of a child process, by name; with `command:` only.
    Env(BTreeMap<String, SecretRef>),
}

/// RFC 8693 token exchange.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TokenExchange {
    /// Token endpoint.
    pub token_url: Url,
    /// The gateway's registration there.
    pub client: OAuthClient,
    /// `audience` of the wanted token.
    pub audience: Option<String>,
    /// `resource` of the wanted token (RFC 8707).
    pub resource: Option<String>,
    /// `scope` of the wanted token.
    pub scopes: Vec<ScopeName>,
    /// `subject_token_type`. Default `urn:ietf:params:oauth:token-type:access_token`.
    pub subject_token_type: String,
    /// `requested_token_type`, if any.
    pub requested_token_type: Option<String>,
}
