//! What an authorization server says of itself (RFC 8414, OpenID Connect Discovery).

use super::fetch::{Fetcher, Got, failed};
use crate::error::CredentialError;
use serde::Deserialize;
use url::Url;

/// An authorization server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its issuer identifier: compared as it is written, never normalised.
    pub(crate) issuer: String,
    /// Where browsers are sent.
    pub(crate) authorization_endpoint: Option<Url>,
    /// Where tokens are asked for.
    pub(crate) token_endpoint: Url,
    /// RFC 7591.
    pub(crate) registration_endpoint: Option<Url>,
    /// RFC 7009.
    pub(crate) revocation_endpoint: Option<Url>,
    /// `token_endpoint_auth_methods_supported`; `None`: it does not say.
    pub(crate) auth_methods: Option<Vec<String>>,
    /// `scopes_supported`.
    pub(crate) scopes: Vec<String>,
    /// Whether PKCE with S256 is supported.
    pub(crate) pkce: bool,
    /// Whether clients may be named by a metadata document.
    pub(crate) metadata_documents: bool,
    /// Whether it puts `iss` into its authorization responses (RFC 9207).
    pub(crate) names_itself: bool,
}

/// RFC 8414 §2, and what others add.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    #[serde(default)]
    registration_endpoint: Option<String>,
    #[serde(default)]
    revocation_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    client_id_metadata_document_supported: Option<bool>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
}

/// Asks for the metadata of `issuer`, in the order of the MCP specification.
pub(super) async fn ask(fetcher: &Fetcher, issuer: &str) -> Result<Server, CredentialError> {
    let url = fetcher.url(issuer, "the issuer")?;
    if url.query().is_some() {
        return Err(failed("the issuer has a query"));
    }
    let mut other = false;
    for place in places(&url) {
        match fetcher.get::<Document>(&place).await? {
            Got::Document(document) if document.issuer == issuer => return read(fetcher, document),
            // RFC 8414 §3.3: it must not be used.
            Got::Document(_) => other = true,
            Got::Absent => {}
        }
    }
    Err(failed(if other {
        "the issuer in the authorization server's metadata is another"
    } else {
        "the authorization server has no metadata"
    }))
}

/// What MCP 2025-03-26 has clients do where a server has no metadata of its own: its origin is its
/// authorization server, and if that has no metadata either, the endpoints have their default paths.
pub(super) async fn at_origin(fetcher: &Fetcher, upstream: &Url) -> Result<Server, CredentialError> {
    let origin = upstream.origin().ascii_serialization();
    let root = fetcher.url(&origin, "the server's origin")?;
    for place in places(&root) {
        match fetcher.get::<Document>(&place).await? {
            // Nobody wrote the identifier down before, so either way to write an origin is its own.
            Got::Document(document)
                if document.issuer.strip_suffix('/').unwrap_or(&document.issuer) == origin =>
            {
                return read(fetcher, document);
            }
            Got::Document(_) => {
                return Err(failed("the issuer in the authorization server's metadata is another"));
            }
            Got::Absent => {}
        }
    }
    let at = |path: &str| fetcher.url(&format!("{origin}{path}"), path);
    Ok(Server {
        issuer: origin.clone(),
        authorization_endpoint: Some(at("/authorize")?),
        token_endpoint: at("/token")?,
        registration_endpoint: Some(at("/register")?),
        revocation_endpoint: None,
        auth_methods: None,
        scopes: Vec::new(),
        // That revision has every server support it, and it is used in any case.
        pkce: true,
        metadata_documents: false,
        names_itself: false,
    })
}

fn read(fetcher: &Fetcher, document: Document) -> Result<Server, CredentialError> {
    let optional = |text: Option<String>, what| text.map(|text| fetcher.url(&text, what)).transpose();
    let pkce = document.code_challenge_methods_supported.unwrap_or_default();
    let scopes = document.scopes_supported.unwrap_or_default().join(" ");
    Ok(Server {
        issuer: document.issuer,
        authorization_endpoint: optional(document.authorization_endpoint, "authorization_endpoint")?,
        token_endpoint: fetcher.url(&document.token_endpoint, "token_endpoint")?,
        registration_endpoint: optional(document.registration_endpoint, "registration_endpoint")?,
        revocation_endpoint: optional(document.revocation_endpoint, "revocation_endpoint")?,
        auth_methods: document.token_endpoint_auth_methods_supported,
        scopes: super::challenge::scopes(&scopes).unwrap_or_default(),
        pkce: pkce.iter().any(|method| method == "S256"),
        metadata_documents: document.client_id_metadata_document_supported.unwrap_or(false),
        names_itself: document.authorization_response_iss_parameter_supported.unwrap_or(false),
    })
}

/// RFC 8414 with the path inserted, OpenID Connect with the path inserted, OpenID Connect appended.
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        paths.push(format!("{path}/.well-known/openid-configuration"));
    }
    let at = |path: &String| {
        let mut url = issuer.clone();
        url.set_path(path);
        url
    };
    paths.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_in_the_order_of_the_specification() {
        let places = |issuer: &str| {
            places(&issuer.parse().unwrap())
                .iter()
                .map(|url| url.as_str()[17..].to_owned())
                .collect::<Vec<_>>()
        };
        for issuer in ["https://h.example/t1", "https://h.example/t1/"] {
            assert_eq!(
                places(issuer),
                [
                    "/.well-known/oauth-authorization-server/t1",
                    "/.well-known/openid-configuration/t1",
                    "/t1/.well-known/openid-configuration",
                ]
            );
        }
        assert_eq!(
            places("https://h.example"),
            ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]
        );
    }
}
