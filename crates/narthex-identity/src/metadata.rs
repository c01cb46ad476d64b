//! Protected resource metadata (RFC 9728): one document per route.

use crate::challenge::is_asked_for;
use crate::dpop::algorithm_names;
use bytes::Bytes;
use narthex_config::Config;
use narthex_config::model::{ClientAuth, Route, RouteAuth, SenderConstrained, Tls};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

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

/// Makes the documents of all routes of a configuration. What they have in common is written once.
#[derive(Debug)]
pub struct MetadataWriter<'c> {
    config: &'c Config,
    authorization_servers: Option<Box<RawValue>>,
    algorithms: Option<Box<RawValue>>,
    asks_for_certificates: bool,
}

#[derive(Serialize)]
struct Document<'c> {
    resource: &'c str,
    authorization_servers: Option<&'c RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'c str>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_signing_alg_values_supported: Option<&'c RawValue>,
    #[serde(skip_serializing_if = "is_no")]
    dpop_bound_access_tokens_required: bool,
    #[serde(skip_serializing_if = "is_no")]
    tls_client_certificate_bound_access_tokens: bool,
}

/// No is what a member that is not there says, too (RFC 9728 §2).
fn is_no(flag: &bool) -> bool {
    !*flag
}

impl<'c> MetadataWriter<'c> {
    /// For the routes of `config`.
    #[must_use]
    pub fn new(config: &'c Config) -> Self {
        let issuers = config.auth.issuers.iter().map(|issuer| issuer.issuer.as_str());
        let algorithms = algorithm_names(&config.auth.dpop.algorithms);
        let asks = |tls: &Tls| tls.client_auth != ClientAuth::Off;
        Self {
            config,
            authorization_servers: written(&issuers.collect::<Vec<_>>()),
            algorithms: written(&algorithms).filter(|_| !algorithms.is_empty()),
            asks_for_certificates: config.server.tls.as_ref().is_some_and(asks),
        }
    }

    /// The document of `route`; `None` for a route that says `auth: none`.
    #[must_use]
    pub fn document(&self, route: &Route) -> Option<ResourceMetadata> {
        if matches!(route.auth, RouteAuth::None { .. }) {
            return None;
        }
        let public_url = &self.config.server.public_url;
        let own_path = if route.path == "/" { "" } else { route.path.as_str() };
        let path = format!("{WELL_KNOWN}{}{own_path}", public_url.path);
        let url = format!("{}{path}", public_url.origin);
        Some(ResourceMetadata { path, url, body: self.body(route) })
    }

    fn body(&self, route: &Route) -> Bytes {
        let required = route.sender_constrained;
        let takes_proofs = required.is_none_or(SenderConstrained::accepts_key);
        let scopes = route.scopes.iter().filter(|scope| is_asked_for(scope));
        let document = Document {
            resource: &route.resource,
            authorization_servers: self.authorization_servers.as_deref(),
            scopes_supported: scopes.map(|scope| scope.as_str()).collect(),
            bearer_methods_supported: ["header"],
            resource_name: route.id.as_str(),
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
    use narthex_config::model::TenantId;

    fn metadata(public_path: &str, route_path: &str, scopes: &[&str]) -> ResourceMetadata {
        let mut config = fixtures::config(Vec::new());
        config.server.public_url.path = public_path.to_owned();
        config.auth.issuers =
            vec![fixtures::issuer("https://idp.example/t1"), fixtures::issuer("https://b.example")];
        MetadataWriter::new(&config).document(&fixtures::route(route_path, scopes)).unwrap()
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
            let mut route = fixtures::route("/a", &[]);
            route.sender_constrained = how;
            let body = MetadataWriter::new(&config).document(&route).unwrap().body;
            let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
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

    #[test]
    fn a_route_without_authentication_has_no_document() {
        let mut route = fixtures::route("/open", &[]);
        route.auth = RouteAuth::None { tenant: TenantId::from("acme") };
        assert_eq!(MetadataWriter::new(&fixtures::config(Vec::new())).document(&route), None);
    }
}
