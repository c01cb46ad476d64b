//! How it ends: what is under way is finished, and then it is quick.

use super::stage::{Stage, setup, tool_call};
use narthex_testkit::{Answer, RawClient, Signal, SseFeed, mcp};
use serde_json::json;
use std::time::{Duration, Instant};

async fn get_stream(stage: &Stage) -> RawClient {
    let (address, token) = (stage.gateway.address(), Some(stage.token.as_str()));
    let session = mcp::open_session(address, "/main", token, mcp::STATEFUL).await.unwrap();
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut client = stage.connect().await;
    let fields = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    client.send(mcp::bodiless("GET", "/main", token, &fields)).await.unwrap();
    assert_eq!(client.response_head().await.unwrap().status, 200);
    feed.event("first");
    client.sse_event().await.unwrap();
    // Left open: it is not the upstream that ends it.
    std::mem::forget(feed);
    client
}

/// A call whose answer has begun, and what more there is of it.
async fn call_under_way(stage: &Stage) -> (RawClient, SseFeed) {
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut call = stage.connect().await;
    call.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.unwrap();
    call.response_head().await.unwrap();
    (call, feed)
}

/// The ids of twenty calls that were answered.
async fn twenty_calls(stage: &Stage) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(stage.call(mcp::STATEFUL).await.header("x-request-id").unwrap().to_owned());
    }
    ids
}

#[tokio::test]
async fn sigterm_finishes_the_call_in_flight_and_ends_endless_streams_in_good_order() {
    let mut stage = setup().server("  grace_period: 20s\n").start().await;
    let mut stream = get_stream(&stage).await;
    let (mut call, feed) = call_under_way(&stage).await;

    stage.gateway.signal(Signal::SIGTERM);
    assert_eq!(stream.sse_event().await.unwrap(), None, "the GET stream ends as it should");
    feed.event(json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string());
    assert_eq!(call.sse_event().await.unwrap().unwrap().json()["id"], 1);
    assert!(stage.gateway.wait_for_exit(Duration::from_millis(600)).await.is_none(), "it waits for the call");
    drop(feed);
    assert_eq!(call.sse_event().await.unwrap(), None);
    let started = Instant::now();
    let status = stage.gateway.wait_for_exit(Duration::from_secs(10)).await.expect("an end");
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(RawClient::connect(stage.gateway.address()).await.is_err());
}

#[tokio::test]
async fn a_stream_of_subscriptions_ends_with_the_process_too() {
    let mut stage = setup().server("  grace_period: 20s\n").start().await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let body = mcp::stateless_request(1, "subscriptions/listen", json!({"notifications": {}}));
    let fields = mcp::stateless_headers("subscriptions/listen", None);
    let mut client = stage.connect().await;
    client.send(mcp::post("/main", Some(&stage.token), &fields, &body)).await.unwrap();
    assert_eq!(client.response_head().await.unwrap().status, 200);
    stage.gateway.signal(Signal::SIGTERM);
    assert_eq!(client.sse_event().await.unwrap(), None);
    let status = stage.gateway.wait_for_exit(Duration::from_secs(10)).await.expect("an end");
    assert_eq!(status.code(), Some(0));
    drop(feed);
}

#[tokio::test]
async fn an_idle_process_ends_at_once_and_loses_no_line_of_its_log() {
    let mut stage = setup().start().await;
    let ids = twenty_calls(&stage).await;
    let idle = stage.connect().await;
    let started = Instant::now();
    stage.gateway.signal(Signal::SIGTERM);
    let status = stage.gateway.wait_for_exit(Duration::from_secs(10)).await.expect("an end");
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    for id in ids {
        assert_eq!(stage.log_line(&id).await["status"], 200);
    }
    drop(idle);
}

#[tokio::test]
async fn it_is_not_ready_while_it_drains() {
    let mut stage = setup().server("  grace_period: 20s\n").start().await;
    let (_call, feed) = call_under_way(&stage).await;
    assert_eq!(stage.gateway.admin("/readyz").await.unwrap().status, 200);
    stage.gateway.signal(Signal::SIGTERM);
    stage.gateway.wait_for_output("draining", 1).await;
    let answer = stage.gateway.admin("/readyz").await.expect("the admin listener still answers");
    assert_eq!((answer.status, &answer.json()["reasons"]), (503, &json!(["draining"])));
    assert_eq!(stage.gateway.admin("/healthz").await.unwrap().status, 200);
    assert!(stage.gateway.metrics().await.contains("narthex_inflight_requests"));
    drop(feed);
    assert_eq!(stage.gateway.wait_for_exit(Duration::from_secs(10)).await.and_then(|s| s.code()), Some(0));
}

#[tokio::test]
async fn what_does_not_finish_is_cut_at_the_end_of_the_grace_period() {
    let mut stage = setup().server("  grace_period: 2s\n").start().await;
    let (mut call, feed) = call_under_way(&stage).await;
    let started = Instant::now();
    stage.gateway.signal(Signal::SIGTERM);
    let status = stage.gateway.wait_for_exit(Duration::from_secs(15)).await.expect("an end");
    assert_eq!(status.code(), Some(0));
    let took = started.elapsed();
    assert!(took > Duration::from_millis(1800) && took < Duration::from_secs(6), "{took:?}");
    assert!(call.sse_event().await.is_err(), "cut off, and seen to be");
    drop(feed);
}

#[tokio::test]
async fn sigint_ends_it_now_and_every_time() {
    // pingora alone would end one runtime after the other, and where the listener's went first, its accept loop,
    // which is on any of them, never came to an end.
    for round in 0..8 {
        let mut stage = setup().server("  threads: 32\n").start().await;
        stage.gateway.signal(Signal::SIGINT);
        let status = stage.gateway.wait_for_exit(Duration::from_secs(5)).await;
        assert_eq!(status.expect("an end").code(), Some(0), "round {round}");
    }
}

#[tokio::test]
async fn sigint_loses_no_line_of_the_log() {
    let mut stage = setup().start().await;
    let mut ids = twenty_calls(&stage).await;
    // The last call may be answered and not yet done with.
    ids.pop();
    stage.gateway.signal(Signal::SIGINT);
    let status = stage.gateway.wait_for_exit(Duration::from_secs(5)).await.expect("an end");
    assert_eq!(status.code(), Some(0));
    for id in ids {
        assert_eq!(stage.log_line(&id).await["status"], 200);
    }
}

#[tokio::test]
async fn sigint_ends_what_still_drains() {
    let mut stage = setup().server("  grace_period: 60s\n").start().await;
    let (_call, feed) = call_under_way(&stage).await;
    stage.gateway.signal(Signal::SIGTERM);
    stage.gateway.wait_for_output("draining", 1).await;
    stage.gateway.signal(Signal::SIGINT);
    let status = stage.gateway.wait_for_exit(Duration::from_secs(5)).await.expect("an end");
    assert_eq!(status.code(), Some(0));
    drop(feed);
}

/// Another process on the same configuration that is to take the sockets over. Killed when dropped.
struct Successor(std::process::Child);

impl Successor {
    fn start(stage: &Stage) -> Self {
        let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("narthex");
        let binary = std::env::var_os("NARTHEX_BIN").map_or(built, Into::into);
        let place = stage.gateway.place();
        let child = std::process::Command::new(binary)
            .args(["run", "--upgrade", "--config"])
            .arg(place.config())
            .current_dir(place.dir())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn sigquit_hands_the_sockets_over_and_no_call_is_lost() {
    let mut stage = setup().server("  grace_period: 20s\n").start().await;
    let (mut call, feed) = call_under_way(&stage).await;
    let session = mcp::open_session(stage.gateway.address(), "/main", Some(&stage.token), mcp::STATEFUL);
    let session = session.await.unwrap();

    let successor = Successor::start(&stage);
    stage.gateway.signal(Signal::SIGQUIT);
    let mut calls = 0;
    let end = Instant::now() + Duration::from_secs(25);
    let mut feed = Some(feed);
    while stage.gateway.wait_for_exit(Duration::from_millis(1)).await.is_none() {
        assert!(Instant::now() < end, "it does not end:\n{}", stage.gateway.stderr());
        assert_eq!(stage.call(mcp::STATELESS).await.status, 200, "call {calls}");
        calls += 1;
        if stage.gateway.stderr().contains("draining")
            && let Some(feed) = feed.take()
        {
            feed.event("last");
        }
    }
    assert_eq!(call.sse_event().await.unwrap().unwrap().data, "last", "what was open went on");
    assert!(calls > 10, "{calls}");
    let fields = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let answer = stage.post(&fields, &mcp::tools_call("echo", json!({}))).await;
    assert_eq!(answer.status, 200, "a session goes on with the successor");
    assert_eq!(stage.gateway.admin("/readyz").await.unwrap().status, 200);
    drop(successor);
}
