use super::*;
use bytes::Bytes;
use http::HeaderValue;
use narthex_config::model::{Credential, OAuthClient, OAuthClientAuth, TokenExchange};

const TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT: &str = "subject-canary";

fn exchange(requested: Option<&str>) -> Grant {
    Grant::of(&Credential::TokenExchange(TokenExchange {
        token_url: "https://idp.example.com/token".parse().unwrap(),
        client: OAuthClient { id: "narthex".into(), auth: OAuthClientAuth::None },
        audience: None,
        resource: None,
        scopes: Vec::new(),
        subject_token_type: TYPE.into(),
        requested_token_type: requested.map(Into::into),
    }))
    .unwrap()
}

fn answer(status: u16, content_type: Option<&str>, body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::from(body.to_owned()) }
}

fn outcome(body: &str) -> Result<Issued, CredentialError> {
    read(answer(200, Some("application/json"), body), &exchange(None), Some(SUBJECT))
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
    assert!(read(charset, &exchange(None), None).is_ok());
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
        let error = read(answer(200, content_type, &with("", "")), &exchange(None), None).err().unwrap();
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
        assert_eq!(read(answer, &exchange(None), None).err().unwrap().reason(), reason, "{status}");
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
        let error = read(answer(400, None, body), &exchange(None), Some(SUBJECT)).err().unwrap();
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
        |requested| read(answer(200, Some("application/json"), &body), &exchange(requested), None).is_ok();
    assert!(taken(Some("urn:example:special")));
    assert!(!taken(Some("urn:example:other")));
    assert!(!taken(None));
}
