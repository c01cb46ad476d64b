//! How documents that strangers name are got.

use crate::endpoint::CALL_TIMEOUT;
use crate::error::{CredentialError, Reason};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use narthex_upstreams::egress::{Egress, EgressError, Reach};
use serde::de::DeserializeOwned;
use url::{Host, Url};

/// Longest URL that is taken from a document, bytes.
const MAX_URL: usize = 2048;

/// Largest document that is read, bytes.
const MAX_DOCUMENT: usize = 256 * 1024;

/// Which URLs may be called on behalf of one upstream, and the client that keeps to it: nothing further
/// inside the gateway's network than the upstream itself is, and in the clear only on this machine (or
/// where the operator trusts the network between).
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    pub(crate) egress: Egress,
    reach: Reach,
    insecure: bool,
}

/// What there is at a URL.
pub(super) enum Got<T> {
    /// The document.
    Document(T),
    /// No such document: an answer of another kind.
    Absent,
}

impl Fetcher {
    /// On behalf of `host`, which is at `reach`.
    pub(crate) fn new(
        host: &str,
        reach: Reach,
        allow_link_local: bool,
        insecure: bool,
    ) -> Result<Self, EgressError> {
        let egress = Egress::on_behalf_of(host, CALL_TIMEOUT, reach, allow_link_local)?;
        Ok(Self { egress, reach, insecure })
    }

    /// `text` as a URL that may be called or shown to a user's browser.
    pub(crate) fn url(&self, text: &str, what: &str) -> Result<Url, CredentialError> {
        let bad = |why: &str| failed(&format!("{what} {why}"));
        if text.len() > MAX_URL || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(bad("is not a URL"));
        }
        let url = Url::parse(text).map_err(|_| bad("is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(bad("has a user or a fragment"));
        }
        if url.host().is_none() || !self.is_safe(&url) {
            return Err(bad("is not https"));
        }
        Ok(url)
    }

    fn is_safe(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => (self.insecure && self.reach > Reach::Public) || self.is_loopback(url),
            _ => false,
        }
    }

    /// Whether it is this machine whatever a name server says, and the upstream is there, too.
    fn is_loopback(&self, url: &Url) -> bool {
        self.reach == Reach::Loopback
            && match url.host() {
                Some(Host::Domain(name)) => name == "localhost",
                Some(Host::Ipv4(ip)) => ip.is_loopback(),
                Some(Host::Ipv6(ip)) => ip.is_loopback(),
                None => false,
            }
    }

    /// The JSON document at `url`.
    pub(super) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<Got<T>, CredentialError> {
        let answer = self.egress.get(url, "application/json").await.map_err(|e| unreachable(url, &e))?;
        let status = answer.status;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(passing(&format!("{} answered {}", shown(url), status.as_u16())));
        }
        let media =
            answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // Many a website answers every path, with a page.
        if status != StatusCode::OK || !is_json(media) {
            return Ok(Got::Absent);
        }
        if answer.body.len() > MAX_DOCUMENT {
            return Err(failed(&format!("the document at {} is too large", shown(url))));
        }
        // serde's own messages may quote the document, so only the place is taken over.
        serde_json::from_slice(&answer.body).map(Got::Document).map_err(|e| {
            failed(&format!("{}: not the document, line {} column {}", shown(url), e.line(), e.column()))
        })
    }
}

/// What is said there cannot be used.
pub(super) fn failed(detail: &str) -> CredentialError {
    CredentialError::with_detail(Reason::DiscoveryFailed, detail)
}

/// Nothing is said there just now.
pub(super) fn passing(detail: &str) -> CredentialError {
    CredentialError::with_detail(Reason::ExchangeUnreachable, detail)
}

pub(super) fn unreachable(url: &Url, error: &EgressError) -> CredentialError {
    match error {
        // Will not pass: it says so of the address.
        EgressError::Address(_) => failed(&format!("{}: {error}", shown(url))),
        _ => passing(&format!("{}: {error}", shown(url))),
    }
}

/// A URL for the log: without its query.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(reach: Reach, insecure: bool) -> Fetcher {
        Fetcher::new("up.example.com", reach, false, insecure).unwrap()
    }

    #[test]
    fn only_https_is_called_but_for_this_machine() {
        let (public, here) = (at(Reach::Public, false), at(Reach::Loopback, false));
        for text in ["https://as.example.com", "https://as.example.com:8443/t1?x=1", "https://[2001:db8::1]/"]
        {
            assert!(public.url(text, "x").is_ok(), "{text}");
        }
        for text in ["http://127.0.0.1:1/token", "http://localhost/", "http://[::1]/"] {
            assert!(here.url(text, "x").is_ok(), "{text}");
            for other in [&public, &at(Reach::Private, false)] {
                assert!(other.url(text, "x").is_err(), "{text}");
            }
        }
        assert!(at(Reach::Private, true).url("http://as.internal/", "x").is_ok());
        assert!(at(Reach::Public, true).url("http://as.example.com/", "x").is_err());
    }

    #[test]
    fn what_is_no_plain_url_is_refused_without_repeating_it() {
        let here = at(Reach::Loopback, false);
        let long = format!("https://as.example.com/{}", "x".repeat(MAX_URL));
        for text in [
            "",
            "as.example.com",
            "http://as.example.com",
            "http://localhost.evil.example/",
            "ftp://as.example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://",
            "https://user:canary@as.example.com/",
            "https://as.example.com/#canary",
            "https://as.example.com\\@evil.example/",
            "https://as.example.com/a b",
            "https://as.example.com/\r\nX-Evil: canary",
            &long,
        ] {
            let error = here.url(text, "token_endpoint").unwrap_err();
            assert_eq!(error.reason(), "discovery_failed", "{text}");
            assert!(!error.detail().contains("canary") && error.detail().starts_with("token_endpoint"));
        }
    }
}
