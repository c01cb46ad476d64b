//! The login from the outside: development users, sessions, forms that others made.

use super::fixtures::{
    Visitor, body, config, get, hidden, local, login, onward, parts, post, public_url, vault,
};
use super::{Anew, Login, User};
use crate::Response;
use ::http::StatusCode;
use ::http::header::SET_COOKIE;
use narthex_config::model::TenantId;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const BROWSER: &str = "narthex-browser";
const SESSION: &str = "narthex";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn users() -> Login {
    login(&config(vec![], vec![local("alice", None), local("bob", Some("hunter2"))]))
}

async fn choose(
    login: &Login,
    visitor: &mut Visitor,
    user: &str,
    password: &str,
    at: SystemTime,
) -> Response {
    let page = visitor.send(login, get("/login"), at).await;
    let (csrf, return_to) = (hidden(&page, "csrf").to_owned(), hidden(&page, "return_to").to_owned());
    let form = [("csrf", csrf.as_str()), ("return_to", &return_to), ("user", user), ("password", password)];
    visitor.send(login, post("/login", &form), at).await
}

async fn who(login: &Login, visitor: &Visitor, at: SystemTime) -> Option<String> {
    login.user(&visitor.headers(), at).await.unwrap().map(|session| session.user.subject)
}

#[tokio::test]
async fn a_development_user_logs_in_by_a_button_or_a_password() {
    let login = users();
    for (name, password) in [("alice", ""), ("bob", "hunter2")] {
        let mut visitor = Visitor::default();
        let page = choose(&login, &mut visitor, name, password, now()).await;
        assert_eq!(onward(&page), "/gw/connections");
        let session = login.user(&visitor.headers(), now()).await.unwrap().unwrap();
        let expected = User {
            tenant: TenantId::from("acme"),
            subject: format!("local|{name}"),
            provider: "local".to_owned(),
            provider_issuer: String::new(),
            provider_subject: name.to_owned(),
            name: name.to_owned(),
            groups: vec!["staff".to_owned()],
            authenticated_at: now(),
        };
        assert_eq!(session.user, expected);
    }
}

#[tokio::test]
async fn a_wrong_password_or_name_logs_nobody_in() {
    let login = users();
    for (name, password) in
        [("bob", ""), ("bob", "hunter"), ("bob", "hunter22"), ("carol", "x"), ("local|alice", "")]
    {
        let mut visitor = Visitor::default();
        let page = choose(&login, &mut visitor, name, password, now()).await;
        assert_eq!(page.status(), StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert!(body(&page).contains("The name or the password is wrong."));
        assert!(!body(&page).contains("hunter2"));
        assert_eq!(visitor.cookie(SESSION), None);
    }
}

#[tokio::test]
async fn after_five_wrong_passwords_none_is_looked_at_for_a_minute() {
    let login = users();
    let mut visitor = Visitor::default();
    for _ in 0..5 {
        choose(&login, &mut visitor, "bob", "x", now()).await;
    }
    let page = choose(&login, &mut visitor, "bob", "hunter2", now()).await;
    assert_eq!(page.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(who(&login, &visitor, now()).await, None);
    choose(&login, &mut visitor, "alice", "", now()).await;
    assert_eq!(who(&login, &visitor, now()).await.as_deref(), Some("local|alice"));
    let later = now() + Duration::from_secs(60);
    let mut other = Visitor::default();
    choose(&login, &mut other, "bob", "hunter2", later).await;
    assert_eq!(who(&login, &other, later).await.as_deref(), Some("local|bob"));
}

#[tokio::test]
async fn a_form_without_this_browsers_token_changes_nothing() {
    let login = users();
    let mut attacker = Visitor::default();
    let page = attacker.send(&login, get("/login"), now()).await;
    let theirs = hidden(&page, "csrf").to_owned();
    let mut victim = Visitor::default();
    let page = victim.send(&login, get("/login"), now()).await;
    let own = hidden(&page, "csrf").to_owned();
    for (csrf, return_to) in
        [("", "/connections"), ("x", "/connections"), (&theirs, "/connections"), (&own, "/oauth/authorize")]
    {
        let form = [("csrf", csrf), ("return_to", return_to), ("user", "alice")];
        let page = victim.send(&login, post("/login", &form), now()).await;
        assert_eq!(page.status(), StatusCode::FORBIDDEN, "{csrf} {return_to}");
        assert_eq!(victim.cookie(SESSION), None);
    }
    // A browser without a cookie has no token, not even one that it made up.
    let form = [("csrf", own.as_str()), ("return_to", "/connections"), ("user", "alice")];
    let page = Visitor::default().send(&login, post("/login", &form), now()).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_session_id_is_new_with_every_login_and_the_old_one_is_over() {
    let login = users();
    let mut visitor = Visitor::default();
    // An id that somebody planted means nothing before the login and nothing after.
    let mut planted = Visitor::default();
    let mut answer = Response::default();
    let value = format!("{SESSION}={}; Path=/", "p".repeat(43));
    answer.headers_mut().append(SET_COOKIE, value.parse().unwrap());
    visitor.take(&answer);
    planted.take(&answer);
    choose(&login, &mut visitor, "alice", "", now()).await;
    assert_eq!(who(&login, &visitor, now()).await.as_deref(), Some("local|alice"));
    assert_eq!(who(&login, &planted, now()).await, None);

    let first = visitor.clone();
    // `/login` sends those who are logged in on; the form of another tab still works.
    let page = login.begin("/connections", Anew::No, &visitor.headers(), now()).await.unwrap();
    let form = [("csrf", hidden(&page, "csrf")), ("return_to", "/connections"), ("user", "alice")];
    visitor.send(&login, post("/login", &form), now()).await;
    assert_ne!(first.cookie(SESSION), visitor.cookie(SESSION));
    assert_eq!(first.cookie(BROWSER), visitor.cookie(BROWSER));
    assert_eq!(who(&login, &first, now()).await, None);
    assert_eq!(who(&login, &visitor, now()).await.as_deref(), Some("local|alice"));
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_when_it_is_old() {
    let login = users();
    let hour = Duration::from_secs(3600);
    let mut visitor = Visitor::default();
    choose(&login, &mut visitor, "alice", "", now()).await;
    let second = Duration::from_secs(1);
    assert!(who(&login, &visitor, now() + hour - second).await.is_some());
    assert!(who(&login, &visitor, now() + 2 * hour - 2 * second).await.is_some(), "it was used meanwhile");
    assert!(who(&login, &visitor, now() + 4 * hour).await.is_none());
    assert!(who(&login, &visitor, now()).await.is_none(), "what is over stays over");

    let mut visitor = Visitor::default();
    choose(&login, &mut visitor, "alice", "", now()).await;
    let mut at = now();
    while at < now() + 12 * hour - hour / 2 {
        at += hour / 2;
        let is_over = at >= now() + 12 * hour;
        assert_eq!(who(&login, &visitor, at).await.is_none(), is_over);
    }
    assert!(who(&login, &visitor, now() + 12 * hour).await.is_none());
}

#[tokio::test]
async fn who_is_no_longer_in_the_configuration_is_not_logged_in() {
    let vault = vault();
    let (here, gone) = (vec![local("alice", None), local("bob", None)], vec![local("bob", None)]);
    let before = Login::new(&config(vec![], here.clone()), &public_url(), &parts(vault.clone()));
    let mut visitor = Visitor::default();
    choose(&before, &mut visitor, "alice", "", now()).await;
    let mut no_tenant = config(vec![], here);
    no_tenant.tenants.remove("acme");
    let after = Login::new(&no_tenant, &public_url(), &parts(vault.clone()));
    let other = visitor.clone();
    assert!(who(&before, &visitor, now()).await.is_some());
    assert!(who(&after, &visitor, now()).await.is_none());
    let after = Login::new(&config(vec![], gone), &public_url(), &parts(vault));
    assert!(who(&after, &other, now()).await.is_none());
}

#[tokio::test]
async fn a_logout_takes_a_form_of_this_session_and_ends_it() {
    let login = users();
    let mut visitor = Visitor::default();
    choose(&login, &mut visitor, "alice", "", now()).await;
    let stays = visitor.clone();
    for csrf in ["", "x"] {
        let page = visitor.send(&login, post("/logout", &[("csrf", csrf)]), now()).await;
        assert_eq!(page.status(), StatusCode::FORBIDDEN);
        assert!(who(&login, &visitor, now()).await.is_some());
    }
    let asked = visitor.send(&login, get("/logout"), now()).await;
    assert!(who(&login, &visitor, now()).await.is_some(), "a link logs nobody out");
    let csrf = hidden(&asked, "csrf").to_owned();
    let page = visitor.send(&login, post("/logout", &[("csrf", &csrf)]), now()).await;
    assert!(body(&page).contains("You are signed out"));
    assert_eq!(visitor.cookie(SESSION), None);
    assert!(who(&login, &stays, now()).await.is_none(), "the session is over, not just forgotten");
}

#[tokio::test]
async fn cookies_are_for_this_host_and_no_script() {
    let login = users();
    let mut visitor = Visitor::default();
    let page = choose(&login, &mut visitor, "alice", "", now()).await;
    let set = page.headers()[SET_COOKIE].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"), "{set}");
    assert!(!set.contains("Domain"), "{set}");
    let mut public = public_url();
    public.url = "https://gw.example.com".to_owned();
    let login = Login::new(&config(vec![], vec![local("alice", None)]), &public, &parts(vault()));
    let mut visitor = Visitor::default();
    choose(&login, &mut visitor, "alice", "", now()).await;
    assert!(visitor.cookie("__Host-narthex").is_some() && visitor.cookie("__Host-narthex-browser").is_some());
}

#[tokio::test]
async fn what_is_no_page_of_the_login_says_so() {
    let login = users();
    let mut visitor = Visitor::default();
    for (request, status) in [
        (get("/login/"), StatusCode::NOT_FOUND),
        (get("/login/callback/corp"), StatusCode::NOT_FOUND),
        (get("/login/callback/"), StatusCode::NOT_FOUND),
        (post("/login/callback/corp", &[]), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let page = visitor.send(&login, request, now()).await;
        assert_eq!(page.status(), status);
        assert!(body(&page).contains("req-1"));
    }
}
