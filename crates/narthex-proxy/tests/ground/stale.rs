//! Pooled connections that turn out to be stale, and what may be sent twice.

use super::client::{self, post};
use super::door::{Door, Outcome, Plan};
use super::upstream::{Played, ok, request};
use super::wire::{Wire, within};
use bytes::Bytes;
use http::Response;
use narthex_config::model::HttpVersion;
use narthex_proxy::forward::RelayEnd;
use tokio::net::TcpStream;

struct Rig {
    up: Played,
    door: Door,
    client: Wire,
}

/// A door with one pooled connection to its upstream.
async fn warm() -> (Rig, Wire) {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/", b"1")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    wire.send(ok("1")).await;
    answered(&mut client, b"1").await;
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
    (Rig { up, door, client }, wire)
}

async fn answered(client: &mut Wire, body: &[u8]) {
    let head = client.head().await.expect("an answer");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(client.body(&head).await.bytes, body);
}

#[tokio::test]
async fn after_the_upstream_closed_an_idle_connection_any_request_goes_on_a_new_one() {
    for path in ["/", "/?once"] {
        let (mut rig, mut wire) = warm().await;
        wire.half_close().await;
        assert_eq!(wire.until_closed().await, 0, "the pool closes it too, and nothing was sent on it");
        rig.client.send(post(path, b"2")).await;
        let mut wire = rig.up.accept().await;
        assert_eq!(request(&mut wire).await.1, b"2");
        wire.send(ok("2")).await;
        answered(&mut rig.client, b"2").await;
        assert!(!rig.up.is_called());
    }
}

#[tokio::test]
async fn bytes_on_an_idle_connection_are_never_taken_for_an_answer() {
    let (mut rig, mut wire) = warm().await;
    wire.send(ok("evil")).await;
    assert_eq!(wire.until_closed().await, 0, "the pool closes it");
    rig.client.send(post("/?once", b"2")).await;
    let mut wire = rig.up.accept().await;
    request(&mut wire).await;
    wire.send(ok("2")).await;
    answered(&mut rig.client, b"2").await;
}

#[tokio::test]
async fn a_request_that_meets_a_closing_connection_is_sent_again_if_it_may_be() {
    let (mut rig, mut wire) = warm().await;
    rig.client.send(post("/", b"2")).await;
    request(&mut wire).await;
    drop(wire);
    let mut wire = rig.up.accept().await;
    assert_eq!(request(&mut wire).await.1, b"2");
    wire.send(ok("2")).await;
    answered(&mut rig.client, b"2").await;
    let outcome = rig.door.outcome().await;
    assert!(matches!(outcome, Outcome::Relayed { end: RelayEnd::Complete, retries: 1, .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_request_that_must_not_be_repeated_is_never_sent_twice() {
    let (mut rig, mut wire) = warm().await;
    rig.client.send(post("/?once", b"2")).await;
    request(&mut wire).await;
    drop(wire);
    let head = rig.client.head().await.expect("an answer");
    assert!(head.starts_with("http/1.1 502"), "{head}");
    assert_eq!(rig.door.outcome().await.failure(), "upstream_broken");
    assert!(!rig.up.is_called(), "nothing was sent again");
}

#[tokio::test]
async fn a_new_connection_that_fails_is_no_reason_to_send_again() {
    for path in ["/", "/?once"] {
        let up = Played::bind().await;
        let mut door = Plan::to(up.addr).open().await;
        let mut client = client::h1(&door).await;
        client.send(post(path, b"1")).await;
        let mut wire = up.accept().await;
        request(&mut wire).await;
        drop(wire);
        assert!(client.head().await.expect("an answer").starts_with("http/1.1 502"));
        assert_eq!(door.outcome().await.failure(), "upstream_broken");
        assert!(!up.is_called());
    }
}

#[tokio::test]
async fn an_answer_that_began_is_no_reason_to_send_again() {
    let (mut rig, mut wire) = warm().await;
    rig.client.send(post("/", b"2")).await;
    request(&mut wire).await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Le").await;
    drop(wire);
    assert!(rig.client.head().await.expect("an answer").starts_with("http/1.1 502"));
    assert_eq!(rig.door.outcome().await.failure(), "upstream_broken");
    assert!(!rig.up.is_called(), "the upstream was at work already");
}

type Served = h2::server::Connection<TcpStream, Bytes>;

async fn warm_h2() -> (Rig, Served) {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).http(HttpVersion::H2).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/", b"1")).await;
    let mut served = up.accept_h2().await;
    answer_h2(&mut served, &mut client, "1").await;
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
    (Rig { up, door, client }, served)
}

/// Answers the next stream of `served` with `text`, and waits until `client` has it.
async fn answer_h2(served: &mut Served, client: &mut Wire, text: &'static str) {
    let (_, mut respond) = within(served.accept()).await.expect("a stream").expect("a stream");
    let mut out = respond.send_response(Response::new(()), false).expect("sent");
    out.send_data(Bytes::from_static(text.as_bytes()), true).expect("sent");
    tokio::select! {
        () = answered(client, text.as_bytes()) => {}
        _ = served.accept() => panic!("no other stream"),
    }
}

#[tokio::test]
async fn a_stream_that_http2_refused_is_opened_again_whatever_it_carries() {
    for path in ["/", "/?once"] {
        let (mut rig, mut served) = warm_h2().await;
        rig.client.send(post(path, b"2")).await;
        let (_, mut respond) = within(served.accept()).await.expect("a stream").expect("a stream");
        respond.send_reset(h2::Reason::REFUSED_STREAM);
        answer_h2(&mut served, &mut rig.client, "2").await;
        let outcome = rig.door.outcome().await;
        assert!(matches!(outcome, Outcome::Relayed { retries: 1, .. }), "{path}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_stream_that_http2_reset_otherwise_is_not_opened_again() {
    for path in ["/", "/?once"] {
        let (mut rig, mut served) = warm_h2().await;
        rig.client.send(post(path, b"2")).await;
        let (_, mut respond) = within(served.accept()).await.expect("a stream").expect("a stream");
        respond.send_reset(h2::Reason::INTERNAL_ERROR);
        let head = tokio::select! {
            head = rig.client.head() => head.expect("an answer"),
            _ = served.accept() => panic!("no other stream"),
        };
        assert!(head.starts_with("http/1.1 502"), "{head}");
        assert_eq!(rig.door.outcome().await.failure(), "upstream_broken");
    }
}

#[tokio::test]
async fn an_http2_connection_lost_with_a_request_on_it_is_repeated_only_if_it_may_be() {
    for (path, again) in [("/", true), ("/?once", false)] {
        let (mut rig, mut served) = warm_h2().await;
        rig.client.send(post(path, b"2")).await;
        within(served.accept()).await.expect("a stream").expect("a stream");
        drop(served);
        if again {
            let mut served = rig.up.accept_h2().await;
            answer_h2(&mut served, &mut rig.client, "2").await;
        } else {
            assert!(rig.client.head().await.expect("an answer").starts_with("http/1.1 502"));
            assert_eq!(rig.door.outcome().await.failure(), "upstream_broken");
            assert!(!rig.up.is_called());
        }
    }
}

#[tokio::test]
async fn an_http2_connection_that_was_shut_down_in_good_order_costs_no_request() {
    for path in ["/", "/?once"] {
        let (mut rig, mut served) = warm_h2().await;
        served.graceful_shutdown();
        assert!(within(served.accept()).await.is_none(), "shut down");
        drop(served);
        rig.client.send(post(path, b"2")).await;
        let mut served = rig.up.accept_h2().await;
        answer_h2(&mut served, &mut rig.client, "2").await;
    }
}

#[tokio::test]
async fn an_http2_connection_that_was_cut_while_idle_costs_no_request() {
    for path in ["/", "/?once"] {
        let (mut rig, mut served) = warm_h2().await;
        served.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
        let _ = within(served.accept()).await;
        drop(served);
        rig.client.send(post(path, b"2")).await;
        let mut served = rig.up.accept_h2().await;
        answer_h2(&mut served, &mut rig.client, "2").await;
    }
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short one").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads frames off `wire` until the one that ends stream `stream`.
async fn until_end_of(wire: &mut Wire, stream: u32) {
    loop {
        let head = wire.take(9).await;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        wire.take(length).await;
        let is_end = matches!(head[3], 0 | 1) && head[4] & 1 == 1;
        if is_end && u32::from_be_bytes([head[5], head[6], head[7], head[8]]) == stream {
            return;
        }
    }
}

#[tokio::test]
async fn a_stream_above_the_last_one_of_a_goaway_is_opened_again_whatever_it_carries() {
    const SETTINGS: u8 = 4;
    const ACK: u8 = 1;
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;
    for path in ["/", "/?once"] {
        let up = Played::bind().await;
        let mut door = Plan::to(up.addr).http(HttpVersion::H2).open().await;
        let mut client = client::h1(&door).await;
        client.send(post(path, b"1")).await;
        let mut wire = up.accept().await;
        wire.take(24).await;
        wire.send([frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()).await;
        until_end_of(&mut wire, 1).await;
        // END_HEADERS, END_STREAM; `:status: 200` of HPACK's static table.
        wire.send(frame(HEADERS, 5, 1, &[0x88])).await;
        answered(&mut client, b"").await;
        assert_eq!(door.outcome().await.end(), RelayEnd::Complete);

        client.send(post(path, b"2")).await;
        until_end_of(&mut wire, 3).await;
        wire.send(frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])).await;
        let mut served = up.accept_h2().await;
        answer_h2(&mut served, &mut client, "2").await;
        let outcome = door.outcome().await;
        assert!(matches!(outcome, Outcome::Relayed { retries: 1, .. }), "{path}: {outcome:?}");

        // A stream that the GOAWAY counts as seen may have been acted on.
        if path == "/?once" {
            client.send(post(path, b"3")).await;
            within(served.accept()).await.expect("a stream").expect("a stream");
            served.abrupt_shutdown(h2::Reason::NO_ERROR);
            let _ = within(served.accept()).await;
            drop(served);
            let head = client.head().await.expect("an answer");
            assert!(head.starts_with("http/1.1 502"), "{head}");
            assert!(!up.is_called(), "nothing was sent again");
        }
    }
}
