//! Introspection (RFC 7662).

use super::*;

#[tokio::test]
async fn only_clients_that_may_are_told_what_a_token_is() {
    let authority = authority("").await;
    let issued = tokens(&authority).await;
    let ask = async |client: &str, secret: &str, token: &Value| {
        let request = post("/oauth/introspect", &[("token", token.as_str().unwrap())]);
        authority.answer(basic(request, client, secret), now()).await
    };
    let known = fixtures::json(&ask("probe", SECRET, &issued["access_token"]).await);
    assert_eq!(
        (&known["active"], &known["sub"], &known["aud"]),
        (&json!(true), &json!("corp|ann"), &json!(DOCS))
    );
    let known = fixtures::json(&ask("probe", SECRET, &issued["refresh_token"]).await);
    assert_eq!((&known["active"], &known["client_id"]), (&json!(true), &json!("web")));
    for token in ["x", "a.b.c", "nrt_x", issued["access_token"].as_str().unwrap().rsplit_once('.').unwrap().0]
    {
        let unknown = fixtures::json(&ask("probe", SECRET, &json!(token)).await);
        assert_eq!(unknown, json!({"active": false}), "{token}");
    }
    assert_eq!(error(&ask("agent", SECRET, &issued["access_token"]).await), "unauthorized_client");
    let wrong = ask("probe", "wrong", &issued["access_token"]).await;
    assert_eq!((wrong.status(), error(&wrong).as_str()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    assert!(wrong.headers()[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic "));
    let public = post("/oauth/introspect", &[("client_id", "web"), ("token", "x")]);
    assert_eq!(error(&authority.answer(public, now()).await), "unauthorized_client");
}
