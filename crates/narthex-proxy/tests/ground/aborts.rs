//! Either side gone, at each point of an exchange.

use super::client::{self, H2, get, post};
use super::door::{Door, Plan};
use super::upstream::{Played, ok, request};
use super::wire::{Wire, pattern, within};
use bytes::Bytes;
use http::Response;
use narthex_config::model::HttpVersion;
use narthex_proxy::forward::RelayEnd;
use std::time::Duration;

/// A client of either protocol that will go away.
enum Client {
    H1(Wire),
    H2(Box<(H2, Option<h2::client::ResponseFuture>, Option<h2::SendStream<Bytes>>)>),
}

impl Client {
    async fn all(door: &Door) -> [Self; 2] {
        let h2 = Box::new((H2::plain(door).await, None, None));
        [Self::H1(client::h1(door).await), Self::H2(h2)]
    }

    async fn ask(&mut self, path: &str) {
        match self {
            Self::H1(wire) => wire.send(post(path, b"{}")).await,
            Self::H2(h2) => {
                let (answer, stream) = h2.0.start(path, b"{}", true).await;
                (h2.1, h2.2) = (Some(answer), Some(stream));
            }
        }
    }

    /// Waits for the answer's header.
    async fn head(&mut self) -> Option<h2::RecvStream> {
        match self {
            Self::H1(wire) => {
                wire.head().await.expect("a header");
                None
            }
            Self::H2(h2) => Some(within(h2.1.take().expect("asked")).await.expect("a header").into_body()),
        }
    }

    /// HTTP/1.1 closes its connection; HTTP/2 resets its stream and keeps the connection.
    fn leave(self) -> Option<H2> {
        match self {
            Self::H1(_) => None,
            Self::H2(h2) => {
                let (connection, _, stream) = *h2;
                stream.expect("asked").send_reset(h2::Reason::CANCEL);
                Some(connection)
            }
        }
    }
}

async fn next_call(door: &mut Door, mut wire: Wire) {
    let mut client = client::h1(door).await;
    client.send(post("/?once", b"{}")).await;
    request(&mut wire).await;
    wire.send(ok("next")).await;
    let head = client.head().await.expect("an answer");
    assert_eq!(client.body(&head).await.bytes, b"next");
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_cancels_where_it_shall() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    for mut client in Client::all(&door).await {
        client.ask("/").await;
        let mut wire = up.accept().await;
        request(&mut wire).await;
        let _rest = client.leave();
        assert_eq!(wire.until_closed().await, 0, "the upstream sees it");
        assert_eq!(door.outcome().await.failure(), "client_gone");
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_leaves_the_exchange_alone_where_it_shall() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut wire = None;
    for mut client in Client::all(&door).await {
        client.ask("/?stay").await;
        let mut w = match wire.take() {
            Some(wire) => wire,
            None => up.accept().await,
        };
        request(&mut w).await;
        let _rest = client.leave();
        assert!(!up.is_called());
        w.send(ok(&"x".repeat(100_000))).await;
        let end = door.outcome().await.end();
        assert!(matches!(end, RelayEnd::Undelivered | RelayEnd::ClientGone | RelayEnd::Complete), "{end:?}");
        wire = Some(w);
    }
    next_call(&mut door, wire.expect("one")).await;
    assert!(!up.is_called(), "the connection was reused throughout");
}

#[tokio::test]
async fn a_client_that_leaves_within_the_answer_cancels_where_it_shall() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    for mut client in Client::all(&door).await {
        client.ask("/").await;
        let mut wire = up.accept().await;
        request(&mut wire).await;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n").await;
        let _body = client.head().await;
        let _rest = client.leave();
        assert_eq!(wire.until_closed().await, 0, "the upstream sees it, though it says nothing");
        assert_eq!(door.outcome().await.end(), RelayEnd::ClientGone);
    }
}

#[tokio::test]
async fn a_client_that_leaves_within_the_answer_leaves_the_exchange_alone_where_it_shall() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut wire = None;
    for mut client in Client::all(&door).await {
        client.ask("/?stay").await;
        let mut w = match wire.take() {
            Some(wire) => wire,
            None => up.accept().await,
        };
        request(&mut w).await;
        w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n").await;
        let _body = client.head().await;
        let _rest = client.leave();
        for _ in 0..100 {
            w.send("3\r\nlo!\r\n").await;
        }
        w.send("0\r\n\r\n").await;
        assert_eq!(door.outcome().await.end(), RelayEnd::Undelivered);
        wire = Some(w);
    }
    next_call(&mut door, wire.expect("one")).await;
    assert!(!up.is_called(), "the connection was reused throughout");
}

#[tokio::test]
async fn an_answer_without_end_is_not_drained_for_a_client_that_left() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(get("/?stay")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.head().await.expect("a header");
    drop(client);
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let mut pieces = 0;
    while wire.try_send(&piece).await.is_ok() {
        pieces += 1;
        assert!(pieces < 1024, "64 MiB were taken for nobody");
    }
    assert_eq!(door.outcome().await.end(), RelayEnd::ClientGone);
}

#[tokio::test]
async fn a_client_that_leaves_after_the_answer_changes_nothing() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/", b"{}")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    wire.send(ok("hello")).await;
    let head = client.head().await.expect("a header");
    assert!(client.body(&head).await.whole);
    drop(client);
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
    next_call(&mut door, wire).await;
}

#[tokio::test]
async fn a_cancelled_http2_exchange_resets_its_stream_and_keeps_the_connection() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).http(HttpVersion::H2).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/", b"{}")).await;
    let mut served = up.accept_h2().await;
    let (_, mut respond) = within(served.accept()).await.expect("a stream").expect("a stream");
    drop(client);
    let reset = tokio::select! {
        reset = std::future::poll_fn(|cx| respond.poll_reset(cx)) => reset.expect("a reset"),
        _ = served.accept() => panic!("no other stream"),
    };
    assert_eq!(reset, h2::Reason::CANCEL);
    assert_eq!(door.outcome().await.failure(), "client_gone");
    let mut client = client::h1(&door).await;
    client.send(post("/", b"{}")).await;
    let (_, mut respond) = within(served.accept()).await.expect("a stream").expect("a stream");
    respond.send_response(Response::builder().status(202).body(()).expect("202"), true).expect("sent");
    tokio::select! {
        head = client.head() => assert!(head.expect("an answer").starts_with("http/1.1 202")),
        _ = served.accept() => panic!("no other stream"),
    }
    assert!(!up.is_called());
}

#[tokio::test]
async fn bytes_after_a_request_end_its_exchange_like_a_client_that_left() {
    // pingora reads a byte to see that the client is there, and cannot put it back; pipelining is off.
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/", b"{}")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    client.send(post("/", b"{}")).await;
    assert_eq!(wire.until_closed().await, 0);
    assert_eq!(door.outcome().await.failure(), "client_gone");
    assert!(!up.is_called(), "the second request was not taken");
}

#[tokio::test]
async fn a_pipelined_request_is_dropped_and_the_first_one_answered() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send([post("/", b"{}"), post("/", b"{}")].concat()).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    wire.send(ok("hello")).await;
    let head = client.head().await.expect("an answer");
    assert_eq!(client.body(&head).await.bytes, b"hello");
    assert_eq!(client.until_closed().await, 0, "and the connection closed");
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_said_to_be() {
    let addr = Played::bind().await.addr;
    let mut door = Plan::to(addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/", b"{}")).await;
    assert!(client.head().await.expect("an answer").starts_with("http/1.1 502"));
    assert_eq!(door.outcome().await.failure(), "upstream_unreachable");
}

#[tokio::test]
async fn an_upstream_that_is_silent_or_drips_its_header_runs_into_one_deadline() {
    for drips in [false, true] {
        let up = Played::bind().await;
        let mut plan = Plan::to(up.addr);
        plan.settings.timeout = Duration::from_millis(300);
        let mut door = plan.open().await;
        let mut client = client::h1(&door).await;
        client.send(post("/", b"{}")).await;
        let mut wire = up.accept().await;
        request(&mut wire).await;
        let drip = async {
            wire.send("HTTP/1.1 200 OK\r\nX: ").await;
            while wire.try_send(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let outcome = tokio::select! {
            outcome = door.outcome() => outcome,
            () = drip, if drips => door.outcome().await,
        };
        assert_eq!(outcome.failure(), "upstream_timeout", "drips: {drips}");
    }
}

#[tokio::test]
async fn an_upstream_that_goes_silent_within_its_answer_is_given_up() {
    for version in [HttpVersion::H1, HttpVersion::H2] {
        let up = Played::bind().await;
        let mut plan = Plan::to(up.addr).http(version);
        plan.settings.stream_idle_timeout = Duration::from_millis(200);
        let mut door = plan.open().await;
        let mut client = client::h1(&door).await;
        client.send(post("/", b"{}")).await;
        let (mut wire, mut served) = (None, None);
        if version == HttpVersion::H1 {
            let wire = wire.insert(up.accept().await);
            request(wire).await;
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n").await;
        } else {
            let mut connection = up.accept_h2().await;
            let (_, mut respond) = within(connection.accept()).await.expect("a stream").expect("a stream");
            let mut out = respond.send_response(Response::new(()), false).expect("sent");
            out.send_data(Bytes::from_static(b"hel"), false).expect("sent");
            served = Some((tokio::spawn(async move { while connection.accept().await.is_some() {} }), out));
        }
        let head = client.head().await.expect("a header");
        let body = client.body(&head).await;
        assert_eq!((body.bytes.as_slice(), body.whole), (&b"hel"[..], false));
        assert_eq!(door.outcome().await.end(), RelayEnd::UpstreamBroken);
        drop(served);
    }
}

#[tokio::test]
async fn an_upstream_that_answers_before_it_has_read_the_body_is_heard() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/?once", &pattern(10 << 20))).await;
    let mut wire = up.accept().await;
    wire.head().await.expect("a header");
    wire.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await;
    drop(wire);
    let head = client.head().await.expect("an answer");
    assert!(head.starts_with("http/1.1 401"), "{head}");
    assert_eq!(client.body(&head).await.bytes, b"no");
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn an_http2_upstream_that_answers_early_and_resets_with_no_error_is_heard() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).http(HttpVersion::H2).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/?once", &pattern(10 << 20))).await;
    let mut served = up.accept_h2().await;
    let (_request, mut respond) = within(served.accept()).await.expect("a stream").expect("a stream");
    let answer = Response::builder().status(401).header("content-length", "2").body(()).expect("401");
    let mut out = respond.send_response(answer, false).expect("sent");
    out.send_data(Bytes::from_static(b"no"), true).expect("sent");
    let serve = async {
        let _ = tokio::time::timeout(Duration::from_millis(100), served.accept()).await;
        respond.send_reset(h2::Reason::NO_ERROR);
        while served.accept().await.is_some() {}
    };
    let head = tokio::select! {
        head = client.head() => head.expect("an answer"),
        () = serve => panic!("the connection lives on"),
    };
    assert!(head.starts_with("http/1.1 401"), "{head}");
    assert_eq!(client.body(&head).await.bytes, b"no");
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}
