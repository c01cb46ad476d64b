//! `upstreams:`.

use super::OAuthClient;
use super::feature::{Command, EnvCredential};
use super::protocol::Protocol;
use super::scalar::{Count, FileRef, Http, HttpUrl, HumanDuration, PinsMode, Scope, Secret};
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// One MCP server behind the gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct Upstream {
    /// Its Streamable HTTP endpoint.
    pub(crate) url: Field<HttpUrl>,
    #[schemars(skip)]
    pub(crate) command: Field<Command>,
    /// What the gateway presents to it. The caller's own token is never sent. Default `none`.
    pub(crate) credential: Field<Credential>,
    /// Time from sending a request to the first byte of the answer. Default `60s`.
    pub(crate) timeout: Field<HumanDuration>,
    /// Time for TCP and TLS together. Default `5s`.
    pub(crate) connect_timeout: Field<HumanDuration>,
    /// Silence on an answer's stream before it is given up. Default `5m`.
    pub(crate) stream_idle_timeout: Field<HumanDuration>,
    /// How long an idle pooled connection is kept. Default `4s`.
    pub(crate) keepalive: Field<HumanDuration>,
    /// HTTP version(s) spoken to it. Default `auto`.
    pub(crate) http: Field<Http>,
    /// MCP revisions it speaks: `auto` asks it (`server/discover`) and remembers; else a revision or a
    /// list of them. `2024-11-05` (HTTP+SSE) stands alone. Default `auto`.
    pub(crate) protocol: Field<Protocol>,
    /// What is trusted of its tools beside the approved definitions. Default: `pins.mode`.
    pub(crate) pins: Field<PinsMode>,
    /// PEM file of the authorities its certificate must chain to, instead of the system's.
    pub(crate) ca: Field<FileRef>,
    /// Requests in flight at one time. Over it: 503. Default 1024.
    pub(crate) max_concurrent: Field<Count>,
    /// When to stop asking it.
    pub(crate) breaker: Field<Breaker>,
    /// Accept link-local and metadata-service addresses.
    pub(crate) allow_link_local: Field<bool>,
    /// Accept plain `http` for a host that is not loopback.
    pub(crate) insecure: Field<bool>,
}

/// When an upstream is taken for down.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Breaker {
    /// Failures in a row (no answer, 502, 503, 504) that open it. Default 5.
    pub(crate) failures: Field<Count>,
    /// How long it stays open before one probe is let through. Default `10s`.
    pub(crate) cooldown: Field<HumanDuration>,
}

/// How the gateway authenticates to an upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Credential {
    /// Nothing is presented.
    None,
    /// A fixed header.
    Header(Header),
    /// HTTP Basic (RFC 7617).
    Basic(Basic),
    /// A token for the gateway itself (RFC 6749 section 4.4).
    ClientCredentials(ClientCredentials),
    /// A token for the caller, exchanged for the caller's own (RFC 8693).
    TokenExchange(TokenExchange),
    #[schemars(skip)]
    Env(EnvCredential),
}

/// A fixed header.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "value"]))]
pub(crate) struct Header {
    /// Its name.
    pub(crate) name: Field<String>,
    /// Its whole value.
    pub(crate) value: Field<Secret>,
}

/// HTTP Basic authentication.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["username", "password"]))]
pub(crate) struct Basic {
    /// User name, without a colon.
    pub(crate) username: Field<String>,
    /// Password.
    pub(crate) password: Field<Secret>,
}

/// The client credentials grant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["token_url", "client"]))]
pub(crate) struct ClientCredentials {
    /// Token endpoint.
    pub(crate) token_url: Field<HttpUrl>,
    /// The gateway's registration there.
    pub(crate) client: Field<OAuthClient>,
    /// Scopes of the wanted token.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// Resource of the wanted token (RFC 8707).
    pub(crate) resource: Field<String>,
    /// Audience of the wanted token, for servers that want it.
    pub(crate) audience: Field<String>,
}

/// Token exchange (RFC 8693).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["token_url", "client"]))]
pub(crate) struct TokenExchange {
    /// Token endpoint.
    pub(crate) token_url: Field<HttpUrl>,
    /// The gateway's registration there.
    pub(crate) client: Field<OAuthClient>,
    /// Audience of the wanted token.
    pub(crate) audience: Field<String>,
    /// Resource of the wanted token (RFC 8707).
    pub(crate) resource: Field<String>,
    /// Scopes of the wanted token.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// What the caller's token is. Default `urn:ietf:params:oauth:token-type:access_token`.
    pub(crate) subject_token_type: Field<String>,
    /// What the wanted token is to be.
    pub(crate) requested_token_type: Field<String>,
}
