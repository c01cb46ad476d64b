//! Tokens that authorization servers give for what the gateway shows them.

use super::stage::{SECRET, Stage, call_of, form, parameter, token_endpoint};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use narthex_testkit::{Pki, RecordingUpstream};
use serde_json::{Value, json};

const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn bearer(token: &str) -> Value {
    json!({"access_token": token, "token_type": "Bearer", "expires_in": 300, "issued_token_type": ACCESS_TOKEN})
}

fn assertion(token: &str) -> Value {
    json!({"access_token": token, "token_type": "N_A", "expires_in": 60, "issued_token_type": ID_JAG})
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

const CLIENT: &str = "client: { id: narthex, secret: { file: \"{dir}/secret\" } }";

#[tokio::test]
async fn a_delegated_token_reaches_the_upstream_and_neither_of_those_it_was_made_from() {
    let server = token_endpoint(|_, form| match parameter(form, "grant_type") {
        Some("client_credentials") => (200, bearer("actor-canary")),
        _ => (200, bearer("granted-token")),
    })
    .await;
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::start(&[(
        "up",
        format!(
            "url: '{}', credential: {{ token_exchange: {{ token_url: '{}', {CLIENT}, audience: [a, b], \
             actor: {{ client_credentials: {{ scopes: [act] }} }} }} }}",
            upstream.url("/mcp"),
            server.url("/token")
        ),
    )])
    .await;
    let token = stage.token("/up");
    assert!(stage.call_as("/up", &token).await.tool_text().is_some());
    assert_eq!(call_of(&upstream).header("authorization"), Some("Bearer granted-token"));
    let asked = form(&server.requests()[1]);
    assert_eq!(parameter(&asked, "subject_token"), Some(token.as_str()));
    assert_eq!(parameter(&asked, "actor_token"), Some("actor-canary"));
    assert_eq!(asked.iter().filter(|(name, _)| name == "audience").count(), 2);
    assert!(!upstream.seen(&token) && !upstream.seen("actor-canary") && !upstream.seen(SECRET));
    stage.never_told(&[&token, "actor-canary", "granted-token", SECRET]).await;
}

#[tokio::test]
async fn no_token_that_went_out_is_taken_back_for_the_upstream() {
    let server =
        token_endpoint(|_, form| (200, bearer(parameter(form, "subject_token").unwrap_or("none")))).await;
    let upstream = RecordingUpstream::start().await;
    let exchange = format!(
        "url: '{}', credential: {{ token_exchange: {{ token_url: '{}', {CLIENT} }} }}",
        upstream.url("/mcp"),
        server.url("/token")
    );
    let stage = Stage::start(&[("up", exchange)]).await;
    stage.fails("/up", "echoed_subject_token").await;
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn what_entra_wants_of_the_user_is_told_from_a_refusal() {
    let server = token_endpoint(|number, form| {
        assert_eq!(parameter(form, "requested_token_use"), Some("on_behalf_of"));
        match number {
            1 => (
                400,
                json!({"error": "invalid_grant", "suberror": "basic_action", "claims": "{\"canary\":1}"}),
            ),
            _ => (200, bearer("graph-token")),
        }
    })
    .await;
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::start(&[(
        "up",
        format!(
            "url: '{}', credential: {{ on_behalf_of: {{ token_url: '{}', {CLIENT}, scopes: ['api://tools/.default'] }} }}",
            upstream.url("/mcp"),
            server.url("/token")
        ),
    )])
    .await;
    let refused = stage.call("/up").await;
    assert!(refused.text().contains("wants the user to sign in there again"), "{}", refused.text());
    assert!(!refused.text().contains("canary"));
    stage.gateway.wait_for_output("reason=\"interaction_required\"", 1).await;
    assert_eq!(upstream.count(), 0);
    // With another token, which is another need.
    stage.works("/up").await;
    assert_eq!(call_of(&upstream).header("authorization"), Some("Bearer graph-token"));
}

#[tokio::test]
async fn a_jwt_that_the_gateway_signs_says_for_whom_the_token_is() {
    let server = token_endpoint(|number, _| (200, bearer(&format!("token-{number}")))).await;
    let upstream = RecordingUpstream::start().await;
    let key = Pki::new().leaf(&["key"]).key_pem;
    let bearer = format!(
        "url: '{}', credential: {{ jwt_bearer: {{ token_url: '{}', issuer: robot@project, algorithm: ES256, \
         private_key: {{ file: \"{{dir}}/key.pem\" }}, subject: {{ claim: email }}, scopes: [drive], \
         scopes_in: assertion }} }}",
        upstream.url("/mcp"),
        server.url("/token")
    );
    let stage = Stage::launch(&[("up", bearer)], &[], |place| drop(place.file("key.pem", &key))).await;
    for (name, address) in [("alice", "alice@example.com"), ("bob", "bob@example.com")] {
        let token = stage.idp.token_with(&stage.resource("/up"), json!({"sub": name, "email": address}));
        assert!(stage.call_as("/up", &token).await.tool_text().is_some(), "{}", stage.gateway.output());
    }
    let said: Vec<Value> =
        server.requests().iter().map(|asked| claims(parameter(&form(asked), "assertion").unwrap())).collect();
    assert_eq!((&said[0]["sub"], &said[1]["sub"]), (&json!("alice@example.com"), &json!("bob@example.com")));
    assert_eq!((&said[0]["iss"], &said[0]["scope"]), (&json!("robot@project"), &json!("drive")));
    assert_eq!(said[0]["aud"], server.url("/token"));
    let got: Vec<_> = upstream
        .requests_for("tools/call")
        .iter()
        .map(|call| call.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(got, ["Bearer token-1", "Bearer token-2"]);
    // Without the claim there is nobody to ask for.
    let nobody = stage.call("/up").await;
    assert!(nobody.tool_text().is_none(), "{}", nobody.text());
    stage.gateway.wait_for_output("no_subject_claim", 1).await;
    assert_eq!(server.count(), 2);
}

fn id_jag(upstream: &RecordingUpstream, idp: &RecordingUpstream, server: &RecordingUpstream) -> String {
    format!(
        "url: '{}', credential: {{ id_jag: {{ subject: access_token, \
         identity_provider: {{ token_url: '{}', {CLIENT} }}, \
         authorization_server: {{ issuer: 'https://as.example.com', token_url: '{}', {CLIENT} }} }} }}",
        upstream.url("/mcp"),
        idp.url("/token"),
        server.url("/token")
    )
}

#[tokio::test]
async fn an_identity_assertion_is_taken_to_the_upstreams_own_authorization_server() {
    let idp = token_endpoint(|_, _| (200, assertion("assertion-canary"))).await;
    let server = token_endpoint(|_, _| (200, bearer("granted-token"))).await;
    let upstream = RecordingUpstream::start().await;
    let stage = Stage::start(&[("up", id_jag(&upstream, &idp, &server))]).await;
    let token = stage.token("/up");
    let crowd = (0..64).map(|_| stage.call_as("/up", &token));
    for answer in futures(crowd).await {
        assert!(answer.tool_text().is_some(), "{}", answer.text());
    }
    assert_eq!((idp.count(), server.count()), (1, 1), "a crowd makes one exchange");
    let asked = form(&idp.requests()[0]);
    assert_eq!(parameter(&asked, "audience"), Some("https://as.example.com"));
    assert_eq!(parameter(&asked, "resource"), Some(upstream.url("/mcp").as_str()));
    assert_eq!(parameter(&asked, "requested_token_type"), Some(ID_JAG));
    assert_eq!(parameter(&form(&server.requests()[0]), "assertion"), Some("assertion-canary"));
    assert!(!upstream.seen("assertion-canary") && !server.seen(&token));
    assert!(upstream.seen("Bearer granted-token"));
    stage.never_told(&["assertion-canary", "granted-token", &token]).await;
}

#[tokio::test]
async fn an_identity_assertion_is_never_presented_as_a_token() {
    let idp = token_endpoint(|_, _| (200, bearer("disguised-canary"))).await;
    let server = token_endpoint(|_, _| (200, assertion("assertion-canary"))).await;
    let upstream = RecordingUpstream::start().await;
    // One that is a Bearer token where an assertion was asked for; and the other way round.
    let stage = Stage::start(&[
        ("first", id_jag(&upstream, &idp, &server)),
        ("second", id_jag(&upstream, &server, &server)),
    ])
    .await;
    stage.fails("/first", "bad_token_response").await;
    assert_eq!(server.count(), 0);
    stage.fails("/second", "bad_token_response").await;
    assert_eq!(upstream.count(), 0);
    stage.never_told(&["disguised-canary", "assertion-canary"]).await;
}

/// All at the same time.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(Box::pin).map(Some).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (slot, result) in waiting.iter_mut().zip(&mut done) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                (*slot, *result) = (None, Some(value));
            }
        }
        if waiting.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}
