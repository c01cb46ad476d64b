//! One call of the vault, tried again where that may help.

use super::problem::VaultProblem;
use crate::credential::sensitive;
use crate::secret::{Secret, wipe};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use narthex_config::model::Vault as Settings;
use narthex_upstreams::egress::{Answer, Egress, EgressError};
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// Time for one try.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Tries of one call.
const TRIES: u32 = 3;

/// The wait before the second try; each further one is four times as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Longest wait that the vault may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Asked of every caller by vaults that want proof of no cross-site request (`X-Vault-Request`).
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// A vault's HTTP API.
#[derive(Debug)]
pub(super) struct Api {
    egress: Egress,
    address: Url,
    namespace: Option<HeaderValue>,
}

/// What a try came to.
enum Outcome {
    /// The vault has decided.
    Decided(Answer),
    /// It may be otherwise soon: why, and how long it asks to wait.
    Passing(String, Option<Duration>),
    /// It will not be otherwise.
    Failed(VaultProblem),
}

impl Api {
    /// `roots`: PEM of the authorities that its certificate must chain to, if not the system's.
    pub(super) fn new(settings: &Settings, roots: Option<&[u8]>) -> Result<Self, VaultProblem> {
        let setup = |problem: String| VaultProblem::Setup(problem);
        let namespace = settings.namespace.as_ref().map(|name| HeaderValue::from_bytes(name.as_bytes()));
        Ok(Self {
            egress: Egress::trusting(CALL_TIMEOUT, roots).map_err(|e| setup(e.to_string()))?,
            address: settings.address.clone(),
            namespace: namespace
                .transpose()
                .map_err(|_| setup("the namespace is no header value".to_owned()))?,
        })
    }

    /// `GET /v1/path`, or `POST` with a body.
    ///
    /// # Errors
    /// The vault cannot be asked. A refusal is an answer.
    pub(super) async fn call(
        &self,
        path: &[&str],
        token: Option<&Secret>,
        json: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Answer, VaultProblem> {
        let url = self.url(path)?;
        let headers = self.headers(token)?;
        let json = json.map(Bytes::from_owner);
        let mut tries = 1;
        loop {
            let (why, wait) = match self.once(&url, headers.clone(), json.clone()).await {
                Outcome::Decided(answer) => return Ok(answer),
                Outcome::Failed(problem) => return Err(problem),
                Outcome::Passing(why, wait) => (why, wait),
            };
            if tries == TRIES {
                return Err(VaultProblem::Unreachable(why));
            }
            let wait = wait.unwrap_or_else(|| pause(tries, random()));
            tracing::debug!(why, tries, ?wait, "the vault is asked again");
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    async fn once(&self, url: &Url, headers: HeaderMap, json: Option<Bytes>) -> Outcome {
        match self.egress.call(url, headers, json).await {
            Ok(answer) if may_pass(answer.status) => {
                let wait = retry_after(&answer.headers);
                let status = answer.status.as_u16();
                wipe(answer.body);
                Outcome::Passing(format!("status {status}, {}", self.state().await), wait)
            }
            Ok(answer) if answer.status.is_redirection() => {
                let why = "it answers with a redirect, as a standby does that does not forward";
                Outcome::Failed(VaultProblem::Unreachable(why.to_owned()))
            }
            Ok(answer) => Outcome::Decided(answer),
            Err(EgressError::Transport(why)) => Outcome::Passing(why, None),
            Err(error) => Outcome::Failed(VaultProblem::Unreachable(error.to_string())),
        }
    }

    /// What the vault says of itself, for the log.
    async fn state(&self) -> &'static str {
        let Ok(url) = self.url(&["sys", "health"]) else { return "state unknown" };
        // Outside of every namespace.
        match self.egress.call(&url, HeaderMap::new(), None).await {
            Ok(answer) => state_of(answer.status.as_u16()),
            Err(_) => "state unknown",
        }
    }

    fn url(&self, path: &[&str]) -> Result<Url, VaultProblem> {
        let mut url = self.address.clone();
        let segments = path.iter().flat_map(|part| part.split('/'));
        url.path_segments_mut()
            .map_err(|()| VaultProblem::Setup("the address takes no path".to_owned()))?
            .pop_if_empty()
            .push("v1")
            .extend(segments);
        Ok(url)
    }

    fn headers(&self, token: Option<&Secret>) -> Result<HeaderMap, VaultProblem> {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        if let Some(namespace) = &self.namespace {
            headers.insert(NAMESPACE, namespace.clone());
        }
        if let Some(token) = token {
            let value = sensitive(Zeroizing::new(token.expose().as_bytes().to_vec()));
            let unfit = || VaultProblem::Login("the token is no header value".to_owned());
            headers.insert(TOKEN, value.ok_or_else(unfit)?);
        }
        Ok(headers)
    }
}

/// Overload, a standby (429, 472, 473), one that is sealed or starting (503), one that lags behind what was
/// just written (412), and failures of its own.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 412 | 429 | 472 | 473)
}

/// What the status of `/v1/sys/health` means.
fn state_of(status: u16) -> &'static str {
    match status {
        200 => "unsealed and active",
        429 => "a standby",
        472 => "a secondary for disaster recovery",
        473 => "a performance standby",
        501 => "not initialized",
        503 => "sealed",
        _ => "state unknown",
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The wait after so many tries: between half and the whole of what would be due, by `random`, so that many
/// gateways do not come all at once.
fn pause(tries: u32, random: u8) -> Duration {
    let whole = FIRST_WAIT * 4_u32.saturating_pow(tries - 1);
    (whole / 2 + whole / 2 * u32::from(random) / 255).min(LONGEST_WAIT)
}

/// A random byte; the middle, should the system have none.
pub(super) fn random() -> u8 {
    let mut byte = [128];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_not_the_same_for_all() {
        let millis = |tries, random| pause(tries, random).as_millis();
        assert_eq!((millis(1, 0), millis(1, 255)), (100, 200));
        assert_eq!((millis(2, 0), millis(2, 255)), (400, 800));
        assert_eq!(pause(30, 255), LONGEST_WAIT);
    }

    #[test]
    fn the_vault_may_not_ask_for_a_long_wait() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(asked("1"), Some(Duration::from_secs(1)));
        assert_eq!(asked("86400"), Some(LONGEST_WAIT));
        for strange in ["-1", "soon", "", "99999999999999999999", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(asked(strange), None, "{strange}");
        }
    }

    #[test]
    fn only_what_may_pass_is_asked_again() {
        for status in [408, 412, 429, 472, 473, 500, 502, 503, 504] {
            assert!(may_pass(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [200, 204, 307, 400, 403, 404, 405] {
            assert!(!may_pass(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    #[test]
    fn a_path_cannot_leave_the_api() {
        let settings = |address: &str| Settings {
            address: address.parse().unwrap(),
            ca: None,
            namespace: None,
            auth: narthex_config::model::VaultAuth::Token(narthex_config::model::SecretRef::Env("T".into())),
            refresh: Duration::from_secs(1),
        };
        let url = |address: &str, path: &[&str]| {
            Api::new(&settings(address), None).unwrap().url(path).unwrap().to_string()
        };
        assert_eq!(url("https://v", &["secret", "data", "a/b c"]), "https://v/v1/secret/data/a/b%20c");
        assert_eq!(url("https://v/behind/", &["kv/x", "data", "ü"]), "https://v/behind/v1/kv/x/data/%C3%BC");
        assert_eq!(url("https://v", &["s", "data", "a?b#c%2f"]), "https://v/v1/s/data/a%3Fb%23c%252f");
        // The configuration takes none such.
        assert_eq!(url("https://v", &["s", "data", "../../sys"]), "https://v/v1/s/data/sys");
    }
}
