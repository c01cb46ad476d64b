//! `credential: { authorization_code: … }`: what each user consents to at the server's own
//! authorization server.

use super::{OAuthClient, ScopeName};

/// How users connect an upstream to what they have there.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct AuthorizationCode {
    /// `scopes:` asked for. Empty: those that the server names.
    pub scopes: Vec<ScopeName>,
    /// `client:` a registration made by hand.
    pub client: Option<OAuthClient>,
    /// `registration:` whether the client id may be the URL of our client metadata document.
    pub metadata_document: bool,
    /// `registration:` whether RFC 7591 may be used.
    pub dynamic: bool,
    /// `issuer:` the authorization server; `None`: the upstream is asked (RFC 9728).
    pub issuer: Option<String>,
    /// `resource:` of the token; `None`: what the upstream says it is.
    pub resource: Option<String>,
    /// `resource_parameter:` how the resource is named to the authorization server.
    pub resource_parameter: ResourceParameter,
    /// `title:` what users are shown; `None`: the upstream's name.
    pub title: Option<String>,
}

/// What an authorization server calls the resource of a token.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ResourceParameter {
    /// `resource` (RFC 8707).
    #[default]
    Resource,
    /// `audience`.
    Audience,
    /// Nothing: the parameter is left out.
    None,
}
