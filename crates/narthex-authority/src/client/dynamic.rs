//! Clients that registered themselves: kept while they are used, and not too many of them.

use super::{Client, ClientAuth, RedirectUri, Source};
use crate::error::{Code, OAuthError};
use crate::pages::ClientKind;
use crate::secret::{random, seconds};
use narthex_config::model::DynamicRegistration;
use narthex_store::{Key, Vault};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Every id of such a client begins with it.
const PREFIX: &str = "dyn_";
/// How often losing against another registration is taken.
const ATTEMPTS: usize = 16;

/// The clients that registered themselves.
#[derive(Debug)]
pub(crate) struct Dynamic {
    vault: Vault,
    pub(crate) rules: DynamicRegistration,
    /// SHA-256 of what whoever registers must present.
    pub(crate) initial_access_token: Option<String>,
}

/// A client as it is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) redirect_uris: Vec<String>,
    /// SHA-256 of its secret; `None`: it is public.
    pub(crate) secret: Option<String>,
    pub(crate) refresh: bool,
    /// `dpop_bound_access_tokens`.
    #[serde(default)]
    pub(crate) dpop: bool,
    /// When it was used last, seconds since 1970.
    pub(crate) used: u64,
}

/// When each of them ends, by id: seconds since 1970.
type Index = BTreeMap<String, u64>;

impl Dynamic {
    pub(crate) fn new(
        vault: Vault,
        rules: DynamicRegistration,
        initial_access_token: Option<String>,
    ) -> Self {
        Self { vault, rules, initial_access_token }
    }

    /// Who vouches for a redirect URI: of a scheme that the operator named, the operator.
    pub(super) fn source_of(&self, uri: &str) -> Source {
        let scheme = uri.split(':').next().unwrap_or_default();
        let is_named = self.rules.redirect_schemes.iter().any(|named| named == scheme);
        if is_named { Source::Operator } else { Source::Client }
    }

    /// Whether clients may register themselves to be answered there: on web pages of certain hosts only.
    pub(super) fn allows(&self, uri: &RedirectUri) -> bool {
        let mut patterns = self.rules.redirect_hosts.iter();
        uri.web_host().is_none_or(|host| patterns.any(|pattern| pattern.matches(host)))
    }

    /// The client called `id`.
    pub(super) async fn find(&self, id: &str, now: SystemTime) -> Result<Option<Arc<Client>>, OAuthError> {
        let Some(registration) = self.read(id).await? else { return Ok(None) };
        if registration.used + self.rules.unused.as_secs() <= seconds(now) {
            return Ok(None);
        }
        let redirects = registration.redirect_uris.iter();
        let redirects: Result<Vec<_>, _> =
            redirects.map(|uri| RedirectUri::parse(uri, self.source_of(uri))).collect();
        // The rules may have become stricter since.
        let redirects = redirects.ok().filter(|all| all.iter().all(|uri| self.allows(uri)));
        let Some(redirect_uris) = redirects else { return Ok(None) };
        Ok(Some(Arc::new(Client {
            id: id.to_owned(),
            name: registration.name,
            kind: ClientKind::Dynamic,
            redirect_uris,
            auth: registration.secret.map_or(ClientAuth::None, ClientAuth::Secret),
            refresh: registration.refresh,
            dpop: registration.dpop,
            assertions: false,
            introspection: false,
            scopes: None,
        })))
    }

    /// Keeps a new client and gives its id.
    pub(crate) async fn add(
        &self,
        registration: &Registration,
        now: SystemTime,
    ) -> Result<String, OAuthError> {
        let id = format!("{PREFIX}{}", random::<16>()?);
        let full = || OAuthError::new(Code::TemporarilyUnavailable, "There are too many clients just now.");
        // Its place first: of many at once that want the last one, one gets it.
        let placed = self.change_index(now, |index| {
            let room = index.len() < self.rules.most.get();
            if room {
                index.insert(id.clone(), seconds(now) + self.rules.unused.as_secs());
            }
            room
        });
        if !placed.await? {
            return Err(full());
        }
        self.write(&id, registration).await?;
        Ok(id)
    }

    /// Notes that a client is used, now and then: it is kept for longer.
    pub(crate) async fn touch(&self, id: &str, now: SystemTime) -> Result<(), OAuthError> {
        let Some(mut registration) = self.read(id).await? else { return Ok(()) };
        let (now_seconds, unused) = (seconds(now), self.rules.unused.as_secs());
        if now_seconds.saturating_sub(registration.used) < unused / 10 {
            return Ok(());
        }
        registration.used = now_seconds;
        self.write(id, &registration).await?;
        let prolong = |index: &mut Index| {
            index.insert(id.to_owned(), now_seconds + unused) != Some(now_seconds + unused)
        };
        self.change_index(now, prolong).await.map(drop)
    }

    async fn read(&self, id: &str) -> Result<Option<Registration>, OAuthError> {
        if !id.starts_with(PREFIX) {
            return Ok(None);
        }
        let found = self.vault.get(&key(id)).await?;
        Ok(found.and_then(|json| serde_json::from_slice(&json).ok()))
    }

    async fn write(&self, id: &str, registration: &Registration) -> Result<(), OAuthError> {
        let json = serde_json::to_vec(registration).unwrap_or_default();
        Ok(self.vault.put(&key(id), &json, self.rules.unused).await?)
    }

    /// Changes the index by `change`, which says whether it has; what has ended is out of it.
    async fn change_index(
        &self,
        now: SystemTime,
        mut change: impl FnMut(&mut Index) -> bool,
    ) -> Result<bool, OAuthError> {
        let key = Key::new("authority.clients", &[]);
        for _ in 0..ATTEMPTS {
            let seen = self.vault.get(&key).await?;
            let mut index: Index =
                seen.as_ref().and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
            index.retain(|_, ends| *ends > seconds(now));
            if !change(&mut index) {
                return Ok(false);
            }
            let json = serde_json::to_vec(&index).unwrap_or_default();
            let kept = self.rules.unused.max(Duration::from_secs(1));
            if self.vault.replace(&key, seen.as_ref(), &json, kept).await? {
                return Ok(true);
            }
        }
        Err(OAuthError::new(Code::TemporarilyUnavailable, "Too many clients register just now."))
    }
}

fn key(id: &str) -> Key {
    Key::new("authority.client", &[id])
}
