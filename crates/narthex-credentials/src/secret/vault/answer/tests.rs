use super::*;
use http::HeaderMap;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    }
}

const READ: &str = r#"{"request_id":"d9","lease_duration":0,"data":{"data":{"n":5,"token":"canary","e":"\u00fc\n"},"metadata":{"created_time":"2026-11-26T08:00:50Z","destroyed":false,"version":7}},"auth":null}"#;

#[test]
fn the_fields_that_were_asked_for_are_taken_and_no_others() {
    let version = version(answer(200, READ), &["token", "e", "n", "none"]).unwrap();
    assert_eq!(version.number, 7);
    let field = |name: &str| version.fields[name].clone();
    assert_eq!(field("token").unwrap().expose(), "canary");
    assert_eq!(field("e").unwrap().expose(), "ü\n");
    assert_eq!((field("n"), field("none")), (Err(VaultProblem::NotText), Err(VaultProblem::NoField)));
    assert_eq!(version.fields.len(), 4);
    assert!(!format!("{version:?}").contains("canary"));
}

#[test]
fn what_is_not_there_is_told_apart() {
    let deleted = r#"{"data":{"data":null,"metadata":{"deletion_time":"2026-11-26T08:01:01Z","version":1}}}"#;
    for (status, body, expected) in [
        (404, r#"{"errors":[]}"#, VaultProblem::Missing),
        (404, "", VaultProblem::Missing),
        (404, r#"{"errors":["no handler for route \"x\""]}"#, VaultProblem::NoMount),
        (404, deleted, VaultProblem::Deleted),
        (200, deleted, VaultProblem::Deleted),
        (403, r#"{"errors":["permission denied"]}"#, VaultProblem::Denied),
    ] {
        assert_eq!(version(answer(status, body), &["token"]).unwrap_err(), expected, "{body}");
    }
}

#[test]
fn what_is_no_answer_of_the_engine_is_refused_without_showing_it() {
    for (status, body) in [
        (200, ""),
        (200, "canary"),
        (200, r#"{"data":null}"#),
        (200, r#"{"data":{"token":"canary"}}"#),
        (200, r#"{"data":{"data":"canary"}}"#),
        (200, r#"{"data":{"data":{"token":"canary"}}}"#),
        (200, r#"{"data":{"data":{"token":"canary"},"metadata":{"version":"canary"}}}"#),
        (200, r#"{"data":{"data":["canary"],"metadata":{"version":1}}}"#),
        (204, ""),
        (400, "canary"),
        (418, r#"{"errors":["canary"]}"#),
    ] {
        let problem = version(answer(status, body), &["token"]).unwrap_err();
        assert!(matches!(problem, VaultProblem::BadAnswer(_)), "{body}: {problem:?}");
        assert!(!format!("{problem} {problem:?}").contains("canary"), "{problem:?}");
    }
}

#[test]
fn a_field_over_the_limit_is_refused() {
    let long =
        |len| format!(r#"{{"data":{{"data":{{"t":"{}"}},"metadata":{{"version":1}}}}}}"#, "x".repeat(len));
    let read = |len| version(answer(200, &long(len)), &["t"]).unwrap().fields.remove("t").unwrap();
    assert_eq!(read(MAX_SECRET).unwrap().expose().len(), MAX_SECRET);
    assert!(matches!(read(MAX_SECRET + 1), Err(VaultProblem::BadAnswer(_))));
}

#[test]
fn a_refused_login_says_why_but_never_what_was_sent() {
    let refused = |body: &str| {
        let problem = granted(answer(400, body), &["canary-id"]).err().unwrap();
        problem.to_string()
    };
    let said = refused(r#"{"errors":["invalid role or secret ID"]}"#);
    assert_eq!(said, "no login at the vault: status 400, invalid role or secret ID");
    for body in
        [r#"{"errors":["bad canary-id"]}"#, r#"{"errors":[]}"#, "canary-id", r#"{"errors":"canary-id"}"#]
    {
        assert_eq!(refused(body), "no login at the vault: status 400", "{body}");
    }
    let hostile = refused(&format!(r#"{{"errors":["a\r\nb\u001b[31m{}"]}}"#, "x".repeat(10_000)));
    assert!(hostile.contains("a??b?[31mxx") && hostile.len() < 300, "{hostile}");
}

#[test]
fn a_login_gives_a_token_and_its_time() {
    let body = r#"{"auth":{"client_token":"canary","lease_duration":30,"renewable":true,"policies":["n"]}}"#;
    let given = granted(answer(200, body), &[]).unwrap();
    assert_eq!((given.token.expose(), given.lease, given.renewable), ("canary", 30, true));
    for body in [
        "canary",
        r#"{"auth":null}"#,
        r#"{"auth":{"client_token":"","lease_duration":0,"renewable":false,"mfa_requirement":{"a":"canary"}}}"#,
        r#"{"auth":{"client_token":["canary"],"lease_duration":30,"renewable":true}}"#,
        r#"{"auth":{"client_token":"canary","lease_duration":-1,"renewable":true}}"#,
    ] {
        let problem = granted(answer(200, body), &[]).err().unwrap();
        assert!(
            matches!(problem, VaultProblem::Login(_)) && !problem.to_string().contains("canary"),
            "{body}"
        );
    }
}

#[test]
fn a_token_that_may_not_ask_about_itself_says_nothing() {
    assert!(lookup(answer(403, r#"{"errors":["permission denied"]}"#)).unwrap().is_none());
    let found =
        lookup(answer(200, r#"{"data":{"ttl":9,"renewable":true,"expire_time":null}}"#)).unwrap().unwrap();
    assert_eq!((found.ttl, found.renewable), (9, true));
    assert!(lookup(answer(200, "[]")).is_err());
}
