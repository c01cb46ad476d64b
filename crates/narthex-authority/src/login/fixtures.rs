//! What the tests of the login stand on: a gateway at loopback, and browsers.

use super::{Login, Parts};
pub(crate) use crate::fixtures::{get, post};
use crate::{Request, Response};
use ::http::header::{COOKIE, SET_COOKIE};
use ::http::{HeaderMap, HeaderValue};
use narthex_config::model::{
    self, Algorithm, LocalUser, LoginClaims, LoginTenant, OAuthClient, OAuthClientAuth, Preset, Provider,
    PublicUrl, SecretRef, SessionLife, TenantId,
};
use narthex_identity::client_auth::SecretSource;
use narthex_store::{Capacity, KeyRing, Memory, Vault};
use narthex_telemetry::Events;
use narthex_upstreams::egress::Egress;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::from(name)
}

pub(crate) fn public_url() -> PublicUrl {
    let url = "http://localhost:8080/gw".to_owned();
    PublicUrl { url, origin: "http://localhost:8080".to_owned(), path: "/gw".to_owned() }
}

/// Every secret is the one of the mock provider's client, or, from the environment, the variable's name.
pub(crate) struct Secrets;

impl SecretSource for Secrets {
    fn read(&self, secret: &SecretRef) -> Result<SecretString, String> {
        Ok(match secret {
            SecretRef::Env(name) => name.clone().into(),
            _ => "client-secret-canary-1".to_owned().into(),
        })
    }
}

pub(crate) fn vault() -> Vault {
    let capacity = Capacity { entries: NonZeroUsize::new(10_000).unwrap(), bytes: 1 << 20 };
    Vault::new(Arc::new(Memory::new(capacity, Arc::new(Instant::now))), KeyRing::new(vec![[7; 32]]))
}

pub(crate) fn parts(vault: Vault) -> Parts {
    Parts {
        vault,
        egress: Egress::new(Duration::from_secs(5), false).unwrap(),
        secrets: Arc::new(Secrets),
        events: Events::register(&prometheus::Registry::new()).unwrap(),
        id_tokens: None,
    }
}

pub(crate) fn provider(id: &str, issuer: &str) -> Provider {
    Provider {
        id: id.to_owned(),
        title: format!("{id} SSO"),
        issuer: issuer.to_owned(),
        url: issuer.parse().unwrap(),
        preset: Preset::Generic,
        client: OAuthClient {
            id: "narthex".to_owned(),
            auth: OAuthClientAuth::Basic(SecretRef::File("secret".into())),
        },
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        claims: LoginClaims {
            subject: vec!["sub".to_owned()],
            tenant: LoginTenant::Claim { claim: "org_id".to_owned(), values: None },
            groups: vec!["groups".to_owned()],
            name: vec!["name".to_owned()],
        },
        userinfo: false,
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
    }
}

pub(crate) fn config(providers: Vec<Provider>, users: Vec<LocalUser>) -> model::Login {
    model::Login {
        title: "Narthex".to_owned(),
        providers,
        users,
        session: SessionLife { idle: Duration::from_secs(3600), lifetime: Duration::from_secs(12 * 3600) },
        tenants: ["acme", "globex"].map(tenant).into(),
    }
}

pub(crate) fn local(name: &str, password: Option<&str>) -> LocalUser {
    LocalUser {
        name: name.to_owned(),
        password: password.map(|password| SecretRef::Env(password.to_owned())),
        tenant: tenant("acme"),
        groups: vec!["staff".to_owned()],
    }
}

pub(crate) fn login(config: &model::Login) -> Login {
    Login::new(config, &public_url(), &parts(vault()))
}

/// A browser: keeps cookies, reads pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitor {
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    pub(crate) fn headers(&self) -> HeaderMap {
        let line: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = HeaderMap::new();
        if !line.is_empty() {
            headers.insert(COOKIE, HeaderValue::from_str(&line.join("; ")).unwrap());
        }
        headers
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Takes the cookies of an answer.
    pub(crate) fn take(&mut self, response: &Response) {
        for line in response.headers().get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(crate) async fn send(&mut self, login: &Login, mut request: Request, now: SystemTime) -> Response {
        request.headers.extend(self.headers());
        let response = login.answer(&request, now).await;
        self.take(&response);
        response
    }
}

pub(crate) fn body(response: &Response) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

/// The value of a hidden field.
pub(crate) fn hidden<'r>(response: &'r Response, name: &str) -> &'r str {
    let mark = format!("name=\"{name}\" value=\"");
    body(response).split(&mark).nth(1).unwrap().split('"').next().unwrap()
}

/// Where a page goes on to by itself.
pub(crate) fn onward(response: &Response) -> String {
    let rest =
        body(response).split("content=\"0; url=").nth(1).unwrap_or_else(|| panic!("{}", body(response)));
    rest.split('"').next().unwrap().replace("&amp;", "&")
}
