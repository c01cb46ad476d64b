//! What users do at their browsers: see, make and end connections.

use super::client::Client;
use super::finish::Response;
use super::record::{self, Connection, Pending, Ticket};
use super::{Consented, Visitor};
use crate::Credentials;
use crate::discovery::{self, Found};
use crate::error::{CredentialError, Reason};
use crate::grant::Form;
use narthex_config::model::UpstreamId;
use std::sync::Arc;
use std::time::SystemTime;
use thiserror::Error;
use url::Url;

/// Longest link or state that is looked up, bytes.
const MAX_HANDLE: usize = 128;

/// An upstream that a user connected, or can.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connected {
    /// The upstream.
    pub upstream: UpstreamId,
    /// What users call it.
    pub title: Arc<str>,
    /// Its host.
    pub host: String,
    /// The scopes that were granted, or will be asked for as far as that is known.
    pub scopes: Vec<String>,
    /// Since when; `None`: it is not connected.
    pub connected_at: Option<SystemTime>,
    /// When the connection ends by itself, if that is known.
    pub expires: Option<SystemTime>,
}

/// What a link to connect is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offered {
    /// The upstream.
    pub upstream: UpstreamId,
    /// What users call it.
    pub title: Arc<str>,
    /// Its host.
    pub host: String,
    /// The host that the browser goes to next.
    pub authorization_host: Option<String>,
    /// The scopes that will be asked for.
    pub scopes: Vec<String>,
    /// When the link stops working.
    pub expires: SystemTime,
}

/// Why a connection was not seen, made or ended. The texts are for the log; none holds a secret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The link, or the answer, is another user's or another browser's.
    #[error("it is another user's")]
    NotYours,
    /// The link or the state is used, over, or was never given.
    #[error("it is used or over")]
    Expired,
    /// The user or the authorization server said no.
    #[error("refused: {0}")]
    Refused(String),
    /// The authorization server does not answer, or not as it should.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// There is no such upstream that users connect.
    #[error("there is no such upstream")]
    Unknown,
    /// The gateway itself failed.
    #[error("failed: {0}")]
    Internal(String),
}

impl From<CredentialError> for ConnectError {
    fn from(error: CredentialError) -> Self {
        let said = match error.detail() {
            "" => error.reason().to_owned(),
            detail => format!("{}: {detail}", error.reason()),
        };
        match error.kind() {
            Reason::ExchangeUnreachable | Reason::DiscoveryFailed | Reason::BadTokenResponse => {
                Self::Unreachable(said)
            }
            Reason::ExchangeRefused | Reason::ScopeNotGranted => Self::Refused(said),
            _ => Self::Internal(said),
        }
    }
}

// === impl Credentials ===

impl Credentials {
    /// What `visitor` has of `upstream`.
    ///
    /// # Errors
    /// [`ConnectError::Unknown`] if users do not connect it.
    pub async fn connection(
        &self,
        visitor: &Visitor<'_>,
        upstream: &UpstreamId,
    ) -> Result<Connected, ConnectError> {
        self.consented(upstream)?.connection(visitor).await
    }

    /// What the link is for, if it is `visitor`'s.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn look(
        &self,
        visitor: &Visitor<'_>,
        link: &str,
        now: SystemTime,
    ) -> Result<Offered, ConnectError> {
        let (consented, ticket) = self.ticket(visitor, link).await?;
        Ok(consented.look(ticket, now).await)
    }

    /// The authorization URL for the link. Asked for only after the user said yes; the answer is taken from
    /// `browser`, the id of the user's session, and nobody else.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn begin(
        &self,
        visitor: &Visitor<'_>,
        browser: &str,
        link: &str,
        now: SystemTime,
    ) -> Result<Url, ConnectError> {
        let (consented, ticket) = self.ticket(visitor, link).await?;
        consented.begin(ticket, link, browser, now).await
    }

    /// A link with which `visitor` can connect `upstream`: the last part of its URL.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn offer(
        &self,
        visitor: &Visitor<'_>,
        upstream: &UpstreamId,
        now: SystemTime,
    ) -> Result<String, ConnectError> {
        self.consented(upstream)?.invite(visitor, now).await
    }

    /// Takes the answer of an authorization server, and keeps the tokens that it is good for.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn finish(
        &self,
        visitor: &Visitor<'_>,
        browser: &str,
        parameters: &[(String, String)],
        now: SystemTime,
    ) -> Result<Connected, ConnectError> {
        let response = Response::read(parameters)?;
        if response.state.len() > MAX_HANDLE {
            return Err(ConnectError::Expired);
        }
        let vault = self.vault().ok_or(ConnectError::Unknown)?;
        // Taken, not looked at: it is good once, whoever brings it.
        let pending = record::take::<Pending>(vault, &Pending::key(&response.state)).await?;
        let pending = pending.ok_or(ConnectError::Expired)?;
        let consented = self.consented(&pending.ticket.upstream.as_str().into())?;
        if !consented.is_of(&pending.ticket, visitor) || pending.browser != browser {
            return Err(ConnectError::NotYours);
        }
        if !consented.fits(&pending.ticket) {
            return Err(ConnectError::Expired);
        }
        consented.finish(pending, response, now).await?;
        consented.connection(visitor).await
    }

    /// Forgets what `visitor` connected, and revokes it at the authorization server.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn revoke(
        &self,
        visitor: &Visitor<'_>,
        upstream: &UpstreamId,
        now: SystemTime,
    ) -> Result<(), ConnectError> {
        self.consented(upstream)?.revoke(visitor, now).await
    }

    fn consented(&self, upstream: &UpstreamId) -> Result<Arc<Consented>, ConnectError> {
        let source = self.upstream(upstream).ok_or(ConnectError::Unknown)?;
        source.consented().cloned().ok_or(ConnectError::Unknown)
    }

    /// The ticket at `link`, if it is this visitor's, and good.
    async fn ticket(
        &self,
        visitor: &Visitor<'_>,
        link: &str,
    ) -> Result<(Arc<Consented>, Ticket), ConnectError> {
        let vault = self.vault().ok_or(ConnectError::Unknown)?;
        if link.len() > MAX_HANDLE {
            return Err(ConnectError::Expired);
        }
        let seen = record::get::<Ticket>(vault, &Ticket::key(link)).await?;
        let ticket = seen.ok_or(ConnectError::Expired)?.record;
        let consented = self.consented(&ticket.upstream.as_str().into())?;
        if !consented.is_of(&ticket, visitor) {
            return Err(ConnectError::NotYours);
        }
        if consented.fits(&ticket) { Ok((consented, ticket)) } else { Err(ConnectError::Expired) }
    }
}

// === impl Consented ===

impl Consented {
    /// Whether `ticket` is this visitor's.
    fn is_of(&self, ticket: &Ticket, visitor: &Visitor<'_>) -> bool {
        self.setup.directory.visitor(visitor).contains(&ticket.person.as_person())
    }

    async fn connection(&self, visitor: &Visitor<'_>) -> Result<Connected, ConnectError> {
        let mut held = None;
        for person in self.setup.directory.visitor(visitor) {
            if held.is_none() {
                held = record::get::<Connection>(&self.vault, &self.key(person)).await?;
            }
        }
        let held = held.map(|seen| seen.record);
        let scopes = match &held {
            Some(held) => held.scopes.clone(),
            None => self.setup.code.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        };
        let lasts = held.as_ref().is_some_and(|held| held.refresh_token.is_some());
        Ok(Connected {
            upstream: self.setup.upstream.clone(),
            title: Arc::clone(&self.setup.title),
            host: self.host(),
            scopes,
            connected_at: held.as_ref().map(|held| record::time(held.connected)),
            expires: held.and_then(|held| held.expires).filter(|_| !lasts).map(record::time),
        })
    }

    async fn look(&self, ticket: Ticket, now: SystemTime) -> Offered {
        // What it says is shown, not needed: `begin` says what is wrong.
        let found = self.discovery.found(discovery::KEPT, now).await.ok();
        let endpoint = found.as_ref().and_then(|found| found.server.authorization_endpoint.as_ref());
        Offered {
            upstream: self.setup.upstream.clone(),
            title: Arc::clone(&self.setup.title),
            host: self.host(),
            authorization_host: endpoint.and_then(Url::host_str).map(ToOwned::to_owned),
            scopes: ticket.scopes,
            expires: record::time(ticket.expires),
        }
    }

    async fn invite(&self, visitor: &Visitor<'_>, now: SystemTime) -> Result<String, ConnectError> {
        let found = self.discovery.found(discovery::KEPT, now).await?;
        let persons = self.setup.directory.visitor(visitor);
        let person = persons.first().ok_or(ConnectError::Unknown)?;
        let consent = self.offer(*person, self.scopes(&found), false, now).await?;
        let link = consent.url.path_segments().and_then(|mut path| path.next_back());
        Ok(link.unwrap_or_default().to_owned())
    }

    async fn revoke(&self, visitor: &Visitor<'_>, now: SystemTime) -> Result<(), ConnectError> {
        for person in self.setup.directory.visitor(visitor) {
            let held = record::take::<Connection>(&self.vault, &self.key(person)).await?;
            let Some(held) = held else { continue };
            tracing::info!(upstream = %self.setup.upstream, tenant = person.tenant, "a user ended a connection");
            self.tell(person, false);
            // It is over here, whatever the server says.
            if let Ok(found) = self.discovery.found(discovery::KEPT, now).await
                && found.server.issuer == held.server
                && let Ok(client) = self.client(&found, now).await
                && client.id == held.client
            {
                self.end(&held, &found, &client, now).await;
            }
        }
        Ok(())
    }

    /// Revokes tokens at the server that issued them, if it can (RFC 7009).
    pub(super) async fn end(&self, held: &Connection, found: &Found, client: &Client, now: SystemTime) {
        let Some(url) = &found.server.revocation_endpoint else { return };
        let mut form = Form::default();
        // With a refresh token, servers revoke what it was good for (§2.1).
        match &held.refresh_token {
            Some(token) => {
                form.add("token", token);
                form.add("token_type_hint", "refresh_token");
            }
            None => {
                form.add("token", &held.access_token);
                form.add("token_type_hint", "access_token");
            }
        }
        let (ended, detail) = match self.post(&mut form, url, found, client, now).await {
            Ok(answer) => (answer.status.is_success(), answer.status.as_u16().to_string()),
            Err(error) => (false, error.detail().to_owned()),
        };
        if !ended {
            tracing::warn!(upstream = %self.setup.upstream, detail, "tokens were not revoked at their server");
        }
    }

    fn host(&self) -> String {
        self.setup.place.host_str().unwrap_or_default().to_owned()
    }
}
