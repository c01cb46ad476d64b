//! Clients that ask and do not read: none of them keeps its place for long.

use super::stage::{Stage, setup, tool_call};
use narthex_testkit::{Answer, mcp};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

const OPEN: &str = "narthex_connections";

async fn gateway() -> Stage {
    setup().server("  limits: { write_timeout: 1s }\n").start().await
}

/// A client with little room for what it is sent.
async fn narrow(stage: &Stage) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(stage.gateway.address()).await.unwrap()
}

/// How long a request may take: longer, and it is not answered.
const PATIENCE: Duration = Duration::from_secs(2);
/// Answers that a connection holds at least before it is full.
const FEW: usize = 100;

/// Asks one thing after the other, each when the one before is answered, until there is no answer any more, or no
/// connection: none is read.
async fn ask_on_and_on(stage: &Stage, client: &mut TcpStream, head: &[u8], body: &[u8]) {
    for number in 0.. {
        let before = answered(stage).await;
        let mut is_asked = client.write_all(head).await.is_ok();
        if !body.is_empty() {
            // It is to be asked for.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        is_asked &= client.write_all(body).await.is_ok();
        let asked = Instant::now();
        while is_asked && answered(stage).await == before {
            is_asked = asked.elapsed() < PATIENCE;
        }
        if !is_asked {
            assert!(number > FEW, "after {number} requests");
            return;
        }
    }
}

/// How many requests have been answered.
async fn answered(stage: &Stage) -> f64 {
    let metrics = stage.gateway.metrics().await;
    let samples = metrics.lines().filter(|line| line.starts_with("narthex_http_requests_total{"));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn is_given_up(stage: &Stage, head: &[u8], body: &[u8]) {
    let mut client = narrow(stage).await;
    ask_on_and_on(stage, &mut client, head, body).await;
    stage.gateway.wait_for_metric(OPEN, |open| open == 0.0).await;
}

#[tokio::test]
async fn a_client_that_reads_no_refusal_is_given_up_after_the_write_timeout() {
    is_given_up(
        &gateway().await,
        &mcp::post("/main", None, &[], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        b"",
    )
    .await;
}

#[tokio::test]
async fn a_client_that_reads_no_answer_without_a_body_is_given_up_after_the_write_timeout() {
    is_given_up(&gateway().await, b"OPTIONS /main HTTP/1.1\r\nHost: x\r\n\r\n", b"").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_that_it_may_go_on_is_given_up_after_the_write_timeout() {
    let stage = gateway().await;
    // Long, so that it takes few of them; but not longer than what goes out in one piece.
    let body = mcp::tools_call("echo", json!({"text": "x".repeat(2800)}));
    let fields = [("Expect", "100-continue"), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let request = mcp::post("/main", Some(&stage.token), &fields, &body);
    let (head, body) = request.split_at(request.len() - body.len());
    is_given_up(&stage, head, body).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_stream_is_given_up_after_the_write_timeout() {
    let stage = gateway().await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut client = narrow(&stage).await;
    client.write_all(&tool_call(mcp::STATELESS, "/main", &stage.token, "echo")).await.unwrap();
    for _ in 0..100_000 {
        feed.event("so it goes on, and on, and on, whether anybody hears of it or not");
    }
    stage.gateway.wait_for_metric(OPEN, |open| open == 1.0).await;
    stage.gateway.wait_for_metric(OPEN, |open| open == 0.0).await;
    drop(client);
}
