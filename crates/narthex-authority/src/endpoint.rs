//! Which path is which endpoint.

/// An endpoint of the authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Endpoint {
    ServerMetadata,
    ProviderMetadata,
    Keys,
    Authorize,
    Consent,
    Token,
    Register,
    Revoke,
    Introspect,
    Login,
    Connections,
}

impl Endpoint {
    /// The endpoint at `path`, below the path of `public_url`, which is `base`.
    pub(crate) fn of(path: &str, base: &str) -> Option<Self> {
        let well_known = |name: &str| {
            let rest = path.strip_prefix("/.well-known/").and_then(|rest| rest.strip_prefix(name));
            // RFC 8414 §3.1 puts the path of the issuer behind, OpenID Connect before.
            rest.is_some_and(|rest| rest.is_empty() || rest == base)
        };
        Some(match path {
            "/oauth/jwks" => Self::Keys,
            "/oauth/authorize" | "/authorize" => Self::Authorize,
            "/oauth/consent" => Self::Consent,
            "/oauth/token" | "/token" => Self::Token,
            "/oauth/register" | "/register" => Self::Register,
            "/oauth/revoke" => Self::Revoke,
            "/oauth/introspect" => Self::Introspect,
            "/login" | "/logout" => Self::Login,
            "/connections" | "/connect" => Self::Connections,
            _ if path.starts_with("/login/") => Self::Login,
            _ if path.starts_with("/connections/") || path.starts_with("/connect/") => Self::Connections,
            _ if well_known("oauth-authorization-server") => Self::ServerMetadata,
            _ if well_known("openid-configuration") => Self::ProviderMetadata,
            _ => return None,
        })
    }

    /// What metrics call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ServerMetadata | Self::ProviderMetadata => "metadata",
            Self::Keys => "jwks",
            Self::Authorize => "authorize",
            Self::Consent => "consent",
            Self::Token => "token",
            Self::Register => "register",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::Login => "login",
            Self::Connections => "connections",
        }
    }

    /// What the access log calls its path: some have tickets in them.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::ServerMetadata => "/.well-known/oauth-authorization-server",
            Self::ProviderMetadata => "/.well-known/openid-configuration",
            Self::Keys => "/oauth/jwks",
            Self::Authorize => "/oauth/authorize",
            Self::Consent => "/oauth/consent",
            Self::Token => "/oauth/token",
            Self::Register => "/oauth/register",
            Self::Revoke => "/oauth/revoke",
            Self::Introspect => "/oauth/introspect",
            Self::Login => "/login",
            Self::Connections => "/connections",
        }
    }

    /// Whether scripts of whatever origin may ask: no cookie counts there.
    pub(crate) fn is_for_scripts(self) -> bool {
        !matches!(self, Self::Authorize | Self::Consent | Self::Login | Self::Connections)
    }

    /// The methods of those that scripts may ask.
    pub(crate) fn methods(self) -> &'static str {
        match self {
            Self::ServerMetadata | Self::ProviderMetadata | Self::Keys => "GET, OPTIONS",
            _ => "POST, OPTIONS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_where_each_standard_looks_for_it() {
        let of = Endpoint::of;
        assert_eq!(of("/.well-known/oauth-authorization-server", ""), Some(Endpoint::ServerMetadata));
        assert_eq!(of("/.well-known/oauth-authorization-server/gw", "/gw"), Some(Endpoint::ServerMetadata));
        assert_eq!(of("/.well-known/openid-configuration", "/gw"), Some(Endpoint::ProviderMetadata));
        assert_eq!(of("/.well-known/openid-configuration/gw", "/gw"), Some(Endpoint::ProviderMetadata));
        for path in [
            "/.well-known/oauth-authorization-server/other",
            "/.well-known/oauth-authorization-serverx",
            "/.well-known/oauth-protected-resource",
            "/oauth",
            "/oauth/",
            "/oauth/token/",
            "/Token",
            "/loginx",
            "/",
        ] {
            assert_eq!(of(path, "/gw"), None, "{path}");
        }
        assert_eq!(of("/login/callback/corp", ""), Some(Endpoint::Login));
        assert_eq!(of("/connect/ticket", ""), Some(Endpoint::Connections));
    }
}
