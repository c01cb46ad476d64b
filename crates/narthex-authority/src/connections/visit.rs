//! `/connections` and `/connect/…`: which request does what.
//!
//! Who is not logged in is sent to do so first. A link shows what it is for and whose server it is, and does
//! nothing; what changes anything is a form of this session.

use super::{ConnectProblem, Connections};
use crate::login::{Anew, Form, LOGOUT, Login, Problem, Session, User};
use crate::pages::{
    self, ConnectView, ConnectedView, ConnectionsView, ProblemView, ScopeWords, Site, onward, see_other,
};
use crate::{Request, Response};
use http::{Method, StatusCode};
use std::sync::Arc;
use std::time::SystemTime;
use url::form_urlencoded;

/// The purpose of the token in the forms of the list.
const LIST: &str = "connections";
/// Most parameters of a callback.
const PARAMETER_CAP: usize = 32;
/// Longest ticket, bytes.
const TICKET_CAP: usize = 512;

/// The pages on which users see, make and end their connections.
pub struct ConnectionPages {
    connections: Arc<dyn Connections>,
    words: ScopeWords,
}

enum Failure {
    Login(Problem),
    Connect(ConnectProblem, Box<User>),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Login(problem)
    }
}

impl ConnectionPages {
    /// Pages about `connections`, with `words` for what scopes mean.
    #[must_use]
    pub fn new(connections: Arc<dyn Connections>, words: ScopeWords) -> Self {
        Self { connections, words }
    }

    /// Answers `/connections`, `/connect/<ticket>` and `/connect/callback`.
    pub async fn answer(&self, login: &Login, request: &Request, now: SystemTime) -> Response {
        let id = request.request_id.as_str();
        match self.route(login, request, now).await {
            Ok(response) => response,
            Err(Failure::Login(problem)) => {
                tracing::warn!(request_id = id, %problem, "connections not shown");
                problem.page(login.site(), id)
            }
            Err(Failure::Connect(problem, user)) => {
                tracing::warn!(request_id = id, subject = user.subject, %problem, "not connected");
                page(login.site(), &problem, id)
            }
        }
    }

    async fn route(&self, login: &Login, request: &Request, now: SystemTime) -> Result<Response, Failure> {
        let is_post = match request.method {
            Method::GET => false,
            Method::POST => true,
            _ => return Err(Problem::Method("GET, POST").into()),
        };
        let Some(session) = login.user(&request.headers, now).await? else {
            return Ok(login.begin(&back_to(request), Anew::No, &request.headers, now).await?);
        };
        let visit = Visit { pages: self, site: login.site(), session: &session, request, now };
        match request.path.as_str() {
            "/connections" if is_post => visit.change().await,
            "/connections" => visit.list().await,
            "/connect/callback" if !is_post => visit.callback().await,
            path => match path.strip_prefix("/connect/").filter(|ticket| is_ticket(ticket)) {
                Some("callback") => Err(Problem::Method("GET").into()),
                Some(ticket) if is_post => visit.begin(ticket).await,
                Some(ticket) => visit.look(ticket).await,
                None => Err(Problem::NotFound.into()),
            },
        }
    }
}

/// One request of somebody who is logged in.
struct Visit<'v> {
    pages: &'v ConnectionPages,
    site: &'v Site,
    session: &'v Session,
    request: &'v Request,
    now: SystemTime,
}

impl Visit<'_> {
    async fn list(&self) -> Result<Response, Failure> {
        let user = &self.session.user;
        let listed = self.pages.connections.list(user, self.now).await;
        let connections = listed.map_err(|problem| self.failed(problem))?;
        let query = Form::query(self.request).unwrap_or_default();
        let gone = query.get("disconnected").and_then(|upstream| {
            connections.iter().find(|one| one.upstream == upstream && one.connected_at.is_none())
        });
        let done = gone.map(|one| format!("{} is disconnected.", one.title));
        Ok(pages::connections(
            self.site,
            &ConnectionsView {
                user,
                connections: &connections,
                words: &self.pages.words,
                done: done.as_deref(),
                csrf: &self.session.csrf(LIST),
                logout_csrf: &self.session.csrf(LOGOUT),
            },
        ))
    }

    async fn change(&self) -> Result<Response, Failure> {
        let form = self.form(LIST)?;
        let (user, upstream) = (&self.session.user, form.get("upstream").ok_or(Problem::Forged)?);
        match form.get("action") {
            Some("connect") => {
                let offered = self.pages.connections.offer(user, upstream, self.now).await;
                let ticket = offered.map_err(|problem| self.failed(problem))?;
                Ok(see_other(self.site, &format!("/connect/{ticket}")))
            }
            Some("revoke") => {
                let revoked = self.pages.connections.revoke(user, upstream, self.now).await;
                revoked.map_err(|problem| self.failed(problem))?;
                tracing::info!(
                    request_id = self.request.request_id,
                    subject = user.subject,
                    upstream,
                    "disconnected"
                );
                let said: String = form_urlencoded::byte_serialize(upstream.as_bytes()).collect();
                Ok(see_other(self.site, &format!("/connections?disconnected={said}")))
            }
            _ => Err(Problem::Forged.into()),
        }
    }

    async fn look(&self, ticket: &str) -> Result<Response, Failure> {
        let user = &self.session.user;
        let looked = self.pages.connections.look(user, ticket, self.now).await;
        let view = ConnectView {
            ticket: &looked.map_err(|problem| self.failed(problem))?,
            words: &self.pages.words,
            user,
            action: &format!("/connect/{ticket}"),
            csrf: &self.session.csrf(&purpose(ticket)),
        };
        Ok(pages::connect(self.site, &view))
    }

    async fn begin(&self, ticket: &str) -> Result<Response, Failure> {
        self.form(&purpose(ticket))?;
        let (user, browser) = (&self.session.user, self.session.browser.id());
        let begun = self.pages.connections.begin(user, &browser, ticket, self.now).await;
        Ok(onward(self.site, &begun.map_err(|problem| self.failed(problem))?))
    }

    async fn callback(&self) -> Result<Response, Failure> {
        let query = self.request.query.as_deref().unwrap_or_default();
        let params: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .take(PARAMETER_CAP + 1)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if params.len() > PARAMETER_CAP {
            return Err(Problem::Malformed("too many parameters").into());
        }
        let (user, browser) = (&self.session.user, self.session.browser.id());
        let finished = self.pages.connections.finish(user, &browser, &params, self.now).await;
        let connection = finished.map_err(|problem| self.failed(problem))?;
        let (subject, upstream) = (&user.subject, &connection.upstream);
        tracing::info!(request_id = self.request.request_id, subject, upstream, "connected");
        Ok(pages::connected(self.site, &ConnectedView { connection: &connection, user }))
    }

    /// The form, if it is this session's for `purpose`.
    fn form(&self, purpose: &str) -> Result<Form, Failure> {
        let form = Form::posted(self.request).ok_or(Problem::Forged)?;
        let is_ours = self.session.accepts(purpose, form.get("csrf").unwrap_or_default());
        if is_ours { Ok(form) } else { Err(Problem::Forged.into()) }
    }

    fn failed(&self, problem: ConnectProblem) -> Failure {
        Failure::Connect(problem, Box::new(self.session.user.clone()))
    }
}

/// Where to come back to after the login: the same page, by a GET. The answer of an upstream's server comes
/// back whole.
fn back_to(request: &Request) -> String {
    match &request.query {
        Some(query) if request.method == Method::GET => format!("{}?{query}", request.path),
        _ => request.path.clone(),
    }
}

fn purpose(ticket: &str) -> String {
    format!("connect\n{ticket}")
}

fn is_ticket(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    !text.is_empty() && text.len() <= TICKET_CAP && text.bytes().all(legal)
}

/// What the person is told. Whose a link is, is not said.
pub(super) fn page(site: &Site, problem: &ConnectProblem, request_id: &str) -> Response {
    let (status, title, text) = match problem {
        ConnectProblem::NotYours => (
            StatusCode::FORBIDDEN,
            "This link is not yours",
            "It was made for somebody else than whom you are signed in as. If you have another account, sign out \
             and use that one. Do not open links to connect that others send you.",
        ),
        ConnectProblem::Expired => (
            StatusCode::GONE,
            "This link is over",
            "It was used already, or it took too long. Ask for it anew in your application, or connect from the \
             page of your connections.",
        ),
        ConnectProblem::Refused(_) => (
            StatusCode::FORBIDDEN,
            "It was not connected",
            "You cancelled it, or the server did not agree. Nothing was changed.",
        ),
        ConnectProblem::Unreachable(_) => (
            StatusCode::BAD_GATEWAY,
            "The server does not answer",
            "It could not be connected just now. Try again in a few minutes.",
        ),
        ConnectProblem::Unknown => (
            StatusCode::NOT_FOUND,
            "There is no such server",
            "None of your servers has this name, or it does not ask for your consent.",
        ),
        ConnectProblem::Internal(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "That did not work",
            "Something on our side is not available. Try again in a few minutes.",
        ),
    };
    let way_on = match problem {
        ConnectProblem::NotYours => ("/logout", "Sign out"),
        _ => ("/connections", "See your connections"),
    };
    pages::problem(site, &ProblemView { status, title, text, request_id, way_on: Some(way_on) })
}
