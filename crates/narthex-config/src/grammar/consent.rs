//! `credential: { authorization_code: … }`.

use super::OAuthClient;
use super::scalar::Scope;
use crate::yaml::Field;
use schemars::JsonSchema;
use serde::Deserialize;

/// A token for the caller that the caller consented to at the server's own authorization server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthorizationCode {
    /// Scopes asked for. Default: those that the server names, or none.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// The gateway's registration at the authorization server, if it was made by hand.
    pub(crate) client: Field<OAuthClient>,
    /// How the gateway may register itself without `client`. Default: both, tried in this order.
    #[schemars(extend("minItems" = 1, "maxItems" = 2, "uniqueItems" = true))]
    pub(crate) registration: Field<Vec<Field<Registration>>>,
    /// The authorization server. Default: found by asking the server (RFC 9728).
    pub(crate) issuer: Field<String>,
    /// The `resource` of the token (RFC 8707). Default: what the server says it is.
    pub(crate) resource: Field<String>,
    /// How the resource is named to the authorization server. Default `resource`.
    pub(crate) resource_parameter: Field<ResourceParameter>,
    /// What users are shown as the server's name. Default: the name of the upstream.
    pub(crate) title: Field<String>,
}

/// A way to register without anybody's help.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Registration {
    /// The client id is the URL of a document that the gateway publishes; with an `https` `public_url`.
    MetadataDocument,
    /// Dynamic client registration (RFC 7591).
    Dynamic,
}

/// What an authorization server calls the resource of a token.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResourceParameter {
    /// `resource` (RFC 8707), as MCP demands.
    Resource,
    /// `audience`.
    Audience,
    /// It is not named: the server refuses the parameter, and the scopes say it all.
    None,
}
