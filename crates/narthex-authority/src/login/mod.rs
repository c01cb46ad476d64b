//! Who the browser's user is: login at the company's identity provider, and the session after it.
//!
//! A browser is known by a cookie before anybody logs in ([`Browser`]). What it begins is bound to it: the
//! state of a login is kept in the vault, for one use, and is good in the browser that it was made for only.
//! After the login there is a session under a new random id, so that no id from before means anything.

mod anew;
mod browser;
mod cookie;
mod form;
mod id_tokens;
mod known;
mod local;
mod oidc;
mod pages;
mod problem;
mod session;
mod user;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub use anew::Anew;
pub use browser::Browser;
pub(crate) use form::Form;
pub use id_tokens::IdTokens;
pub use oidc::claims::{ClaimsError, identify};
pub(crate) use pages::LOGOUT;
pub use problem::Problem;
pub use session::Session;
pub use user::User;

use crate::pages::Site;
use cookie::Cookies;
use http::HeaderMap;
use known::Known;
use local::LocalUsers;
use narthex_config::model::{self, PublicUrl};
use narthex_identity::client_auth::SecretSource;
use narthex_store::Vault;
use narthex_telemetry::Events;
use narthex_upstreams::egress::Egress;
use oidc::Provider;
use session::Sessions;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// What a login is built with.
#[derive(Clone)]
pub struct Parts {
    /// Where sessions and what was begun are kept.
    pub vault: Vault,
    /// For calls to identity providers.
    pub egress: Egress,
    /// Where client secrets and passwords come from.
    pub secrets: Arc<dyn SecretSource>,
    /// Counts.
    pub events: Events,
    /// Where users' ID tokens are kept; `None`: nowhere.
    pub id_tokens: Option<IdTokens>,
}

/// How users log in, and who is.
pub struct Login {
    site: Site,
    cookies: Cookies,
    sessions: Sessions,
    providers: Vec<Provider>,
    users: LocalUsers,
    vault: Vault,
}

impl Login {
    /// The login that `config` describes, for the gateway at `public_url`.
    #[must_use]
    pub fn new(config: &model::Login, public_url: &PublicUrl, parts: &Parts) -> Self {
        let cookies = if public_url.url.starts_with("https:") { cookie::SECURE } else { cookie::LOOPBACK };
        let provider =
            |provider: &model::Provider| Provider::new(provider, &config.tenants, public_url, parts);
        Self {
            site: Site::new(public_url, &config.title),
            cookies,
            sessions: Sessions::new(config.session, Known::new(config), cookies.session, parts.vault.clone()),
            providers: config.providers.iter().map(provider).collect(),
            users: LocalUsers::new(&config.users, Arc::clone(&parts.secrets)),
            vault: parts.vault.clone(),
        }
    }

    /// The place that the pages are of.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Which browser sent `headers`. Whoever answers it has to call [`Browser::remember`].
    ///
    /// # Errors
    /// The system's randomness fails.
    pub fn browser(&self, headers: &HeaderMap) -> Result<Browser, Problem> {
        Browser::of(headers, self.cookies)
    }

    /// `user`, who logged in once, as they are by the configuration of now; `None`: a login would not make this user
    /// any more.
    pub(crate) fn still(&self, user: &User) -> Option<User> {
        self.sessions.known.now(user)
    }

    /// Who is logged in, in the browser that sent `headers`.
    ///
    /// # Errors
    /// Sessions cannot be read.
    pub async fn user(&self, headers: &HeaderMap, now: SystemTime) -> Result<Option<Session>, Problem> {
        let browser = self.browser(headers)?;
        self.sessions.find(headers, browser, now).await
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("site", &self.site)
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}
