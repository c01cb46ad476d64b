//! Clients that take their time.

use super::stage::Stage;
use narthex_testkit::{RawClient, mcp};
use serde_json::json;
use std::time::{Duration, Instant};

const LIMITS: &str = "    header_timeout: 1s\n    body_timeout: 1s\n    idle_timeout: 1s\n";

/// Well over what the limits allow, well under a test's patience.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_header_that_never_ends_costs_its_connection() {
    let stage = Stage::with(LIMITS).await;
    let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
    let start = Instant::now();
    client.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let _ = client.response().await;
    assert!(start.elapsed() < SOON);
    stage.assert_alive().await;
}

#[tokio::test]
async fn a_header_that_drips_costs_its_connection() {
    let stage = Stage::with(LIMITS).await;
    let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
    client.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let start = Instant::now();
    // Each byte within the time for one read; all together over the time for a header.
    let mut drip = tokio::time::interval(Duration::from_millis(200));
    while start.elapsed() < SOON {
        drip.tick().await;
        if client.send("a").await.is_err() {
            break;
        }
    }
    assert!(start.elapsed() < SOON, "bytes are still taken after {:?}", start.elapsed());
    stage.assert_alive().await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_refused_and_reaches_nobody() {
    let stage = Stage::with(LIMITS).await;
    let bytes = mcp::post("/mcp", Some(&stage.token()), &[], &mcp::tools_call("echo", json!({})));
    let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
    client.send(&bytes[..bytes.len() - 5]).await.unwrap();
    let start = Instant::now();
    let answer = client.response().await.unwrap();
    assert_eq!(answer.status, 408);
    assert!(start.elapsed() < SOON);
    assert!(client.closed().await.unwrap());
    assert_eq!(stage.upstream.count(), 0);
    stage.assert_alive().await;
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let stage = Stage::with(LIMITS).await;
    let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
    let start = Instant::now();
    assert!(client.closed().await.unwrap());
    assert!(start.elapsed() < SOON);
}
