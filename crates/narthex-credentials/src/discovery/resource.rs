//! What an upstream says of itself as a protected resource (RFC 9728).

use super::challenge::Challenge;
use super::fetch::{Fetcher, Got, failed, unreachable};
use crate::error::CredentialError;
use http::StatusCode;
use serde::Deserialize;
use url::Url;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A request that changes nothing, of which a server that wants a token says so.
const PROBE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const PROBE_HEADERS: [(&str, &str); 2] =
    [("accept", "application/json, text/event-stream"), ("mcp-protocol-version", "2025-11-25")];

/// What is known of the upstream as a resource.
#[derive(Debug)]
pub(super) struct Resource {
    /// What it calls itself; `None`: it has no metadata.
    pub(super) identifier: Option<String>,
    /// Its authorization servers; at least one if it has metadata.
    pub(super) servers: Vec<String>,
    /// Scopes that it challenged for.
    pub(super) challenged: Vec<String>,
    /// `scopes_supported`.
    pub(super) supported: Vec<String>,
}

/// RFC 9728 §2.
#[derive(Deserialize)]
struct Document {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// Asks `upstream` for its metadata: where its challenge says, else below its path, else at the root.
pub(super) async fn ask(
    fetcher: &Fetcher,
    upstream: &Url,
    also: Option<&str>,
) -> Result<Resource, CredentialError> {
    let (status, headers) = fetcher
        .egress
        .knock(upstream, PROBE, &PROBE_HEADERS)
        .await
        .map_err(|error| unreachable(upstream, &error))?;
    let challenge = Challenge::of(&headers).unwrap_or_default();
    if let Some(named) = &challenge.resource_metadata {
        let url = fetcher.url(named, "resource_metadata")?;
        return match fetcher.get(&url).await? {
            Got::Document(document) => read(document, upstream, also, challenge),
            Got::Absent => Err(failed("there is no document at resource_metadata")),
        };
    }
    for url in well_known(upstream) {
        if let Got::Document(document) = fetcher.get(&url).await? {
            return read(document, upstream, also, challenge);
        }
    }
    if status != StatusCode::UNAUTHORIZED {
        return Err(failed("the server has no metadata and does not ask for a token"));
    }
    Ok(Resource {
        identifier: None,
        servers: Vec::new(),
        challenged: challenge.scopes,
        supported: Vec::new(),
    })
}

fn read(
    document: Document,
    upstream: &Url,
    also: Option<&str>,
    challenge: Challenge,
) -> Result<Resource, CredentialError> {
    if !is_of(&document.resource, upstream) && also != Some(document.resource.as_str()) {
        return Err(failed("the resource of the server's metadata is not the server"));
    }
    if document.authorization_servers.is_empty() {
        return Err(failed("the server's metadata names no authorization server"));
    }
    Ok(Resource {
        identifier: Some(document.resource),
        servers: document.authorization_servers,
        challenged: challenge.scopes,
        supported: super::challenge::scopes(&document.scopes_supported.join(" ")).unwrap_or_default(),
    })
}

/// Below the path, then at the root.
fn well_known(upstream: &Url) -> Vec<Url> {
    let below = upstream.path().trim_end_matches('/');
    let at = |path: &str| {
        let mut url = upstream.clone();
        url.set_path(path);
        url.set_query(None);
        url
    };
    let mut urls = vec![at(WELL_KNOWN)];
    if !below.is_empty() {
        let mut url = at(&format!("{WELL_KNOWN}{below}"));
        url.set_query(upstream.query());
        urls.insert(0, url);
    }
    urls
}

/// Whether `resource` is `upstream` or a parent of it: the same origin, and its path or the beginning of
/// its path. RFC 9728 §3.3 has the identifier be what the metadata's URL was made from, which at the root
/// is the parent; the official MCP clients take a parent everywhere.
fn is_of(resource: &str, upstream: &Url) -> bool {
    let Ok(url) = Url::parse(resource) else { return false };
    if resource.contains(['#', '\\']) || !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    let (parent, path) = (url.path().trim_end_matches('/'), upstream.path().trim_end_matches('/'));
    let below = path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    url.has_host()
        && url.origin() == upstream.origin()
        && below
        && (url.query().is_none() || url.query() == upstream.query())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(url: &str) -> Url {
        url.parse().unwrap()
    }

    #[test]
    fn metadata_is_looked_for_below_the_path_and_then_at_the_root() {
        let urls = |url: &str| well_known(&upstream(url)).iter().map(Url::to_string).collect::<Vec<_>>();
        let root = "https://h.example:8443/.well-known/oauth-protected-resource";
        assert_eq!(urls("https://h.example:8443/a/mcp/"), [&format!("{root}/a/mcp"), root]);
        assert_eq!(urls("https://h.example:8443/mcp?v=2"), [&format!("{root}/mcp?v=2"), root]);
        assert_eq!(urls("https://h.example:8443"), [root]);
    }

    #[test]
    fn a_resource_is_the_server_or_its_parent_and_nothing_else() {
        let server = upstream("https://h.example/a/mcp");
        for resource in [
            "https://h.example/a/mcp",
            "https://h.example/a/mcp/",
            "https://h.example/a",
            "https://h.example/",
            "https://h.example",
            "https://H.example:443/a/mcp",
        ] {
            assert!(is_of(resource, &server), "{resource}");
        }
        for resource in [
            "",
            "/a/mcp",
            "https://h.example/a/mcp/x",
            "https://h.example/a/m",
            "https://h.example/b",
            "https://h.example/A/mcp",
            "http://h.example/a/mcp",
            "https://h.example:8443/a/mcp",
            "https://evil.example/a/mcp",
            "https://h.example.evil.example/a/mcp",
            "https://h.example@evil.example/a/mcp",
            "https://u@h.example/a/mcp",
            "https://h.example/a/mcp#x",
            "https://h.example/a/mcp?x=1",
            "https://h.example\\a\\mcp",
            "urn:h.example:mcp",
        ] {
            assert!(!is_of(resource, &server), "{resource}");
        }
        assert!(is_of("https://h.example/mcp?v=2", &upstream("https://h.example/mcp?v=2")));
    }
}
