//! Bodies of every size and framing, over every pair of protocols, and reuse on both sides after each.

use super::client::{self, H2, post, post_chunked};
use super::door::{Door, Plan};
use super::tls::Tls;
use super::upstream::{Echo, Speaks};
use super::wire::{Wire, pattern};
use narthex_config::model::HttpVersion;
use narthex_proxy::forward::RelayEnd;
use std::sync::Arc;

const SIZES: [usize; 7] = [0, 1, 65_535, 65_536, 65_537, 131_072, 10 * 1024 * 1024];

struct Rig {
    echo: Echo,
    door: Door,
    tls: Arc<Tls>,
}

async fn rig(up: Speaks, tls_up: bool, tls_down: bool) -> Rig {
    let tls = Tls::new();
    let echo = Echo::serve(up, tls_up.then(|| Arc::clone(&tls))).await;
    let mut plan = Plan::to(echo.addr);
    if tls_up {
        plan = plan.trusting(&tls, echo.addr);
    } else if up == Speaks::H2 {
        plan = plan.http(HttpVersion::H2);
    }
    if tls_down {
        plan = plan.behind(&tls);
    }
    Rig { door: plan.open().await, echo, tls }
}

impl Rig {
    /// One connection on each side has carried all of `calls`.
    async fn finish(mut self, calls: usize) {
        for _ in 0..calls {
            assert_eq!(self.door.outcome().await.end(), RelayEnd::Complete);
        }
        assert_eq!(self.echo.requests(), calls);
        assert_eq!(self.echo.connections(), 1, "the upstream's connection was reused each time");
        assert_eq!(self.door.accepted(), 1, "the client's connection was reused each time");
        assert_eq!(self.door.budget.held(), 0);
    }
}

async fn call_h1(client: &mut Wire, request: &[u8]) -> Vec<u8> {
    client.send(request).await;
    let head = client.head().await.expect("an answer");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let body = client.body(&head).await;
    assert!(body.whole);
    body.bytes
}

async fn all_sizes_h1(rig: Rig, mut client: Wire) {
    let mut calls = 0;
    for size in SIZES {
        let body = pattern(size);
        for request in [post("/echo", &body), post_chunked("/chunked", &body)] {
            assert!(call_h1(&mut client, &request).await == body, "{size} bytes are byte-exact both ways");
            calls += 1;
        }
    }
    rig.finish(calls).await;
}

async fn all_sizes_h2(rig: Rig, mut client: H2) {
    let mut calls = 0;
    for size in SIZES {
        let body = pattern(size);
        for (path, length) in [("/echo", true), ("/chunked", false)] {
            let (status, echoed) = client.call(path, &body, length).await.expect("an answer");
            assert!(status == 200 && echoed == body, "{size} bytes are byte-exact both ways");
            calls += 1;
        }
    }
    rig.finish(calls).await;
}

#[tokio::test]
async fn every_size_passes_from_h1_to_h1() {
    let rig = rig(Speaks::H1, false, false).await;
    let client = client::h1(&rig.door).await;
    all_sizes_h1(rig, client).await;
}

#[tokio::test]
async fn every_size_passes_from_h1_to_h2() {
    let rig = rig(Speaks::H2, false, false).await;
    let client = client::h1(&rig.door).await;
    all_sizes_h1(rig, client).await;
}

#[tokio::test]
async fn every_size_passes_from_h2_to_h1() {
    let rig = rig(Speaks::H1, false, false).await;
    let client = H2::plain(&rig.door).await;
    all_sizes_h2(rig, client).await;
}

#[tokio::test]
async fn every_size_passes_from_h2_to_h2() {
    let rig = rig(Speaks::H2, false, false).await;
    let client = H2::plain(&rig.door).await;
    all_sizes_h2(rig, client).await;
}

#[tokio::test]
async fn every_size_passes_over_tls_from_h1_to_h1() {
    let rig = rig(Speaks::H1, true, true).await;
    let client = client::h1_tls(&rig.door, &rig.tls).await;
    all_sizes_h1(rig, client).await;
}

#[tokio::test]
async fn every_size_passes_over_tls_from_h2_to_h2() {
    let rig = rig(Speaks::H2, true, true).await;
    let client = H2::tls(&rig.door, &rig.tls).await;
    all_sizes_h2(rig, client).await;
}

#[tokio::test]
async fn every_size_passes_from_tls_h1_to_plain_h2() {
    let rig = rig(Speaks::H2, false, true).await;
    let client = client::h1_tls(&rig.door, &rig.tls).await;
    all_sizes_h1(rig, client).await;
}

#[tokio::test]
async fn every_size_passes_from_plain_h2_to_tls_h1() {
    let rig = rig(Speaks::H1, true, false).await;
    let client = H2::plain(&rig.door).await;
    all_sizes_h2(rig, client).await;
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_the_same_request() {
    for speaks in [Speaks::H1, Speaks::H2] {
        let rig = rig(speaks, false, false).await;
        let mut client = client::h1(&rig.door).await;
        let body = pattern(300);
        for request in [post("/echo", &body), post_chunked("/chunked", &body)] {
            client.drip(&request).await;
            let head = client.head().await.expect("an answer");
            assert_eq!(client.body(&head).await.bytes, body);
        }
        rig.finish(2).await;
    }
}

#[tokio::test]
async fn a_body_rewritten_longer_or_shorter_arrives_as_rewritten() {
    for speaks in [Speaks::H1, Speaks::H2] {
        let rig = rig(speaks, false, false).await;
        let mut client = client::h1(&rig.door).await;
        let mut calls = 0;
        for size in [1, 1000, 65_536, 200_000] {
            let body = pattern(size);
            let longer = call_h1(&mut client, &post("/echo?longer", &body)).await;
            assert!(longer == [&body[..], &body[..], b"!"].concat(), "{size} longer");
            let shorter = call_h1(&mut client, &post_chunked("/echo?shorter", &body)).await;
            assert!(shorter == body[..size / 2], "{size} shorter");
            calls += 2;
        }
        rig.finish(calls).await;
    }
}
