//! Requests signed for AWS, on every way out.

use super::sigv4::check;
use super::stage::{Stage, call_of, form, parameter, token_endpoint};
use narthex_testkit::{Answer, LegacyServer, RecordingUpstream, UpstreamRequest, mcp};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "aws-secret-canary/+wJalrXUtnFEMI";

fn signed(url: &str) -> String {
    format!(
        "url: '{url}', credential: {{ aws_sigv4: {{ region: eu-central-1, service: execute-api, \
         access_key_id: {{ env: AWS_ID }}, secret_access_key: {{ env: AWS_SECRET }} }} }}"
    )
}

async fn stage(upstreams: &[(&str, String)]) -> Stage {
    Stage::launch(upstreams, &[("AWS_ID", ID), ("AWS_SECRET", SECRET)], |_| ()).await
}

/// Refuses what is not signed as it should be.
fn strict(upstream: &RecordingUpstream) {
    upstream.always(|request| match check(request, SECRET) {
        Ok(_) => Answer::mcp(request),
        Err(_) => Answer::status(403),
    });
}

#[tokio::test]
async fn a_call_is_signed_whole() {
    let upstream = RecordingUpstream::start().await;
    strict(&upstream);
    let stage = stage(&[("up", signed(&upstream.url("/prod/mcp%3Aa?b=2&a=1")))]).await;
    stage.works("/up").await;
    let call = call_of(&upstream);
    let checked = check(&call, SECRET).unwrap();
    assert_eq!((checked.id.as_str(), checked.region.as_str()), (ID, "eu-central-1"));
    assert_eq!(checked.service, "execute-api");
    for name in ["content-type", "accept", "x-request-id"] {
        assert!(
            checked.signed.split(';').any(|signed| signed == name),
            "{name} is not in {}",
            checked.signed
        );
    }
    // Whatever is changed on the way is found out.
    let changed = [
        UpstreamRequest { body: [&call.body, b" ".as_slice()].concat(), ..call.clone() },
        UpstreamRequest { path: "/prod/other?b=2&a=1".into(), ..call.clone() },
        UpstreamRequest { method: "PUT".into(), ..call.clone() },
    ];
    assert!(changed.iter().all(|changed| check(changed, SECRET).is_err()));
    assert!(check(&call, "another secret").is_err());
    assert!(!upstream.seen(SECRET));
    stage.never_told(&[SECRET]).await;
}

#[tokio::test]
async fn streams_and_ends_of_sessions_are_signed_too() {
    let server = LegacyServer::start().await;
    let stage = stage(&[("up", signed(&server.upstream().url("/mcp")))]).await;
    let token = stage.token("/up");
    let session =
        mcp::open_session(stage.gateway.address(), "/up", Some(&token), "2025-11-25").await.unwrap();
    let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
    let mut listening = narthex_testkit::RawClient::connect(stage.gateway.address()).await.unwrap();
    let accept = [headers[0], headers[1], ("Accept", "text/event-stream")];
    listening.send(&mcp::bodiless("GET", "/up", Some(&token), &accept)).await.unwrap();
    server.upstream().wait_until(|| server.upstream().requests().iter().any(|r| r.method == "GET")).await;
    stage.send(&mcp::bodiless("DELETE", "/up", Some(&token), &headers)).await;
    let methods: Vec<String> = server
        .upstream()
        .requests()
        .iter()
        .map(|request| {
            check(request, SECRET).unwrap_or_else(|wrong| panic!("{wrong}: {request:?}"));
            request.method.clone()
        })
        .collect();
    for method in ["POST", "GET", "DELETE"] {
        assert!(methods.iter().any(|known| known == method), "{method} is not in {methods:?}");
    }
}

#[tokio::test]
async fn what_is_bridged_and_merged_is_signed_too() {
    let (modern, legacy) = (RecordingUpstream::start().await, LegacyServer::start().await);
    strict(&modern);
    let stage = stage(&[
        ("modern", signed(&modern.url("/mcp"))),
        (
            "legacy",
            signed(&legacy.upstream().url("/mcp"))
                .replace("credential:", "protocol: '2025-11-25', credential:"),
        ),
    ])
    .await;
    let body = mcp::stateless_request(1, "tools/list", json!({}));
    let headers = mcp::stateless_headers("tools/list", None);
    let answer = stage.send(&mcp::post("/all", Some(&stage.token("/all")), &headers, &body)).await;
    assert!(answer.text().contains("modern__echo"), "{}\n{}", answer.text(), stage.gateway.output());
    // A client of the one era and a server of the other.
    let answer = stage.send(&mcp::post("/legacy", Some(&stage.token("/legacy")), &headers, &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for upstream in [&modern, legacy.upstream()] {
        assert!(upstream.count() > 0);
        for request in upstream.requests() {
            check(&request, SECRET).unwrap_or_else(|wrong| panic!("{wrong}: {request:?}"));
        }
    }
}

#[tokio::test]
async fn a_workload_signs_with_keys_that_its_own_token_gets() {
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 900;
    let sts = token_endpoint(move |_, form| {
        assert_eq!(parameter(form, "WebIdentityToken"), Some("workload-token-canary"));
        let keys = json!({"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": SECRET, "SessionToken": "session-1", "Expiration": end});
        (200, json!({"AssumeRoleWithWebIdentityResponse": {"AssumeRoleWithWebIdentityResult": {"Credentials": keys}}}))
    })
    .await;
    let upstream = RecordingUpstream::start().await;
    strict(&upstream);
    let keys = format!(
        "url: '{}', credential: {{ aws_sigv4: {{ region: eu-central-1, service: bedrock-agentcore, web_identity: {{ \
         role: 'arn:aws:iam::123456789012:role/narthex', token: {{ file: \"{{dir}}/token\" }}, sts_url: '{}' }} }} }}",
        upstream.url("/mcp"),
        sts.url("/")
    );
    let stage =
        Stage::launch(&[("up", keys)], &[], |place| drop(place.file("token", "workload-token-canary"))).await;
    stage.works("/up").await;
    stage.works("/up").await;
    assert_eq!(sts.count(), 1);
    assert_eq!(parameter(&form(&sts.requests()[0]), "Action"), Some("AssumeRoleWithWebIdentity"));
    let call = upstream.requests_for("tools/call").pop().unwrap();
    assert_eq!(call.header("x-amz-security-token"), Some("session-1"));
    let checked = check(&call, SECRET).unwrap();
    assert_eq!(checked.id, "ASIAEXAMPLE");
    assert!(checked.signed.contains("x-amz-security-token"));
    stage.never_told(&["workload-token-canary", SECRET, "session-1"]).await;
}
