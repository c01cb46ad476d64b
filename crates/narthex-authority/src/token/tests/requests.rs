//! Requests without sense, and guesses.

use super::*;

#[tokio::test]
async fn a_request_without_sense_is_told_so() {
    let authority = authority("").await;
    for (form, expected) in [
        (&[("client_id", "web")][..], "invalid_request"),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (&[("grant_type", "password"), ("client_id", "web")], "unsupported_grant_type"),
        (&[("grant_type", "client_credentials"), ("client_id", "web")], "unsupported_grant_type"),
        (&[("grant_type", "implicit"), ("client_id", "web")], "unsupported_grant_type"),
        (&[("grant_type", "refresh_token"), ("client_id", "web"), ("client_id", "web")], "invalid_request"),
        (&[("grant_type", "refresh_token"), ("grant_type", "x"), ("client_id", "web")], "invalid_request"),
        (&[("grant_type", "refresh_token"), ("client_id", "agent")], "invalid_client"),
        (&[("grant_type", "refresh_token"), ("client_id", "web"), ("client_secret", "x")], "invalid_client"),
    ] {
        let answer = authority.answer(post("/oauth/token", form), now()).await;
        assert_eq!(error(&answer), expected, "{form:?}");
        assert_eq!(result(&answer), expected);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["content-type"], "application/json");
    }
    let mut as_json = fixtures::post_json("/oauth/token", &json!({"grant_type": "refresh_token"}));
    assert_eq!(error(&authority.answer(as_json.clone(), now()).await), "invalid_request");
    as_json.method = ::http::Method::GET;
    let answer = authority.answer(as_json, now()).await;
    assert_eq!(
        (answer.status(), &answer.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("POST, OPTIONS"))
    );
}

#[tokio::test]
async fn who_guesses_is_stopped_and_others_are_not() {
    let authority = authority("").await;
    let guess = |peer: &str| {
        let mut request = post(
            "/oauth/token",
            &[("grant_type", "refresh_token"), ("client_id", "agent"), ("client_secret", "x")],
        );
        request.peer = Some(peer.parse().unwrap());
        request
    };
    let mut last = String::new();
    for _ in 0..70 {
        last = error(&authority.answer(guess("192.0.2.1"), now()).await);
    }
    assert_eq!(last, "slow_down");
    assert_eq!(error(&authority.answer(guess("192.0.2.2"), now()).await), "invalid_client");
}
