//! The pages of connections from the outside, over connections that are made up.

use super::*;
use crate::login::Login;
use crate::login::fixtures::{Visitor, body, config, get, hidden, local, login, onward, post};
use crate::pages::ScopeWords;
use crate::{Request, Response};
use ::http::{Method, StatusCode};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// One upstream, `github`; tickets `of-<user>`; everything that was done is noted.
#[derive(Default)]
struct Fake {
    done: Mutex<Vec<String>>,
    is_connected: Mutex<bool>,
}

impl Fake {
    fn connection(&self) -> Connection {
        Connection {
            upstream: "github".to_owned(),
            title: "GitHub".to_owned(),
            host: "api.github.example".to_owned(),
            scopes: vec!["repo:read".to_owned()],
            connected_at: self.is_connected.lock().then_some(UNIX_EPOCH),
            expires: None,
        }
    }

    fn note(&self, what: String) {
        self.done.lock().push(what);
    }

    fn check(user: &User, ticket: &str) -> Result<(), ConnectProblem> {
        match ticket.strip_prefix("of-") {
            Some(name) if user.provider_subject == name => Ok(()),
            Some(_) => Err(ConnectProblem::NotYours),
            None => Err(ConnectProblem::Expired),
        }
    }
}

#[async_trait]
impl Connections for Fake {
    async fn list(&self, _: &User, _: SystemTime) -> Result<Vec<Connection>, ConnectProblem> {
        Ok(vec![self.connection()])
    }

    async fn look(&self, user: &User, ticket: &str, now: SystemTime) -> Result<Ticket, ConnectProblem> {
        Self::check(user, ticket)?;
        Ok(Ticket {
            upstream: "github".to_owned(),
            title: "GitHub".to_owned(),
            host: "api.github.example".to_owned(),
            authorization_host: Some("github.example".to_owned()),
            scopes: vec!["repo:read".to_owned()],
            expires: now,
        })
    }

    async fn begin(
        &self,
        user: &User,
        browser: &str,
        ticket: &str,
        _: SystemTime,
    ) -> Result<Url, ConnectProblem> {
        Self::check(user, ticket)?;
        self.note(format!("begin {browser}"));
        Ok(Url::parse("https://github.example/authorize?a=1&state=s").unwrap())
    }

    async fn offer(&self, user: &User, upstream: &str, _: SystemTime) -> Result<String, ConnectProblem> {
        let known = upstream == "github";
        known.then(|| format!("of-{}", user.provider_subject)).ok_or(ConnectProblem::Unknown)
    }

    async fn finish(
        &self,
        user: &User,
        browser: &str,
        params: &[(String, String)],
        _: SystemTime,
    ) -> Result<Connection, ConnectProblem> {
        self.note(format!("finish {} {browser} {params:?}", user.subject));
        match params.iter().find(|(name, _)| name == "state") {
            Some((_, state)) if state == "s" => {
                *self.is_connected.lock() = true;
                Ok(self.connection())
            }
            _ => Err(ConnectProblem::Expired),
        }
    }

    async fn revoke(&self, user: &User, upstream: &str, _: SystemTime) -> Result<(), ConnectProblem> {
        self.note(format!("revoke {} {upstream}", user.subject));
        *self.is_connected.lock() = false;
        if upstream == "github" { Ok(()) } else { Err(ConnectProblem::Unknown) }
    }
}

struct Stage {
    fake: Arc<Fake>,
    pages: ConnectionPages,
    login: Login,
}

impl Stage {
    fn new() -> Self {
        let fake = Arc::new(Fake::default());
        let pages = ConnectionPages::new(Arc::clone(&fake) as Arc<dyn Connections>, ScopeWords::default());
        let login = login(&config(vec![], vec![local("alice", None), local("bob", None)]));
        Self { fake, pages, login }
    }

    async fn send(&self, visitor: &mut Visitor, mut request: Request) -> Response {
        request.headers.extend(visitor.headers());
        let response = self.pages.answer(&self.login, &request, now()).await;
        visitor.take(&response);
        response
    }

    /// A browser in which somebody is logged in.
    async fn visitor(&self, user: &str) -> Visitor {
        let mut visitor = Visitor::default();
        let page = visitor.send(&self.login, get("/login"), now()).await;
        let form = [("csrf", hidden(&page, "csrf")), ("return_to", "/connections"), ("user", user)];
        visitor.send(&self.login, post("/login", &form), now()).await;
        visitor
    }

    fn done(&self) -> Vec<String> {
        self.fake.done.lock().clone()
    }
}

/// The token of the form that posts to `action`.
fn token(page: &Response, action: &str) -> String {
    let form = body(page).split(&format!("action=\"/gw{action}\"")).nth(1).unwrap();
    form.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[tokio::test]
async fn who_is_not_logged_in_does_so_first_and_comes_back() {
    let stage = Stage::new();
    for (path, back) in [
        ("/connections", "/connections"),
        ("/connect/of-alice", "/connect/of-alice"),
        ("/connect/callback?code=c&state=s", "/connect/callback?code=c&amp;state=s"),
    ] {
        let page = stage.send(&mut Visitor::default(), get(path)).await;
        assert!(body(&page).contains("Continue as"), "{path}");
        assert_eq!(hidden(&page, "return_to"), back);
    }
    let page = stage.send(&mut Visitor::default(), post("/connect/of-alice", &[("csrf", "x")])).await;
    assert_eq!(hidden(&page, "return_to"), "/connect/of-alice");
    assert_eq!(stage.done(), [""; 0]);
}

#[tokio::test]
async fn a_user_connects_from_the_list_and_disconnects() {
    let stage = Stage::new();
    let mut alice = stage.visitor("alice").await;
    let page = stage.send(&mut alice, get("/connections")).await;
    assert!(body(&page).contains("Not connected"));
    let form = [("csrf", &*token(&page, "/connections")), ("upstream", "github"), ("action", "connect")];
    let answer = stage.send(&mut alice, post("/connections", &form)).await;
    assert_eq!(answer.headers()["location"], "/gw/connect/of-alice");
    let page = stage.send(&mut alice, get("/connect/of-alice")).await;
    assert!(body(&page).contains("github.example") && body(&page).contains("Read access: repo"));
    assert_eq!(stage.done(), [""; 0], "a look changes nothing");
    let page = stage.send(&mut alice, post("/connect/of-alice", &[("csrf", hidden(&page, "csrf"))])).await;
    assert_eq!(onward(&page), "https://github.example/authorize?a=1&state=s");
    let page = stage.send(&mut alice, get("/connect/callback?code=c&state=s")).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(body(&page).contains("is connected"));

    let done = stage.done();
    let browser = done[0].strip_prefix("begin ").unwrap();
    assert_eq!(done[1], format!(r#"finish local|alice {browser} [("code", "c"), ("state", "s")]"#));

    let page = stage.send(&mut alice, get("/connections")).await;
    assert!(body(&page).contains("since <time datetime=\"1970-01-01\">"));
    let form = [("csrf", &*token(&page, "/connections")), ("upstream", "github"), ("action", "revoke")];
    let answer = stage.send(&mut alice, post("/connections", &form)).await;
    assert_eq!(answer.headers()["location"], "/gw/connections?disconnected=github");
    let page = stage.send(&mut alice, get("/connections?disconnected=github")).await;
    assert!(body(&page).contains("GitHub is disconnected."));
    let page = stage.send(&mut alice, get("/connections?disconnected=%3Cb%3Eyou+won")).await;
    assert!(!body(&page).contains("won"));
}

#[tokio::test]
async fn a_link_of_somebody_else_is_refused_without_saying_whose_it_is() {
    let stage = Stage::new();
    let mut bob = stage.visitor("bob").await;
    let page = stage.send(&mut bob, get("/connect/of-alice")).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert!(body(&page).contains("This link is not yours"));
    assert!(!body(&page).contains("alice"));
    // Not with a form that bob's own session made, either.
    let session = stage.login.user(&bob.headers(), now()).await.unwrap().unwrap();
    let csrf = session.csrf("connect\nof-alice");
    let page = stage.send(&mut bob, post("/connect/of-alice", &[("csrf", &csrf)])).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert_eq!(stage.done(), [""; 0]);
}

#[tokio::test]
async fn a_form_of_another_browser_session_or_purpose_changes_nothing() {
    let stage = Stage::new();
    let (mut alice, mut bob) = (stage.visitor("alice").await, stage.visitor("bob").await);
    let theirs = stage.send(&mut bob, get("/connections")).await;
    let own = stage.send(&mut alice, get("/connections")).await;
    let ticket = stage.send(&mut alice, get("/connect/of-alice")).await;
    let (logout, list) = (token(&own, "/logout"), token(&own, "/connections"));
    let foreign = [token(&theirs, "/connections"), token(&ticket, "/connect/of-alice"), logout];
    for csrf in ["", "x"].into_iter().chain(foreign.iter().map(String::as_str)) {
        let form = [("csrf", csrf), ("upstream", "github"), ("action", "revoke")];
        let page = stage.send(&mut alice, post("/connections", &form)).await;
        assert_eq!(page.status(), StatusCode::FORBIDDEN, "{csrf}");
        let page = stage.send(&mut alice, post("/connect/of-alice", &[("csrf", &list)])).await;
        assert_eq!(page.status(), StatusCode::FORBIDDEN, "{csrf}");
    }
    assert_eq!(stage.done(), [""; 0]);
    let form = [("csrf", list.as_str()), ("upstream", "github"), ("action", "revoke")];
    let page = stage.send(&mut alice, post("/connections", &form)).await;
    assert_eq!(page.status(), StatusCode::SEE_OTHER, "the right one does");
}

#[tokio::test]
async fn every_problem_has_a_page_without_its_inner_text() {
    let site = crate::pages::Site { base: String::new(), name: "Narthex".to_owned() };
    let secret = || "canary".to_owned();
    for (problem, status) in [
        (ConnectProblem::NotYours, 403),
        (ConnectProblem::Expired, 410),
        (ConnectProblem::Refused(secret()), 403),
        (ConnectProblem::Unreachable(secret()), 502),
        (ConnectProblem::Unknown, 404),
        (ConnectProblem::Internal(secret()), 503),
    ] {
        let page = visit::page(&site, &problem, "req-7");
        assert_eq!(page.status().as_u16(), status);
        assert!(body(&page).contains("req-7") && !body(&page).contains("canary"));
    }
}

#[tokio::test]
async fn what_is_no_page_of_connections_says_so() {
    let stage = Stage::new();
    let mut alice = stage.visitor("alice").await;
    let long = format!("/connect/{}", "a".repeat(600));
    for path in ["/connect/", "/connect/a/b", "/connect/a%20b", "/connect/<b>", &long] {
        assert_eq!(stage.send(&mut alice, get(path)).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let page = stage.send(&mut alice, post("/connect/callback", &[])).await;
    assert_eq!(page.status(), StatusCode::METHOD_NOT_ALLOWED);
    let many = format!("/connect/callback?{}", "a=1&".repeat(40));
    assert_eq!(stage.send(&mut alice, get(&many)).await.status(), StatusCode::BAD_REQUEST);
    let mut put = get("/connections");
    put.method = Method::PUT;
    assert_eq!(stage.send(&mut alice, put).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}
