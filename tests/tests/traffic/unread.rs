//! Clients that ask and do not read: none of them keeps its place for long.

use super::stage::{Stage, setup, tool_call};
use narthex_testkit::{Answer, mcp};
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

/// Asks one thing after the other, each when the one before is answered, until there is no answer any more: none is read.
async fn ask_on_and_on(stage: &Stage, client: &mut TcpStream, request: &[u8]) {
    loop {
        let before = answered(stage).await;
        client.write_all(request).await.unwrap();
        let asked = Instant::now();
        while answered(stage).await == before {
            if asked.elapsed() > Duration::from_millis(500) {
                return;
            }
        }
    }
}

/// How many requests have been answered.
async fn answered(stage: &Stage) -> f64 {
    let metrics = stage.gateway.metrics().await;
    let samples = metrics.lines().filter(|line| line.starts_with("narthex_http_requests_total{"));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn a_client_that_reads_none_of_its_answers_is_given_up_after_the_write_timeout() {
    let stage = gateway().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let unauthorized = mcp::post("/main", None, &[], body);
    let preflight = b"OPTIONS /main HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    for request in [unauthorized, preflight] {
        let mut client = narrow(&stage).await;
        ask_on_and_on(&stage, &mut client, &request).await;
        stage.gateway.wait_for_metric(OPEN, |open| open == 0.0).await;
    }
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
