//! `upstreams:`.

use super::protocol::Protocol;
use super::reference::{FileRef, Secret};
use super::scalar::{Count, Http, HttpUrl, HumanDuration, PinsMode, Size, Variable};
use super::{
    Assertion, AuthorizationCode, AwsSigV4, ClientCredentials, ClientTls, IdJag, Instances, JwtBearer,
    OnBehalfOf, ProcessLimits, Restart, TokenExchange,
};
use crate::yaml::{Field, Masked, Named};
use schemars::JsonSchema;
use serde::Deserialize;

/// One MCP server behind the gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [
        { "required": ["url"] },
        { "required": ["urls"] },
        {
            "required": ["command"],
            "not": {
                "anyOf": [
                    { "required": ["connect_timeout"] },
                    { "required": ["keepalive"] },
                    { "required": ["http"] },
                    { "required": ["ca"] },
                    { "required": ["tls"] },
                    { "required": ["allow_link_local"] },
                    { "required": ["insecure"] },
                    { "required": ["health"] }
                ]
            }
        }
    ],
    "dependentRequired" = {
        "cwd": ["command"],
        "env": ["command"],
        "instances": ["command"],
        "limits": ["command"],
        "restart": ["command"],
        "health": ["urls"]
    }
))]
pub(crate) struct Upstream {
    /// Its Streamable HTTP endpoint. Exactly one of `url`, `urls` and `command`.
    pub(crate) url: Field<HttpUrl>,
    /// Its endpoints, if it has several that are alike.
    #[schemars(extend("minItems" = 1, "maxItems" = 32, "uniqueItems" = true))]
    pub(crate) urls: Field<Vec<Field<HttpUrl>>>,
    /// The program, and its arguments, that speaks MCP over its standard input and output.
    #[schemars(extend("minItems" = 1))]
    pub(crate) command: Field<Masked<Vec<Field<String>>>>,
    /// Working directory of the program. Default: the gateway's.
    pub(crate) cwd: Field<String>,
    /// Environment variables of the program that are not secret. It inherits `PATH` and `HOME` only.
    pub(crate) env: Field<Masked<Named<Variable, String>>>,
    /// Who shares a process. Default `shared`.
    pub(crate) instances: Field<Instances>,
    /// What one process may use.
    pub(crate) limits: Field<ProcessLimits>,
    /// How a process that ended is started again.
    pub(crate) restart: Field<Restart>,
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
    /// The certificate that the gateway shows to it, if it wants one.
    pub(crate) tls: Field<ClientTls>,
    /// Requests in flight at one time. Over it: 503. Default 1024.
    pub(crate) max_concurrent: Field<Count>,
    /// When to stop asking it.
    pub(crate) breaker: Field<Breaker>,
    /// How its endpoints are looked after, if there are several.
    pub(crate) health: Field<Health>,
    /// How its lists of tools, prompts and resources are kept.
    pub(crate) catalogue: Field<Catalogue>,
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

/// How each of several endpoints is looked after.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Health {
    /// Time between two checks of one endpoint. Default `10s`.
    pub(crate) interval: Field<HumanDuration>,
    /// How long a check waits for its answer. Default `2s`.
    pub(crate) timeout: Field<HumanDuration>,
}

/// How lists of tools, prompts and resources are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Catalogue {
    /// How long a list is used that does not say so itself; at least `1s`. Default `60s`.
    pub(crate) ttl: Field<HumanDuration>,
    /// How long a client's list waits for this server's part of it. Default `5s`.
    pub(crate) timeout: Field<HumanDuration>,
    /// Most items of one list; at most 100000. Default 10000.
    pub(crate) items: Field<Count>,
    /// Most bytes of one list; at most `256MiB`. Default `16MiB`.
    pub(crate) bytes: Field<Size>,
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
    TokenExchange(Box<TokenExchange>),
    /// A token that each caller consents to at the server's own authorization server.
    AuthorizationCode(Box<AuthorizationCode>),
    /// A token for the caller, for an identity assertion of its identity provider (ID-JAG).
    IdJag(Box<IdJag>),
    /// A token for the caller, by the on-behalf-of flow of Microsoft Entra ID.
    OnBehalfOf(OnBehalfOf),
    /// A token for a JWT that the gateway signs (RFC 7523 section 2.1).
    JwtBearer(Box<JwtBearer>),
    /// A short-lived JWT of the gateway's own, for the server itself.
    Assertion(Assertion),
    /// AWS Signature Version 4 over each request.
    #[serde(rename = "aws_sigv4")]
    AwsSigV4(Box<AwsSigV4>),
    /// Environment variables of a program; with `command` only.
    Env(Masked<Named<Variable, Secret>>),
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
