//! Where the provider's endpoints and keys are (OpenID Connect Discovery 1.0).

use super::Problem;
use crate::login::Parts;
use narthex_config::model::{self, Algorithm, KeySource, Preset};
use narthex_identity::Signer;
use narthex_telemetry::Events;
use narthex_upstreams::egress::Egress;
use parking_lot::Mutex;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// How long metadata are used without asking again.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// How long they are used when nobody answers.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Least time between two tries that fail.
const RETRY: Duration = Duration::from_secs(5);

/// The provider as its metadata describe it, asked for when first needed.
pub(super) struct Discovery {
    issuer: String,
    url: Url,
    /// Whether `issuer` in the metadata may have `{tenantid}` in it.
    has_template: bool,
    algorithms: Vec<Algorithm>,
    egress: Egress,
    events: Events,
    held: Mutex<Held>,
    /// Held while asking, so that many logins ask once.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    known: Option<(Arc<Known>, SystemTime)>,
    failed: Option<(String, SystemTime)>,
}

/// What is known of a provider.
pub(super) struct Known {
    pub(super) metadata: Metadata,
    pub(super) signer: Arc<Signer>,
}

/// The provider's metadata, as far as they matter.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) issuer: IssuerName,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    jwks_uri: Url,
    /// Whether every answer has `iss` (RFC 9207).
    says_iss: bool,
}

/// Whose tokens are good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum IssuerName {
    /// This very one.
    Exact(String),
    /// Any with the directory's id in the place of `{tenantid}`, which then is the claim `tid`.
    Template(String, String),
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
    jwks_uri: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Discovery {
    pub(super) fn new(config: &model::Provider, parts: &Parts) -> Self {
        Self {
            issuer: config.issuer.clone(),
            url: config.url.clone(),
            has_template: config.preset == Preset::Entra,
            algorithms: config.algorithms.clone(),
            egress: parts.egress.clone(),
            events: parts.events.clone(),
            held: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// The provider, asked anew after an hour. While it does not answer, what is known is used for a day.
    pub(super) async fn known(&self, now: SystemTime) -> Result<Arc<Known>, Problem> {
        if let Some(known) = self.fresh(now, MAX_AGE) {
            return Ok(known);
        }
        let _flight = self.flight.lock().await;
        if let Some(known) = self.fresh(now, MAX_AGE) {
            return Ok(known);
        }
        if let Some(error) = self.just_failed(now) {
            return self.fresh(now, STALE).ok_or(Problem::Provider(error));
        }
        match self.ask().await {
            Ok(known) => {
                *self.held.lock() = Held { known: Some((Arc::clone(&known), now)), failed: None };
                Ok(known)
            }
            Err(error) => {
                self.held.lock().failed = Some((error.clone(), now));
                tracing::warn!(issuer = self.issuer, error, "identity provider not discovered");
                self.fresh(now, STALE).ok_or(Problem::Provider(error))
            }
        }
    }

    fn fresh(&self, now: SystemTime, age: Duration) -> Option<Arc<Known>> {
        let held = self.held.lock();
        let (known, since) = held.known.as_ref()?;
        is_within(*since, age, now).then(|| Arc::clone(known))
    }

    fn just_failed(&self, now: SystemTime) -> Option<String> {
        let held = self.held.lock();
        let (error, since) = held.failed.as_ref()?;
        is_within(*since, RETRY, now).then(|| error.clone())
    }

    async fn ask(&self) -> Result<Arc<Known>, String> {
        let mut url = self.url.clone();
        let path = format!("{}/.well-known/openid-configuration", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let answer = self.egress.get(&url, "application/json").await.map_err(|error| error.to_string())?;
        if answer.status != http::StatusCode::OK {
            return Err(format!("metadata: status {}", answer.status.as_u16()));
        }
        let metadata = self.read(&answer.body)?;
        let source = KeySource::Uri(metadata.jwks_uri.clone());
        let held = self.held.lock().known.as_ref().map(|(known, _)| Arc::clone(&known.signer));
        let signer = match held.filter(|old| old.is_for(&self.issuer, &source, &self.algorithms)) {
            Some(same) => same,
            None => {
                let (egress, events) = (self.egress.clone(), self.events.clone());
                let signer = Signer::new(&self.issuer, source, self.algorithms.clone(), egress, events);
                Arc::new(signer.map_err(|error| error.to_string())?)
            }
        };
        Ok(Arc::new(Known { metadata, signer }))
    }

    fn read(&self, body: &[u8]) -> Result<Metadata, String> {
        let document: Document = serde_json::from_slice(body)
            .map_err(|_| String::from("metadata: not the document of a provider"))?;
        let issuer = self.issuer_name(&document.issuer).ok_or("metadata: another issuer's")?;
        Ok(Metadata {
            issuer,
            authorization_endpoint: self.endpoint(&document.authorization_endpoint)?,
            token_endpoint: self.endpoint(&document.token_endpoint)?,
            userinfo_endpoint: document.userinfo_endpoint.map(|url| self.endpoint(&url)).transpose()?,
            jwks_uri: self.endpoint(&document.jwks_uri)?,
            says_iss: document.authorization_response_iss_parameter_supported,
        })
    }

    /// `issuer` in the metadata must be the configured one (OpenID Connect Discovery §4.3), byte by byte. Only
    /// Entra's for several directories say `{tenantid}` where the configured one has a word.
    fn issuer_name(&self, said: &str) -> Option<IssuerName> {
        if said == self.issuer {
            return Some(IssuerName::Exact(self.issuer.clone()));
        }
        let (before, after) = said.split_once("{tenantid}").filter(|_| self.has_template)?;
        let word = self.issuer.strip_prefix(before)?.strip_suffix(after)?;
        let is_several = matches!(word, "common" | "organizations" | "consumers");
        is_several.then(|| IssuerName::Template(before.to_owned(), after.to_owned()))
    }

    /// An endpoint is `https`, unless the issuer itself is trusted in the clear.
    fn endpoint(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| String::from("metadata: an endpoint is no URL"))?;
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && self.url.scheme() == "http");
        let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if is_safe && is_plain && url.has_host() {
            Ok(url)
        } else {
            Err(String::from("metadata: an endpoint is not https"))
        }
    }
}

impl Metadata {
    /// RFC 9207 §2.4: an answer that says whose it is says so rightly, and one that should say so does.
    pub(super) fn check_iss(&self, said: Option<&str>) -> Result<(), Problem> {
        match said {
            Some(iss) if self.issuer.directory_of(iss).is_some() => Ok(()),
            None if !self.says_iss => Ok(()),
            _ => Err(Problem::MixUp),
        }
    }
}

impl IssuerName {
    /// Whether `iss` is meant; with it the directory that it names, empty where it names none.
    pub(super) fn directory_of<'i>(&self, iss: &'i str) -> Option<&'i str> {
        match self {
            Self::Exact(name) => (name == iss).then_some(""),
            Self::Template(before, after) => {
                let id = iss.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                let legal = |b: u8| b.is_ascii_hexdigit() || b == b'-';
                (id.len() == 36 && id.bytes().all(legal)).then_some(id)
            }
        }
    }
}

/// Whether less than `time` has passed since `then`. A clock that was set back counts as not.
fn is_within(then: SystemTime, time: Duration, now: SystemTime) -> bool {
    now.duration_since(then).is_ok_and(|since| since < time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::fixtures::{parts, provider, vault};

    fn discovery(issuer: &str, preset: Preset) -> Discovery {
        Discovery::new(&model::Provider { preset, ..provider("corp", issuer) }, &parts(vault()))
    }

    #[test]
    fn metadata_are_of_the_configured_issuer_byte_by_byte() {
        let one = discovery("https://idp.example/realms/acme", Preset::Generic);
        let exact = IssuerName::Exact("https://idp.example/realms/acme".to_owned());
        assert_eq!(one.issuer_name("https://idp.example/realms/acme"), Some(exact));
        for said in
            ["", "https://idp.example", "https://idp.example/realms/acme/", "https://IDP.example/realms/acme"]
        {
            assert_eq!(one.issuer_name(said), None, "{said}");
        }
    }

    #[test]
    fn only_entra_has_issuers_of_several_directories() {
        let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
        for word in ["common", "organizations", "consumers"] {
            let issuer = format!("https://login.microsoftonline.com/{word}/v2.0");
            assert!(discovery(&issuer, Preset::Entra).issuer_name(template).is_some(), "{word}");
            assert_eq!(discovery(&issuer, Preset::Generic).issuer_name(template), None, "{word}");
        }
        let own = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
        let own = discovery(own, Preset::Entra);
        assert_eq!(own.issuer_name(template), None, "one directory's issuer is its own");
        let several = discovery("https://login.microsoftonline.com/common/v2.0", Preset::Entra);
        for said in [
            "https://evil.example/{tenantid}/v2.0",
            "{tenantid}",
            "https://login.microsoftonline.com/{tenantid}",
            "https://login.microsoftonline.com/{tenantid}/v2.0/",
            "https://login.microsoftonline.com/{tenantid}{tenantid}/v2.0",
        ] {
            assert_eq!(several.issuer_name(said), None, "{said}");
        }
    }

    #[test]
    fn endpoints_are_https_unless_the_issuer_is_not() {
        let safe = discovery("https://idp.example", Preset::Generic);
        assert!(safe.endpoint("https://other.example/token?x=1").is_ok());
        for text in [
            "http://idp.example/token",
            "ftp://idp.example/",
            "/token",
            "",
            "https://u:p@idp.example/",
            "https://idp.example/#f",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            assert!(safe.endpoint(text).is_err(), "{text}");
        }
        assert!(
            discovery("http://127.0.0.1:1", Preset::Generic).endpoint("http://127.0.0.1:1/token").is_ok()
        );
    }

    #[test]
    fn an_answer_says_whose_it_is_where_that_was_announced_and_always_rightly() {
        let metadata = |says_iss| Metadata {
            issuer: IssuerName::Exact("https://idp.example".to_owned()),
            authorization_endpoint: Url::parse("https://idp.example/a").unwrap(),
            token_endpoint: Url::parse("https://idp.example/t").unwrap(),
            userinfo_endpoint: None,
            jwks_uri: Url::parse("https://idp.example/k").unwrap(),
            says_iss,
        };
        assert!(metadata(false).check_iss(None).is_ok());
        assert!(metadata(true).check_iss(None).is_err());
        for says_iss in [false, true] {
            assert!(metadata(says_iss).check_iss(Some("https://idp.example")).is_ok());
            for wrong in ["", "https://evil.example", "https://idp.example/", "https://idp.example%2F"] {
                assert!(metadata(says_iss).check_iss(Some(wrong)).is_err(), "{wrong}");
            }
        }
    }
}
