//! What the authority says of itself (RFC 8414 §2, OpenID Connect Discovery §3).

use crate::authority::Authority;
use crate::resources::OFFLINE;
use crate::token::{CODE, JWT_BEARER, REFRESH};
use bytes::Bytes;
use serde_json::{Value, json};

/// Algorithms of clients' assertions.
const ALGORITHMS: [&str; 5] = ["ES256", "ES384", "EdDSA", "RS256", "PS256"];

impl Authority {
    /// Both documents: as authorization server, and what of it is true as OpenID provider.
    pub(crate) fn documents(&self) -> (Bytes, Bytes) {
        let server = self.metadata();
        let mut provider = server.clone();
        // There are no ID tokens; clients that look here first find the rest.
        provider["subject_types_supported"] = json!(["public"]);
        provider["id_token_signing_alg_values_supported"] = json!([]);
        let bytes = |document: &Value| Bytes::from(document.to_string());
        (bytes(&server), bytes(&provider))
    }

    fn metadata(&self) -> Value {
        let methods = json!(["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]);
        let mut scopes: Vec<&str> = self.resources.grantable().iter().map(|scope| scope.as_str()).collect();
        scopes.push(OFFLINE);
        let mut grants = Vec::new();
        let mut document = json!({
            "issuer": self.issuer,
            "token_endpoint": self.at("/oauth/token"),
            "jwks_uri": self.at("/oauth/jwks"),
            "revocation_endpoint": self.at("/oauth/revoke"),
            "introspection_endpoint": self.at("/oauth/introspect"),
            "response_types_supported": [],
            "scopes_supported": scopes,
            "token_endpoint_auth_methods_supported": methods,
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "revocation_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "code_challenge_methods_supported": ["S256"],
            "dpop_signing_alg_values_supported": self.proofs.algorithms(),
            "tls_client_certificate_bound_access_tokens": self.settings.certificates,
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": self.clients.documents.is_some(),
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "protected_resources": self.resources.ids().collect::<Vec<_>>(),
        });
        if self.login.is_some() {
            document["authorization_endpoint"] = json!(self.at("/oauth/authorize"));
            document["response_types_supported"] = json!(["code"]);
            document["response_modes_supported"] = json!(["query"]);
            document["prompt_values_supported"] = json!(["none", "login", "consent", "select_account"]);
            grants.extend([CODE, REFRESH]);
        }
        if self.clients.dynamic.is_some() {
            document["registration_endpoint"] = json!(self.at("/oauth/register"));
        }
        if !self.providers.is_empty() {
            grants.push(JWT_BEARER);
            document["authorization_grant_profiles_supported"] =
                json!(["urn:ietf:params:oauth:grant-profile:id-jag"]);
        }
        document["grant_types_supported"] = json!(grants);
        document
    }
}
