//! `/oauth/authorize` and `/oauth/consent`: may this client do that for this user?
//!
//! The user is asked before the browser is sent anywhere, the identity provider included: else a client could
//! have its code made from a login that the browser still has there, without anybody having seen it (the
//! confused deputy of the MCP security guide). Nothing is kept before the user has approved; what is then kept
//! is bound to the browser, good for one use, and becomes the user's consent once it is known who that is.

mod consent;
mod request;

pub(crate) use request::{Ask, Refused};

use crate::authority::Authority;
use crate::consents::Between;
use crate::error::{Code, OAuthError};
use crate::login::{Browser, Login, Problem, Session, User};
use crate::pages::{self, ConsentView, RequestedScope};
use crate::secret::{seconds, sha256};
use crate::token::code;
use crate::{Request, Response, reply};
use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, Method, StatusCode};
use narthex_config::model::ScopeName;
use std::collections::BTreeSet;
use std::time::SystemTime;
use url::Url;

/// The way of 2025-03-26, beside the real one.
pub(crate) const ALIAS: &str = "/authorize";

/// Why there is a page that nobody wanted.
#[derive(Debug)]
pub(crate) enum Trouble {
    Refused(Refused),
    Login(Problem),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Login(problem)
    }
}

impl From<OAuthError> for Trouble {
    fn from(error: OAuthError) -> Self {
        Self::Refused(Refused::Here(error))
    }
}

impl Authority {
    /// A client has sent the user here.
    pub(crate) async fn authorize(&self, request: &Request, now: SystemTime) -> Response {
        if request.method != Method::GET {
            return reply::method("GET");
        }
        match self.try_authorize(request, now).await {
            Ok(response) => response,
            Err(trouble) => self.troubled(trouble, request, false),
        }
    }

    async fn try_authorize(&self, request: &Request, now: SystemTime) -> Result<Response, Trouble> {
        let query = request.query.as_deref().unwrap_or_default();
        let ask =
            self.ask(query, request.path == ALIAS, request.peer, now).await.map_err(Trouble::Refused)?;
        let login = self.login()?;
        let session = login.user(&request.headers, now).await?.filter(|session| ask.takes(session, now));
        let back = |code, description| {
            Trouble::Refused(Refused::Back(ask.back.clone(), OAuthError::new(code, description)))
        };
        if let Some(session) = &session
            && !ask.prompt.consent
            && self.has_consented(&ask, &session.user).await?
        {
            let url = self.grant(&ask, &session.user, now).await?;
            return Ok(redirect(&url));
        }
        if ask.prompt.none {
            return Err(match session {
                None => back(Code::LoginRequired, "The user is not logged in."),
                Some(_) => back(Code::ConsentRequired, "The user has not allowed this yet."),
            });
        }
        let browser = login.browser(&request.headers)?;
        Ok(self.question(&ask, session.as_ref(), &browser, &format!("{}?{query}", request.path)))
    }

    /// The page that asks.
    fn question(&self, ask: &Ask, session: Option<&Session>, browser: &Browser, request: &str) -> Response {
        let purpose = purpose(ask, request);
        let csrf = session.map_or_else(|| browser.csrf(&purpose), |session| session.csrf(&purpose));
        let wanted = ask.wanted();
        let words: Vec<_> = wanted.iter().map(|scope| self.words.of(scope.as_str())).collect();
        let scopes = wanted.iter().zip(&words);
        let scopes: Vec<_> =
            scopes.map(|(scope, words)| RequestedScope { name: scope.as_str(), words }).collect();
        let view = ConsentView {
            client_name: &ask.client.name,
            client_id: &ask.client.id,
            kind: ask.client.kind,
            redirect_uri: ask.back.redirect(),
            is_local: is_local(ask),
            resource_name: ask.resource.route.as_str(),
            resource: &ask.resource.id,
            scopes: &scopes,
            user: session.map(|session| &session.user),
            csrf: &csrf,
            request,
        };
        let mut response = pages::consent(&self.site, &view);
        browser.remember(&mut response);
        response
    }

    /// Whether `user` has allowed all of this before. Where the answer goes to the user's own machine, they are asked
    /// every time.
    async fn has_consented(&self, ask: &Ask, user: &User) -> Result<bool, Trouble> {
        if is_local(ask) {
            return Ok(false);
        }
        let consented = between(ask, user).find(&self.lasting.vault).await?;
        let granted = ask.with_refresh(self.granted(&ask.scopes, user));
        Ok(consented.is_some_and(|consented| granted.is_subset(&consented)))
    }

    async fn keep_consent(&self, ask: &Ask, user: &User) -> Result<(), Trouble> {
        Ok(between(ask, user).keep(&self.lasting.vault, &ask.wanted()).await?)
    }

    /// What of `scopes` the user may be granted.
    pub(crate) fn granted(&self, scopes: &BTreeSet<ScopeName>, user: &User) -> BTreeSet<ScopeName> {
        self.resources.granted(scopes, &user.tenant, &user.groups)
    }

    /// Gives a code: where to send the user with it.
    async fn grant(&self, ask: &Ask, user: &User, now: SystemTime) -> Result<Url, Trouble> {
        let back = |code, description| {
            Trouble::Refused(Refused::Back(ask.back.clone(), OAuthError::new(code, description)))
        };
        if !self.resources.may_use(&user.tenant, &ask.resource) {
            return Err(back(Code::AccessDenied, "The user may not use this resource."));
        }
        let scopes = self.granted(&ask.scopes, user);
        if scopes.is_empty() && !ask.scopes.is_empty() {
            return Err(back(Code::InvalidScope, "The user may be granted none of the scopes."));
        }
        let code = code::Code {
            client: ask.client.id.clone(),
            redirect_uri: ask.redirect_uri.clone(),
            challenge: ask.challenge.clone(),
            resource: ask.resource.id.clone(),
            scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            user: user.clone(),
            key: ask.key.clone(),
            refresh: ask.refresh,
            made: seconds(now),
            family: crate::token::new_family()?,
        };
        let text = code::give(&self.lasting.vault, &code).await?;
        Ok(ask.back.url(&self.issuer, &[("code", &text)]))
    }

    fn login(&self) -> Result<&Login, OAuthError> {
        let none = || OAuthError::new(Code::InvalidRequest, "Nobody can log in at this gateway.");
        self.login.as_ref().ok_or_else(none)
    }

    /// An answer to a form that leads to the client.
    fn onward(&self, url: &Url) -> Response {
        pages::onward(&self.site, url)
    }

    /// Tells the client, or the user where nobody knows the client. `posted`: in answer to a form.
    fn troubled(&self, trouble: Trouble, request: &Request, posted: bool) -> Response {
        let (error, mut response) = match trouble {
            Trouble::Refused(Refused::Back(back, error)) => {
                let answer = [("error", error.code.as_str()), ("error_description", error.description)];
                let url = back.url(&self.issuer, &answer);
                let response = match posted {
                    true => self.onward(&url),
                    false if back.is_vouched_for() => redirect(&url),
                    // Else the gateway's name would lead whoever trusts it to wherever a client says, with a
                    // request that is bad on purpose (RFC 9700 §4.11.2).
                    false => pages::back_to_client(&self.site, &url, error.description, &request.request_id),
                };
                (error, response)
            }
            Trouble::Refused(Refused::Here(error)) => {
                let response = self.page(&error, request);
                (error, response)
            }
            Trouble::Login(problem) => {
                let text = "Logging in does not work just now. Try again in a minute.";
                let error = OAuthError::new(Code::TemporarilyUnavailable, text).detail(problem);
                let response = self.page(&error, request);
                (error, response)
            }
        };
        self.log(&error, request);
        reply::note(&mut response, error.code.as_str());
        response
    }

    fn page(&self, error: &OAuthError, request: &Request) -> Response {
        let status = match error.code {
            Code::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Code::SlowDown => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        };
        let view = pages::ProblemView {
            status,
            title: "That did not work",
            text: error.description,
            request_id: &request.request_id,
            way_on: None,
        };
        pages::problem(&self.site, &view)
    }
}

/// Whether the answer goes to the user's own machine, where nobody can tell which program gets it (RFC 8252 §8.6).
/// Its client may have other places to go to.
fn is_local(ask: &Ask) -> bool {
    ask.back.redirect().scheme() != "https"
}

/// What a form is for: this request, and what the page said about it. A client that has changed its name since
/// is to be looked at again, and so is what it gets access to.
fn purpose(ask: &Ask, request: &str) -> String {
    let wanted = ask.wanted();
    let scopes: Vec<&str> = wanted.iter().map(ScopeName::as_str).collect();
    let shown = format!("{request}\n{}\n{}\n{}", ask.client.name, ask.resource.id, scopes.join(" "));
    format!("consent {}", sha256(shown.as_bytes()))
}

fn between<'a>(ask: &'a Ask, user: &'a User) -> Between<'a> {
    Between {
        tenant: user.tenant.as_str(),
        subject: &user.subject,
        client: &ask.client.id,
        redirect_uri: &ask.redirect_uri,
        resource: &ask.resource.id,
    }
}

fn redirect(url: &Url) -> Response {
    let mut response = reply::empty(StatusCode::SEE_OTHER);
    let headers = response.headers_mut();
    // A URL that was parsed has visible ASCII only.
    if let Ok(location) = HeaderValue::from_str(url.as_str()) {
        headers.insert(LOCATION, location);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests;
