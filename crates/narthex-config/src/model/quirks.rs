//! What authorization servers of a kind want other than the standards say.

/// A product, whose quirks are known.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Preset {
    /// As the standards say.
    #[default]
    Generic,
    /// Microsoft Entra ID.
    Entra,
    /// Okta.
    Okta,
    /// Google.
    Google,
    /// Keycloak.
    Keycloak,
    /// Auth0.
    Auth0,
}

/// How the gateway asks an authorization server for a token.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Quirks {
    /// How it says what the token is for.
    pub resource: ResourceAs,
    /// How it asks for a refresh token.
    pub offline: OfflineAs,
    /// Never to send `prompt`.
    pub drop_prompt: bool,
}

/// How it is said what a token is for (RFC 8707).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ResourceAs {
    /// By the parameter `resource`.
    #[default]
    Resource,
    /// Not at all: the server knows by the client.
    Nothing,
    /// By scopes that begin with it, `api://github/repo.read`, or `api://github/.default` if none are asked
    /// for.
    Scope,
    /// By the parameter `audience`.
    Audience,
}

/// How a refresh token is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum OfflineAs {
    /// By the scope `offline_access` (OpenID Connect Core §11), where the server's metadata name it.
    #[default]
    Scope,
    /// By the parameter `access_type=offline`.
    AccessType,
}

/// Scopes and parameters that ask for a token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Asked {
    /// The scopes.
    pub scopes: Vec<String>,
    /// Further parameters.
    pub parameters: Vec<(&'static str, String)>,
}

impl Preset {
    /// What servers of this kind want.
    #[must_use]
    pub fn quirks(self) -> Quirks {
        match self {
            Self::Generic | Self::Keycloak => Quirks::default(),
            // AADSTS901002 and AADSTS9010010: the v2.0 endpoints refuse `resource`.
            Self::Entra => Quirks { resource: ResourceAs::Scope, drop_prompt: true, ..Quirks::default() },
            // A custom authorization server has one audience, which its settings say.
            Self::Okta => Quirks { resource: ResourceAs::Nothing, ..Quirks::default() },
            // Scopes are URLs that say it, and `offline_access` is none of them.
            Self::Google => {
                Quirks { resource: ResourceAs::Nothing, offline: OfflineAs::AccessType, drop_prompt: false }
            }
            Self::Auth0 => Quirks { resource: ResourceAs::Audience, ..Quirks::default() },
        }
    }
}

impl Quirks {
    /// What asks for a token for `resource` with `scopes`.
    #[must_use]
    pub fn ask(&self, resource: &str, scopes: &[String]) -> Asked {
        let parameters = match self.resource {
            ResourceAs::Resource => vec![("resource", resource.to_owned())],
            ResourceAs::Audience => vec![("audience", resource.to_owned())],
            ResourceAs::Nothing | ResourceAs::Scope => Vec::new(),
        };
        let scopes = match self.resource {
            ResourceAs::Scope => qualified(resource, scopes),
            _ => scopes.to_vec(),
        };
        Asked { scopes, parameters }
    }
}

/// Scopes that say what they are for. Those of OpenID Connect are for the server itself, and what has a
/// scheme says it already.
fn qualified(resource: &str, scopes: &[String]) -> Vec<String> {
    const OPENID: [&str; 6] = ["openid", "profile", "email", "offline_access", "address", "phone"];
    let resource = resource.trim_end_matches('/');
    let is_bare = |scope: &str| !OPENID.contains(&scope) && !scope.contains("://");
    let qualify = |scope: &String| if is_bare(scope) { format!("{resource}/{scope}") } else { scope.clone() };
    let mut asked: Vec<String> = scopes.iter().map(qualify).collect();
    if scopes.iter().all(|scope| OPENID.contains(&scope.as_str())) {
        asked.push(format!("{resource}/.default"));
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(preset: Preset, resource: &str, scopes: &[&str]) -> (Vec<String>, Vec<(&'static str, String)>) {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let asked = preset.quirks().ask(resource, &scopes);
        (asked.scopes, asked.parameters)
    }

    #[test]
    fn entra_is_told_by_scopes() {
        for (scopes, expected) in [
            (vec![], vec!["api://github/.default"]),
            (vec!["repo.read"], vec!["api://github/repo.read"]),
            (vec!["openid", "offline_access"], vec!["openid", "offline_access", "api://github/.default"]),
            (vec!["openid", "repo.read"], vec!["openid", "api://github/repo.read"]),
            (vec!["api://other/x"], vec!["api://other/x"]),
        ] {
            let (asked, parameters) = ask(Preset::Entra, "api://github/", &scopes);
            assert_eq!(asked, expected);
            assert!(parameters.is_empty());
        }
    }

    #[test]
    fn the_others_are_told_by_a_parameter_or_not_at_all() {
        let resource = "https://mcp.example/mcp";
        for (preset, parameter) in [
            (Preset::Generic, Some("resource")),
            (Preset::Keycloak, Some("resource")),
            (Preset::Auth0, Some("audience")),
            (Preset::Okta, None),
            (Preset::Google, None),
        ] {
            let (scopes, parameters) = ask(preset, resource, &["a"]);
            assert_eq!(scopes, ["a"], "{preset:?}");
            let expected: Vec<_> = parameter.map(|name| (name, resource.to_owned())).into_iter().collect();
            assert_eq!(parameters, expected, "{preset:?}");
        }
    }
}
