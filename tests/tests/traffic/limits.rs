//! Limits: whom they count for, what a refusal looks like, what outlives a reload.

use super::stage::{ALL, Setup, Stage, body, eventually, headers, setup, tool_call};
use narthex_testkit::{Answer, RawResponse, mcp};
use serde_json::json;

fn assert_limited(case: &str, answer: &RawResponse, policy: &str) {
    assert_eq!(answer.status, 429, "{case}: {}", answer.text());
    assert_eq!(answer.header("ratelimit-policy"), Some(policy), "{case}");
    let wait: u64 = answer.header("retry-after").and_then(|wait| wait.parse().ok()).unwrap_or(0);
    assert!(wait >= 1, "{case}: {:?}", answer.headers);
    let name = policy.split(';').next().unwrap();
    assert_eq!(answer.header("ratelimit"), Some(format!("{name};r=0;t={wait}").as_str()), "{case}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{case}");
    let code = answer.json()["error"]["code"].as_i64().unwrap_or(0);
    assert!(!(-32768..=-32000).contains(&code) && code != 0, "{case}: {code} is reserved");
}

fn limited_tenants(limits: &str) -> Setup {
    setup().tenants(&format!(
        "  acme: {{ routes: [main], limits: {limits} }}\n  globex: {{ routes: [main], limits: {limits} }}\n"
    ))
}

#[tokio::test]
async fn a_burst_passes_and_the_next_call_is_told_when_to_come_back() {
    for (revision, id) in ALL.into_iter().zip([json!(1), json!("a"), json!(-3), json!("x\"y")]) {
        let stage = limited_tenants("{ requests: 2/1h, burst: 3 }").start().await;
        for n in 0..3 {
            assert_eq!(stage.call(revision).await.status, 200, "{revision}, {n}");
        }
        let body = body(revision, id.clone(), "tools/call", json!({"name": "echo"}));
        let answer = stage.post(&headers(revision, "tools/call", Some("echo")), &body).await;
        assert_limited(revision, &answer, "\"tenant\";q=2;w=3600");
        assert_eq!(answer.json()["id"], id, "{revision}");
        assert_eq!(stage.upstream.count(), 3, "{revision}: decided before the upstream hears of it");
        let line = stage.log_line(answer.header("x-request-id").unwrap()).await;
        assert_eq!((&line["decision"], &line["security"]), (&json!("deny"), &json!(true)), "{line}");
    }
}

#[tokio::test]
async fn each_limit_counts_for_whom_it_says() {
    // A second caller differs in one thing; it shares the first one's count or has its own.
    let cases: [(&str, &str, &str, serde_json::Value, &str, bool); 9] = [
        ("tenant, other subject", "tenant", "echo", json!({"sub": "bob"}), "echo", true),
        ("tenant, other tenant", "tenant", "echo", json!({"org_id": "globex"}), "echo", false),
        ("subject, same", "subject", "echo", json!({"client_id": "agent-2"}), "add", true),
        ("subject, other", "subject", "echo", json!({"sub": "bob"}), "echo", false),
        ("subject, same name elsewhere", "subject", "echo", json!({"org_id": "globex"}), "echo", false),
        ("client, same", "client", "echo", json!({"sub": "bob"}), "add", true),
        ("client, other", "client", "echo", json!({"client_id": "agent-2"}), "echo", false),
        ("tool, same", "tool", "echo", json!({"sub": "bob", "client_id": "agent-2"}), "echo", true),
        ("tool, other", "tool", "echo", json!({}), "add", false),
    ];
    for (case, per, first, claims, second, shared) in cases {
        let stage = limited_tenants(&format!("{{ requests: 1/1h, per: {per} }}")).start().await;
        let call = |token: String, tool: &'static str| {
            let sent = tool_call(mcp::STATEFUL, "/main", &token, tool);
            let stage = &stage;
            async move { stage.exchange(&sent).await }
        };
        assert_eq!(call(stage.token.clone(), first).await.status, 200, "{case}");
        assert_limited(case, &call(stage.token.clone(), first).await, "\"tenant\";q=1;w=3600");
        let token = stage.token_for("main", claims);
        let status = call(token, second).await.status;
        assert_eq!(status, if shared { 429 } else { 200 }, "{case}");
    }
}

#[tokio::test]
async fn routes_and_tools_have_limits_of_their_own() {
    let stage = setup()
        .routes(
            "  main:\n    path: /main\n    upstream: main\n    limits: { requests: 4/1h }\n    tools:\n      \
             - match: [\"create_*\", add]\n        limits: { requests: 1/1m, per: subject }\n",
        )
        .start()
        .await;
    let call = |tool: &'static str| {
        let sent = tool_call(mcp::STATEFUL, "/main", &stage.token, tool);
        let stage = &stage;
        async move { stage.exchange(&sent).await }
    };
    assert_eq!(call("create_issue").await.status, 200);
    assert_limited("tool", &call("add").await, "\"tool:create_*,add\";q=1;w=60");
    for _ in 0..3 {
        assert_eq!(call("echo").await.status, 200, "a refused call took nothing from the route's limit");
    }
    assert_limited("route", &call("echo").await, "\"route\";q=4;w=3600");
    let sample = r#"narthex_rate_limited_total{limit="tool:create_*,add",tenant="acme"}"#;
    stage.gateway.wait_for_metric(sample, |n| n == 1.0).await;
}

#[tokio::test]
async fn a_call_in_flight_holds_its_place_until_its_stream_ends() {
    let stage = limited_tenants("{ concurrent: 1 }").start().await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut first = stage.connect().await;
    first.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.unwrap();
    first.response_head().await.unwrap();
    let answer = stage.call(mcp::STATEFUL).await;
    assert_limited("concurrent", &answer, "\"tenant\";q=1");
    assert_eq!(answer.json()["id"], 1);
    let globex = stage.token_for("main", json!({"org_id": "globex"}));
    assert_eq!(stage.call_as("/main", &globex).await.status, 200, "another tenant is free to go");
    drop(feed);
    while first.chunk().await.unwrap().is_some() {}
    let stage = &stage;
    eventually("its place", || async { (stage.call(mcp::STATEFUL).await.status == 200).then_some(()) }).await;
}

#[tokio::test]
async fn a_call_cut_short_gives_its_place_back() {
    let stage = limited_tenants("{ concurrent: 1 }").start().await;
    stage.upstream.next(Answer::hang());
    let mut client = stage.connect().await;
    client.send(tool_call(mcp::STATELESS, "/main", &stage.token, "echo")).await.unwrap();
    stage.upstream.wait_for(1).await;
    drop(client);
    let stage = &stage;
    eventually("its place", || async { (stage.call(mcp::STATELESS).await.status == 200).then_some(()) })
        .await;
}

#[tokio::test]
async fn a_batch_counts_as_many_calls_as_are_in_it() {
    let stage = limited_tenants("{ requests: 3/1h }").start().await;
    let call = |id: usize| mcp::request(id, "tools/call", json!({"name": "echo"}));
    let batch = |n: usize| format!("[{}]", (0..n).map(call).collect::<Vec<_>>().join(","));
    stage.upstream.always(|_| Answer::json(200, json!([])));
    assert_limited("four of three", &stage.post(&[], &batch(4)).await, "\"tenant\";q=3;w=3600");
    assert_eq!(stage.post(&[], &batch(2)).await.status, 200);
    assert_limited("two of one", &stage.post(&[], &batch(2)).await, "\"tenant\";q=3;w=3600");
    assert_eq!(stage.post(&[], &batch(1)).await.status, 200);
    assert_eq!(stage.upstream.count(), 2);
}

async fn open_stream(stage: &Stage, token: &str) -> (narthex_testkit::RawClient, RawResponse) {
    let mut client = stage.connect().await;
    client.send(tool_call(mcp::STATEFUL, "/main", token, "echo")).await.unwrap();
    let head = client.response_head().await.unwrap();
    (client, head)
}

#[tokio::test]
async fn a_caller_has_so_many_streams_and_no_more() {
    let stage = setup().server("  limits: { streams_per_caller: 2 }\n").start().await;
    let mut feeds = Vec::new();
    for _ in 0..3 {
        let (answer, feed) = Answer::sse();
        stage.upstream.next(answer);
        feeds.push(feed);
    }
    let (_one, head) = open_stream(&stage, &stage.token).await;
    assert_eq!(head.status, 200);
    let (mut two, head) = open_stream(&stage, &stage.token).await;
    assert_eq!(head.status, 200);
    let (_three, head) = open_stream(&stage, &stage.token).await;
    assert_eq!(head.status, 429);
    assert!(head.header("retry-after").is_some(), "{:?}", head.headers);
    assert_eq!(stage.upstream.count(), 2, "decided before a tool is called");
    let (_bob, head) = open_stream(&stage, &stage.token_for("main", json!({"sub": "bob"}))).await;
    assert_eq!(head.status, 200, "another caller has its own");
    feeds.remove(1);
    while two.chunk().await.unwrap().is_some() {}
    let stage = &stage;
    eventually("its place", || async {
        stage.upstream.next(Answer::sse_events(&[json!({})]));
        (stage.call(mcp::STATEFUL).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_used_stays_used_over_a_reload() {
    let limited = limited_tenants("{ requests: 2/1h }");
    let stage = limited.clone().start().await;
    for _ in 0..2 {
        assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
    }
    let more = limited.clone().upstreams("  other: { url: http://127.0.0.1:9/mcp }\n");
    assert!(stage.reload(&more).await);
    assert_limited("after a reload", &stage.call(mcp::STATEFUL).await, "\"tenant\";q=2;w=3600");
    let globex = stage.token_for("main", json!({"org_id": "globex"}));
    assert_eq!(stage.call_as("/main", &globex).await.status, 200);
    assert!(stage.reload(&limited_tenants("{ requests: 5/1h }")).await);
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200, "another limit counts anew");
}

#[tokio::test]
async fn a_session_and_its_stream_are_bound_by_the_same_limits() {
    let stage = limited_tenants("{ requests: 3/1h }").start().await;
    let (address, token) = (stage.gateway.address(), Some(stage.token.as_str()));
    let session = mcp::open_session(address, "/main", token, mcp::STATEFUL).await.unwrap();
    let fields = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    stage.upstream.next(Answer::sse_events(&[]));
    assert_eq!(stage.exchange(&mcp::bodiless("GET", "/main", token, &fields)).await.status, 200);
    let answer = stage.exchange(&mcp::bodiless("GET", "/main", token, &fields)).await;
    assert_limited("GET", &answer, "\"tenant\";q=3;w=3600");
}
