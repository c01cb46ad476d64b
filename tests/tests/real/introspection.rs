//! Opaque tokens of a real identity provider, which only it can read (RFC 7662).

use super::peers::Tokens;
use super::stage::Stage;
use narthex_testkit::RecordingUpstream;
use serde_json::json;

const OPAQUE: Tokens = Tokens { alg: "RS256", format: "opaque" };

#[tokio::test]
async fn an_opaque_token_is_introspected_once_and_then_known() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::with(OPAQUE, &upstream.url("/mcp")).await;
    let token = stage.token().await;
    assert!(!token.contains('.'), "it is a JWT");
    for _ in 0..3 {
        let answer = stage.call(&token, "echo", json!({"text": "hi"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let logged = stage.logged(&answer).await;
        assert_eq!((&logged["tenant"], &logged["subject"]), (&json!("acme"), &json!("alice")), "{logged}");
    }
    let asked = format!("narthex_introspection_total{{issuer=\"{}\",result=\"active\"}}", stage.idp.issuer());
    assert_eq!(stage.gateway.metric(&asked).await, Some(1.0), "{}", stage.gateway.metrics().await);
    assert!(!upstream.seen(&token));
}

#[tokio::test]
async fn an_opaque_token_that_is_not_enough_is_refused() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::with(OPAQUE, &upstream.url("/mcp")).await;
    let (here, elsewhere) = (stage.url(), format!("{}/other", stage.gateway.place().public_url()));
    let cases = [
        (elsewhere.as_str(), "mcp:read mcp:write", "alice", 401),
        (&here, "mcp:read", "alice", 403),
        (&here, "mcp:read mcp:write", "mallory", 403),
    ];
    for (resource, scope, user, status) in cases {
        let token = stage.idp.token(resource, scope, user).await;
        let answer = stage.call(&token, "echo", json!({})).await;
        assert_eq!(answer.status, status, "{resource} {scope} {user}: {}", answer.text());
    }
    let answer = stage.call("not-a-token-of-this-issuer-4b1d0f", "echo", json!({})).await;
    assert_eq!(answer.status, 401);
    assert_eq!(upstream.count(), 0);
}
