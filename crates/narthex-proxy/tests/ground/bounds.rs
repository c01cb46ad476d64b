//! What must stay bounded: memory under a slow reader, calls in flight, patience with a failing upstream.

use super::client::{self, H2, get, post};
use super::door::{Outcome, Plan};
use super::upstream::{Played, ok, request};
use super::wire::within;
use bytes::Bytes;
use http::Response;
use narthex_config::model::{Breaker, HttpVersion};
use narthex_proxy::forward::RelayEnd;
use narthex_upstreams::Busy;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// What the upstream offers: far more than any buffer.
const OFFER: usize = 256 << 20;
/// What may be under way between an upstream and a client that reads nothing: the socket buffers of
/// both connections (the kernel lets each grow to some MiB) and the gateway's own.
const UNDER_WAY: usize = 24 << 20;
/// The same for an HTTP/2 upstream: the client's socket buffers, and one stream's window.
const H2_UNDER_WAY: usize = 9 << 20;
/// A write that makes no progress for this long is stopped by backpressure.
const STALL: Duration = Duration::from_millis(400);

/// Writes until nobody takes any more, and says how much was taken.
async fn pour(wire: &mut super::wire::Wire) -> usize {
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let mut taken = 0;
    while taken < OFFER {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            match tokio::time::timeout(STALL, wire.io().get_mut().write(rest)).await {
                Ok(n) => rest = &rest[n.expect("write")..],
                Err(_stalled) => return taken,
            }
        }
        taken += 0x10000;
    }
    taken
}

/// Offers data on an HTTP/2 stream until no more capacity comes, and says how much was taken.
async fn pour_h2(out: &mut h2::SendStream<Bytes>) -> usize {
    let mut taken = 0;
    while taken < OFFER {
        out.reserve_capacity(0x10000);
        let ready = std::future::poll_fn(|cx| out.poll_capacity(cx));
        let Ok(ready) = tokio::time::timeout(STALL, ready).await else { return taken };
        let n = ready.expect("open").expect("capacity").min(0x10000);
        out.send_data(vec![b'x'; n].into(), false).expect("sent");
        taken += n;
    }
    taken
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_upstream() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(get("/")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let taken = pour(&mut wire).await;
    assert!(taken < UNDER_WAY, "{taken} bytes are somewhere between");
    drop(client);
    assert_eq!(door.outcome().await.end(), RelayEnd::ClientGone);
}

#[tokio::test]
async fn an_http2_client_that_does_not_read_stops_its_upstream() {
    let up = Played::bind().await;
    let door = Plan::to(up.addr).open().await;
    let mut client = H2::plain(&door).await;
    let upstream = async {
        let mut wire = up.accept().await;
        request(&mut wire).await;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        wire
    };
    let (incoming, mut wire) = tokio::join!(client.open("/", b"{}", true), upstream);
    let taken = pour(&mut wire).await;
    assert!(taken < UNDER_WAY, "{taken} bytes are somewhere between");
    drop(incoming);
}

#[tokio::test]
async fn http2_answers_that_nobody_reads_do_not_stop_their_neighbours() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).http(HttpVersion::H2).open().await;
    let (tell, mut streams) = tokio::sync::mpsc::unbounded_channel();
    let mut idle = Vec::new();
    for n in 0..3 {
        let mut client = client::h1(&door).await;
        client.send(get("/")).await;
        if n == 0 {
            let (mut served, tell) = (up.accept_h2().await, tell.clone());
            tokio::spawn(async move {
                while let Some(Ok(stream)) = served.accept().await {
                    let _ = tell.send(stream);
                }
            });
        }
        let (_, mut respond) = within(streams.recv()).await.expect("on the same connection");
        let mut out = respond.send_response(Response::new(()), false).expect("sent");
        let taken = pour_h2(&mut out).await;
        assert!(taken < H2_UNDER_WAY, "{taken} bytes are somewhere between");
        idle.push((client, out));
    }

    let mut busy = client::h1(&door).await;
    busy.send(get("/")).await;
    let (_, mut respond) = within(streams.recv()).await.expect("on the same connection");
    let mut out = respond.send_response(Response::new(()), false).expect("sent");
    out.send_data(vec![b'y'; 4 << 20].into(), true).expect("sent");
    let head = busy.head().await.expect("an answer");
    let body = busy.body(&head).await;
    assert!(body.whole && body.bytes.len() == 4 << 20);
    assert_eq!(door.outcome_of_many().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up_after_the_write_timeout() {
    for length in ["Transfer-Encoding: chunked", "Content-Length: 268435456"] {
        let up = Played::bind().await;
        let mut plan = Plan::to(up.addr);
        plan.write_within = Duration::from_millis(200);
        let mut door = plan.open().await;
        let mut client = client::h1(&door).await;
        client.send(get("/")).await;
        let mut wire = up.accept().await;
        request(&mut wire).await;
        wire.send(format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n")).await;
        let piece = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
        while wire.try_send(&piece).await.is_ok() {}
        assert_eq!(door.outcome().await.end(), RelayEnd::ClientGone);
        drop(client);
    }
}

#[tokio::test]
async fn calls_over_the_cap_are_refused_at_once_and_the_slot_comes_back() {
    let up = Played::bind().await;
    let mut plan = Plan::to(up.addr);
    plan.settings.max_concurrent = NonZeroU32::MIN;
    let mut door = plan.open().await;
    let mut first = client::h1(&door).await;
    first.send(post("/", b"{}")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    let mut second = client::h1(&door).await;
    second.send(post("/", b"{}")).await;
    assert!(second.head().await.expect("an answer").starts_with("http/1.1 503"));
    assert!(matches!(door.outcome_of_many().await, Outcome::Busy(Busy::Saturated)));
    wire.send(ok("hello")).await;
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
    let mut third = client::h1(&door).await;
    third.send(post("/", b"{}")).await;
    request(&mut wire).await;
    wire.send(ok("hello")).await;
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn a_failing_upstream_is_left_alone_for_a_while_and_asked_again() {
    let up = Played::bind().await;
    let mut plan = Plan::to(up.addr);
    plan.settings.breaker =
        Breaker { failures: NonZeroU32::new(3).expect("3"), cooldown: Duration::from_millis(100) };
    let mut door = plan.open().await;
    for _ in 0..3 {
        let mut client = client::h1(&door).await;
        client.send(post("/", b"{}")).await;
        let mut wire = up.accept().await;
        request(&mut wire).await;
        drop(wire);
        assert_eq!(door.outcome().await.failure(), "upstream_broken");
    }
    assert!(!door.upstream.is_up());
    let mut client = client::h1(&door).await;
    client.send(post("/", b"{}")).await;
    let retry_after = match door.outcome().await {
        Outcome::Busy(Busy::BreakerOpen { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    };
    assert!(!up.is_called(), "left alone");
    // The breaker reads the real clock here; with an injected one it is tested where it lives.
    tokio::time::sleep(retry_after).await;
    let mut client = client::h1(&door).await;
    client.send(post("/", b"{}")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    wire.send(ok("hello")).await;
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
    assert!(door.upstream.is_up());
}
