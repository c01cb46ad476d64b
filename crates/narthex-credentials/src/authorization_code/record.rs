//! What is kept in the vault, and under which keys.

use super::person::{Named, Person};
use crate::error::{CredentialError, Reason};
use narthex_store::{Error as StoreError, Key, Sealed, Vault};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// How long a connection is kept without being used. One whose token ends, and cannot be had anew, ends
/// with it.
const UNUSED: Duration = Duration::from_secs(180 * 24 * 3600);

/// How long a link to connect is good, and the answer of an authorization server is waited for.
pub(crate) const TICKET: Duration = Duration::from_secs(600);

/// How long a registration is kept. Then there is another, and users connect again.
pub(super) const REGISTRATION: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a user connected.
#[derive(Deserialize, Serialize)]
pub(super) struct Connection {
    /// Issuer of the authorization server that the tokens are from. No other ever sees them.
    pub(super) server: String,
    /// The client that they were issued to.
    pub(super) client: String,
    pub(super) access_token: Zeroizing<String>,
    /// When it was issued; seconds since the epoch, as all times here.
    pub(super) issued: u64,
    /// When the access token ends, if that is known.
    pub(super) expires: Option<u64>,
    pub(super) refresh_token: Option<Zeroizing<String>>,
    /// The scopes that were granted.
    pub(super) scopes: Vec<String>,
    /// Those that the user was asked for last.
    pub(super) asked: Vec<String>,
    pub(super) connected: u64,
    /// How often more scopes were asked for since the time below.
    pub(super) step_ups: u8,
    pub(super) step_ups_since: u64,
}

/// A link to connect.
#[derive(Deserialize, Serialize)]
pub(super) struct Ticket {
    pub(super) person: Named,
    pub(super) upstream: String,
    /// The upstream's URL: under another, the name means another server.
    pub(super) place: String,
    pub(super) scopes: Vec<String>,
    /// Whether it asks for more than is held.
    pub(super) step_up: bool,
    pub(super) expires: u64,
}

/// An authorization that a browser was sent off to.
#[derive(Deserialize, Serialize)]
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    /// Where the ticket is.
    pub(super) link: Zeroizing<String>,
    /// The browser that was sent off.
    pub(super) browser: String,
    /// The issuer that it was sent to.
    pub(super) server: String,
    /// Whether that puts `iss` into its answer (RFC 9207).
    pub(super) names_itself: bool,
    pub(super) client: String,
    pub(super) verifier: Zeroizing<String>,
}

/// The gateway's registration at an authorization server (RFC 7591).
#[derive(Deserialize, Serialize)]
pub(super) struct Registration {
    pub(super) client_id: String,
    pub(super) client_secret: Option<Zeroizing<String>>,
    /// Whether the secret is sent in the body.
    pub(super) post: bool,
    /// When the secret ends, if it does.
    pub(super) expires: Option<u64>,
}

/// A record, and as what it was seen in the vault.
pub(super) struct Seen<T> {
    pub(super) record: T,
    pub(super) sealed: Sealed,
}

// === impl Connection ===

impl Connection {
    pub(super) fn key(person: Person<'_>, upstream: &str, place: &str) -> Key {
        Key::new("connection", &[person.tenant, person.issuer, person.subject, upstream, place])
    }

    /// Who holds this one may ask for new tokens.
    pub(super) fn lease(person: Person<'_>, upstream: &str, place: &str) -> Key {
        Key::new("connection-lease", &[person.tenant, person.issuer, person.subject, upstream, place])
    }

    /// How long it is kept from `now` on.
    pub(super) fn ttl(&self, now: SystemTime) -> Duration {
        match self.expires {
            Some(end) if self.refresh_token.is_none() => {
                Duration::from_secs(end.saturating_sub(seconds(now)))
            }
            _ => UNUSED,
        }
    }
}

// === the others' keys ===

impl Ticket {
    pub(super) fn key(ticket: &str) -> Key {
        Key::new("connect-ticket", &[ticket])
    }
}

impl Pending {
    pub(super) fn key(state: &str) -> Key {
        Key::new("connect-state", &[state])
    }
}

impl Registration {
    pub(super) fn key(server: &str, redirect_uri: &str) -> Key {
        Key::new("oauth-client", &[server, redirect_uri])
    }
}

/// Which server a client is one at that was registered by hand.
pub(super) fn server_of(client: &str, upstream: &str, place: &str) -> Key {
    Key::new("oauth-client-server", &[client, upstream, place])
}

// === reading and writing ===

/// The record at `key`. One that cannot be read is none: its user connects again.
pub(super) async fn get<T: DeserializeOwned>(
    vault: &Vault,
    key: &Key,
) -> Result<Option<Seen<T>>, CredentialError> {
    match vault.get(key).await {
        Ok(sealed) => Ok(sealed.and_then(|sealed| open(key, sealed))),
        Err(StoreError::Damaged) => {
            tracing::warn!(kind = key.namespace(), "a record in the vault is damaged");
            Ok(None)
        }
        Err(error) => Err(failed(&error)),
    }
}

/// The same, and it is gone.
pub(super) async fn take<T: DeserializeOwned>(
    vault: &Vault,
    key: &Key,
) -> Result<Option<T>, CredentialError> {
    match vault.take(key).await {
        Ok(sealed) => Ok(sealed.and_then(|sealed| open(key, sealed)).map(|seen| seen.record)),
        Err(StoreError::Damaged) => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

pub(super) async fn put<T: Serialize>(
    vault: &Vault,
    key: &Key,
    record: &T,
    ttl: Duration,
) -> Result<(), CredentialError> {
    vault.put(key, &written(record)?, ttl).await.map_err(|error| failed(&error))
}

/// A record as it is sealed.
pub(super) fn written<T: Serialize>(record: &T) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    // Room for nearly all at once, so that growing leaves few copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer(&mut *text, record)
        .map_err(|_| CredentialError::with_detail(Reason::VaultUnavailable, "a record cannot be written"))?;
    Ok(text)
}

/// For the log, and a reason for the caller.
pub(super) fn failed(error: &StoreError) -> CredentialError {
    CredentialError::with_detail(Reason::VaultUnavailable, error.reason())
}

/// Seconds since the epoch.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

pub(super) fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn open<T: DeserializeOwned>(key: &Key, sealed: Sealed) -> Option<Seen<T>> {
    match serde_json::from_slice(&sealed) {
        Ok(record) => Some(Seen { record, sealed }),
        Err(_) => {
            tracing::warn!(kind = key.namespace(), "a record in the vault is of another version");
            None
        }
    }
}
