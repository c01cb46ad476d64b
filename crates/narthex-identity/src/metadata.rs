//! Protected resource metadata (RFC 9728): one document per route.

use crate::challenge::is_asked_for;
use bytes::Bytes;
use narthex_config::Config;
use narthex_config::model::{Route, RouteAuth};
use serde::Serialize;

/// RFC 9728 §3.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata document of one route, ready to be served to anybody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResourceMetadata {
    /// Where it is served, relative to the origin of `server.public_url`: the well-known path with
    /// the resource's own path behind it (RFC 9728 §3.1).
    pub path: String,
    /// The same as an absolute URL, for challenges.
    pub url: String,
    /// `application/json`.
    pub body: Bytes,
}

#[derive(Serialize)]
struct Document<'c> {
    resource: &'c str,
    authorization_servers: Vec<&'c str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'c str>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'c str,
}

impl ResourceMetadata {
    /// The document of `route`; `None` for a route that says `auth: none`.
    #[must_use]
    pub fn new(config: &Config, route: &Route) -> Option<Self> {
        if matches!(route.auth, RouteAuth::None { .. }) {
            return None;
        }
        let public_url = &config.server.public_url;
        let own_path = if route.path == "/" { "" } else { route.path.as_str() };
        let path = format!("{WELL_KNOWN}{}{own_path}", public_url.path);
        let url = format!("{}{path}", public_url.origin);
        Some(Self { path, url, body: document(config, route) })
    }
}

fn document(config: &Config, route: &Route) -> Bytes {
    let document = Document {
        resource: &route.resource,
        authorization_servers: config.auth.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect(),
        scopes_supported: route
            .scopes
            .iter()
            .filter(|scope| is_asked_for(scope))
            .map(|s| s.as_str())
            .collect(),
        bearer_methods_supported: ["header"],
        resource_name: route.id.as_str(),
    };
    // Strings and lists of them always serialize.
    serde_json::to_vec(&document).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use narthex_config::model::TenantId;

    fn metadata(public_path: &str, route_path: &str, scopes: &[&str]) -> ResourceMetadata {
        let mut config = fixtures::config(Vec::new());
        config.server.public_url.path = public_path.to_owned();
        config.auth.issuers =
            vec![fixtures::issuer("https://idp.example/t1"), fixtures::issuer("https://b.example")];
        ResourceMetadata::new(&config, &fixtures::route(route_path, scopes)).unwrap()
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
            let metadata = metadata(public_path, route_path, &[]);
            assert_eq!(metadata.path, path);
            assert_eq!(metadata.url, format!("https://gw.example{path}"));
        }
    }

    #[test]
    fn the_document_says_whose_tokens_are_taken_and_for_what() {
        let metadata = metadata("", "/github", &["mcp:read", "offline_access"]);
        let document: serde_json::Value = serde_json::from_slice(&metadata.body).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "resource": "https://gw.example/github",
                "authorization_servers": ["https://idp.example/t1", "https://b.example"],
                "scopes_supported": ["mcp:read"],
                "bearer_methods_supported": ["header"],
                "resource_name": "route",
            })
        );
    }

    #[test]
    fn a_route_without_authentication_has_no_document() {
        let mut route = fixtures::route("/open", &[]);
        route.auth = RouteAuth::None { tenant: TenantId::from("acme") };
        assert_eq!(ResourceMetadata::new(&fixtures::config(Vec::new()), &route), None);
    }
}
