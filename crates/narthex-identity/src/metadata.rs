//! Protected resource metadata (RFC 9728): one document per route.

use crate::challenge::is_asked_for;
use crate::dpop::algorithm_names;
use bytes::Bytes;
use narthex_config::Config;
use narthex_config::model::{ClientAuth, ScopeName, SenderConstrained, Tls};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// RFC 9728 §3.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata documents of all routes of a configuration: each is written when somebody asks for it, as there may be
/// thousands that nobody ever asks for.
#[derive(Debug)]
pub struct ResourceMetadata {
    /// URL of the document of a resource at `server.public_url` itself; its path begins at `path_at`.
    url: String,
    path_at: usize,
    authorization_servers: Option<Box<RawValue>>,
    algorithms: Option<Box<RawValue>>,
    asks_for_certificates: bool,
}

/// A route as a protected resource.
#[derive(Clone, Copy, Debug)]
pub struct ProtectedResource<'r> {
    /// Its resource identifier (RFC 8707).
    pub resource: &'r str,
    /// Its name, for people.
    pub name: &'r str,
    /// Scopes that are needed for anything on it.
    pub scopes: &'r [ScopeName],
    /// How tokens must be bound to their sender.
    pub sender_constrained: Option<SenderConstrained>,
}

#[derive(Serialize)]
struct Document<'d> {
    resource: &'d str,
    authorization_servers: Option<&'d RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'d str>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_signing_alg_values_supported: Option<&'d RawValue>,
    #[serde(skip_serializing_if = "is_no")]
    dpop_bound_access_tokens_required: bool,
    #[serde(skip_serializing_if = "is_no")]
    tls_client_certificate_bound_access_tokens: bool,
}

/// No is what a member that is not there says, too (RFC 9728 §2).
fn is_no(flag: &bool) -> bool {
    !*flag
}

impl ResourceMetadata {
    /// Of the routes of `config`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let issuers = config.auth.issuers.iter().map(|issuer| issuer.issuer.as_str());
        let algorithms = algorithm_names(&config.auth.dpop.algorithms);
        let asks = |tls: &Tls| tls.client_auth != ClientAuth::Off;
        let public_url = &config.server.public_url;
        Self {
            url: [public_url.origin.as_str(), WELL_KNOWN, &public_url.path].concat(),
            path_at: public_url.origin.len(),
            authorization_servers: written(&issuers.collect::<Vec<_>>()),
            algorithms: written(&algorithms).filter(|_| !algorithms.is_empty()),
            asks_for_certificates: config.server.tls.as_ref().is_some_and(asks),
        }
    }

    /// The absolute URL of the document of the route at `path`, for challenges: the well-known path with the resource's
    /// own path behind it (RFC 9728 §3.1).
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        [self.url.as_str(), if path == "/" { "" } else { path }].concat()
    }

    /// The path of the route whose document would be served at `path`, relative to the origin of `server.public_url`;
    /// `None` if that is no document's.
    #[must_use]
    pub fn route_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        match path.strip_prefix(self.url.get(self.path_at..)?)? {
            "" => Some("/"),
            "/" => None,
            own => own.starts_with('/').then_some(own),
        }
    }

    /// The document of a route, JSON.
    #[must_use]
    pub fn document(&self, route: &ProtectedResource<'_>) -> Bytes {
        let required = route.sender_constrained;
        let takes_proofs = required.is_none_or(SenderConstrained::accepts_key);
        let scopes = route.scopes.iter().filter(|scope| is_asked_for(scope));
        let document = Document {
            resource: route.resource,
            authorization_servers: self.authorization_servers.as_deref(),
            scopes_supported: scopes.map(ScopeName::as_str).collect(),
            bearer_methods_supported: ["header"],
            resource_name: route.name,
            dpop_signing_alg_values_supported: self.algorithms.as_deref().filter(|_| takes_proofs),
            dpop_bound_access_tokens_required: required == Some(SenderConstrained::Dpop),
            tls_client_certificate_bound_access_tokens: self.asks_for_certificates,
        };
        // Strings and lists of them always serialize.
        serde_json::to_vec(&document).unwrap_or_default().into()
    }
}

/// `names` as JSON. They always are.
fn written(names: &[&str]) -> Option<Box<RawValue>> {
    to_raw_value(names).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn metadata(public_path: &str) -> ResourceMetadata {
        let mut config = fixtures::config(Vec::new());
        config.server.public_url.path = public_path.to_owned();
        config.auth.issuers =
            vec![fixtures::issuer("https://idp.example/t1"), fixtures::issuer("https://b.example")];
        ResourceMetadata::new(&config)
    }

    fn resource(scopes: &[ScopeName]) -> ProtectedResource<'_> {
        let resource = "https://gw.example/github";
        ProtectedResource { resource, name: "route", scopes, sender_constrained: None }
    }

    #[test]
    fn the_resources_path_follows_the_well_known_one() {
        for (public_path, route_path, path) in [
            ("", "/github", "/.well-known/oauth-protected-resource/github"),
            ("", "/t/acme/github", "/.well-known/oauth-protected-resource/t/acme/github"),
            ("", "/", "/.well-known/oauth-protected-resource"),
            ("/gw", "/github", "/.well-known/oauth-protected-resource/gw/github"),
            ("/gw", "/", "/.well-known/oauth-protected-resource/gw"),
        ] {
            let metadata = metadata(public_path);
            assert_eq!(metadata.url(route_path), format!("https://gw.example{path}"));
            assert_eq!(metadata.route_of(path), Some(route_path));
        }
    }

    #[test]
    fn other_paths_are_no_documents() {
        for (public_path, path) in [
            ("", "/github"),
            ("", "/.well-known/oauth-protected-resource/"),
            ("", "/.well-known/oauth-protected-resources"),
            ("", "/.well-known/oauth-protected-resourcegithub"),
            ("", "/.well-known/oauth-authorization-server"),
            ("/gw", "/.well-known/oauth-protected-resource"),
            ("/gw", "/.well-known/oauth-protected-resource/github"),
            ("/gw", "/.well-known/oauth-protected-resource/gwx"),
            ("/gw", "/gw/.well-known/oauth-protected-resource/gw/github"),
        ] {
            assert_eq!(metadata(public_path).route_of(path), None, "{path}");
        }
    }

    #[test]
    fn the_document_says_whose_tokens_are_taken_and_for_what() {
        let document = metadata("").document(&resource(&["mcp:read".into(), "offline_access".into()]));
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "resource": "https://gw.example/github",
                "authorization_servers": ["https://idp.example/t1", "https://b.example"],
                "scopes_supported": ["mcp:read"],
                "bearer_methods_supported": ["header"],
                "resource_name": "route",
                "dpop_signing_alg_values_supported": ["ES256", "ES384", "EdDSA", "RS256", "PS256", "Ed25519"],
            })
        );
    }

    #[test]
    fn the_document_says_how_tokens_must_be_bound() {
        let members = |how, asks: bool| {
            let mut config = fixtures::config(Vec::new());
            let client_auth = if asks { ClientAuth::Any } else { ClientAuth::Off };
            config.server.tls = Some(Tls { cert: "c".into(), key: "k".into(), client_auth });
            let route = ProtectedResource { sender_constrained: how, ..resource(&[]) };
            let document = ResourceMetadata::new(&config).document(&route);
            let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
            [
                "dpop_signing_alg_values_supported",
                "dpop_bound_access_tokens_required",
                "tls_client_certificate_bound_access_tokens",
            ]
            .map(|name| document.get(name).is_some_and(|value| value.is_array() || value == true))
        };
        assert_eq!(members(None, false), [true, false, false]);
        assert_eq!(members(None, true), [true, false, true]);
        assert_eq!(members(Some(SenderConstrained::Dpop), true), [true, true, true]);
        assert_eq!(members(Some(SenderConstrained::Mtls), true), [false, false, true]);
        assert_eq!(members(Some(SenderConstrained::Any), true), [true, false, true]);
    }
}
