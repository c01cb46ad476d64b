//! The gateway's own, rare calls: signing keys, metadata, token and introspection endpoints.
//!
//! No redirects, no proxies, no cookies, bounded time and size, and no address that an attacker
//! could profit from (see [`classify`]).

mod address;
mod reach;

pub use address::{AddressKind, classify};
pub use reach::Reach;

use crate::identity::ClientIdentity;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::{Host, Url};

/// Largest answer body that is read, unless said otherwise, bytes.
const BODY_CAP: usize = 1024 * 1024;

/// An HTTP client for calls that the gateway makes on its own account. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Egress {
    client: reqwest::Client,
    allow_link_local: bool,
    reach: Reach,
    /// Largest answer body that is read, bytes.
    cap: usize,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The whole body, at most 1 MiB.
    pub body: Bytes,
}

/// Why there is no answer. Never contains a secret or a body.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The client could not be made.
    #[error("cannot set up the HTTP client: {0}")]
    Setup(String),
    /// The URL's address is link-local or otherwise never to be called.
    #[error("address {0} is not allowed")]
    Address(IpAddr),
    /// No connection, TLS failure, time-out.
    #[error("request failed: {0}")]
    Transport(String),
    /// The answer is over 1 MiB, or what was set instead.
    #[error("answer is too large")]
    TooLarge,
}

impl Egress {
    /// A client that gives up after `timeout` (connect, send, and read together).
    ///
    /// # Errors
    /// The system's trust store cannot be read.
    pub fn new(timeout: Duration, allow_link_local: bool) -> Result<Self, EgressError> {
        Self::within(timeout, Reach::Loopback, allow_link_local)
    }

    /// The same, which goes no further inside than `reach`.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn within(timeout: Duration, reach: Reach, allow_link_local: bool) -> Result<Self, EgressError> {
        Self::built(
            builder(timeout, GuardedResolver::within(reach, allow_link_local)),
            reach,
            allow_link_local,
        )
    }

    /// The same, on behalf of `host`, which was found to be at `reach`: it is called there and nowhere further
    /// outside. A name that has an address inside while it is looked how far its owner may send us, and its own
    /// when the owner is listened to, gets no answer.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn on_behalf_of(
        host: &str,
        timeout: Duration,
        reach: Reach,
        allow_link_local: bool,
    ) -> Result<Self, EgressError> {
        let resolver = GuardedResolver { allow_link_local, reach, anchor: Some(host.into()) };
        Self::built(builder(timeout, resolver), reach, allow_link_local)
    }

    /// The same as [`new`](Self::new), for a server whose certificate must chain to one of `roots` (PEM; `None`:
    /// the system's). Keeps no connections, so that it may be used from one runtime after the other.
    ///
    /// # Errors
    /// There is no certificate in `roots`.
    pub fn trusting(timeout: Duration, roots: Option<&[u8]>) -> Result<Self, EgressError> {
        let setup = |e: reqwest::Error| EgressError::Setup(describe(&e));
        let resolver = GuardedResolver::within(Reach::Loopback, false);
        let mut builder = builder(timeout, resolver).pool_max_idle_per_host(0);
        if let Some(pem) = roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?;
            if roots.is_empty() {
                return Err(EgressError::Setup(String::from("no certificate in the PEM file")));
            }
            builder = builder.tls_certs_only(roots);
        }
        Self::built(builder, Reach::Loopback, false)
    }

    /// As [`new`](Self::new), for servers that want to be shown a certificate.
    ///
    /// # Errors
    /// Likewise; or the certificate cannot be used.
    pub fn with_identity(
        timeout: Duration,
        allow_link_local: bool,
        identity: &ClientIdentity,
    ) -> Result<Self, EgressError> {
        let identity = identity.for_client().map_err(|e| EgressError::Setup(describe(&e)))?;
        let resolver = GuardedResolver::within(Reach::Loopback, allow_link_local);
        Self::built(builder(timeout, resolver).identity(identity), Reach::Loopback, allow_link_local)
    }

    fn built(
        builder: reqwest::ClientBuilder,
        reach: Reach,
        allow_link_local: bool,
    ) -> Result<Self, EgressError> {
        let client = builder.build().map_err(|e| EgressError::Setup(describe(&e)))?;
        Ok(Self { client, allow_link_local, reach, cap: BODY_CAP })
    }

    /// The same, which reads answers of at most `cap` bytes.
    #[must_use]
    pub fn with_cap(self, cap: usize) -> Self {
        Self { cap, ..self }
    }

    /// `GET url`, accepting `accept`.
    ///
    /// # Errors
    /// See [`EgressError`]. A status of 4xx or 5xx is an answer, not an error.
    pub async fn get(&self, url: &Url, accept: &'static str) -> Result<Answer, EgressError> {
        self.check(url)?;
        self.send(self.client.get(url.clone()).header(ACCEPT, accept)).await
    }

    /// `GET url` with `authorization`, accepting `accept`.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub async fn get_authorized(
        &self,
        url: &Url,
        accept: &'static str,
        mut authorization: HeaderValue,
    ) -> Result<Answer, EgressError> {
        self.check(url)?;
        authorization.set_sensitive(true);
        self.send(self.client.get(url.clone()).header(ACCEPT, accept).header(AUTHORIZATION, authorization))
            .await
    }

    /// `POST url` with an `application/x-www-form-urlencoded` body.
    ///
    /// # Errors
    /// See [`EgressError`].
    pub async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, EgressError> {
        self.check(url)?;
        let mut request = self.client.post(url.clone()).header(ACCEPT, "application/json").form(form);
        if let Some(mut value) = authorization {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        self.send(request).await
    }

    /// `POST url` with a JSON body.
    ///
    /// # Errors
    /// See [`EgressError`].
    pub async fn post_json(&self, url: &Url, json: Vec<u8>) -> Result<Answer, EgressError> {
        self.check(url)?;
        let request = self.client.post(url.clone()).header(ACCEPT, "application/json");
        self.send(request.header(CONTENT_TYPE, "application/json").body(json)).await
    }

    /// `GET url`, or `POST url` if there is a JSON body, with these header fields.
    ///
    /// # Errors
    /// See [`EgressError`].
    pub async fn call(
        &self,
        url: &Url,
        headers: HeaderMap,
        json: Option<Bytes>,
    ) -> Result<Answer, EgressError> {
        self.check(url)?;
        let request = match json {
            None => self.client.get(url.clone()),
            Some(json) => self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(json),
        };
        self.send(request.header(ACCEPT, "application/json").headers(headers)).await
    }

    /// What `url` answers to a POST of `json` at first sight: its status and header. The body is not read, be
    /// it without end.
    ///
    /// # Errors
    /// See [`EgressError`].
    pub async fn knock(
        &self,
        url: &Url,
        json: &'static str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<(StatusCode, HeaderMap), EgressError> {
        self.check(url)?;
        let mut request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(json);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.map_err(|e| EgressError::Transport(describe(&e)))?;
        Ok((response.status(), response.headers().clone()))
    }

    fn check(&self, url: &Url) -> Result<(), EgressError> {
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            _ => return Ok(()),
        };
        let allowed = reach::is_allowed(ip, self.reach, self.allow_link_local);
        if allowed { Ok(()) } else { Err(EgressError::Address(ip)) }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, EgressError> {
        let transport = |e: reqwest::Error| EgressError::Transport(describe(&e));
        let mut response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > self.cap {
                return Err(EgressError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

fn builder(timeout: Duration, resolver: GuardedResolver) -> reqwest::ClientBuilder {
    // pingora's TLS uses the same provider; whoever comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        .connect_timeout(timeout)
        .dns_resolver(Arc::new(resolver))
        .user_agent(concat!("narthex/", env!("CARGO_PKG_VERSION")))
}

/// The error and its causes, without the URL (its query could carry something).
fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { String::from("timed out") } else { String::from("no answer") };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Resolves by the system's resolver and drops every address that is never to be called.
#[derive(Clone, Debug)]
struct GuardedResolver {
    allow_link_local: bool,
    reach: Reach,
    /// The name on whose behalf calls are made.
    anchor: Option<Arc<str>>,
}

impl GuardedResolver {
    fn within(reach: Reach, allow_link_local: bool) -> Self {
        Self { allow_link_local, reach, anchor: None }
    }

    /// Whether `name` may be called at `ip`.
    fn may(&self, name: &str, ip: IpAddr) -> bool {
        let is_anchor = self.anchor.as_deref() == Some(name);
        reach::is_allowed(ip, self.reach, self.allow_link_local)
            && (!is_anchor || Reach::of(ip) == self.reach)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|a| guard.may(name.as_str(), a.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("{} has no allowed address", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_moves_outside_gets_no_answer_of_what_is_inside() {
        let may = |reach, name: &str, ip: &str| {
            let guard = GuardedResolver {
                anchor: Some("up.example".into()),
                ..GuardedResolver::within(reach, false)
            };
            guard.may(name, ip.parse().unwrap())
        };
        for (reach, ip) in
            [(Reach::Public, "8.8.8.8"), (Reach::Private, "10.0.0.1"), (Reach::Loopback, "127.0.0.1")]
        {
            assert!(may(reach, "up.example", ip), "{ip}");
        }
        for (reach, ip) in [
            (Reach::Loopback, "8.8.8.8"),
            (Reach::Loopback, "10.0.0.1"),
            (Reach::Private, "8.8.8.8"),
            (Reach::Private, "127.0.0.1"),
            (Reach::Public, "127.0.0.1"),
        ] {
            assert!(!may(reach, "up.example", ip), "{ip}");
        }
        // What it names may be outside as well.
        assert!(may(Reach::Private, "as.example", "8.8.8.8"));
        assert!(!may(Reach::Private, "as.example", "127.0.0.1"));
    }

    #[tokio::test]
    async fn the_one_on_whose_behalf_is_called_is_called_where_it_was_found() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            Url::parse(&format!("http://localhost:{}/", listener.local_addr().unwrap().port())).unwrap();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1024]).await.unwrap();
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        });
        let at = |reach| Egress::on_behalf_of("localhost", Duration::from_secs(5), reach, false).unwrap();
        assert!(at(Reach::Private).get(&url, "*/*").await.is_err());
        assert_eq!(at(Reach::Loopback).get(&url, "*/*").await.unwrap().status, 204);
        answering.await.unwrap();
    }
}
