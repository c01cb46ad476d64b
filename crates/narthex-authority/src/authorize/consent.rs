//! `/oauth/consent`: the user has decided, and has logged in, if that came after.

use super::{ALIAS, Ask, Refused, Trouble, purpose, redirect};
use crate::authority::Authority;
use crate::error::{Code, OAuthError};
use crate::http::FORM;
use crate::login::Anew;
use crate::params::Params;
use crate::secret::{random, seconds};
use crate::{Request, Response, reply};
use http::header::ORIGIN;
use http::{HeaderMap, Method};
use narthex_store::Key;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// How long a login may take after the consent.
const PENDING: Duration = Duration::from_secs(600);

/// What a user approved before it was known who that is.
#[derive(Deserialize, Serialize)]
struct Pending {
    /// As in the form.
    request: String,
    /// What was on the page.
    purpose: String,
    /// In which browser.
    browser: String,
    /// What the login has to be like.
    anew: Anew,
    /// When, seconds since 1970.
    made: u64,
}

impl Authority {
    /// The user has decided, or has logged in after that.
    pub(crate) async fn consent(&self, request: &Request, now: SystemTime) -> Response {
        let answer = match request.method {
            Method::POST => self.decided(request, now).await,
            Method::GET => self.returned(request, now).await,
            _ => return reply::method("GET, POST"),
        };
        answer.unwrap_or_else(|trouble| self.troubled(trouble, request, request.method == Method::POST))
    }

    /// The form came back.
    async fn decided(&self, request: &Request, now: SystemTime) -> Result<Response, Trouble> {
        let stale = || {
            OAuthError::new(
                Code::InvalidRequest,
                "This page is too old, or not from here. Start again in the application.",
            )
        };
        if !is_from_here(&request.headers, &self.origin) || !request.is_of(FORM) {
            return Err(stale().into());
        }
        let form = Params::parse(&request.body).map_err(|_| stale())?;
        let (Some(asked), Some(token), Some(decision)) =
            (form.get("request"), form.get("csrf"), form.get("decision"))
        else {
            return Err(stale().into());
        };
        let ask = self.ask_again(asked, request, now).await?;
        let login = self.login()?;
        let (browser, session) = (login.browser(&request.headers)?, login.user(&request.headers, now).await?);
        let purpose = purpose(&ask, asked);
        let of_session = session.as_ref().is_some_and(|session| session.accepts(&purpose, token));
        if !of_session && !browser.accepts(&purpose, token) {
            return Err(stale().into());
        }
        match (decision, session) {
            ("approve", Some(session)) if ask.takes(&session, now) => {
                self.keep_consent(&ask, &session.user).await?;
                let url = self.grant(&ask, &session.user, now).await?;
                Ok(self.onward(&url))
            }
            ("approve", _) => {
                // Nobody has shown who they are: what is kept for them is bounded.
                if !self.lasting.approvals.take(request.peer) {
                    return Err(OAuthError::new(Code::SlowDown, "Too many requests. Wait a minute.").into());
                }
                let (anew, browser) = (ask.anew(), browser.id());
                let pending =
                    Pending { request: asked.to_owned(), purpose, browser, anew, made: seconds(now) };
                let ticket = self.keep_pending(&pending).await?;
                let back = format!("/oauth/consent?ticket={ticket}");
                let mut response = login.begin(&back, anew, &request.headers, now).await?;
                reply::note(&mut response, "approved");
                Ok(response)
            }
            ("deny", _) => {
                let error = OAuthError::new(Code::AccessDenied, "The user said no.");
                Err(Trouble::Refused(Refused::Back(ask.back, error)))
            }
            _ => Err(stale().into()),
        }
    }

    /// The user is back from the login.
    async fn returned(&self, request: &Request, now: SystemTime) -> Result<Response, Trouble> {
        let gone = || {
            OAuthError::new(
                Code::InvalidRequest,
                "This took too long, or was done already. Start again in the application.",
            )
        };
        let query =
            Params::parse(request.query.as_deref().unwrap_or_default().as_bytes()).map_err(|_| gone())?;
        let ticket = query.get("ticket").ok_or_else(gone)?;
        let taken = self.lasting.vault.take(&pending_key(ticket)).await.map_err(OAuthError::from)?;
        let pending: Option<Pending> = taken.and_then(|json| serde_json::from_slice(&json).ok());
        let pending =
            pending.filter(|pending| seconds(now) < pending.made + PENDING.as_secs()).ok_or_else(gone)?;
        let login = self.login()?;
        if login.browser(&request.headers)?.id() != pending.browser {
            return Err(gone().detail("another browser's consent").into());
        }
        let ask = self.ask_again(&pending.request, request, now).await?;
        if purpose(&ask, &pending.request) != pending.purpose {
            return Err(gone().detail("another page than the one that was approved").into());
        }
        let session = login.user(&request.headers, now).await?.ok_or_else(gone)?;
        let is_new = seconds(session.begun) >= pending.made && session.anew >= pending.anew;
        if pending.anew != Anew::No && !is_new {
            return Err(gone().detail("an old login").into());
        }
        self.keep_consent(&ask, &session.user).await?;
        let url = self.grant(&ask, &session.user, now).await?;
        Ok(redirect(&url))
    }

    /// The request that a form or a ticket holds, looked at anew: clients and rights may have changed.
    async fn ask_again(&self, held: &str, request: &Request, now: SystemTime) -> Result<Ask, Trouble> {
        let (path, query) = held.split_once('?').unwrap_or((held, ""));
        self.ask(query, path == ALIAS, request.peer, now).await.map_err(Trouble::Refused)
    }

    async fn keep_pending(&self, pending: &Pending) -> Result<String, Trouble> {
        let ticket = random::<32>()?;
        let json = serde_json::to_vec(pending).unwrap_or_default();
        self.lasting.vault.put(&pending_key(&ticket), &json, PENDING).await.map_err(OAuthError::from)?;
        Ok(ticket)
    }
}

fn pending_key(ticket: &str) -> Key {
    Key::new("authority.pending", &[ticket])
}

/// Whether a form was sent by a page of ours, as far as the browser tells: beside the token, which is what
/// counts.
fn is_from_here(headers: &HeaderMap, origin: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    // Pages without a referrer have no origin either (Fetch standard, "append a request Origin header").
    let from = text(ORIGIN.as_str()).is_none_or(|from| from == origin || from == "null");
    site && from
}
