//! Tokens that each user consented to at the upstream's own authorization server (RFC 6749 §4.1, MCP
//! basic/authorization).
//!
//! What a user connected is in the vault, under the tenant, the user, the upstream and its URL; the issuer
//! that the tokens are from is part of the record, and no other issuer ever sees them. In memory a token is
//! kept for [`NOTICED`] and then read again, which is how soon a connection that was ended at another
//! replica is not used any more. A call that finds no connection is told where its user makes one.

mod authorize;
mod client;
mod finish;
mod offer;
mod person;
mod record;
mod refresh;
#[cfg(test)]
mod tests;
mod token;
mod visit;

pub use client::client_document;
pub(crate) use client::{document_url, redirect_uri};
pub use person::Visitor;
pub(crate) use person::{Directory, Person};
pub use visit::{ConnectError, Connected, Offered};

use crate::consent::{Changed, Consent};
use crate::credential::{Origin, UpstreamCredential};
use crate::discovery::{Discovery, Wanted};
use crate::endpoint::MAX_CALLS;
use crate::error::{BuildProblem, CredentialError, Reason};
use crate::key::{BuildKeyHasher, Key, Keys};
use crate::store::{CAPACITY, Outcome, Store};
use crate::values::Values;
use dashmap::{DashMap, Entry};
use narthex_config::model::{AuthorizationCode, UpstreamId};
use narthex_identity::Caller;
use narthex_store::Vault;
use narthex_telemetry::Events;
use person::Named;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Mutex, Semaphore, broadcast, watch};
use url::Url;

/// How long a token is used without looking into the vault.
pub(crate) const NOTICED: Duration = Duration::from_secs(30);

/// Changes that one who listens may be behind.
const CHANGES: usize = 256;

/// A token that replaced a refused one is not replaced again for this long.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// One upstream's connections.
pub(crate) struct Consented {
    setup: Setup,
    vault: Vault,
    discovery: Discovery,
    events: Events,
    keys: Keys,
    store: Store,
    flights: DashMap<Key, Flight, BuildKeyHasher>,
    /// Links that are out, so that a crowd of calls gets one.
    offers: DashMap<Key, (Arc<Consent>, SystemTime), BuildKeyHasher>,
    registering: Mutex<()>,
    turns: Semaphore,
    changes: broadcast::Sender<Changed>,
}

/// All that a source of consents is made from.
pub(crate) struct Setup {
    pub(crate) upstream: UpstreamId,
    pub(crate) title: Arc<str>,
    /// The upstream's URL.
    pub(crate) place: Url,
    pub(crate) origin: Origin,
    pub(crate) code: AuthorizationCode,
    /// What the client that was registered by hand refers to.
    pub(crate) values: Values,
    /// `server.public_url`.
    pub(crate) public_url: String,
    /// Where authorization servers send browsers back to.
    pub(crate) redirect_uri: String,
    /// The URL of our client metadata document, where it may be used.
    pub(crate) document: Option<String>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) allow_link_local: bool,
    pub(crate) insecure: bool,
}

/// A look for a token under way; its outcome comes to all who hold one.
type Flight = watch::Receiver<Option<Outcome>>;

/// Ends a flight, however it ends.
struct Landing<'a>(&'a Consented, Key);

/// What there is for one who needs a token that is not kept.
enum Boarding {
    Known(Outcome),
    Flight(Flight),
}

// === impl Consented ===

impl Consented {
    pub(crate) fn new(setup: Setup, vault: Vault, events: Events) -> Result<Self, BuildProblem> {
        let discovery = Discovery::new(Wanted {
            upstream: setup.place.clone(),
            issuer: setup.code.issuer.clone(),
            resource: setup.code.resource.clone(),
            allow_link_local: setup.allow_link_local,
            insecure: setup.insecure,
        });
        Ok(Self {
            setup,
            vault,
            discovery,
            events,
            keys: Keys::random()?,
            store: Store::many(CAPACITY),
            flights: DashMap::default(),
            offers: DashMap::default(),
            registering: Mutex::default(),
            turns: Semaphore::new(MAX_CALLS),
            changes: broadcast::Sender::new(CHANGES),
        })
    }

    /// A token that is there already.
    pub(crate) fn ready(&self, caller: &Caller, now: SystemTime) -> Option<UpstreamCredential> {
        let person = self.setup.directory.caller(caller)?;
        self.store.credential(self.keys.person(person), now)
    }

    /// A token of what the caller connected, refreshed if need be.
    pub(crate) async fn obtain(self: &Arc<Self>, caller: &Caller, now: SystemTime) -> Outcome {
        let person = self.person(caller)?;
        self.fly(person, None, now).await
    }

    /// Another token than `rejected`, which the upstream refused.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        rejected: &UpstreamCredential,
        caller: &Caller,
        now: SystemTime,
    ) -> Outcome {
        let just_renewed = |at| now.duration_since(at).map_or(true, |age| age < RENEWAL_PAUSE);
        if rejected.renewed().is_some_and(just_renewed) {
            return Err(CredentialError::with_detail(Reason::NotRenewable, "refused although just renewed"));
        }
        let person = self.person(caller)?;
        let key = self.keys.person(person);
        self.store.remove(key, rejected);
        match self.fly(person, Some(rejected.clone()), now).await {
            // Read from the vault by somebody who did not know that it was refused.
            Ok(same) if same.token() == rejected.token() => {
                self.store.remove(key, &same);
                self.fly(person, Some(rejected.clone()), now).await
            }
            other => other,
        }
    }

    pub(crate) fn changed(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    fn person<'a>(&'a self, caller: &'a Caller) -> Result<Person<'a>, CredentialError> {
        self.setup.directory.caller(caller).ok_or_else(|| Reason::NoSubjectToken.into())
    }

    async fn fly(
        self: &Arc<Self>,
        person: Person<'_>,
        rejected: Option<UpstreamCredential>,
        now: SystemTime,
    ) -> Outcome {
        let mut flight = match self.board(person, rejected, now) {
            Boarding::Known(outcome) => return outcome,
            Boarding::Flight(flight) => flight,
        };
        let landed = flight.wait_for(Option::is_some).await;
        let outcome = landed.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| {
            Err(CredentialError::with_detail(Reason::ExchangeUnreachable, "the call was abandoned"))
        })
    }

    /// Joins the flight for the person, or starts one.
    fn board(
        self: &Arc<Self>,
        person: Person<'_>,
        rejected: Option<UpstreamCredential>,
        now: SystemTime,
    ) -> Boarding {
        let key = self.keys.person(person);
        if let Some(outcome) = self.store.outcome(key, now) {
            return Boarding::Known(outcome);
        }
        match self.flights.entry(key) {
            Entry::Occupied(flight) => Boarding::Flight(flight.get().clone()),
            Entry::Vacant(place) => {
                // One may have landed in between; outcomes are kept before their flight is removed.
                if let Some(outcome) = self.store.outcome(key, now) {
                    return Boarding::Known(outcome);
                }
                let (sender, flight) = watch::channel(None);
                place.insert(flight.clone());
                // Owns all that it needs: it goes on when the one who asked goes away.
                tokio::spawn(Arc::clone(self).run(key, person.into(), rejected, now, sender));
                Boarding::Flight(flight)
            }
        }
    }

    async fn run(
        self: Arc<Self>,
        key: Key,
        person: Named,
        rejected: Option<UpstreamCredential>,
        now: SystemTime,
        sender: watch::Sender<Option<Outcome>>,
    ) {
        let landing = Landing(&self, key);
        let started = Instant::now();
        let outcome = self.current(person.as_person(), rejected.as_ref(), now).await;
        let landed = now + if outcome.is_ok() { Duration::ZERO } else { started.elapsed() };
        self.store.keep(key, outcome.clone(), landed);
        drop(landing);
        sender.send_replace(Some(outcome));
    }

    /// Has everybody know that `person` connected the upstream, or ended the connection.
    fn tell(&self, person: Person<'_>, connected: bool) {
        let key = self.keys.person(person);
        self.store.forget(key);
        self.offers.remove(&key);
        let changed = Changed {
            upstream: self.setup.upstream.clone(),
            connected,
            tenant: person.tenant.into(),
            names: self.setup.directory.names(person).into(),
        };
        // Nobody may be listening.
        let _ = self.changes.send(changed);
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.flights.remove(&self.1);
    }
}
