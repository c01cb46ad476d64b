//! Streams: what the client sees and when, and how a stream ends that has no end of its own.

use super::client::{self, H2, get};
use super::door::{Door, Outcome, Plan};
use super::upstream::{Played, request};
use super::wire::{Wire, within};
use bytes::Bytes;
use http::Response;
use narthex_config::model::HttpVersion;
use narthex_proxy::forward::RelayEnd;

const SSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn event(n: usize) -> Vec<u8> {
    format!("id: {n}\ndata: {{\"n\":{n}}}\n\n").into_bytes()
}

async fn send_chunk(wire: &mut Wire, bytes: &[u8]) {
    wire.send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await;
}

/// Opens a stream through `door`: both ends of it, before any event.
async fn open(up: &Played, door: &Door, path: &str) -> (Wire, Wire) {
    let mut client = client::h1(door).await;
    client.send(get(path)).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    wire.send(SSE).await;
    let head = client.head().await.expect("the header comes before the first event");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    (client, wire)
}

#[tokio::test]
async fn the_header_comes_before_the_first_event_and_each_event_at_once() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let (mut client, mut wire) = open(&up, &door, "/").await;
    for n in 0..20 {
        send_chunk(&mut wire, &event(n)).await;
        assert_eq!(client.chunk().await, Some(event(n)), "before the next is written");
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(client.chunk().await, Some(Vec::new()));
    let all: usize = (0..20).map(|n| event(n).len()).sum();
    let outcome = door.outcome().await;
    assert!(
        matches!(outcome, Outcome::Relayed { end: RelayEnd::Complete, sent, .. } if sent == all),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_event_that_comes_byte_by_byte_is_not_held_back() {
    let up = Played::bind().await;
    let door = Plan::to(up.addr).open().await;
    let (mut client, mut wire) = open(&up, &door, "/").await;
    for byte in event(1) {
        send_chunk(&mut wire, &[byte]).await;
        assert_eq!(client.chunk().await, Some(vec![byte]));
    }
}

#[tokio::test]
async fn http2_clients_get_each_event_at_once() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = H2::plain(&door).await;
    let upstream = async {
        let mut wire = up.accept().await;
        request(&mut wire).await;
        wire.send(SSE).await;
        wire
    };
    let (incoming, mut wire) = tokio::join!(client.open("/", b"{}", true), upstream);
    let mut incoming = incoming.expect("the header comes before the first event");
    for n in 0..20 {
        send_chunk(&mut wire, &event(n)).await;
        assert_eq!(incoming.chunk().await.expect("an event"), Some(event(n).into()));
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(incoming.chunk().await.expect("an end"), None);
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn http2_upstreams_events_are_relayed_at_once() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).http(HttpVersion::H2).open().await;
    let mut client = client::h1(&door).await;
    client.send(get("/")).await;
    let mut served = up.accept_h2().await;
    let (_, mut respond) = within(served.accept()).await.expect("a stream").expect("a stream");
    tokio::spawn(async move { while served.accept().await.is_some() {} });
    let header = Response::builder().header("content-type", "text/event-stream").body(()).expect("a header");
    let mut out = respond.send_response(header, false).expect("sent");
    client.head().await.expect("the header comes before the first event");
    for n in 0..20 {
        out.send_data(event(n).into(), false).expect("sent");
        assert_eq!(client.chunk().await, Some(event(n)));
    }
    out.send_data(Bytes::new(), true).expect("sent");
    assert_eq!(client.chunk().await, Some(Vec::new()));
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn a_stop_ends_streams_without_end_in_good_order_and_lets_the_others_go_on() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let (mut endless, mut endless_up) = open(&up, &door, "/?endless").await;
    let (mut other, mut other_up) = open(&up, &door, "/").await;
    send_chunk(&mut endless_up, &event(1)).await;
    assert_eq!(endless.chunk().await, Some(event(1)));
    door.stop();
    assert_eq!(endless.chunk().await, Some(Vec::new()), "the last chunk");
    assert_eq!(endless_up.until_closed().await, 0, "and the upstream is told");
    assert_eq!(door.outcome_of_many().await.end(), RelayEnd::Ended);
    send_chunk(&mut other_up, &event(1)).await;
    assert_eq!(other.chunk().await, Some(event(1)));
    other_up.send("0\r\n\r\n").await;
    assert_eq!(other.chunk().await, Some(Vec::new()));
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn a_stop_ends_http2_streams_without_end_in_good_order() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = H2::plain(&door).await;
    let upstream = async {
        let mut wire = up.accept().await;
        request(&mut wire).await;
        wire.send(SSE).await;
        wire
    };
    let (incoming, _wire) = tokio::join!(client.open("/?endless", b"{}", true), upstream);
    let mut incoming = incoming.expect("a header");
    door.stop();
    assert_eq!(incoming.chunk().await.expect("a clean end"), None);
    assert_eq!(door.outcome().await.end(), RelayEnd::Ended);
    drop(incoming);
    within(client.driver).await.expect("the connection ends when its last stream has");
}

#[tokio::test]
async fn a_token_that_runs_out_ends_a_stream_in_good_order() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let (mut client, mut wire) = open(&up, &door, "/?expired").await;
    assert_eq!(client.chunk().await, Some(Vec::new()));
    assert_eq!(wire.until_closed().await, 0);
    assert_eq!(door.outcome().await.end(), RelayEnd::Ended);
}

#[tokio::test]
async fn an_answer_of_known_length_that_is_ended_early_is_visibly_cut_off() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel";
    let mut client = client::h1(&door).await;
    client.send(get("/?expired")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    wire.send(answer).await;
    let head = client.head().await.expect("a header");
    assert!(!client.body(&head).await.whole);
    assert_eq!(door.outcome().await.end(), RelayEnd::Ended);

    let mut client = H2::plain(&door).await;
    let upstream = async {
        let mut wire = up.accept().await;
        request(&mut wire).await;
        wire.send(answer).await;
        wire
    };
    let (called, _wire) = tokio::join!(client.call("/?expired", b"{}", true), upstream);
    assert!(called.is_err(), "a reset");
    assert_eq!(door.outcome().await.end(), RelayEnd::Ended);
}
