//! What never crosses: the caller's token and headers on the way up, the server's session and the gateway's
//! credential on the way down.

use super::stage::{KEY, Stage, answers, fed, form, retry, state, whole};
use narthex_testkit::{Answer, RawResponse, mcp};
use serde_json::json;

const HEADERS: [(&str, &str); 6] = [
    ("Cookie", "sid=cookie-canary-1"),
    ("Proxy-Authorization", "Basic proxy-canary-2"),
    ("X-Api-Key", "api-key-canary-3"),
    ("X-Forwarded-For", "198.51.100.77"),
    ("Mcp-Session-Id", "client-session-canary-4"),
    ("X-Custom", "custom-canary-5"),
];

#[tokio::test]
async fn the_callers_token_and_headers_never_go_up_and_the_servers_session_never_comes_down() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let mut answers_seen: Vec<RawResponse> = Vec::new();
    // Every kind of request that the bridge makes: discover, lists, calls, questions, streams, leaving.
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("tools/call", json!({"name": "echo", "arguments": {"a": 1}})),
        ("no/such", json!({})),
    ] {
        let bytes = alice.bytes(method, params, &HEADERS);
        answers_seen.push(mcp::exchange(stage.gateway.address(), &bytes).await.unwrap());
    }
    let (call, coming) = alice.feed(&stage, fed()).await;
    call.ask("a", "elicitation/create", form());
    let first = coming.whole().await;
    let again = retry(&state(&first), answers(&first, &json!({"action": "decline"})));
    let coming = alice.send("tools/call", again).await;
    stage.server.hears(|m| m["id"] == "a").await;
    call.text("done");
    answers_seen.extend([first, coming.whole().await]);
    let (_left, coming) = alice.feed(&stage, fed()).await;
    drop(coming);
    stage.server.hears(|m| m["method"] == "notifications/cancelled").await;
    let wanted = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["a://1"]}});
    let mut listening = alice.send("subscriptions/listen", wanted).await;
    answers_seen.push(listening.stream().await);
    listening.event().await;
    let stream = stage.server.opened().await;
    assert_eq!(stream.request.method, "GET");
    drop(listening);
    stage.server.hears(|m| m["method"] == "resources/unsubscribe").await;
    stage.server.forget_sessions();
    answers_seen.push(alice.ask("tools/call", json!({"name": "echo"})).await);

    let upstream = stage.server.upstream();
    let (header, signature) = (&alice.token[..40], &alice.token[alice.token.len() - 40..]);
    for canary in
        [header, signature, "canary-1", "canary-2", "canary-3", "198.51.100.77", "canary-4", "canary-5"]
    {
        assert!(!upstream.seen(canary), "{canary} went up");
    }
    for request in upstream.requests() {
        assert_eq!(request.header("authorization"), None, "{request:?}");
        assert_eq!(request.header("x-api-key"), Some(KEY), "{request:?}");
        assert_eq!(request.header("mcp-name"), None);
    }
    for answer in &answers_seen {
        let said = whole(answer);
        assert!(!said.contains("legacy-session-canary") && !said.contains(KEY), "{said}");
        assert_eq!(answer.header("mcp-session-id"), None, "{said}");
    }
    let told = format!("{}{}", stage.gateway.output(), stage.gateway.metrics().await);
    for secret in [signature, KEY, "legacy-session-canary", "cookie-canary"] {
        assert!(!told.contains(secret), "operators are told {secret}");
    }
}

#[tokio::test]
async fn a_token_in_what_is_said_to_the_server_is_refused() {
    let stage = Stage::start().await;
    let alice = stage.alice();
    let (_call, state) = alice.suspended(&stage).await;
    let leaks = json!({"ask-1": {"action": "accept", "content": {"secret": alice.token}}});
    for params in [json!({"name": "echo", "arguments": {"t": alice.token}}), retry(&state, leaks)] {
        let answer = alice.ask("tools/call", params).await;
        assert_eq!(answer.status, 400, "{}", whole(&answer));
    }
    assert!(!stage.server.upstream().seen(&alice.token));
}

#[tokio::test]
async fn reserved_metadata_and_steering_members_of_either_era_stay_on_their_side() {
    let stage = Stage::start().await;
    let params = json!({"name": "fed", "task": {"ttl": 1}, "inputResponses": {}, "_meta": {"own/key": "kept",
        "io.modelcontextprotocol/subscriptionId": "reserved-canary"}});
    let (call, coming) = stage.alice().feed(&stage, params).await;
    assert_eq!(call.request.json()["params"], json!({"name": "fed", "_meta": {"own/key": "kept"}}));
    call.result(json!({"content": [], "resultType": "complete", "ttlMs": 1, "_meta": {"own/key": "back",
        "io.modelcontextprotocol/subscriptionId": "reserved-canary"}}));
    let answer = coming.whole().await;
    assert!(!answer.text().contains("reserved-canary"), "{}", whole(&answer));
    assert_eq!(answer.rpc()["result"]["_meta"]["own/key"], "back");
    stage.server.rule(|request| {
        (request.rpc_method().as_deref() == Some("tools/call")).then(|| {
            Answer::result(request, json!({"resultType": "input_required", "requestState": "forged"}))
        })
    });
    let forged = stage.alice().ask("tools/call", json!({"name": "echo"})).await;
    assert!(!forged.text().contains("forged"), "{}", whole(&forged));
}
