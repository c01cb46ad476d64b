//! Assertions of the gateway's own, as an upstream verifies them: by the keys that are published.

use super::stage::{Stage, call_of};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use narthex_testkit::{Answer, RecordingUpstream, mcp};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 3600;

pub(crate) async fn keys(gateway: SocketAddr) -> JwkSet {
    let answer = mcp::get(gateway, "/.well-known/jwks.json", None).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("\"d\""), "a private key is published");
    serde_json::from_str(&answer.text()).unwrap()
}

/// What a good upstream makes of a token.
pub(crate) fn verify(keys: &JwkSet, token: &str, issuer: &str, audience: &str) -> Result<Value, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|e| e.to_string())?;
    let jwk = keys.find(header.kid.as_deref().unwrap_or_default()).ok_or("an unknown key")?;
    let mut rules = Validation::new(header.alg);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(jwk).map_err(|e| e.to_string())?;
    jsonwebtoken::decode::<Value>(token, &key, &rules).map(|jwt| jwt.claims).map_err(|e| e.to_string())
}

fn bearer(upstream: &RecordingUpstream) -> String {
    let call = upstream.requests_for("tools/call").pop().expect("a call");
    call.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

pub(crate) fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

fn trusting(upstream: &RecordingUpstream, keys: &str) -> String {
    format!("url: '{}', credential: {{ assertion: {{ {keys} }} }}", upstream.url("/mcp"))
}

#[tokio::test]
async fn an_upstream_verifies_who_calls_by_the_published_keys() {
    for algorithm in ["ES256", "EdDSA"] {
        let upstream = RecordingUpstream::start().await;
        let stage = Stage::start(&[("up", trusting(&upstream, &format!("algorithm: {algorithm}")))]).await;
        let token = stage.token("/up");
        assert!(stage.call_as("/up", &token).await.tool_text().is_some());
        let call = call_of(&upstream);
        let issuer = stage.gateway.place().public_url();
        let claims =
            verify(&keys(stage.gateway.address()).await, &bearer(&upstream), &issuer, &upstream.url("/mcp"))
                .unwrap();
        assert_eq!((&claims["sub"], &claims["tenant"]), (&json!("alice"), &json!("acme")));
        assert_eq!((&claims["scope"], &claims["idp"]), (&json!("mcp:read"), &json!(stage.idp.issuer())));
        assert_eq!(claims["request_id"], json!(call.header("x-request-id").unwrap()));
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
        assert!(!upstream.seen(&token));
        stage.never_told(&[&bearer(&upstream)]).await;
    }
}

#[tokio::test]
async fn an_assertion_for_one_upstream_is_none_for_another() {
    let (one, other) = (RecordingUpstream::start().await, RecordingUpstream::start().await);
    let stage = Stage::start(&[("one", trusting(&one, "")), ("other", trusting(&other, ""))]).await;
    stage.works("/one").await;
    let (keys, issuer) = (keys(stage.gateway.address()).await, stage.gateway.place().public_url());
    assert!(verify(&keys, &bearer(&one), &issuer, &one.url("/mcp")).is_ok());
    let replayed = verify(&keys, &bearer(&one), &issuer, &other.url("/mcp")).unwrap_err();
    assert_eq!(replayed, "InvalidAudience");
    // Nor is it a token for the gateway itself.
    let answer = stage.call_as("/one", &bearer(&one)).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[tokio::test]
async fn each_caller_and_each_request_is_asserted_on_its_own() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::start(&[("up", trusting(&upstream, "header: X-Caller"))]).await;
    for name in ["alice", "bob", "alice"] {
        let token = stage.idp.token_with(&stage.resource("/up"), json!({"sub": name}));
        assert!(stage.call_as("/up", &token).await.tool_text().is_some());
    }
    let (keys, issuer) = (keys(stage.gateway.address()).await, stage.gateway.place().public_url());
    let said: Vec<Value> = upstream
        .requests_for("tools/call")
        .iter()
        .map(|call| {
            assert!(call.header("authorization").is_none());
            verify(&keys, call.header("x-caller").unwrap(), &issuer, &upstream.url("/mcp")).unwrap()
        })
        .collect();
    let names: Vec<&str> = said.iter().map(|claims| claims["sub"].as_str().unwrap()).collect();
    assert_eq!(names, ["alice", "bob", "alice"]);
    assert_ne!(said[0]["jti"], said[2]["jti"]);
}

#[tokio::test]
async fn a_merged_routes_upstreams_are_each_told_who_calls() {
    let (one, other) = (RecordingUpstream::start().await, RecordingUpstream::start().await);
    let stage = Stage::start(&[("one", trusting(&one, "")), ("other", trusting(&other, ""))]).await;
    let body = mcp::stateless_request(1, "tools/list", json!({}));
    let headers = mcp::stateless_headers("tools/list", None);
    let answer = stage.send(&mcp::post("/all", Some(&stage.token("/all")), &headers, &body)).await;
    assert!(
        answer.text().contains("one__echo") && answer.text().contains("other__echo"),
        "{}",
        answer.text()
    );
    let (keys, issuer) = (keys(stage.gateway.address()).await, stage.gateway.place().public_url());
    for upstream in [&one, &other] {
        for request in upstream.requests() {
            let token = request.header("authorization").expect("every request has one");
            let token = token.strip_prefix("Bearer ").unwrap();
            let claims = verify(&keys, token, &issuer, &upstream.url("/mcp")).unwrap();
            assert_eq!(claims["sub"], "alice");
        }
    }
}

/// Moves all keys of the gateway's into the past by so many days.
fn age(stage: &Stage, days: u64) {
    let path = stage.gateway.place().dir().join("state/signing.keys");
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for generation in kept["generations"].as_array_mut().unwrap() {
        generation["made"] = (generation["made"].as_u64().unwrap() - days * DAY).into();
    }
    std::fs::write(&path, kept.to_string()).unwrap();
}

#[tokio::test]
async fn new_keys_are_published_before_they_sign_and_old_ones_after() {
    let upstream = RecordingUpstream::start().await;
    let upstreams = [("up", trusting(&upstream, ""))];
    let stage = Stage::start(&upstreams).await;
    stage.works("/up").await;
    let (first, first_keys) = (kid(&bearer(&upstream)), keys(stage.gateway.address()).await);
    // A month later there are new keys, which an upstream can know a day before it meets them.
    age(&stage, 31);
    assert!(stage.gateway.reload(&(stage.yaml(&upstreams) + "# a\n")).await, "{}", stage.gateway.output());
    let both = keys(stage.gateway.address()).await;
    assert_eq!((first_keys.keys.len(), both.keys.len()), (2, 4));
    stage.works("/up").await;
    assert_eq!(kid(&bearer(&upstream)), first);
    // A day later they sign, and who knew them verifies it.
    age(&stage, 1);
    assert!(stage.gateway.reload(&(stage.yaml(&upstreams) + "# b\n")).await, "{}", stage.gateway.output());
    stage.works("/up").await;
    let second = bearer(&upstream);
    assert_ne!(kid(&second), first);
    let issuer = stage.gateway.place().public_url();
    assert!(verify(&both, &second, &issuer, &upstream.url("/mcp")).is_ok());
    assert!(
        keys(stage.gateway.address()).await.find(&first).is_some(),
        "what was signed last with the old can be verified"
    );
    // Long after, the old ones are gone.
    age(&stage, 1);
    assert!(stage.gateway.reload(&(stage.yaml(&upstreams) + "# c\n")).await);
    assert!(keys(stage.gateway.address()).await.find(&first).is_none());
    let file = std::fs::metadata(stage.gateway.place().dir().join("state/signing.keys")).unwrap();
    assert!(
        file.modified().unwrap().duration_since(UNIX_EPOCH).unwrap()
            <= SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
    );
}

#[tokio::test]
async fn a_gateway_that_signs_nothing_publishes_nothing() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::start(&[("up", format!("url: '{}'", upstream.url("/mcp")))]).await;
    let answer = mcp::get(stage.gateway.address(), "/.well-known/jwks.json", None).await.unwrap();
    assert_eq!(answer.status, 404);
    assert!(!stage.gateway.place().dir().join("state/signing.keys").exists());
}

#[tokio::test]
async fn an_upstream_that_refuses_an_assertion_is_not_asked_again() {
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::start(&[("up", trusting(&upstream, ""))]).await;
    upstream.always(|_| Answer::status(401));
    stage.fails("/up", "").await;
    assert_eq!(upstream.requests_for("tools/call").len(), 1);
}
