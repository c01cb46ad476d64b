use super::*;
use bytes::Bytes;
use http::HeaderValue;

const TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT: &str = "subject-canary";

fn exchange(requested: Option<&str>) -> Expected<'_> {
    Expected::Exchanged(requested)
}

fn answer(status: u16, content_type: Option<&str>, body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::from(body.to_owned()) }
}

fn outcome(body: &str) -> Result<Issued, CredentialError> {
    read(answer(200, Some("application/json"), body), exchange(None), &[SUBJECT])
}

/// A good answer with one member replaced, or left out by an empty value.
fn with(member: &str, value: &str) -> String {
    let good = [
        ("access_token", "\"token-canary\""),
        ("token_type", "\"Bearer\""),
        ("expires_in", "60"),
        ("issued_token_type", &format!("\"{TYPE}\"")),
    ];
    let members: Vec<String> = good
        .into_iter()
        .map(|(name, default)| (name, if name == member { value } else { default }))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn a_good_answer_is_taken() {
    let issued = outcome(&with("", "")).unwrap();
    assert_eq!(issued.token.expose_secret(), "token-canary");
    assert_eq!(issued.expires_in, Some(Duration::from_secs(60)));
    for (member, value) in [
        ("token_type", "\"bearer\""),
        ("token_type", "\"BEARER\""),
        ("expires_in", ""),
        ("expires_in", "null"),
        ("expires_in", "4294967295"),
        ("access_token", "\"a.b-c_d~e+f/g==\""),
        ("access_token", "\"\\u0061bc\""),
        ("issued_token_type", "\"urn:ietf:params:oauth:token-type:jwt\""),
        ("unknown", "1"),
    ] {
        assert!(outcome(&with(member, value)).is_ok(), "{member}: {value}");
    }
    let charset = answer(200, Some("Application/JSON; charset=utf-8"), &with("", ""));
    assert!(read(charset, exchange(None), &[]).is_ok());
}

#[test]
fn an_answer_without_a_usable_token_is_refused_and_never_shown() {
    let long = format!("\"{}\"", "a".repeat(MAX_TOKEN + 1));
    let bodies = [
        String::new(),
        "null".into(),
        "[]".into(),
        "\"token-canary\"".into(),
        "{".into(),
        "<html>token-canary</html>".into(),
        format!("{} trailing", with("", "")),
        with("", "").replace('}', ",\"access_token\":\"other\"}"),
        with("access_token", ""),
        with("access_token", "null"),
        with("access_token", "12"),
        with("access_token", "[\"token-canary\"]"),
        with("access_token", "\"\""),
        with("access_token", "\"===\""),
        with("access_token", "\"token-canary\\r\\nX-Evil: 1\""),
        with("access_token", "\"token-canary\\n\""),
        with("access_token", "\"token-canary \""),
        with("access_token", "\"token=canary\""),
        with("access_token", "\"token-canary\\u0000\""),
        with("access_token", "\"token-canary\u{e9}\""),
        with("access_token", &long),
        with("token_type", ""),
        with("token_type", "null"),
        with("token_type", "\"mac\""),
        with("token_type", "\"DPoP\""),
        with("token_type", "\"N_A\""),
        with("token_type", "\"Bearer \""),
        with("expires_in", "0"),
        with("expires_in", "-1"),
        with("expires_in", "\"3600\""),
        with("expires_in", "3600.5"),
        with("expires_in", "1e99"),
        with("expires_in", "99999999999999999999"),
        with("issued_token_type", ""),
        with("issued_token_type", "\"urn:ietf:params:oauth:token-type:refresh_token\""),
        with("issued_token_type", "\"urn:ietf:params:oauth:token-type:id-jag\""),
        with("issued_token_type", "7"),
    ];
    for body in bodies {
        let error = outcome(&body).err().unwrap_or_else(|| panic!("taken: {body}"));
        assert_eq!(error.reason(), "bad_token_response", "{body}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn only_json_is_read() {
    for content_type in
        [None, Some("text/html"), Some("text/plain; a=application/json"), Some("application/jsonp")]
    {
        let error = read(answer(200, content_type, &with("", "")), exchange(None), &[]).err().unwrap();
        assert_eq!(error.reason(), "bad_token_response", "{content_type:?}");
    }
}

#[test]
fn a_status_other_than_200_gives_no_token() {
    let good = with("", "");
    for (status, reason) in [
        (201, "bad_token_response"),
        (204, "bad_token_response"),
        (302, "bad_token_response"),
        (400, "exchange_refused"),
        (401, "exchange_refused"),
        (403, "exchange_refused"),
        (404, "exchange_refused"),
        (429, "exchange_unreachable"),
        (500, "exchange_unreachable"),
        (503, "exchange_unreachable"),
    ] {
        let answer = answer(status, Some("application/json"), &good);
        assert_eq!(read(answer, exchange(None), &[]).err().unwrap().reason(), reason, "{status}");
    }
}

#[test]
fn the_log_gets_the_error_code_and_nothing_else() {
    for (body, detail) in [
        (r#"{"error":"invalid_grant","error_description":"subject-canary"}"#, "400: invalid_grant"),
        (r#"{"error":"subject-canary"}"#, "400: no error code"),
        (r#"{"error":"x\r\nlevel=info"}"#, "400: no error code"),
        (r#"{"error":7}"#, "400: no error code"),
        ("subject-canary", "400: no error code"),
    ] {
        let error = read(answer(400, None, body), exchange(None), &[SUBJECT]).err().unwrap();
        assert_eq!(error.detail(), detail);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[test]
fn the_callers_own_token_is_never_taken_as_the_answer() {
    let error = outcome(&with("access_token", "\"subject-canary\"")).err().unwrap();
    assert_eq!(error.reason(), "echoed_subject_token");
    let escaped = outcome(&with("access_token", "\"subject\\u002dcanary\"")).err().unwrap();
    assert_eq!(escaped.reason(), "echoed_subject_token");
}

#[test]
fn a_requested_type_of_its_own_is_accepted_when_issued() {
    let body = with("issued_token_type", "\"urn:example:special\"");
    let taken =
        |requested| read(answer(200, Some("application/json"), &body), exchange(requested), &[]).is_ok();
    assert!(taken(Some("urn:example:special")));
    assert!(!taken(Some("urn:example:other")));
    assert!(!taken(None));
}

#[test]
fn an_identity_assertion_is_never_taken_for_an_access_token_nor_the_other_way() {
    const ASSERTION: &str = r#"{"access_token":"a.b.c","token_type":"N_A","issued_token_type":"urn:ietf:params:oauth:token-type:id-jag"}"#;
    let outcome = |body: &str, expected| {
        read(answer(200, Some("application/json"), body), expected, &[SUBJECT]).map_err(|e| e.reason())
    };
    assert!(outcome(ASSERTION, Expected::IdJag).is_ok());
    for expected in [Expected::AccessToken, Expected::Exchanged(None), Expected::Exchanged(Some(ID_JAG))] {
        assert_eq!(outcome(ASSERTION, expected).err(), Some("bad_token_response"), "{expected:?}");
    }
    for (member, value) in [
        ("token_type", "\"Bearer\""),
        ("token_type", "\"DPoP\""),
        ("issued_token_type", &format!("\"{TYPE}\"")),
        ("issued_token_type", "\"urn:ietf:params:oauth:token-type:id-jag\""),
        ("issued_token_type", ""),
    ] {
        assert!(outcome(&with(member, value), Expected::IdJag).is_err(), "{member} {value}");
    }
    // Said to be a Bearer token, it is still none that was asked for.
    let disguised = ASSERTION.replace("N_A", "Bearer");
    assert!(outcome(&disguised, Expected::AccessToken).is_err());
    assert!(outcome(&disguised, Expected::Exchanged(None)).is_err());
    assert!(outcome(&disguised, Expected::IdJag).is_err());
}

#[test]
fn what_only_the_user_can_put_right_is_told_from_a_refusal() {
    for (body, reason, detail) in [
        (r#"{"error":"interaction_required"}"#, "interaction_required", "400: interaction_required"),
        (
            r#"{"error":"invalid_grant","suberror":"basic_action","claims":"{\"access_token\":{}}"}"#,
            "interaction_required",
            "400: invalid_grant (basic_action)",
        ),
        (
            r#"{"error":"consent_required","suberror":"canary 1"}"#,
            "interaction_required",
            "400: consent_required",
        ),
        (r#"{"error":"login_required"}"#, "interaction_required", "400: login_required"),
        (r#"{"error":"invalid_grant"}"#, "exchange_refused", "400: invalid_grant"),
    ] {
        let error = read(answer(400, None, body), Expected::AccessToken, &[]).err().unwrap();
        assert_eq!((error.reason(), error.detail()), (reason, detail), "{body}");
    }
}
