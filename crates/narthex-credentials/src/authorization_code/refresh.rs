//! A token for a call: the one that is held, or the one that a refresh token gives.

use super::client::Client;
use super::record::{self, Connection, Seen};
use super::token::{self, Refused, Tokens};
use super::{Consented, NOTICED, Person};
use crate::credential::UpstreamCredential;
use crate::discovery::{self, Found};
use crate::endpoint::CALL_TIMEOUT;
use crate::error::{CredentialError, Reason};
use crate::grant::Form;
use crate::lifetime;
use crate::store::Outcome;
use narthex_config::model::ResourceParameter;
use narthex_store::{Key, Sealed};
use narthex_upstreams::egress::Answer;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use url::Url;

/// Longest that one refresh holds its lease: longer than a turn and a call can take.
const LEASE: Duration = Duration::from_secs(30);

/// How often, and how long, another replica's refresh is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(15);

/// What was found is looked at again after a 401, but not more often than this: the upstream may have moved
/// to another authorization server.
const AFTER_401: Duration = Duration::from_secs(1);

/// Whose token is needed.
struct Needed<'a> {
    person: Person<'a>,
    /// Where the connection is.
    key: Key,
    rejected: Option<&'a UpstreamCredential>,
    now: SystemTime,
}

/// What is held.
enum Current {
    Usable(UpstreamCredential),
    Stale(Box<Seen<Connection>>),
}

impl Consented {
    /// The token that `person` has now; not `rejected`, if the upstream refused that.
    pub(super) async fn current(
        &self,
        person: Person<'_>,
        rejected: Option<&UpstreamCredential>,
        now: SystemTime,
    ) -> Outcome {
        let key = self.key(person);
        let Some(seen) = record::get::<Connection>(&self.vault, &key).await? else {
            return Err(self.wanting(person, now).await);
        };
        if let Some(usable) = self.usable(&seen.record, rejected, None, now)? {
            return Ok(usable);
        }
        let needed = Needed { person, key, rejected, now };
        let refreshed = match self.prepared(&seen, &needed).await {
            Ok((found, client)) => self.refreshed(&needed, &found, &client).await,
            Err(error) => Err(error),
        };
        match refreshed {
            // Kept: it may pass. Until then, what is held is used to its very end.
            Err(error) if error.kind() == Reason::ExchangeUnreachable => {
                self.to_its_end(&seen.record, &needed).unwrap_or(Err(error))
            }
            Err(error) if error.kind() == Reason::ConsentRequired => Err(self.wanting(person, now).await),
            other => other,
        }
    }

    /// Where what `person` connected is.
    pub(super) fn key(&self, person: Person<'_>) -> Key {
        Connection::key(person, self.setup.upstream.as_str(), self.setup.place.as_str())
    }

    /// What a connection must be refreshed with: its own authorization server and client, or none.
    async fn prepared(
        &self,
        seen: &Seen<Connection>,
        needed: &Needed<'_>,
    ) -> Result<(Arc<Found>, Client), CredentialError> {
        let held = &seen.record;
        if held.refresh_token.is_none() {
            return Err(Reason::ConsentRequired.into());
        }
        let age = if needed.rejected.is_some() { AFTER_401 } else { discovery::KEPT };
        let found = self.discovery.found(age, needed.now).await?;
        if found.server.issuer != held.server {
            tracing::warn!(
                upstream = %self.setup.upstream,
                was = held.server,
                is = found.server.issuer,
                "the upstream has another authorization server: users must connect again"
            );
            self.forget(needed, &seen.sealed).await?;
            return Err(Reason::ConsentRequired.into());
        }
        let client = self.client(&found, needed.now).await?;
        if client.id != held.client {
            self.forget(needed, &seen.sealed).await?;
            return Err(Reason::ConsentRequired.into());
        }
        Ok((found, client))
    }

    /// Forgets a connection that is good no more, unless somebody made it anew meanwhile.
    async fn forget(&self, needed: &Needed<'_>, seen: &Sealed) -> Result<(), CredentialError> {
        let gone = self.vault.replace(&needed.key, Some(seen), b"", Duration::ZERO).await;
        if gone.map_err(|error| record::failed(&error))? {
            self.tell(needed.person, false);
        }
        Ok(())
    }

    /// Refreshes under the lease, of which there is one over all replicas: a refresh token may be good once.
    async fn refreshed(&self, needed: &Needed<'_>, found: &Found, client: &Client) -> Outcome {
        let lease = Connection::lease(needed.person, self.setup.upstream.as_str(), self.setup.place.as_str());
        let started = Instant::now();
        loop {
            let leased = self.vault.put_if_absent(&lease, b"", LEASE).await;
            if leased.map_err(|error| record::failed(&error))? {
                let outcome = match self.seen(needed, found, client).await {
                    Ok(Current::Usable(usable)) => Ok(usable),
                    Ok(Current::Stale(seen)) => self.refresh(needed, *seen, found, client).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = self.vault.remove(&lease).await {
                    // It ends by itself.
                    tracing::warn!(reason = error.reason(), "the lease of a refresh was not given back");
                }
                return outcome;
            }
            if let Current::Usable(usable) = self.seen(needed, found, client).await? {
                return Ok(usable);
            }
            if started.elapsed() > PATIENCE {
                let detail = "another replica's refresh takes too long";
                return Err(CredentialError::with_detail(Reason::ExchangeUnreachable, detail));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The connection as it is now: somebody else may have refreshed it, be it here or at another replica.
    async fn seen(
        &self,
        needed: &Needed<'_>,
        found: &Found,
        client: &Client,
    ) -> Result<Current, CredentialError> {
        let seen = record::get::<Connection>(&self.vault, &needed.key).await?;
        let seen = seen.ok_or(Reason::ConsentRequired)?;
        let renewed = needed.rejected.map(|_| needed.now);
        if let Some(usable) = self.usable(&seen.record, needed.rejected, renewed, needed.now)? {
            return Ok(Current::Usable(usable));
        }
        if seen.record.server != found.server.issuer || seen.record.client != client.id {
            return Err(Reason::ConsentRequired.into());
        }
        Ok(Current::Stale(Box::new(seen)))
    }

    async fn refresh(
        &self,
        needed: &Needed<'_>,
        seen: Seen<Connection>,
        found: &Found,
        client: &Client,
    ) -> Outcome {
        let Seen { mut record, sealed } = seen;
        let refresh_token = record.refresh_token.clone().ok_or(Reason::ConsentRequired)?;
        let mut form = Form::default();
        form.add("grant_type", "refresh_token");
        form.add("refresh_token", &refresh_token);
        match self.ask(form, &refresh_token, found, client, needed.now).await {
            Ok(tokens) => {
                record.renew(tokens, needed.now);
                let text = record::written(&record)?;
                let kept =
                    self.vault.replace(&needed.key, Some(&sealed), &text, record.ttl(needed.now)).await;
                if !kept.map_err(|error| record::failed(&error))? {
                    return self.overtaken(needed, &record, found, client).await;
                }
                let renewed = needed.rejected.map(|_| needed.now);
                let usable = self.usable(&record, None, renewed, needed.now)?;
                // However short its life is, it is good for this once.
                usable.map_or_else(|| self.credential(&record, needed.now, renewed), Ok)
            }
            Err(Refused::Other(error)) => Err(error),
            Err(refused) => {
                if matches!(refused, Refused::Client) {
                    self.forget_client(&found.server.issuer, client).await;
                }
                self.forget(needed, &sealed).await?;
                Err(Reason::ConsentRequired.into())
            }
        }
    }

    /// Somebody ended the connection, or made another, while new tokens were asked for: theirs stands. If there is
    /// none any more, what was got is given back; else that is left to end, since servers that revoke a token
    /// revoke all that its user granted us.
    async fn overtaken(
        &self,
        needed: &Needed<'_>,
        got: &Connection,
        found: &Found,
        client: &Client,
    ) -> Outcome {
        tracing::info!(upstream = %self.setup.upstream, "a connection changed while it was refreshed");
        match record::get::<Connection>(&self.vault, &needed.key).await? {
            Some(seen) => {
                let usable = self.usable(&seen.record, needed.rejected, None, needed.now)?;
                usable.ok_or_else(|| Reason::ConsentRequired.into())
            }
            None => {
                self.end(got, found, client, needed.now).await;
                Err(Reason::ConsentRequired.into())
            }
        }
    }

    /// Asks the token endpoint.
    pub(super) async fn ask(
        &self,
        mut form: Form,
        sent: &str,
        found: &Found,
        client: &Client,
        now: SystemTime,
    ) -> Result<Tokens, Refused> {
        match self.setup.code.resource_parameter {
            ResourceParameter::Resource => form.add("resource", &found.resource),
            ResourceParameter::Audience => form.add("audience", &found.resource),
            ResourceParameter::None => {}
        }
        let started = Instant::now();
        let issued = match self.post(&mut form, &found.server.token_endpoint, found, client, now).await {
            Ok(answer) => token::read(answer, sent),
            Err(error) => Err(Refused::Other(error)),
        };
        self.events.token_exchanged(self.setup.upstream.as_str(), issued.is_ok(), started.elapsed());
        if let Err(refused) = &issued {
            let (reason, detail) = match refused {
                Refused::Grant => ("exchange_refused", "invalid_grant"),
                Refused::Client => ("exchange_refused", "invalid_client"),
                Refused::Other(error) => (error.reason(), error.detail()),
            };
            tracing::warn!(upstream = %self.setup.upstream, reason, detail, "no token from the authorization server");
        }
        issued
    }

    /// A request to one of the server's endpoints, authenticated.
    pub(super) async fn post(
        &self,
        form: &mut Form,
        url: &Url,
        found: &Found,
        client: &Client,
        now: SystemTime,
    ) -> Result<Answer, CredentialError> {
        let Ok(Ok(_turn)) = tokio::time::timeout(CALL_TIMEOUT, self.turns.acquire()).await else {
            return Err(CredentialError::with_detail(Reason::ExchangeUnreachable, "too many calls at once"));
        };
        client.auth.add_to(form, &found.server.issuer, now)?;
        let answer = found.fetcher.egress.post_form(url, &form.pairs(), client.auth.authorization()).await;
        answer.map_err(|e| CredentialError::with_detail(Reason::ExchangeUnreachable, &e.to_string()))
    }

    /// The token of `held`, if it can be used now and is not `rejected`.
    fn usable(
        &self,
        held: &Connection,
        rejected: Option<&UpstreamCredential>,
        renewed: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<Option<UpstreamCredential>, CredentialError> {
        let is_refused =
            rejected.is_some_and(|rejected| rejected.token() == Some(held.access_token.as_str()));
        let end = match held.lifetime() {
            // There will be no other.
            Some((issued, lifetime)) if held.refresh_token.is_none() => issued + lifetime,
            Some((issued, lifetime)) => lifetime::usable_until(issued, Some(lifetime), None),
            None => now + NOTICED,
        };
        if is_refused || end <= now {
            return Ok(None);
        }
        self.credential(held, end.min(now + NOTICED), renewed).map(Some)
    }

    /// The token of `held` although it should be refreshed, as long as it lasts.
    fn to_its_end(&self, held: &Connection, needed: &Needed<'_>) -> Option<Outcome> {
        let end = record::time(held.expires?);
        let lasts = end > needed.now && needed.rejected.is_none();
        // Asked for again in a second, as after any failure.
        lasts.then(|| self.credential(held, end.min(needed.now + Duration::from_secs(1)), None))
    }

    fn credential(&self, held: &Connection, until: SystemTime, renewed: Option<SystemTime>) -> Outcome {
        UpstreamCredential::bearer(self.setup.origin.clone(), &held.access_token, until, renewed)
    }
}

impl Connection {
    /// Takes over what a refresh gave. What it did not give stays as it was (RFC 6749 §6).
    fn renew(&mut self, tokens: Tokens, now: SystemTime) {
        self.access_token = tokens.access_token;
        self.issued = record::seconds(now);
        self.expires = tokens.expires_in.map(|left| record::seconds(now + left));
        self.refresh_token = tokens.refresh_token.or_else(|| self.refresh_token.take());
        self.scopes = tokens.scopes.unwrap_or_else(|| std::mem::take(&mut self.scopes));
    }

    /// When the access token was issued, and for how long, if that is known.
    fn lifetime(&self) -> Option<(SystemTime, Duration)> {
        let lifetime = self.expires?.saturating_sub(self.issued);
        Some((record::time(self.issued), Duration::from_secs(lifetime)))
    }
}
