//! Tokens of a real identity provider: who gets in, who does not, and what each is told.

use super::peers::{JWT, Tokens};
use super::stage::{KEY, Stage};
use narthex_testkit::{RecordingUpstream, mcp};
use serde_json::json;

#[tokio::test]
async fn a_token_by_authorization_code_opens_the_route_it_was_asked_for() {
    for alg in ["RS256", "ES256"] {
        let upstream = RecordingUpstream::start().await;
        let stage = Stage::with(Tokens { alg, ..JWT }, &upstream.url("/mcp")).await;
        let token = stage.token().await;
        let answer = stage.call(&token, "echo", json!({"text": "hi"})).await;
        assert_eq!(answer.status, 200, "{alg}: {}", answer.text());
        let logged = stage.logged(&answer).await;
        for (field, value) in
            [("tenant", "acme"), ("subject", "alice"), ("client", "agent"), ("tool", "echo")]
        {
            assert_eq!(logged[field], value, "{alg}: {logged}");
        }
        assert_eq!(upstream.requests_for("tools/call").len(), 1);
        assert!(upstream.seen(KEY) && !upstream.seen(&token), "{alg}");
    }
}

#[tokio::test]
async fn a_program_gets_in_with_a_token_of_its_own() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::before(&upstream.url("/mcp")).await;
    let token = stage.idp.machine_token(&stage.url()).await;
    let answer = stage.call(&token, "echo", json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let logged = stage.logged(&answer).await;
    assert_eq!((&logged["tenant"], &logged["client"]), (&json!("acme"), &json!("machine")), "{logged}");
}

#[tokio::test]
async fn the_challenge_leads_a_client_to_the_issuer_that_gives_the_token() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::before(&upstream.url("/mcp")).await;
    let refused = mcp::call(stage.gateway.address(), "/mcp", None, &mcp::tools_call("echo", json!({}))).await;
    let refused = refused.unwrap();
    let public_url = stage.gateway.place().public_url();
    let metadata = format!("{public_url}/.well-known/oauth-protected-resource/mcp");
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some(&*format!("Bearer resource_metadata=\"{metadata}\", scope=\"mcp:read\"")))
    );
    let path = metadata.strip_prefix(&public_url).unwrap();
    let metadata = mcp::get(stage.gateway.address(), path, None).await.unwrap().json();
    assert_eq!(metadata["resource"], stage.url());
    assert_eq!(metadata["authorization_servers"], json!([stage.idp.issuer()]));
}

#[tokio::test]
async fn a_token_that_is_not_enough_is_told_why_and_reaches_nothing() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::before(&upstream.url("/mcp")).await;
    let (here, elsewhere) = (stage.url(), format!("{}/other", stage.gateway.place().public_url()));
    let all = "mcp:read mcp:write";
    let cases = [
        ("for another resource", elsewhere.as_str(), all, "alice", 401, Some("error=\"invalid_token\"")),
        ("scope missing", &here, "mcp:read", "alice", 403, Some("scope=\"mcp:read mcp:write\"")),
        ("tenant without the route", &here, all, "bob", 403, None),
        ("unknown tenant", &here, all, "mallory", 403, None),
    ];
    for (name, resource, scope, user, status, challenge) in cases {
        let token = stage.idp.token(resource, scope, user).await;
        let answer = stage.call(&token, "echo", json!({})).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        let said = answer.header("www-authenticate");
        match challenge {
            Some(part) => assert!(said.is_some_and(|said| said.contains(part)), "{name}: {said:?}"),
            None => assert_eq!(said, None, "{name}"),
        }
        assert_eq!(stage.logged(&answer).await["security"], true, "{name}");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn with_the_issuer_gone_its_tokens_are_still_verified() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::before(&upstream.url("/mcp")).await;
    let (used, fresh) =
        (stage.token().await, stage.idp.token(&stage.url(), "mcp:read mcp:write", "alice").await);
    assert_eq!(stage.call(&used, "echo", json!({})).await.status, 200);
    stage.idp.stop();
    for token in [&used, &fresh] {
        let answer = stage.call(token, "echo", json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
