//! Why somebody cannot log in.

use super::oidc::claims::ClaimsError;
use crate::Response;
use crate::pages::{ProblemView, Site, problem};
use http::header::ALLOW;
use http::{HeaderValue, StatusCode};
use narthex_store::Error as StoreError;

/// Why somebody cannot log in, or why the gateway cannot say who somebody is. The text is for the log; it
/// holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Sessions cannot be read or kept.
    #[error("login: {0}")]
    Store(#[from] StoreError),
    /// The system's randomness failed.
    #[error("login: no randomness")]
    Randomness,
    /// There is no such page, provider or user.
    #[error("login: there is no such page")]
    NotFound,
    /// A method that the page does not have; those that it has.
    #[error("login: wrong method")]
    Method(&'static str),
    /// A form that this gateway did not make for this browser.
    #[error("login: the form is not ours")]
    Forged,
    /// A callback that cannot be read.
    #[error("login: {0}")]
    Malformed(&'static str),
    /// A state that was used, is over, or was never given.
    #[error("login: the state is used or over")]
    State,
    /// A state that was given to another browser.
    #[error("login: the state is another browser's")]
    OtherBrowser,
    /// An answer of another issuer than the one that was asked (RFC 9207).
    #[error("login: the answer is another issuer's")]
    MixUp,
    /// The provider or the user said no; an error code of OAuth.
    #[error("login: refused by the provider: {0}")]
    Refused(String),
    /// The provider does not answer, or not as it should.
    #[error("login: {0}")]
    Provider(String),
    /// The provider's ID token is not good.
    #[error("login: ID token: {0}")]
    IdToken(&'static str),
    /// The login is good, but makes no user.
    #[error("login: {0}")]
    Claims(#[from] ClaimsError),
    /// Too many tries of a password.
    #[error("login: too many tries")]
    TooMany,
}

impl Problem {
    /// What the person in front of the browser is shown. Nothing of it tells more than they may know.
    #[must_use]
    pub fn page(&self, site: &Site, request_id: &str) -> Response {
        let (status, title, text) = self.face();
        let again = matches!(
            self,
            Self::State
                | Self::OtherBrowser
                | Self::MixUp
                | Self::Malformed(_)
                | Self::Refused(_)
                | Self::Forged
        );
        let way_on = again.then_some(("/login", "Sign in again"));
        let mut page = problem(site, &ProblemView { status, title, text, request_id, way_on });
        if let Self::Method(allowed) = self {
            page.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        page
    }

    fn face(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Store(_) | Self::Randomness => (
                StatusCode::SERVICE_UNAVAILABLE,
                "That did not work",
                "Something on our side is not available. Try again in a few minutes.",
            ),
            Self::NotFound => {
                (StatusCode::NOT_FOUND, "There is nothing here", "The address may be misspelt.")
            }
            Self::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "That cannot be done here",
                "Go back to your application and start anew.",
            ),
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "This form is out of date",
                "It was made for another browser or another time. Nothing was changed.",
            ),
            Self::Malformed(_) | Self::MixUp => (
                StatusCode::BAD_REQUEST,
                "That answer cannot be used",
                "The sign-in came back in a form that we do not trust. Nothing was changed.",
            ),
            Self::State => (
                StatusCode::BAD_REQUEST,
                "This sign-in is over",
                "It took too long, or it was used already. Start anew from your application, or sign in again.",
            ),
            Self::OtherBrowser => (
                StatusCode::BAD_REQUEST,
                "This sign-in belongs to another browser",
                "A sign-in ends in the browser where it began. If you did not start one, close this page.",
            ),
            Self::Refused(_) => (
                StatusCode::FORBIDDEN,
                "You are not signed in",
                "The sign-in was cancelled, or your identity provider does not let you in here.",
            ),
            Self::Provider(_) | Self::IdToken(_) => (
                StatusCode::BAD_GATEWAY,
                "Your identity provider did not answer as it should",
                "Try again in a few minutes. If it goes on, tell whoever runs this gateway.",
            ),
            Self::TooMany => {
                (StatusCode::TOO_MANY_REQUESTS, "Too many tries", "Wait a minute, then try again.")
            }
            Self::Claims(error) => error.face(),
        }
    }
}
