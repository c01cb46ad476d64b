//! Client ID Metadata Documents: which URLs may name one, and what it must say
//! (draft-ietf-oauth-client-id-metadata-document, MCP 2026-07-28 basic/authorization). Pure.

use super::{RedirectUri, Source};
use narthex_config::model::{HostPattern, MetadataDocuments};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use url::{Host, Url};

/// Most redirect URIs of one client.
const MOST_REDIRECTS: usize = 32;
/// Longest name that is taken, bytes.
const LONGEST_NAME: usize = 1024;

/// Bounds on how long a document is believed, whatever its server says.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const USUAL: Duration = Duration::from_secs(600);

/// What a document says of its client.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) name: Option<String>,
    pub(crate) redirect_uris: Vec<RedirectUri>,
    pub(crate) keys: Keys,
    pub(crate) refresh: bool,
    /// `dpop_bound_access_tokens`.
    pub(crate) dpop: bool,
}

/// How the client authenticates.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Keys {
    /// Not at all.
    None,
    /// With these keys: a JWK set.
    Inline(String),
    /// With the keys at this URL.
    Uri(Url),
}

/// The URL of the document that the client id `id` names.
pub(crate) fn url(id: &str, allowed: &MetadataDocuments) -> Result<Url, &'static str> {
    let url = Url::parse(id).map_err(|_| "not a URL")?;
    if url.as_str() != id {
        return Err("not in its normal form");
    }
    if id.contains(['\\', '#', '?', '@', '%']) || url.path().len() < 2 {
        return Err("has more than a host and a path, or no path");
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    match (url.scheme(), url.host()) {
        ("https", Some(Host::Domain(name)))
            if name.contains('.') && !name.ends_with('.') && !is_internal(name) =>
        {
            let fits = |pattern: &&HostPattern| pattern.matches(&host);
            let pattern = allowed.allow.iter().find(fits).ok_or("of a host that is not allowed")?;
            // Whoever allows all hosts does not mean all services on them.
            if url.port().is_some() && *pattern == HostPattern::Any {
                return Err("on another port than that of https");
            }
            Ok(url)
        }
        ("http" | "https", _) if allowed.allow_loopback && is_loopback(&url) => Ok(url),
        _ => Err("not an https URL of a public host"),
    }
}

/// Whether the host is this machine whatever a name server says.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Names that no public name server has (RFC 6761, RFC 6762, RFC 9476 and the habits of clusters).
fn is_internal(name: &str) -> bool {
    const LAST: [&str; 12] = [
        "alt",
        "arpa",
        "corp",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "onion",
    ];
    name.rsplit('.').next().is_none_or(|last| LAST.contains(&last))
}

impl Document {
    /// Reads the document at `id`.
    pub(crate) fn parse(id: &str, json: &[u8], loopback: bool) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Members<'t> {
            client_id: String,
            client_name: Option<String>,
            redirect_uris: Vec<String>,
            grant_types: Option<Vec<String>>,
            response_types: Option<Vec<String>>,
            token_endpoint_auth_method: Option<String>,
            #[serde(borrow)]
            jwks: Option<&'t RawValue>,
            jwks_uri: Option<String>,
            dpop_bound_access_tokens: Option<bool>,
            #[serde(borrow)]
            client_secret: Option<&'t RawValue>,
        }
        let said: Members<'_> = serde_json::from_slice(json).map_err(|_| "not the JSON of a client")?;
        if said.client_id != id {
            return Err("says another client_id than its URL");
        }
        if said.client_secret.is_some() {
            return Err("has a secret that everybody can read");
        }
        if said.client_name.as_ref().is_some_and(|name| name.len() > LONGEST_NAME) {
            return Err("has an endless name");
        }
        if said.redirect_uris.is_empty() || said.redirect_uris.len() > MOST_REDIRECTS {
            return Err("has no redirect URIs, or too many");
        }
        let has = |list: &Option<Vec<String>>, word: &str| list.iter().flatten().any(|item| item == word);
        if said.response_types.is_some() && !has(&said.response_types, "code") {
            return Err("wants no code");
        }
        if said.grant_types.is_some() && !has(&said.grant_types, "authorization_code") {
            return Err("wants no code");
        }
        let redirects = said.redirect_uris.iter().map(|uri| RedirectUri::parse(uri, Source::Client));
        let keys = match said.token_endpoint_auth_method.as_deref() {
            None | Some("none") => Keys::None,
            Some("private_key_jwt") => match (said.jwks, said.jwks_uri) {
                (Some(jwks), None) => Keys::Inline(jwks.get().to_owned()),
                (None, Some(uri)) => Keys::Uri(keys_url(&uri, loopback)?),
                _ => return Err("has no keys, or several sets of them"),
            },
            Some(_) => return Err("authenticates with a secret that nobody can have given it"),
        };
        Ok(Self {
            redirect_uris: redirects.collect::<Result<_, _>>()?,
            name: said.client_name,
            keys,
            refresh: has(&said.grant_types, "refresh_token"),
            dpop: said.dpop_bound_access_tokens.unwrap_or(false),
        })
    }
}

fn keys_url(text: &str, loopback: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "has keys at what is no URL")?;
    let good = url.scheme() == "https" && url.fragment().is_none() && url.username().is_empty();
    if good || (loopback && is_loopback(&url)) { Ok(url) } else { Err("has keys where none are fetched") }
}

/// How long a document is believed, by the `Cache-Control` it came with (RFC 9111 §5.2.2): between a minute, so
/// that nobody can have us fetch it again and again, and a day.
pub(crate) fn freshness(cache_control: Option<&str>) -> Duration {
    let Some(text) = cache_control else { return USUAL };
    let mut directives = text.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    if directives.clone().any(|directive| directive == "no-store" || directive == "no-cache") {
        return SHORTEST;
    }
    let seconds =
        directives.find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    seconds.map_or(USUAL, |seconds| Duration::from_secs(seconds).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests;
