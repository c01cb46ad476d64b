//! What is presented to an upstream.

use crate::asserted::Statement;
use crate::error::{CredentialError, Reason};
use crate::secret::Secret;
use crate::sigv4::SigV4;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use narthex_config::model::{Transport, UpstreamId};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use url::Url;
use zeroize::Zeroizing;

/// A credential for one upstream: a header, what signs each request, variables of a child process's environment,
/// or nothing, and the only origin that may receive it.
///
/// Only this crate makes one. A clone is a reference count; the value is zeroed with the last.
#[derive(Clone)]
pub struct UpstreamCredential(Arc<Inner>);

struct Inner {
    origin: Origin,
    form: Form,
    /// From this time on it is not presented again; `None`: it has no end.
    usable_until: Option<SystemTime>,
    /// When it replaced one that the upstream had refused, if it did.
    renewed: Option<SystemTime>,
}

enum Form {
    Nothing,
    Header(HeaderName, HeaderValue),
    /// A JWT made anew for each request.
    Statement(Statement),
    /// A signature over each request.
    SigV4(Arc<SigV4>),
    Environment(Box<[(String, Secret)]>),
}

/// A request that is complete but for its credential.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// `scheme://host` of the server, with `:port` where it is not the scheme's own (either form is taken then).
    pub origin: &'a str,
    /// Its method.
    pub method: &'a Method,
    /// Path and query as they are sent.
    pub target: &'a str,
    /// All of its header fields, `Host` among them.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// What is to be put into a request's header, in the place of fields of the same names. The values that are
/// secret are marked sensitive.
pub enum Presented<'a> {
    /// This upstream gets no credential.
    Nothing,
    /// A field that is the same for every request.
    Kept(&'a HeaderName, &'a HeaderValue),
    /// Fields that are made for this request alone.
    Made(Vec<(HeaderName, HeaderValue)>),
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
        let form = header.map_or(Form::Nothing, |(name, value)| Form::Header(name, value));
        Self::of(origin, form, None, None)
    }

    pub(crate) fn environment(origin: Origin, environment: Box<[(String, Secret)]>) -> Self {
        Self::of(origin, Form::Environment(environment), None, None)
    }

    /// One that makes a JWT for each request.
    pub(crate) fn statement(origin: Origin, statement: Statement, usable_until: Option<SystemTime>) -> Self {
        Self::of(origin, Form::Statement(statement), usable_until, None)
    }

    /// One that signs each request. `usable_until` is `None` for keys without an end.
    pub(crate) fn sigv4(
        origin: Origin,
        signer: Arc<SigV4>,
        usable_until: Option<SystemTime>,
        renewed: Option<SystemTime>,
    ) -> Self {
        Self::of(origin, Form::SigV4(signer), usable_until, renewed)
    }

    /// RFC 6750 §2.1. `token` is b64token-safe, so it makes a header value.
    pub(crate) fn bearer(
        origin: Origin,
        token: &str,
        usable_until: SystemTime,
        renewed: Option<SystemTime>,
    ) -> Result<Self, CredentialError> {
        let value = bearer_value(token).ok_or(Reason::BadTokenResponse)?;
        Ok(Self::of(origin, Form::Header(AUTHORIZATION, value), Some(usable_until), renewed))
    }

    /// A header of this name, until then.
    pub(crate) fn header(origin: Origin, name: HeaderName, value: HeaderValue, until: SystemTime) -> Self {
        Self::of(origin, Form::Header(name, value), Some(until), None)
    }

    fn of(origin: Origin, form: Form, usable_until: Option<SystemTime>, renewed: Option<SystemTime>) -> Self {
        Self(Arc::new(Inner { origin, form, usable_until, renewed }))
    }

    /// What `request`, about to be sent at `now`, has to carry. A signature covers all of it, so nothing may
    /// be changed afterwards.
    ///
    /// # Errors
    /// `wrong_origin`: the credential is bound to another upstream's origin. `caller_expired`: it speaks of
    /// a caller whose token has ended meanwhile. `assertion_failed`: it cannot be signed.
    pub fn present(&self, request: &Outgoing<'_>, now: SystemTime) -> Result<Presented<'_>, CredentialError> {
        self.check(request.origin)?;
        match &self.0.form {
            Form::Nothing | Form::Environment(_) => Ok(Presented::Nothing),
            Form::Header(name, value) => Ok(Presented::Kept(name, value)),
            Form::Statement(statement) => {
                let id = request.headers.get("x-request-id").and_then(|id| id.to_str().ok());
                Ok(Presented::Made(vec![statement.header(id, now)?]))
            }
            Form::SigV4(signer) => signer.sign(request, now).map(Presented::Made),
        }
    }

    /// The token of a bearer credential, to be used otherwise than in a header.
    pub(crate) fn token(&self) -> Option<&str> {
        match &self.0.form {
            Form::Header(_, value) => value.to_str().ok()?.strip_prefix("Bearer "),
            _ => None,
        }
    }

    /// The variables, by name, that the child process at `origin` gets into its environment.
    ///
    /// # Errors
    /// `wrong_origin`: the credential is bound to another upstream.
    pub fn environment_for(&self, origin: &str) -> Result<Vec<(&str, &str)>, CredentialError> {
        self.check(origin)?;
        let Form::Environment(variables) = &self.0.form else { return Ok(Vec::new()) };
        Ok(variables.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect())
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
            .field("form", &self.0.form)
            .field("usable_until", &self.0.usable_until)
            .finish()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Header(name, _) => f.debug_tuple("Header").field(&name.as_str()).field(&"***").finish(),
            Self::Statement(_) => f.write_str("Statement"),
            Self::SigV4(_) => f.write_str("SigV4"),
            Self::Environment(variables) => f.debug_tuple("Environment").field(variables).finish(),
        }
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

/// `Bearer ` and the token.
pub(crate) fn bearer_value(token: &str) -> Option<HeaderValue> {
    let mut value = Zeroizing::new(Vec::with_capacity("Bearer ".len() + token.len()));
    value.extend_from_slice(b"Bearer ");
    value.extend_from_slice(token.as_bytes());
    sensitive(value)
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

    impl UpstreamCredential {
        /// The header that it is, for a request that is of no interest.
        pub(crate) fn header_for(
            &self,
            origin: &str,
        ) -> Result<Option<(&HeaderName, &HeaderValue)>, CredentialError> {
            let (method, headers) = (&Method::POST, &HeaderMap::new());
            let request = Outgoing { origin, method, target: "/", headers, body: b"" };
            match self.present(&request, SystemTime::UNIX_EPOCH)? {
                Presented::Nothing => Ok(None),
                Presented::Kept(name, value) => Ok(Some((name, value))),
                Presented::Made(_) => panic!("made for each request"),
            }
        }
    }

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
