//! Links under which users connect.

use super::record::{self, Connection, TICKET, Ticket};
use super::{Consented, Person};
use crate::consent::Consent;
use crate::discovery::challenge::{Challenge, MAX_SCOPES};
use crate::discovery::{self, Found};
use crate::error::{CredentialError, Reason};
use crate::store::CAPACITY;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use narthex_identity::Caller;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;
use zeroize::Zeroizing;

/// A link that is good for less is not handed out again.
const TOO_SHORT: Duration = Duration::from_secs(120);

/// More scopes are asked for so often within the time below.
const MAX_STEP_UPS: u8 = 3;
const STEP_UPS_WITHIN: u64 = 3600;

/// Scopes that a user was just asked for are not asked for again for this long.
const JUST_ASKED: u64 = 300;

impl Consented {
    /// That `person` must connect first, and where; or why that is not possible either.
    pub(super) async fn wanting(&self, person: Person<'_>, now: SystemTime) -> CredentialError {
        let found = match self.discovery.found(discovery::KEPT, now).await {
            Ok(found) => found,
            Err(error) => return error,
        };
        self.offer(person, self.scopes(&found), false, now).await.map_or_else(|e| e, CredentialError::from)
    }

    /// That `caller` must consent to more; see [`crate::CredentialSource::step_up`].
    pub(crate) async fn step_up(&self, caller: &Caller, challenge: &str, now: SystemTime) -> CredentialError {
        self.try_step_up(caller, challenge, now).await.unwrap_or_else(|error| error)
    }

    async fn try_step_up(
        &self,
        caller: &Caller,
        challenge: &str,
        now: SystemTime,
    ) -> Result<CredentialError, CredentialError> {
        let person = self.person(caller)?;
        let vain = |why| CredentialError::with_detail(Reason::ScopeNotGranted, why);
        let challenge = Challenge::among(std::iter::once(challenge)).unwrap_or_default();
        if challenge.error.as_deref() != Some("insufficient_scope") || challenge.scopes.is_empty() {
            return Err(vain("the upstream does not say which scopes it wants"));
        }
        let Some(seen) = record::get::<Connection>(&self.vault, &self.key(person)).await? else {
            return Ok(self.wanting(person, now).await);
        };
        let held = seen.record;
        let passed = |since: u64| record::seconds(now).saturating_sub(since);
        if challenge.scopes.iter().all(|scope| held.asked.contains(scope))
            && passed(held.connected) < JUST_ASKED
        {
            return Err(vain("the user was just asked for these scopes"));
        }
        if held.step_ups >= MAX_STEP_UPS && passed(held.step_ups_since) < STEP_UPS_WITHIN {
            return Err(vain("the user was asked for more too often"));
        }
        // What is held is asked for again: the new token replaces it.
        let scopes = union(held.scopes, challenge.scopes);
        if scopes.len() > MAX_SCOPES {
            return Err(vain("the upstream wants too many scopes"));
        }
        Ok(self.offer(person, scopes, true, now).await?.into())
    }

    /// The scopes to ask for at first: those configured, else those that the upstream challenged for, else
    /// those that it says it has; and a refresh token where the server has a scope for it.
    pub(super) fn scopes(&self, found: &Found) -> Vec<String> {
        let configured = &self.setup.code.scopes;
        if !configured.is_empty() {
            return configured.iter().map(|scope| scope.as_str().to_owned()).collect();
        }
        let said = if found.challenged.is_empty() { &found.supported } else { &found.challenged };
        let offline = (!said.is_empty()).then(|| OFFLINE.to_owned());
        let offline = offline.filter(|scope| found.server.scopes.contains(scope));
        union(said.clone(), offline.into_iter().collect())
    }

    /// A link for `person`; one that is out already, if it is for the same.
    pub(super) async fn offer(
        &self,
        person: Person<'_>,
        scopes: Vec<String>,
        step_up: bool,
        now: SystemTime,
    ) -> Result<Arc<Consent>, CredentialError> {
        let key = self.keys.person(person);
        let known = self.offers.get(&key).filter(|known| known.1 > now + TOO_SHORT);
        let known = known.filter(|known| known.0.scopes == scopes).map(|known| Arc::clone(&known.0));
        if let Some(known) = known
            && self.is_out(&known).await?
        {
            return Ok(known);
        }
        let link = random()?;
        let expires = now + TICKET;
        let ticket = Ticket {
            person: person.into(),
            upstream: self.setup.upstream.as_str().to_owned(),
            place: self.setup.place.as_str().to_owned(),
            scopes: scopes.clone(),
            step_up,
            expires: record::seconds(expires),
        };
        record::put(&self.vault, &Ticket::key(&link), &ticket, TICKET).await?;
        let url = Url::parse(&format!("{}/connect/{}", self.setup.public_url, *link))
            .map_err(|_| CredentialError::with_detail(Reason::ConsentRequired, "public_url makes no link"))?;
        let id = digest(&SHA256, link.as_bytes());
        let consent = Arc::new(Consent {
            url,
            id: BASE64_URL_SAFE_NO_PAD.encode(id.as_ref().get(..16).unwrap_or_default()).into(),
            upstream: self.setup.upstream.clone(),
            title: Arc::clone(&self.setup.title),
            scopes,
        });
        if self.offers.len() >= CAPACITY {
            self.offers.retain(|_, (_, until)| *until > now);
        }
        if self.offers.len() < CAPACITY {
            self.offers.insert(key, (Arc::clone(&consent), expires));
        }
        Ok(consent)
    }
}

impl Consented {
    /// Whether the link still works: it may have been used at another replica.
    async fn is_out(&self, consent: &Consent) -> Result<bool, CredentialError> {
        let link = consent.url.path_segments().and_then(|mut path| path.next_back()).unwrap_or_default();
        Ok(record::get::<Ticket>(&self.vault, &Ticket::key(link)).await?.is_some())
    }
}

impl Connection {
    /// How often more was asked for, and since when, once it was asked for at `at`.
    pub(super) fn stepped_up(&self, at: u64) -> (u8, u64) {
        if at.saturating_sub(self.step_ups_since) < STEP_UPS_WITHIN {
            return (self.step_ups.saturating_add(1), self.step_ups_since);
        }
        (1, at)
    }
}

/// OpenID Connect Core §11: the scope for a refresh token.
pub(super) const OFFLINE: &str = "offline_access";

/// The first, and what the others add.
fn union(mut scopes: Vec<String>, more: Vec<String>) -> Vec<String> {
    for scope in more {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

/// 256 random bits, base64url.
pub(super) fn random() -> Result<Zeroizing<String>, CredentialError> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes)
        .map_err(|_| CredentialError::with_detail(Reason::AssertionFailed, "no random numbers"))?;
    Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}
