//! What is presented to an upstream.

use crate::error::{CredentialError, Reason};
use crate::secret::Secret;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use narthex_config::model::{Transport, UpstreamId};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use url::Url;
use zeroize::Zeroizing;

/// A credential for one upstream: a header, variables of a child process's environment, or nothing, and the
/// only origin that may receive it.
///
/// Only this crate makes one. A clone is a reference count; the value is zeroed with the last.
#[derive(Clone)]
pub struct UpstreamCredential(Arc<Inner>);

struct Inner {
    origin: Origin,
    header: Option<(HeaderName, HeaderValue)>,
    environment: Box<[(String, Secret)]>,
    /// From this time on it is not presented again; `None`: it has no end.
    usable_until: Option<SystemTime>,
    /// When it replaced one that the upstream had refused, if it did.
    renewed: Option<SystemTime>,
}

/// An upstream's origins (RFC 6454 §4) as text, with and without a default port; of a child process, the name
/// that [`narthex_upstreams::Upstream::origin`] gives it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Origin(Arc<[Box<str>]>);

// === impl UpstreamCredential ===

impl UpstreamCredential {
    /// Whether it is the very same one, not merely one for the same caller.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn fixed(origin: Origin, header: Option<(HeaderName, HeaderValue)>) -> Self {
        Self(Arc::new(Inner {
            origin,
            header,
            environment: Box::default(),
            usable_until: None,
            renewed: None,
        }))
    }

    pub(crate) fn environment(origin: Origin, environment: Box<[(String, Secret)]>) -> Self {
        Self(Arc::new(Inner { origin, header: None, environment, usable_until: None, renewed: None }))
    }

    /// RFC 6750 §2.1. `token` is b64token-safe, so it makes a header value.
    pub(crate) fn bearer(
        origin: Origin,
        token: &str,
        usable_until: SystemTime,
        renewed: Option<SystemTime>,
    ) -> Result<Self, CredentialError> {
        let mut value = Zeroizing::new(Vec::with_capacity("Bearer ".len() + token.len()));
        value.extend_from_slice(b"Bearer ");
        value.extend_from_slice(token.as_bytes());
        let value = sensitive(value).ok_or(Reason::BadTokenResponse)?;
        let header = Some((AUTHORIZATION, value));
        let environment = Box::default();
        Ok(Self(Arc::new(Inner { origin, header, environment, usable_until: Some(usable_until), renewed })))
    }

    /// The header to send to `origin`, which is `scheme://host`, with `:port` where it is not the
    /// scheme's own (either form is taken then); `None`: this upstream gets no credential.
    ///
    /// The value is marked sensitive.
    ///
    /// # Errors
    /// `wrong_origin`: the credential is bound to another upstream's origin.
    pub fn header_for(&self, origin: &str) -> Result<Option<(&HeaderName, &HeaderValue)>, CredentialError> {
        self.check(origin)?;
        Ok(self.0.header.as_ref().map(|(name, value)| (name, value)))
    }

    /// The variables, by name, that the child process at `origin` gets into its environment.
    ///
    /// # Errors
    /// `wrong_origin`: the credential is bound to another upstream.
    pub fn environment_for(&self, origin: &str) -> Result<Vec<(&str, &str)>, CredentialError> {
        self.check(origin)?;
        Ok(self.0.environment.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect())
    }

    fn check(&self, origin: &str) -> Result<(), CredentialError> {
        if self.0.origin.is(origin) {
            return Ok(());
        }
        let bound = self.0.origin.shown();
        Err(CredentialError::with_detail(Reason::WrongOrigin, &format!("bound to {bound}")))
    }

    pub(crate) fn usable_until(&self) -> Option<SystemTime> {
        self.0.usable_until
    }

    pub(crate) fn renewed(&self) -> Option<SystemTime> {
        self.0.renewed
    }

    /// Whether this is the very same one, not just an equal one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for UpstreamCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamCredential")
            .field("origin", &self.0.origin.shown())
            .field("header", &self.0.header.as_ref().map(|(name, _)| (name.as_str(), "***")))
            .field("environment", &self.0.environment)
            .field("usable_until", &self.0.usable_until)
            .finish()
    }
}

// === impl Origin ===

impl Origin {
    pub(crate) fn of(id: &UpstreamId, transport: &Transport) -> Self {
        match transport {
            Transport::Http(endpoints) => Self(endpoints.iter().flat_map(written).collect()),
            Transport::Stdio(_) => Self([format!("stdio:{id}").into()].into()),
        }
    }

    fn is(&self, origin: &str) -> bool {
        self.0.iter().any(|known| **known == *origin)
    }

    /// One of them, to be shown.
    fn shown(&self) -> &str {
        self.0.first().map_or("-", |origin| origin)
    }
}

/// The ways to write a URL's origin.
fn written(url: &Url) -> impl Iterator<Item = Box<str>> {
    let short = url.origin().ascii_serialization();
    let explicit = match (url.port(), url.port_or_known_default()) {
        (None, Some(port)) => Some(format!("{short}:{port}").into()),
        _ => None,
    };
    std::iter::once(short.into()).chain(explicit)
}

/// A header value that is zeroed when its last clone is dropped, and never indexed or printed.
pub(crate) fn sensitive(value: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_config::model::Endpoints;
    use std::time::Duration;

    fn credential(url: &str) -> UpstreamCredential {
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        UpstreamCredential::bearer(
            Origin::of(&"up".into(), &Transport::Http(url.parse::<Url>().unwrap().into())),
            "canary",
            until,
            None,
        )
        .unwrap()
    }

    #[test]
    fn only_its_own_origin_gets_the_credential() {
        let default_port = credential("https://mcp.example.com/mcp");
        for origin in ["https://mcp.example.com", "https://mcp.example.com:443"] {
            let (name, value) = default_port.header_for(origin).unwrap().unwrap();
            assert_eq!((name, value.as_bytes()), (&AUTHORIZATION, &b"Bearer canary"[..]));
            assert!(value.is_sensitive());
        }
        for origin in [
            "http://mcp.example.com",
            "http://mcp.example.com:443",
            "https://mcp.example.com:8443",
            "https://mcp.example.com.evil.example",
            "https://mcp.example.com/",
            "https://mcp.example.com@evil.example",
            "https://evil.example",
            "https://MCP.example.com",
            "null",
            "",
        ] {
            let error = default_port.header_for(origin).unwrap_err();
            assert_eq!(error.reason(), "wrong_origin", "{origin}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn a_port_of_its_own_is_part_of_the_origin() {
        let other_port = credential("http://127.0.0.1:9001/mcp");
        assert!(other_port.header_for("http://127.0.0.1:9001").is_ok());
        assert!(other_port.header_for("http://127.0.0.1").is_err());
        assert!(other_port.header_for("http://127.0.0.1:80").is_err());
        assert!(credential("https://[2001:db8::1]/x").header_for("https://[2001:db8::1]:443").is_ok());
    }

    #[test]
    fn each_endpoint_of_an_upstream_gets_its_credential_and_nobody_else() {
        let url = |url: &str| url.parse::<Url>().unwrap();
        let others = vec![url("https://b.example.com:8443/mcp"), url("http://127.0.0.1:9001/other?x=1")];
        let endpoints = Endpoints { first: url("https://a.example.com/mcp"), others };
        let header = (AUTHORIZATION, HeaderValue::from_static("canary"));
        let credential =
            UpstreamCredential::fixed(Origin::of(&"up".into(), &Transport::Http(endpoints)), Some(header));
        for origin in [
            "https://a.example.com",
            "https://a.example.com:443",
            "https://b.example.com:8443",
            "http://127.0.0.1:9001",
        ] {
            let (_, value) = credential.header_for(origin).unwrap().unwrap();
            assert_eq!(value, "canary", "{origin}");
        }
        for origin in [
            // One endpoint's host with another's port or scheme.
            "https://a.example.com:8443",
            "https://b.example.com",
            "https://b.example.com:443",
            "https://b.example.com:9001",
            "http://a.example.com",
            "http://a.example.com:443",
            "https://127.0.0.1:9001",
            "http://127.0.0.1",
            "http://127.0.0.1:8443",
            // Their neighbours.
            "https://c.example.com",
            "https://example.com",
            "https://a.example.com:4433",
            "https://a.example.com https://b.example.com:8443",
            "http://127.0.0.1:9001/other",
            "",
        ] {
            let error = credential.header_for(origin).unwrap_err();
            assert_eq!(error.reason(), "wrong_origin", "{origin}");
            assert!(!format!("{error} {error:?} {credential:?}").contains("canary"));
        }
    }

    #[test]
    fn only_its_own_child_process_gets_the_environment() {
        let stdio = |id: &str| {
            let origin = Origin(Arc::new([format!("stdio:{id}").into()]));
            UpstreamCredential::environment(origin, Box::new([("TOKEN".to_owned(), "canary".into())]))
        };
        let credential = stdio("files");
        assert_eq!(credential.environment_for("stdio:files").unwrap(), [("TOKEN", "canary")]);
        assert!(credential.header_for("stdio:files").unwrap().is_none());
        for other in ["stdio:file", "stdio:files2", "https://files", ""] {
            assert_eq!(credential.environment_for(other).unwrap_err().reason(), "wrong_origin");
        }
        let shown = format!("{credential:?}");
        assert!(!shown.contains("canary") && shown.contains("TOKEN") && shown.contains("***"), "{shown}");
    }

    #[test]
    fn a_credential_prints_as_stars() {
        let credential = credential("https://mcp.example.com/mcp");
        let shown = format!("{credential:?} {credential:#?}");
        assert!(!shown.contains("canary") && shown.contains("***"), "{shown}");
    }
}
