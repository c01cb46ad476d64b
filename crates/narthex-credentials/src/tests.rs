//! The whole crate against a token endpoint on a socket.

mod caching;
mod exchange;
mod failures;
mod reload;
pub(crate) mod server;
mod signed;
mod strategies;

use crate::build::Builder;
use crate::secret::Secrets;
use crate::{BuildError, Context, CredentialError, CredentialSource, Credentials, UpstreamCredential};
use narthex_config::model::{
    Breaker, CatalogueLimits, ClientCredentials, Credential, Health, HttpVersion, OAuthClient,
    OAuthClientAuth, PinMode, Protocol, SecretRef, TokenExchange, Transport, Upstream, UpstreamId, Wanted,
};
use narthex_identity::Caller;
use narthex_telemetry::Events;
use server::Server;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PUBLIC_URL: &str = "https://gateway.example.com";
const ORIGIN: &str = "https://mcp.example.com";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The environment of every test.
pub(crate) fn environment(name: &str) -> Option<OsString> {
    match name {
        "SECRET" => Some("secret:canary% \u{fc}".into()),
        "KEY" => Some("api-key-canary".into()),
        "OTHER_KEY" => Some("other-key-canary".into()),
        "BROKEN" => Some("canary\r\nX-Evil: 1".into()),
        _ => None,
    }
}

pub(crate) fn secrets() -> Secrets {
    Secrets::with_environment(environment)
}

pub(crate) fn env(name: &str) -> SecretRef {
    SecretRef::Env(name.into())
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

pub(crate) fn events() -> (prometheus::Registry, Events) {
    let registry = prometheus::Registry::new();
    let events = Events::register(&registry).unwrap();
    (registry, events)
}

pub(crate) fn caller(tenant: &str, subject: &str, expires: u64) -> Caller {
    let mut caller = Caller::anonymous(tenant.into());
    caller.issuer = "https://idp.example.com".into();
    caller.subject = subject.into();
    caller.client = Some("cli".into());
    caller.expires = Some(at(expires));
    caller
}

pub(crate) fn upstream(credential: Credential) -> Upstream {
    Upstream {
        transport: Transport::Http("https://mcp.example.com/mcp".parse::<url::Url>().unwrap().into()),
        catalogue: CatalogueLimits::default(),
        health: Health::default(),
        credential,
        timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(5),
        stream_idle_timeout: Duration::from_secs(300),
        keepalive: Duration::from_secs(4),
        http: HttpVersion::Auto,
        protocol: Protocol::Auto,
        pins: PinMode::Off,
        ca: None,
        tls: None,
        max_concurrent: NonZeroU32::MIN,
        breaker: Breaker { failures: NonZeroU32::MIN, cooldown: Duration::from_secs(10) },
        allow_link_local: false,
        insecure: false,
    }
}

fn upstreams(credential: Credential) -> BTreeMap<UpstreamId, Upstream> {
    BTreeMap::from([("github".into(), upstream(credential))])
}

fn build(credential: Credential) -> Arc<CredentialSource> {
    build_in(credential, &Context::default())
}

fn build_in(credential: Credential, context: &Context) -> Arc<CredentialSource> {
    let credentials = build_all(&upstreams(credential), None, &events().1, context).unwrap();
    credentials.upstream(&"github".into()).unwrap()
}

fn build_all(
    upstreams: &BTreeMap<UpstreamId, Upstream>,
    previous: Option<&Credentials>,
    events: &Events,
    context: &Context,
) -> Result<Credentials, BuildError> {
    let builder = Builder::new(events, context);
    Credentials::build_with(&secrets(), upstreams, PUBLIC_URL, previous, builder)
}

fn client(auth: OAuthClientAuth) -> OAuthClient {
    OAuthClient { id: "https://gw.example.com/id".into(), auth }
}

fn exchange_at(server: &Server, auth: OAuthClientAuth) -> TokenExchange {
    TokenExchange {
        token_url: server.url(),
        client: client(auth),
        wanted: Wanted {
            audience: vec!["https://mcp.example.com/mcp".into()],
            resource: vec!["https://mcp.example.com/".into()],
            scopes: vec!["repo.read".into(), "user".into()],
        },
        subject_token_type: ACCESS_TOKEN.into(),
        requested_token_type: Some(ACCESS_TOKEN.into()),
        actor: None,
    }
}

fn exchange(server: &Server) -> Credential {
    Credential::TokenExchange(exchange_at(server, OAuthClientAuth::None))
}

fn client_credentials(server: &Server) -> Credential {
    Credential::ClientCredentials(ClientCredentials {
        token_url: Some(server.url()),
        issuer: None,
        client: client(OAuthClientAuth::None),
        wanted: Wanted {
            scopes: vec!["repo.read".into()],
            resource: vec!["https://mcp.example.com/".into()],
            audience: Vec::new(),
        },
    })
}

/// The header's value, as the upstream would get it.
pub(crate) fn value(credential: &UpstreamCredential) -> String {
    let (_, value) = credential.header_for(ORIGIN).unwrap().unwrap();
    value.to_str().unwrap().to_owned()
}

fn reason(outcome: Result<UpstreamCredential, CredentialError>) -> &'static str {
    outcome.unwrap_err().reason()
}
