//! What users connected at upstreams' own authorization servers: as the pages see it, and the pages.

mod visit;

#[cfg(test)]
mod tests;

pub use visit::ConnectionPages;

use crate::login::User;
use async_trait::async_trait;
use std::time::SystemTime;
use url::Url;

/// The connections of users to upstreams: seen, made and ended on behalf of the user whose browser it is.
#[async_trait]
pub trait Connections: Send + Sync {
    /// Every upstream that `user`'s tenant may use and that wants the user's own consent, connected or not,
    /// in the order in which to show them.
    ///
    /// # Errors
    /// See [`ConnectProblem`].
    async fn list(&self, user: &User, now: SystemTime) -> Result<Vec<Connection>, ConnectProblem>;

    /// What a ticket is for, if it is `user`'s: what to show before the button.
    ///
    /// # Errors
    /// [`ConnectProblem::NotYours`] if the ticket was made for somebody else.
    async fn look(&self, user: &User, ticket: &str, now: SystemTime) -> Result<Ticket, ConnectProblem>;

    /// The authorization URL at the upstream's authorization server. Asked for only after the user pressed
    /// the button. `browser` is what the state is bound to: [`finish`](Self::finish) gets the same.
    ///
    /// # Errors
    /// See [`ConnectProblem`].
    async fn begin(
        &self,
        user: &User,
        browser: &str,
        ticket: &str,
        now: SystemTime,
    ) -> Result<Url, ConnectProblem>;

    /// A ticket for an upstream of the [list](Self::list), asked for from the page of connections.
    ///
    /// # Errors
    /// [`ConnectProblem::Unknown`] if the list has no such upstream.
    async fn offer(&self, user: &User, upstream: &str, now: SystemTime) -> Result<String, ConnectProblem>;

    /// Takes the answer of the upstream's authorization server, the parameters of the callback in their
    /// order, and keeps the tokens that it is good for.
    ///
    /// # Errors
    /// See [`ConnectProblem`].
    async fn finish(
        &self,
        user: &User,
        browser: &str,
        params: &[(String, String)],
        now: SystemTime,
    ) -> Result<Connection, ConnectProblem>;

    /// Forgets the user's tokens for `upstream`, and revokes them at its authorization server.
    ///
    /// # Errors
    /// See [`ConnectProblem`].
    async fn revoke(&self, user: &User, upstream: &str, now: SystemTime) -> Result<(), ConnectProblem>;
}

/// One upstream that a user may connect, or has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// The key of the upstream in the configuration.
    pub upstream: String,
    /// What people call it.
    pub title: String,
    /// The upstream's host.
    pub host: String,
    /// The scopes granted, or, where it is not connected, those that will be asked for.
    pub scopes: Vec<String>,
    /// Since when it is connected; `None` if it is not.
    pub connected_at: Option<SystemTime>,
    /// When the connection ends by itself, if that is known.
    pub expires: Option<SystemTime>,
}

/// What a link to connect is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// The key of the upstream in the configuration.
    pub upstream: String,
    /// What people call it.
    pub title: String,
    /// The upstream's host.
    pub host: String,
    /// The host of the authorization server, where the browser goes next; `None` if that is not known yet.
    pub authorization_host: Option<String>,
    /// The scopes that will be asked for.
    pub scopes: Vec<String>,
    /// When the link stops working.
    pub expires: SystemTime,
}

/// Why a connection was not seen, made or ended. The texts are for the log; none holds a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConnectProblem {
    /// The ticket is another user's.
    #[error("the link is another user's")]
    NotYours,
    /// The ticket or the state is used, over, or was never given.
    #[error("the link is used or over")]
    Expired,
    /// The user or the upstream's authorization server said no.
    #[error("refused: {0}")]
    Refused(String),
    /// The upstream's authorization server does not answer, or not as it should.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The user has no such upstream.
    #[error("there is no such upstream for this user")]
    Unknown,
    /// The gateway itself failed.
    #[error("failed: {0}")]
    Internal(String),
}
