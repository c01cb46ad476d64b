//! Who is logged in: an opaque id in a cookie, and what it means in the vault.

use super::browser::{Browser, random};
use super::cookie::Cookie;
use super::known::Known;
use super::{Anew, Problem, User};
use crate::Response;
use http::HeaderMap;
use http::header::SET_COOKIE;
use narthex_config::model::SessionLife;
use narthex_store::{Key, Sealed, Vault};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// A session is written again when it was not for this long, at most.
const TOUCH: Duration = Duration::from_secs(60);

/// A browser in which somebody is logged in. Debug does not show its secrets.
#[derive(Clone)]
pub struct Session {
    /// Who.
    pub user: User,
    /// In which browser.
    pub browser: Browser,
    /// Since when.
    pub begun: SystemTime,
    /// What the user did for it at least.
    pub anew: Anew,
    id: Zeroizing<String>,
}

impl Session {
    /// The token that a form for `purpose` must send back; good for this session only.
    #[must_use]
    pub fn csrf(&self, purpose: &str) -> String {
        self.browser.csrf(&self.bound(purpose))
    }

    /// Whether `token` is this session's for `purpose`.
    #[must_use]
    pub fn accepts(&self, purpose: &str, token: &str) -> bool {
        self.browser.accepts(&self.bound(purpose), token)
    }

    fn bound(&self, purpose: &str) -> String {
        format!("{purpose}\n{}", *self.id)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("user", &self.user.subject).finish_non_exhaustive()
    }
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    life: SessionLife,
    cookie: Cookie,
    vault: Vault,
    /// Who may be logged in under this configuration.
    pub(super) known: Known,
}

#[derive(Deserialize, Serialize)]
struct Record {
    user: User,
    seen: SystemTime,
    begun: SystemTime,
    anew: Anew,
}

impl Sessions {
    pub(super) fn new(life: SessionLife, known: Known, cookie: Cookie, vault: Vault) -> Self {
        Self { life, cookie, vault, known }
    }

    /// The session of the browser that sent `headers`, if there is one and it is not over.
    pub(super) async fn find(
        &self,
        headers: &HeaderMap,
        browser: Browser,
        now: SystemTime,
    ) -> Result<Option<Session>, Problem> {
        let Some(id) = self.cookie.read(headers) else { return Ok(None) };
        let Some(sealed) = self.vault.get(&key(&id)).await? else { return Ok(None) };
        let Ok(record) = serde_json::from_slice::<Record>(&sealed) else { return Ok(None) };
        let (Some(left), Some(user)) = (self.left(&record, now), self.known.now(&record.user)) else {
            self.vault.remove(&key(&id)).await?;
            return Ok(None);
        };
        let Record { begun, anew, .. } = record;
        self.touch(&id, &sealed, record, left, now).await?;
        Ok(Some(Session { user, browser, begun, anew, id }))
    }

    /// Begins a session for `user`, who did `anew` for it, under a new id; the one that the browser had is over.
    /// `response` is given the cookies.
    pub(super) async fn begin(
        &self,
        user: User,
        anew: Anew,
        headers: &HeaderMap,
        response: &mut Response,
        now: SystemTime,
    ) -> Result<(), Problem> {
        if let Some(old) = self.cookie.read(headers) {
            self.vault.remove(&key(&old)).await?;
        }
        let id = random()?;
        let record = write(&Record { user, seen: now, begun: now, anew })?;
        self.vault.put(&key(&id), &record, self.life.idle.min(self.life.lifetime)).await?;
        if let Some(cookie) = self.cookie.set(&id, self.life.lifetime) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(())
    }

    /// Ends the session of the browser, and has it forget it.
    pub(super) async fn end(&self, headers: &HeaderMap, response: &mut Response) -> Result<(), Problem> {
        if let Some(id) = self.cookie.read(headers) {
            self.vault.remove(&key(&id)).await?;
        }
        if let Some(cookie) = self.cookie.clear() {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(())
    }

    /// How long the session still may last.
    fn left(&self, record: &Record, now: SystemTime) -> Option<Duration> {
        let age = |then: SystemTime| now.duration_since(then).unwrap_or_default();
        if age(record.seen) >= self.life.idle {
            return None;
        }
        self.life.lifetime.checked_sub(age(record.begun)).filter(|left| !left.is_zero())
    }

    /// Notes that the session was used, now and then. Where another request does so at the same time, that
    /// one's note will do; a session that was ended meanwhile stays so.
    async fn touch(
        &self,
        id: &str,
        sealed: &Sealed,
        record: Record,
        left: Duration,
        now: SystemTime,
    ) -> Result<(), Problem> {
        let since = now.duration_since(record.seen).unwrap_or_default();
        if since < TOUCH.min(self.life.idle / 8) {
            return Ok(());
        }
        let record = write(&Record { seen: now, ..record })?;
        self.vault.replace(&key(id), Some(sealed), &record, self.life.idle.min(left)).await?;
        Ok(())
    }
}

fn write(record: &Record) -> Result<Zeroizing<Vec<u8>>, Problem> {
    // Only a clock before 1970 cannot be written.
    serde_json::to_vec(record)
        .map(Zeroizing::new)
        .map_err(|_| Problem::Malformed("the clock stands before 1970"))
}

fn key(id: &str) -> Key {
    Key::new("browser-session", &[id])
}
