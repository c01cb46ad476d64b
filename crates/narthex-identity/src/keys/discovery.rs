//! Where an issuer's keys are: RFC 8414 metadata, then OpenID Connect Discovery 1.0.

use super::jwk::KeySet;
use narthex_config::model::KeySource;
use narthex_upstreams::egress::{Egress, EgressError};
use serde::Deserialize;
use thiserror::Error;
use url::Url;

/// Why there are no (new) keys.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    /// The issuer's metadata has no `jwks_uri`, or there is none: it has no keys to be had.
    #[error("the issuer publishes no keys")]
    NotPublished,
    /// No answer.
    #[error("{url}: {cause}")]
    NoAnswer {
        /// What was asked.
        url: Url,
        /// Why not.
        cause: EgressError,
    },
    /// An answer, but no good one.
    #[error("{url}: {problem}")]
    BadAnswer {
        /// What was asked.
        url: Url,
        /// What is wrong.
        problem: String,
    },
    /// `issuer` is no URL.
    #[error("the issuer is no URL that metadata could be asked for")]
    NoUrl,
}

/// The issuer's keys, asked for anew.
pub(crate) async fn fetch(egress: &Egress, issuer: &str, source: &KeySource) -> Result<KeySet, FetchError> {
    let url = match source {
        KeySource::Uri(url) => url.clone(),
        _ => discover(egress, issuer).await?,
    };
    let body = get(egress, &url, "application/jwk-set+json, application/json").await?;
    KeySet::parse(&body).map_err(|problem| FetchError::BadAnswer { url, problem })
}

/// `jwks_uri` by the first metadata document that is there.
async fn discover(egress: &Egress, issuer: &str) -> Result<Url, FetchError> {
    let base = Url::parse(issuer).map_err(|_| FetchError::NoUrl)?;
    let mut worst = FetchError::NotPublished;
    for url in metadata_urls(&base).ok_or(FetchError::NoUrl)? {
        match get(egress, &url, "application/json")
            .await
            .and_then(|body| jwks_uri(&body, &url, issuer, &base))
        {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error @ FetchError::NoAnswer { .. }) => return Err(error),
            Err(FetchError::NotPublished) => {}
            Err(error) => worst = error,
        }
    }
    Err(worst)
}

/// The metadata URLs of an issuer in the order in which they are tried (RFC 8414 §3.1 and §5).
fn metadata_urls(issuer: &Url) -> Option<Vec<Url>> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    if !issuer.has_host() {
        return None;
    }
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![format!("{OAUTH}{path}"), format!("{OPENID}{path}")];
    if !path.is_empty() {
        paths.push(format!("{path}{OPENID}"));
    }
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        url
    };
    Some(paths.into_iter().map(at).collect())
}

/// `jwks_uri` of a metadata document. Its `issuer` must be the very string that was configured
/// (RFC 8414 §3.3): otherwise one issuer's metadata could stand in for another's.
fn jwks_uri(body: &[u8], url: &Url, issuer: &str, base: &Url) -> Result<Option<Url>, FetchError> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: Option<String>,
    }
    let bad = |problem: &str| FetchError::BadAnswer { url: url.clone(), problem: problem.to_owned() };
    let metadata: Metadata = serde_json::from_slice(body).map_err(|_| bad("no metadata document"))?;
    if metadata.issuer != issuer {
        return Err(bad("the document is another issuer's"));
    }
    let Some(uri) = metadata.jwks_uri else {
        return Ok(None);
    };
    let uri = Url::parse(&uri).map_err(|_| bad("jwks_uri is no URL"))?;
    // Keys fetched in the clear can be swapped on the way; only an issuer that is itself trusted in
    // the clear (a loopback one, or `insecure: true`) may say so.
    let allowed = uri.scheme() == "https" || (uri.scheme() == "http" && base.scheme() == "http");
    if allowed { Ok(Some(uri)) } else { Err(bad("jwks_uri is not https")) }
}

async fn get(egress: &Egress, url: &Url, accept: &'static str) -> Result<bytes::Bytes, FetchError> {
    let answer =
        egress.get(url, accept).await.map_err(|cause| FetchError::NoAnswer { url: url.clone(), cause })?;
    match answer.status.as_u16() {
        200 => Ok(answer.body),
        404 | 410 => Err(FetchError::NotPublished),
        status => Err(FetchError::BadAnswer { url: url.clone(), problem: format!("status {status}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(issuer: &str) -> Vec<String> {
        metadata_urls(&Url::parse(issuer).unwrap()).unwrap().iter().map(Url::to_string).collect()
    }

    #[test]
    fn the_well_known_path_is_inserted_before_the_issuers() {
        assert_eq!(
            forms("https://a.example/t1"),
            [
                "https://a.example/.well-known/oauth-authorization-server/t1",
                "https://a.example/.well-known/openid-configuration/t1",
                "https://a.example/t1/.well-known/openid-configuration",
            ]
        );
        assert_eq!(forms("https://a.example/t1/"), forms("https://a.example/t1"));
    }

    #[test]
    fn an_issuer_without_a_path_has_two_forms() {
        let expected = [
            "https://a.example:8443/.well-known/oauth-authorization-server",
            "https://a.example:8443/.well-known/openid-configuration",
        ];
        assert_eq!(forms("https://a.example:8443"), expected);
        assert_eq!(forms("https://a.example:8443/"), expected);
    }

    #[test]
    fn metadata_of_another_issuer_is_not_used() {
        let read = |issuer: &str, json: &str| {
            let base = Url::parse(issuer).unwrap();
            jwks_uri(json.as_bytes(), &base, issuer, &base)
        };
        let good = r#"{"issuer":"https://a.example","jwks_uri":"https://k.example/jwks"}"#;
        assert_eq!(read("https://a.example", good).unwrap().unwrap().as_str(), "https://k.example/jwks");
        for issuer in ["https://a.example/", "https://A.example", "https://a.example/t"] {
            assert!(read(issuer, good).is_err(), "{issuer}");
        }
        assert!(read("https://a.example", r#"{"issuer":"https://a.example"}"#).unwrap().is_none());
    }

    #[test]
    fn keys_are_not_fetched_in_the_clear_for_an_issuer_that_is_not() {
        let base = Url::parse("https://a.example").unwrap();
        for uri in ["http://a.example/jwks", "http://127.0.0.1/jwks", "file:///etc/passwd", "x"] {
            let json = format!(r#"{{"issuer":"https://a.example","jwks_uri":"{uri}"}}"#);
            assert!(jwks_uri(json.as_bytes(), &base, "https://a.example", &base).is_err(), "{uri}");
        }
    }
}
