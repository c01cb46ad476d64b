//! Users, their browsers and replicas of the gateway against an upstream with an authorization server.

mod attacks;
mod connecting;
mod crowds;
mod server;

use super::{ConnectError, Directory, Visitor};
use crate::build::Builder;
use crate::tests::{caller, events, secrets, upstream};
use crate::{Consent, Context, CredentialError, CredentialSource, Credentials, UpstreamCredential};
use narthex_config::model::{AuthorizationCode, Credential, ResourceParameter, TenantId, UpstreamId};
use narthex_identity::Caller;
use narthex_store::{Capacity, KeyRing, Memory, Vault};
use server::Site;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use url::Url;

const PUBLIC_URL: &str = "https://gw.example.com";
const IDP: &str = "https://idp.example.com";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// What is the same for all replicas of a gateway.
#[derive(Clone)]
struct Gateway {
    vault: Vault,
    /// The store's time.
    passed: Arc<Mutex<Duration>>,
    public_url: &'static str,
}

/// One replica of it.
struct Replica {
    credentials: Credentials,
    source: Arc<CredentialSource>,
}

/// A user of the identity provider, who logs in at the gateway as `corp|name`.
#[derive(Clone, Copy)]
struct User {
    tenant: &'static str,
    name: &'static str,
}

const ALICE: User = User { tenant: "acme", name: "alice" };
const BOB: User = User { tenant: "acme", name: "bob" };

// === impl Gateway ===

impl Gateway {
    fn new() -> Self {
        let passed = Arc::new(Mutex::new(Duration::ZERO));
        let (start, clock) = (Instant::now(), Arc::clone(&passed));
        let most = NonZeroUsize::new(100_000).unwrap();
        let capacity = Capacity { entries: most, bytes: 100 << 20 };
        let memory = Memory::new(capacity, Arc::new(move || start + *clock.lock().unwrap()));
        let vault = Vault::new(Arc::new(memory), KeyRing::new(vec![[7; 32]]));
        Self { vault, passed, public_url: PUBLIC_URL }
    }

    fn wait(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }

    fn replica(&self, site: &Site) -> Replica {
        self.with(site, |_| {})
    }

    fn with(&self, site: &Site, change: impl Fn(&mut AuthorizationCode)) -> Replica {
        self.several(&[("github", site)], change)
    }

    /// With several upstreams; the first is the replica's.
    fn several(&self, sites: &[(&str, &Site)], change: impl Fn(&mut AuthorizationCode)) -> Replica {
        let mut code = AuthorizationCode {
            scopes: Vec::new(),
            client: None,
            metadata_document: true,
            dynamic: true,
            issuer: None,
            resource: None,
            resource_parameter: ResourceParameter::Resource,
            title: Some("Git Hub".into()),
        };
        change(&mut code);
        let made = sites.iter().map(|(id, site)| {
            let mut upstream = upstream(Credential::AuthorizationCode(Box::new(code.clone())));
            upstream.transport = narthex_config::model::Transport::Http(site.mcp().into());
            (UpstreamId::from(*id), upstream)
        });
        let upstreams: BTreeMap<_, _> = made.collect();
        let directory = Directory::new(self.public_url, [("corp", IDP)].into_iter());
        let context = Context { vault: Some(self.vault.clone()), ..Context::default() };
        let events = events().1;
        let builder = Builder::new(&events, &context).with_directory(directory);
        let credentials =
            Credentials::build_with(&secrets(), &upstreams, self.public_url, None, builder).unwrap();
        let source = credentials.upstream(&sites[0].0.into()).unwrap();
        Replica { credentials, source }
    }
}

// === impl User ===

impl User {
    /// With a token of the identity provider.
    fn caller(self) -> Caller {
        caller(self.tenant, self.name, 360_000)
    }

    /// With a token of the gateway's own authority.
    fn own_caller(self) -> Caller {
        let mut caller = self.caller();
        caller.issuer = PUBLIC_URL.into();
        caller.subject = format!("corp|{}", self.name).into();
        caller
    }

    /// At the browser.
    fn at_browser(self) -> AtBrowser {
        let subject = format!("corp|{}", self.name);
        AtBrowser { tenant: self.tenant.into(), subject, name: self.name }
    }
}

/// A user who logged in.
struct AtBrowser {
    tenant: TenantId,
    subject: String,
    name: &'static str,
}

impl AtBrowser {
    fn visitor(&self) -> Visitor<'_> {
        Visitor {
            tenant: &self.tenant,
            subject: &self.subject,
            provider_issuer: IDP,
            provider_subject: self.name,
        }
    }
}

// === impl Replica ===

impl Replica {
    async fn obtain(&self, user: User, now: u64) -> Result<String, CredentialError> {
        self.source.obtain(&user.caller(), Some("inbound"), at(now)).await.map(|got| token(&got))
    }

    async fn reason(&self, user: User, now: u64) -> &'static str {
        self.obtain(user, now).await.unwrap_err().reason()
    }

    /// The consent that a call of `user` asks for.
    async fn wanted(&self, user: User, now: u64) -> Consent {
        let error = self.obtain(user, now).await.unwrap_err();
        let detail = format!("{error:?}");
        error.consent().cloned().unwrap_or_else(|| panic!("{detail}"))
    }

    /// The browser of `user` presses the button of that link: where it is sent.
    async fn begin(&self, user: User, link: &str, now: u64) -> Result<Url, ConnectError> {
        let there = user.at_browser();
        self.credentials.begin(&there.visitor(), &browser(user), link, at(now)).await
    }

    /// The browser comes back.
    async fn finish(
        &self,
        user: User,
        answer: &[(String, String)],
        now: u64,
    ) -> Result<super::Connected, ConnectError> {
        let there = user.at_browser();
        self.credentials.finish(&there.visitor(), &browser(user), answer, at(now)).await
    }

    async fn revoke(&self, user: User, now: u64) {
        let there = user.at_browser();
        self.credentials.revoke(&there.visitor(), &"github".into(), at(now)).await.unwrap();
    }

    async fn connection(&self, user: User) -> super::Connected {
        let there = user.at_browser();
        self.credentials.connection(&there.visitor(), &"github".into()).await.unwrap()
    }

    /// All of it: the user calls, follows the link, says yes twice, and is back.
    async fn connect(&self, user: User, site: &Site, now: u64) {
        let consent = self.wanted(user, now).await;
        let url = self.begin(user, link(&consent), now).await.unwrap();
        let answer = site.approve(&url).await;
        self.finish(user, &answer, now).await.unwrap();
    }
}

fn browser(user: User) -> String {
    format!("browser of {}", user.name)
}

fn link(consent: &Consent) -> &str {
    consent.url.path().strip_prefix("/connect/").unwrap()
}

/// The token that the upstream gets.
fn token(credential: &UpstreamCredential) -> String {
    credential.token().unwrap().to_owned()
}

fn query(url: &Url) -> BTreeMap<String, String> {
    let all: Vec<_> = url.query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = all.iter().cloned().collect();
    assert_eq!(map.len(), all.len(), "a parameter twice: {url}");
    map
}
