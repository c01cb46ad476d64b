//! Token exchange (RFC 8693): the caller's token in, another for the upstream out.

use super::stage::{Setup, eventually, setup, tool_call};
use narthex_testkit::{Answer, Endpoint, MockIdp, RawClient, Trouble, mcp};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn exchange() -> Setup {
    setup().main(
        "    credential:\n      token_exchange:\n        token_url: {idp}/token\n        \
         client: { id: narthex, secret: { file: \"{dir}/client-secret\" } }\n        \
         audience: https://mcp.example.com/mcp\n        resource: https://mcp.example.com/mcp\n        \
         scopes: [repo.read, repo.write]\n",
    )
}

#[tokio::test]
async fn the_exchange_says_whose_token_for_whom_and_the_upstream_sees_only_its_result() {
    let stage = exchange().start().await;
    for revision in [mcp::STATEFUL, mcp::STATELESS] {
        assert_eq!(stage.call(revision).await.status, 200);
    }
    let calls = stage.idp.token_calls();
    assert_eq!(calls.len(), 1, "one exchange for both calls");
    let mut form: Vec<_> =
        calls[0].form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    form.sort_unstable();
    assert_eq!(
        form,
        [
            ("audience", "https://mcp.example.com/mcp"),
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("resource", "https://mcp.example.com/mcp"),
            ("scope", "repo.read repo.write"),
            ("subject_token", stage.token.as_str()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ]
    );
    assert_eq!(calls[0].client_auth, "client_secret_basic");
    let bearer = format!("Bearer {}", calls[0].issued.as_deref().unwrap());
    assert!(stage.upstream.requests().iter().all(|got| got.header("authorization") == Some(&bearer)));
    assert!(!stage.upstream.seen(&stage.token) && !stage.upstream.seen(MockIdp::CLIENT.1));
    let sample = r#"narthex_token_exchange_total{result="ok",upstream="main"}"#;
    stage.gateway.wait_for_metric(sample, |n| n == 1.0).await;
    let output = stage.gateway.output() + &stage.gateway.metrics().await;
    for secret in [&stage.token, calls[0].issued.as_ref().unwrap(), MockIdp::CLIENT.1] {
        assert!(!output.contains(secret));
    }
}

#[tokio::test]
async fn each_caller_has_an_exchanged_token_of_its_own() {
    let stage = exchange().start().await;
    let callers = [
        json!({}),
        json!({"sub": "bob"}),
        json!({"org_id": "globex"}),
        json!({"org_id": "globex", "sub": "bob"}),
        json!({"client_id": "agent-2"}),
    ];
    let tokens: Vec<_> = callers.into_iter().map(|claims| stage.token_for("main", claims)).collect();
    for _ in 0..2 {
        for (n, token) in tokens.iter().enumerate() {
            assert_eq!(stage.call_as("/main", token).await.status, 200);
            let shown = stage.upstream.requests().pop().unwrap().header("authorization").map(str::to_owned);
            let call =
                stage.idp.token_calls().into_iter().find(|call| call.form("subject_token") == Some(token));
            let issued = call.unwrap().issued.unwrap();
            assert_eq!(shown, Some(format!("Bearer {issued}")), "caller {n}");
        }
    }
    let issued: BTreeSet<_> = stage.idp.token_calls().into_iter().map(|call| call.issued).collect();
    assert_eq!((issued.len(), stage.idp.token_calls().len()), (5, 5));
}

#[tokio::test]
async fn many_calls_of_one_caller_at_once_share_one_exchange() {
    let stage = exchange().start().await;
    stage.idp.trouble(Endpoint::Token, Trouble::Slow(Duration::from_millis(200)));
    let mut clients: Vec<RawClient> = Vec::new();
    for _ in 0..16 {
        let mut client = stage.connect().await;
        client.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.unwrap();
        clients.push(client);
    }
    for mut client in clients {
        assert_eq!(client.response().await.unwrap().status, 200);
    }
    assert_eq!((stage.idp.token_calls().len(), stage.upstream.count()), (1, 16));
}

#[tokio::test]
async fn a_refused_token_is_exchanged_once_more_and_then_it_is_an_error() {
    let stage = exchange().start().await;
    assert_eq!(stage.call(mcp::STATELESS).await.status, 200);
    stage.upstream.next(Answer::status(401));
    assert_eq!(stage.call(mcp::STATELESS).await.status, 200, "renewed");
    assert_eq!(stage.idp.token_calls().len(), 2);
    stage.upstream.forget();
    stage.upstream.always(|_| Answer::status(401).header("WWW-Authenticate", "Bearer realm=canary-up"));
    for (revision, status) in [(mcp::STATELESS, 502), (mcp::STATEFUL, 200)] {
        let answer = stage.call(revision).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(-32603)));
        assert_eq!(answer.header("www-authenticate"), None);
        assert!(!answer.text().contains("canary-up"));
    }
    assert!(stage.upstream.count() <= 4, "at most twice each: {}", stage.upstream.count());
    assert!(stage.idp.token_calls().len() <= 3, "an upstream that refuses everything costs no storm");
    let bob = stage.token_for("main", json!({"sub": "bob"}));
    stage.upstream.always(Answer::mcp);
    assert_eq!(stage.call_as("/main", &bob).await.status, 200, "others go on");
}

#[tokio::test]
async fn an_exchanged_token_is_replaced_before_it_ends() {
    let stage = exchange().start().await;
    stage.idp.set_expires_in(Duration::from_secs(1));
    let stage = &stage;
    eventually("the second exchange", || async {
        assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
        (stage.idp.token_calls().len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_exchanged_token_ends_with_the_callers_own() {
    let stage = exchange().auth("  leeway: 0s\n").start().await;
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3;
    let token = stage.token_for("main", json!({"exp": soon}));
    assert_eq!(stage.call_as("/main", &token).await.status, 200);
    let stage = &stage;
    eventually("the token's end", || async {
        (stage.call_as("/main", &token).await.status == 401).then_some(())
    })
    .await;
    let asked = stage.upstream.count();
    assert_eq!(stage.call_as("/main", &token).await.status, 401);
    assert_eq!(stage.upstream.count(), asked, "neither is used any more");
    let fresh = stage.token_for("main", json!({}));
    assert_eq!(stage.call_as("/main", &fresh).await.status, 200);
    assert_eq!(stage.idp.token_calls().len(), 2, "a new token of the same caller is exchanged anew");
}

#[tokio::test]
async fn an_exchange_that_fails_is_an_error_without_detail_and_the_next_may_succeed() {
    let stage = exchange().start().await;
    stage
        .idp
        .trouble(Endpoint::Token, Trouble::Json(400, json!({"error": "invalid_target", "x": "canary-idp"})));
    for (revision, status) in [(mcp::STATELESS, 502), (mcp::STATEFUL, 200)] {
        let answer = stage.call(revision).await;
        assert_eq!((answer.status, &answer.json()["id"]), (status, &json!(1)), "{}", answer.text());
        assert_eq!(answer.json()["error"]["message"], "The gateway could not authenticate to the MCP server");
        assert!(!answer.text().contains("canary-idp") && !answer.text().contains("invalid_target"));
    }
    assert_eq!(stage.upstream.count(), 0);
    stage.idp.trouble(Endpoint::Token, Trouble::None);
    let stage = &stage;
    eventually("recovery", || async { (stage.call(mcp::STATELESS).await.status == 200).then_some(()) }).await;
    let sample = r#"narthex_token_exchange_total{result="error",upstream="main"}"#;
    stage.gateway.wait_for_metric(sample, |n| n >= 1.0).await;
}

#[tokio::test]
async fn exchanged_tokens_outlive_a_reload() {
    let stage = exchange().start().await;
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
    assert!(stage.reload(&exchange().upstreams("  other: { url: http://127.0.0.1:9/mcp }\n")).await);
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
    assert_eq!(stage.idp.token_calls().len(), 1);
}
