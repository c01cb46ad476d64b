//! What the upstream gets to see in the place of the caller's token: fixed credentials and the
//! gateway's own tokens.

use super::stage::{Setup, setup};
use narthex_testkit::{Answer, Endpoint, MockIdp, Pki, Trouble, mcp};
use serde_json::json;

#[tokio::test]
async fn a_fixed_credential_is_sent_and_the_callers_token_is_not() {
    let cases = [
        ("none", "none", "authorization", None),
        (
            "header",
            "{ header: { name: X-Api-Key, value: { file: \"{dir}/secret\" } } }",
            "x-api-key",
            Some("s3cret-canary"),
        ),
        (
            "authorization header",
            "{ header: { name: Authorization, value: { file: \"{dir}/secret\" } } }",
            "authorization",
            Some("s3cret-canary"),
        ),
        (
            "basic",
            "{ basic: { username: narthex, password: { file: \"{dir}/secret\" } } }",
            "authorization",
            // narthex:s3cret-canary
            Some("Basic bmFydGhleDpzM2NyZXQtY2FuYXJ5"),
        ),
    ];
    for (case, credential, field, value) in cases {
        let stage = setup()
            .file("secret", "s3cret-canary\n")
            .main(&format!("    credential: {credential}\n"))
            .start()
            .await;
        for revision in [mcp::STATEFUL, mcp::STATELESS] {
            assert_eq!(stage.call(revision).await.status, 200, "{case}");
            let got = stage.upstream.requests().pop().unwrap();
            assert_eq!(
                got.headers.all(field).collect::<Vec<_>>(),
                value.into_iter().collect::<Vec<_>>(),
                "{case}"
            );
        }
        assert!(!stage.upstream.seen(&stage.token), "{case}");
        assert!(!stage.gateway.output().contains("s3cret-canary"), "{case}");
    }
}

#[tokio::test]
async fn a_changed_secret_is_used_without_a_restart() {
    let with = |secret: &str| {
        setup()
            .file("secret", secret)
            .main("    credential: { header: { name: X-Api-Key, value: { file: \"{dir}/secret\" } } }\n")
    };
    let stage = with("first").start().await;
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
    let _ = stage.gateway.place().file("secret", "second");
    let stage = &stage;
    super::stage::eventually("the new secret", || async {
        stage.call(mcp::STATEFUL).await;
        let got = stage.upstream.requests().pop()?;
        (got.header("x-api-key") == Some("second")).then_some(())
    })
    .await;
}

fn client_credentials(more: &str) -> Setup {
    setup().main(&format!(
        "    credential:\n      client_credentials:\n        token_url: {{idp}}/token\n        \
         client: {{ id: narthex, secret: {{ file: \"{{dir}}/client-secret\" }}{more} }}\n        \
         scopes: [machine, more]\n        resource: https://mcp.example.com/mcp\n        audience: machine\n"
    ))
}

#[tokio::test]
async fn client_credentials_are_asked_for_once_for_all_callers() {
    for (case, more, method) in
        [("basic", "", "client_secret_basic"), ("post", ", method: post", "client_secret_post")]
    {
        let stage = client_credentials(more).start().await;
        assert_eq!(stage.call(mcp::STATEFUL).await.status, 200, "{case}");
        let bob = stage.token_for("main", json!({"sub": "bob", "org_id": "globex"}));
        assert_eq!(stage.call_as("/main", &bob).await.status, 200, "{case}");
        let calls = stage.idp.token_calls();
        assert_eq!(calls.len(), 1, "{case}");
        let call = &calls[0];
        assert_eq!(
            (call.client_auth, call.form("grant_type")),
            (method, Some("client_credentials")),
            "{case}"
        );
        let asked = (call.form("scope"), call.form("resource"), call.form("audience"));
        assert_eq!(
            asked,
            (Some("machine more"), Some("https://mcp.example.com/mcp"), Some("machine")),
            "{case}"
        );
        assert_eq!(call.form("subject_token"), None, "{case}");
        let bearer = format!("Bearer {}", call.issued.as_deref().unwrap());
        for got in stage.upstream.requests() {
            assert_eq!(got.header("authorization"), Some(bearer.as_str()), "{case}");
        }
        assert!(!stage.upstream.seen(MockIdp::CLIENT.1) && !stage.upstream.seen(&stage.token), "{case}");
    }
}

#[tokio::test]
async fn the_gateway_can_authenticate_with_a_key_of_its_own() {
    let key = Pki::new().leaf(&["narthex"]).key_pem;
    let stage = setup()
        .file("client.pem", &key)
        .main(
            "    credential:\n      client_credentials:\n        token_url: {idp}/token\n        \
             client: { id: narthex, private_key: { file: \"{dir}/client.pem\" }, algorithm: ES256, key_id: k1 }\n",
        )
        .start()
        .await;
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
    let call = &stage.idp.token_calls()[0];
    assert_eq!((call.client_auth, call.authorization.as_deref()), ("private_key_jwt", None));
    let claims = call.assertion_claims().unwrap();
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("narthex"), &json!("narthex")));
    assert!(claims["jti"].is_string() && claims["exp"].is_u64(), "{claims}");
    assert!(call.issued.is_some());
}

#[tokio::test]
async fn the_gateways_own_token_is_renewed_once_when_it_is_refused() {
    let stage = client_credentials("").start().await;
    stage.upstream.next(Answer::status(401));
    let answer = stage.call(mcp::STATEFUL).await;
    assert!(answer.tool_text().is_some(), "{}", answer.text());
    let issued: Vec<_> = stage.idp.token_calls().into_iter().filter_map(|call| call.issued).collect();
    let shown: Vec<_> = stage
        .upstream
        .requests()
        .iter()
        .filter_map(|r| r.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(issued.len(), 2);
    assert_eq!(shown, issued.iter().map(|token| format!("Bearer {token}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fixed_credential_that_is_refused_is_not_tried_again() {
    let stage = setup()
        .file("secret", "k")
        .main("    credential: { header: { name: X-Api-Key, value: { file: \"{dir}/secret\" } } }\n")
        .start()
        .await;
    stage.upstream.always(|_| Answer::status(401).header("WWW-Authenticate", "Bearer realm=canary-up"));
    let answer = stage.call(mcp::STATELESS).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (502, None));
    assert_eq!(stage.upstream.count(), 1);
}

#[tokio::test]
async fn without_a_credential_the_upstream_is_not_asked_and_the_caller_not_told_why() {
    let cases = [
        ("down", Trouble::Close),
        ("500", Trouble::Status(500)),
        ("refused", Trouble::Json(400, json!({"error": "invalid_scope", "error_description": "canary-idp"}))),
        ("no JSON", Trouble::Body("text/html", b"canary-idp".to_vec())),
        ("no token", Trouble::Json(200, json!({"token_type": "Bearer", "x": "canary-idp"}))),
        (
            "another kind of token",
            Trouble::Json(200, json!({"access_token": "canary-idp", "token_type": "DPoP"})),
        ),
        ("a redirect", Trouble::Redirect("http://127.0.0.1:9/canary-idp".to_owned())),
    ];
    for (case, trouble) in cases {
        let stage = client_credentials("").start().await;
        stage.idp.trouble(Endpoint::Token, trouble);
        for (revision, status) in [(mcp::STATELESS, 502), (mcp::STATEFUL, 200)] {
            let answer = stage.call(revision).await;
            assert_eq!(answer.status, status, "{case}: {}", answer.text());
            let error = &answer.json()["error"];
            let expected = "The gateway could not authenticate to the MCP server";
            assert_eq!((&error["code"], &error["message"]), (&json!(-32603), &json!(expected)), "{case}");
            assert!(!answer.text().contains("canary-idp"), "{case}");
        }
        assert_eq!(stage.upstream.count(), 0, "{case}");
        assert!(!stage.gateway.output().contains(MockIdp::CLIENT.1), "{case}");
    }
}
