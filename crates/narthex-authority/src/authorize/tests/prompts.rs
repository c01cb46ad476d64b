//! `prompt` and `max_age` (OpenID Connect Core §3.1.2.1).

use super::*;

async fn logged_in(authority: &crate::Authority) -> Visitor {
    let mut ann = Visitor::default();
    ann.approve(authority, &query(&[]), "ann").await;
    ann
}

fn path(changes: &[(&str, &str)]) -> String {
    format!("/oauth/authorize?{}", query(changes))
}

#[tokio::test]
async fn nobody_is_asked_anything_where_nobody_may_be() {
    let authority = local_authority("").await;
    let none = path(&[("prompt", "none")]);
    let nobody = Visitor::default().get(&authority, &none).await;
    assert_eq!(error(&nobody).as_deref(), Some("login_required"));
    let mut ann = logged_in(&authority).await;
    let back = ann.get(&authority, &none).await;
    assert!(param(&location(&back).unwrap(), "code").is_some());
    let other = [("client_id", "other"), ("redirect_uri", "https://other.example/cb"), ("prompt", "none")];
    let asked = ann.get(&authority, &path(&other)).await;
    assert_eq!(error(&asked).as_deref(), Some("consent_required"));
    let old = get(&path(&[("prompt", "none"), ("max_age", "60")]));
    let asked = ann.send(&authority, old.clone(), now() + Duration::from_secs(60)).await;
    assert!(param(&location(&asked).unwrap(), "code").is_some());
    let asked = ann.send(&authority, old, now() + Duration::from_secs(61)).await;
    assert_eq!(error(&asked).as_deref(), Some("login_required"), "an old login is none");
    for bad in ["", "-1", "+1", "1.5", "x", "99999999999", "1 "] {
        let asked = ann.get(&authority, &path(&[("prompt", "none"), ("max_age", bad)])).await;
        let expected = if bad.is_empty() { None } else { Some("invalid_request") };
        assert_eq!(error(&asked).as_deref(), expected, "{bad}");
    }
}

#[tokio::test]
async fn who_has_to_log_in_anew_does_although_there_is_a_session() {
    let authority = local_authority("").await;
    let later = now() + Duration::from_secs(30);
    for asked in
        [("prompt", "login"), ("prompt", "select_account"), ("prompt", "login consent"), ("max_age", "0")]
    {
        let mut ann = logged_in(&authority).await;
        let send = async |ann: &mut Visitor, request| ann.send(&authority, request, later).await;
        let page = send(&mut ann, get(&path(&[asked]))).await;
        assert_eq!((page.status(), location(&page)), (StatusCode::OK, None), "{asked:?}");
        let (csrf, request) = (hidden(&page, "csrf"), hidden(&page, "request"));
        let form = [("csrf", csrf.as_str()), ("request", &request), ("decision", "approve")];
        let login = send(&mut ann, post("/oauth/consent", &form)).await;
        let ticket = hidden(&login, "return_to");
        assert!(ticket.starts_with("/oauth/consent?ticket="), "{asked:?}");
        // The session of before will not do.
        let skipped = send(&mut ann, get(&ticket)).await;
        assert_eq!((skipped.status(), location(&skipped)), (StatusCode::BAD_REQUEST, None), "{asked:?}");
        let login = send(&mut ann, post("/oauth/consent", &form)).await;
        let (csrf, ticket) = (hidden(&login, "csrf"), hidden(&login, "return_to"));
        let form = [("csrf", csrf.as_str()), ("return_to", &ticket), ("user", "ann")];
        send(&mut ann, post("/login", &form)).await;
        let back = send(&mut ann, get(&ticket)).await;
        assert!(param(&location(&back).unwrap(), "code").is_some(), "{asked:?}: {}", text(&back));
    }
}

#[tokio::test]
async fn a_recent_login_will_do_where_that_is_enough() {
    let authority = local_authority("").await;
    let mut ann = logged_in(&authority).await;
    let recent = get(&path(&[("max_age", "60")]));
    let back = ann.send(&authority, recent.clone(), now() + Duration::from_secs(60)).await;
    assert!(param(&location(&back).unwrap(), "code").is_some());
    let page = ann.send(&authority, recent, now() + Duration::from_secs(61)).await;
    assert_eq!((page.status(), location(&page)), (StatusCode::OK, None));
}
