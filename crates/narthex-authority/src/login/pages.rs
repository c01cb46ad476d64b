//! The pages of the login: which request does what.

use super::{Anew, Browser, Form, Login, Problem, User};
use crate::pages::{self, LoginView, ProviderChoice, onward, onward_here, see_other};
use crate::{Request, Response};
use http::{HeaderMap, Method};
use std::time::SystemTime;

/// Where a login goes that comes from nowhere.
const HOME: &str = "/connections";
/// Longest `return_to`, bytes.
const RETURN_CAP: usize = 2048;

impl Login {
    /// Where to send a browser whose user must log in first, to come back to `return_to`, a path of ours with
    /// its query; with a login of now, if `anew` says so. It is an answer to a GET as well as to a post. Nobody is sent to an identity provider on
    /// behalf of a client that its user has not approved: to see to that is the caller's part.
    ///
    /// # Errors
    /// The provider's metadata cannot be had, or what was begun cannot be kept.
    pub async fn begin(
        &self,
        return_to: &str,
        anew: Anew,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<Response, Problem> {
        let browser = self.browser(headers)?;
        let return_to = checked(return_to);
        let mut response = match self.providers.as_slice() {
            [only] if self.users.is_empty() => {
                onward(&self.site, &only.authorize(&browser, return_to, anew, &self.vault, now).await?)
            }
            _ => self.choice(&browser, return_to, anew, None),
        };
        browser.remember(&mut response);
        Ok(response)
    }

    /// Answers `/login`, `/login/callback/…` and `/logout`.
    pub async fn answer(&self, request: &Request, now: SystemTime) -> Response {
        match self.route(request, now).await {
            Ok(response) => response,
            Err(problem) => {
                let id = request.request_id.as_str();
                tracing::warn!(request_id = id, path = request.path, %problem, "nobody logged in");
                problem.page(&self.site, id)
            }
        }
    }

    async fn route(&self, request: &Request, now: SystemTime) -> Result<Response, Problem> {
        let is_get = request.method == Method::GET;
        let is_post = request.method == Method::POST;
        match request.path.as_str() {
            "/login" if is_get => match self.user(&request.headers, now).await? {
                Some(_) => Ok(see_other(&self.site, HOME)),
                None => self.begin(HOME, Anew::No, &request.headers, now).await,
            },
            "/login" if is_post => self.chosen(request, now).await,
            "/logout" if is_get => self.ask_logout(request, now).await,
            "/logout" if is_post => self.logout(request, now).await,
            "/login" | "/logout" => Err(Problem::Method("GET, POST")),
            path => match path.strip_prefix("/login/callback/") {
                Some(id) if is_get => self.callback(id, request, now).await,
                Some(_) => Err(Problem::Method("GET")),
                None => Err(Problem::NotFound),
            },
        }
    }

    fn choice(&self, browser: &Browser, return_to: &str, anew: Anew, error: Option<&str>) -> Response {
        let providers: Vec<ProviderChoice<'_>> = self.providers.iter().map(|one| one.choice()).collect();
        let view = LoginView {
            providers: &providers,
            users: &self.users.choices(),
            error,
            return_to,
            csrf: &browser.csrf(&purpose(return_to, anew)),
        };
        pages::login(&self.site, &view)
    }

    async fn chosen(&self, request: &Request, now: SystemTime) -> Result<Response, Problem> {
        let browser = self.browser(&request.headers)?;
        let form = Form::posted(request).ok_or(Problem::Forged)?;
        let return_to = form.get("return_to").ok_or(Problem::Forged)?;
        // The token says as well what login was begun.
        let csrf = form.get("csrf").unwrap_or_default();
        let anew = Anew::ALL.into_iter().find(|anew| browser.accepts(&purpose(return_to, *anew), csrf));
        let anew = anew.ok_or(Problem::Forged)?;
        if let Some(id) = form.get("provider") {
            let provider = self.providers.iter().find(|one| one.id() == id).ok_or(Problem::NotFound)?;
            let to = provider.authorize(&browser, checked(return_to), anew, &self.vault, now).await?;
            return Ok(onward(&self.site, &to));
        }
        let name = form.get("user").ok_or(Problem::NotFound)?;
        match self.users.log_in(name, form.get("password").unwrap_or_default(), now)? {
            Some(user) => {
                let mut response = onward_here(&self.site, checked(return_to));
                // Whoever comes here has just shown who they are.
                self.start(user, Anew::Login, request, &mut response, now).await?;
                Ok(response)
            }
            None => {
                tracing::warn!(request_id = request.request_id, "wrong name or password");
                Ok(self.choice(&browser, return_to, anew, Some("The name or the password is wrong.")))
            }
        }
    }

    async fn callback(&self, id: &str, request: &Request, now: SystemTime) -> Result<Response, Problem> {
        let provider = self.providers.iter().find(|one| one.id() == id).ok_or(Problem::NotFound)?;
        let browser = self.browser(&request.headers)?;
        let query = Form::query(request).ok_or(Problem::Malformed("a parameter is there twice"))?;
        let (user, pending) = provider.finish(&query, &browser, &self.vault, now).await?;
        let mut response = see_other(&self.site, checked(&pending.return_to));
        self.start(user, pending.anew, request, &mut response, now).await?;
        Ok(response)
    }

    async fn start(
        &self,
        user: User,
        anew: Anew,
        request: &Request,
        response: &mut Response,
        now: SystemTime,
    ) -> Result<(), Problem> {
        let (subject, tenant) = (user.subject.clone(), user.tenant.clone());
        self.sessions.begin(user, anew, &request.headers, response, now).await?;
        tracing::info!(request_id = request.request_id, subject, %tenant, "logged in");
        Ok(())
    }

    async fn ask_logout(&self, request: &Request, now: SystemTime) -> Result<Response, Problem> {
        Ok(match self.user(&request.headers, now).await? {
            Some(session) => pages::sign_out(&self.site, &session.user, &session.csrf(LOGOUT)),
            None => pages::signed_out(&self.site),
        })
    }

    async fn logout(&self, request: &Request, now: SystemTime) -> Result<Response, Problem> {
        let form = Form::posted(request).ok_or(Problem::Forged)?;
        let mut response = pages::signed_out(&self.site);
        if let Some(session) = self.user(&request.headers, now).await? {
            if !session.accepts(LOGOUT, form.get("csrf").unwrap_or_default()) {
                return Err(Problem::Forged);
            }
            tracing::info!(request_id = request.request_id, subject = session.user.subject, "logged out");
        }
        self.sessions.end(&request.headers, &mut response).await?;
        Ok(response)
    }
}

/// The purpose of the token in the form that logs out.
pub(crate) const LOGOUT: &str = "logout";

/// The form says where to go on, so its token must be for going there, and for such a login.
fn purpose(return_to: &str, anew: Anew) -> String {
    format!("{}\n{return_to}", anew.name())
}

/// `path`, if it is one of ours; otherwise [`HOME`]. What a browser could take for another host (`//host`,
/// `/\host`) is none.
fn checked(path: &str) -> &str {
    let plain = path.bytes().all(|b| matches!(b, 0x21..=0x7e) && b != b'\\' && b != b'"');
    let ours = path.starts_with('/') && !path.starts_with("//");
    if plain && ours && path.len() <= RETURN_CAP { path } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_gateway_are_gone_on_to() {
        for path in ["/", "/connections", "/oauth/authorize?a=b&c=%2F%2F", "/connect/abc"] {
            assert_eq!(checked(path), path);
        }
        let long = format!("/{}", "a".repeat(RETURN_CAP));
        for path in [
            "",
            "connections",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a b",
            "/a\r\nX: y",
            "/a\0",
            "/é",
            "javascript:alert(1)",
            "\\\\evil.example",
            "/\t/evil.example",
            "/x\"",
            &long,
        ] {
            assert_eq!(checked(path), HOME, "{path:?}");
        }
    }
}
