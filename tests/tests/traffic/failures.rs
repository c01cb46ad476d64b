//! Upstreams that fail, each by itself.

use super::stage::{ALL, Stage, eventually, is_modern, setup, tool_call};
use narthex_testkit::{Answer, RawResponse, RecordingUpstream, UpstreamOptions, mcp};
use serde_json::json;
use std::time::Duration;

/// A name, what the upstream does, and the status for a modern client.
type Failure = (&'static str, fn() -> Answer, u16);

/// What a client of each revision is told of a failure that is `status` to a modern one.
fn assert_told(case: &str, revision: &str, answer: &RawResponse, status: u16) {
    let expected = if is_modern(revision) { status } else { 200 };
    let rpc = answer.json();
    assert_eq!(answer.status, expected, "{case}, {revision}: {}", answer.text());
    assert_eq!((&rpc["error"]["code"], &rpc["id"]), (&json!(-32603), &json!(1)), "{case}, {revision}");
}

#[tokio::test]
async fn a_failure_is_an_error_of_the_clients_own_kind() {
    let stage =
        setup().main("    timeout: 300ms\n    breaker: { failures: 1000, cooldown: 1s }\n").start().await;
    let cases: [Failure; 7] = [
        ("closed", Answer::close, 502),
        ("reset", Answer::reset, 502),
        ("silent", Answer::hang, 504),
        ("no HTTP", || Answer::raw("SSH-2.0-OpenSSH_9.9\r\n\r\n").then_close(), 502),
        ("half a header", || Answer::raw("HTTP/1.1 200 OK\r\nContent-Ty").then_close(), 502),
        ("an upgrade", || Answer::raw("HTTP/1.1 101 Switching Protocols\r\n\r\n").then_close(), 502),
        ("endless 103", || Answer::raw("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40)).then_close(), 502),
    ];
    for (case, upstream_says, status) in cases {
        for revision in ALL {
            stage.upstream.next(upstream_says());
            assert_told(case, revision, &stage.call(revision).await, status);
        }
    }
    assert_eq!(stage.upstream.count(), cases.len() * ALL.len(), "no call was sent twice");
    assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
}

#[tokio::test]
async fn a_refused_connection_is_an_error_of_the_clients_own_kind() {
    let stage = setup().start().await;
    let Stage { gateway, upstream, token, .. } = stage;
    upstream.stop().await;
    for revision in ALL {
        let sent = tool_call(revision, "/main", &token, "echo");
        let answer = mcp::exchange(gateway.address(), &sent).await.unwrap();
        assert_told("refused", revision, &answer, 502);
        assert!(!answer.text().contains("127.0.0.1"), "where the upstream is, is nobody's business");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let stage = setup().main("    stream_idle_timeout: 300ms\n").start().await;
    for revision in ALL {
        // Cut by the upstream, then silent for too long.
        for cut in [true, false] {
            let (answer, feed) = Answer::sse();
            stage.upstream.next(answer);
            let mut client = stage.connect().await;
            client.send(tool_call(revision, "/main", &stage.token, "echo")).await.unwrap();
            client.response_head().await.unwrap();
            feed.event("{}");
            client.sse_event().await.unwrap().unwrap();
            let kept = if cut {
                feed.cut();
                None
            } else {
                Some(feed)
            };
            assert!(client.sse_event().await.is_err(), "{revision}, {cut}: an orderly end");
            drop(kept);
        }
    }
}

#[tokio::test]
async fn the_breaker_opens_says_when_and_closes_again() {
    let stage = setup().main("    breaker: { failures: 3, cooldown: 1s }\n").start().await;
    stage.upstream.always(|_| Answer::status(503));
    for _ in 0..3 {
        assert_eq!(stage.call(mcp::STATELESS).await.status, 502);
    }
    for revision in ALL {
        let answer = stage.call(revision).await;
        assert_told("open", revision, &answer, 503);
        assert_eq!(answer.header("retry-after"), Some("1"), "{revision}");
    }
    assert_eq!(stage.upstream.count(), 3, "it was left alone");
    stage.gateway.wait_for_metric(r#"narthex_upstream_up{upstream="main"}"#, |up| up == 0.0).await;
    // Half open: one call at a time tries, and a failure opens it again.
    let stage = &stage;
    eventually("a probe", || async { (stage.call(mcp::STATELESS).await.status == 502).then_some(()) }).await;
    assert_eq!(stage.upstream.count(), 4);
    assert_eq!(stage.call(mcp::STATELESS).await.status, 503);
    stage.upstream.always(Answer::mcp);
    eventually("recovery", || async { (stage.call(mcp::STATELESS).await.status == 200).then_some(()) }).await;
    assert_eq!(stage.call(mcp::STATELESS).await.status, 200);
    stage.gateway.wait_for_metric(r#"narthex_upstream_up{upstream="main"}"#, |up| up == 1.0).await;
}

#[tokio::test]
async fn a_server_that_answers_500_is_still_there() {
    let stage = setup().main("    breaker: { failures: 3, cooldown: 1s }\n").start().await;
    stage.upstream.always(|_| Answer::status(500));
    for _ in 0..10 {
        assert_eq!(stage.call(mcp::STATELESS).await.status, 502);
    }
    stage.upstream.always(Answer::mcp);
    assert_eq!(stage.call(mcp::STATELESS).await.status, 200, "one caller's failing tool shuts out nobody");
}

#[tokio::test]
async fn one_probe_at_a_time_goes_to_a_server_that_was_down() {
    let stage = setup().main("    breaker: { failures: 1, cooldown: 300ms }\n").start().await;
    stage.upstream.next(Answer::status(503));
    assert_eq!(stage.call(mcp::STATELESS).await.status, 502);
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut probe = stage.connect().await;
    // Until the cooldown is over it is refused without a word to the upstream.
    loop {
        probe.send(tool_call(mcp::STATELESS, "/main", &stage.token, "echo")).await.unwrap();
        let head = probe.response_head().await.unwrap();
        if head.status == 200 {
            break;
        }
        while probe.chunk().await.unwrap().is_some() {}
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stage.call(mcp::STATELESS).await.status, 200, "its header was enough of an answer");
    drop(feed);
    assert_eq!(stage.upstream.count(), 3);
}

#[tokio::test]
async fn calls_over_the_cap_are_turned_away_and_the_place_is_free_again_after() {
    let stage = setup().main("    max_concurrent: 1\n").start().await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut first = stage.connect().await;
    first.send(tool_call(mcp::STATELESS, "/main", &stage.token, "echo")).await.unwrap();
    first.response_head().await.unwrap();
    for revision in ALL {
        let answer = stage.call(revision).await;
        assert_told("saturated", revision, &answer, 503);
        assert_eq!(answer.header("retry-after"), Some("1"), "{revision}");
    }
    assert_eq!(stage.upstream.count(), 1);
    drop(feed);
    while first.chunk().await.unwrap().is_some() {}
    let stage = &stage;
    eventually("its place", || async { (stage.call(mcp::STATELESS).await.status == 200).then_some(()) })
        .await;
}

#[tokio::test]
async fn what_only_reads_is_sent_again_on_a_stale_connection_and_a_tool_is_called_once() {
    let stage = setup().start().await;
    let methods = ["tools/list", "ping", "resources/list", "prompts/list", "tools/call", "tools/destroy"];
    for method in methods {
        assert_eq!(stage.post(&[], &mcp::request(1, "ping", json!({}))).await.status, 200, "{method}: warm");
        stage.upstream.forget();
        // The pooled connection takes the request and dies without a word.
        stage.upstream.next(Answer::close());
        let answer =
            stage.post(&[], &mcp::request(1, method, json!({"name": "echo", "arguments": {}}))).await;
        let repeatable = !matches!(method, "tools/call" | "tools/destroy");
        assert_eq!(answer.json().get("result").is_some(), repeatable, "{method}: {}", answer.text());
        let sent = stage.upstream.requests_for(method).len();
        assert_eq!(sent, if repeatable { 2 } else { 1 }, "{method}");
    }
    stage.gateway.wait_for_metric(r#"narthex_upstream_retries_total{upstream="main"}"#, |n| n == 4.0).await;
}

#[tokio::test]
async fn a_tool_call_finds_its_way_past_connections_closed_while_idle() {
    let stage = setup().start().await;
    for _ in 0..10 {
        stage.upstream.next(Answer::json(200, json!({"jsonrpc": "2.0", "id": 1, "result": {}})).then_close());
        assert_eq!(stage.call(mcp::STATEFUL).await.status, 200);
        stage.upstream.wait_for_no_connections().await;
    }
    let answer = stage.call(mcp::STATEFUL).await;
    assert!(answer.tool_text().is_some(), "{}", answer.text());
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 11, "each once");
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let stage = setup().start().await;
    let Stage { gateway, upstream, token, idp: _idp } = stage;
    let call = || async {
        let sent = tool_call(mcp::STATELESS, "/main", &token, "echo");
        mcp::exchange(gateway.address(), &sent).await.unwrap().status
    };
    assert_eq!(call().await, 200);
    let port = upstream.address().port();
    upstream.stop().await;
    assert_eq!(call().await, 502);
    let upstream = RecordingUpstream::start_with(UpstreamOptions::default().port(port)).await;
    assert_eq!(call().await, 200);
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_dead_upstream_costs_another_nothing() {
    let dead = RecordingUpstream::start().await;
    dead.always(|_| Answer::hang());
    let stage = setup()
        .upstreams(&format!(
            "  dead:\n    url: {}\n    timeout: 20s\n    max_concurrent: 20\n    breaker: {{ failures: 2, cooldown: 10m }}\n",
            dead.url("/mcp")
        ))
        .tenants("  acme: { routes: [main, dead] }\n")
        .routes("  main: { path: /main, upstream: main }\n  dead: { path: /dead, upstream: dead }\n")
        .start()
        .await;
    let token = stage.token_for("dead", json!({}));
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut client = stage.connect().await;
        client.send(tool_call(mcp::STATEFUL, "/dead", &token, "echo")).await.unwrap();
        waiting.push(client);
    }
    dead.wait_for(20).await;
    let started = std::time::Instant::now();
    for revision in ALL {
        assert_eq!(stage.call(revision).await.status, 200, "{revision}");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(stage.call_as("/dead", &token).await.json()["error"]["code"], -32603, "saturated");
    drop(dead);
    for mut client in waiting {
        assert_eq!(client.response().await.unwrap().json()["error"]["code"], -32603);
    }
    assert_eq!(
        stage.call_as("/dead", &token).await.header("retry-after"),
        Some("600"),
        "its breaker is open"
    );
    assert_eq!(stage.call(mcp::STATELESS).await.status, 200);
}
