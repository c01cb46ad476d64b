//! Answers of every shape, and what becomes of the connection that they came on.

use super::client::{self, H2, post};
use super::door::{Outcome, Plan};
use super::upstream::{Played, ok, request};
use bytes::Bytes;
use http::{HeaderMap, Response};
use narthex_config::model::HttpVersion;
use narthex_proxy::forward::RelayEnd;

/// An answer's bytes, and what the client makes of them.
struct Row {
    name: &'static str,
    answer: Vec<u8>,
    /// The upstream closes after it.
    closes: bool,
    status: &'static str,
    body: &'static [u8],
    /// The client sees a whole message.
    whole: bool,
    /// The upstream's connection carries the next request.
    reused: bool,
}

impl Row {
    fn good(name: &'static str, answer: impl AsRef<[u8]>) -> Self {
        let answer = answer.as_ref().to_vec();
        Self { name, answer, closes: false, status: "200", body: b"hello", whole: true, reused: true }
    }

    fn refused(name: &'static str, answer: impl AsRef<[u8]>) -> Self {
        Self { status: "502", body: b"", reused: false, ..Self::good(name, answer) }
    }

    fn status(mut self, status: &'static str, body: &'static [u8]) -> Self {
        (self.status, self.body) = (status, body);
        self
    }

    fn truncated(mut self, body: &'static [u8]) -> Self {
        (self.whole, self.reused, self.body) = (false, false, body);
        self
    }

    fn not_reused(mut self) -> Self {
        self.reused = false;
        self
    }

    fn closing(mut self) -> Self {
        (self.closes, self.reused) = (true, false);
        self
    }
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn rows() -> Vec<Row> {
    vec![
        Row::good("plain", HELLO),
        Row::good("100 first", format!("HTTP/1.1 100 Continue\r\n\r\n{HELLO}")),
        Row::good("103 first", format!("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{HELLO}")),
        Row::good(
            "several 1xx first",
            format!("{}{HELLO}", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n".repeat(5)),
        ),
        Row::refused("1xx without end", "HTTP/1.1 102 Processing\r\n\r\n".repeat(64)),
        Row::refused(
            "101 unasked for",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ),
        Row::good("204", "HTTP/1.1 204 No Content\r\n\r\n").status("204", b""),
        Row::good("202", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").status("202", b""),
        Row::good("304", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n").status("304", b""),
        Row::good("500", "HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad").status("500", b"bad"),
        Row::good("204 and bytes", "HTTP/1.1 204 No Content\r\n\r\nhello").status("204", b"").not_reused(),
        Row::good(
            "chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        ),
        Row::good(
            "chunked with trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n",
        ),
        Row::good(
            "chunked and a length",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        Row::good("until close", "HTTP/1.1 200 OK\r\n\r\nhello").closing(),
        Row::good("HTTP/1.0 until close", "HTTP/1.0 200 OK\r\n\r\nhello").closing(),
        Row::good("HTTP/1.0 with length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello").not_reused(),
        Row::good("asked to close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
            .not_reused(),
        Row::good("more than its length", format!("{HELLO}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
            .not_reused(),
        Row::good(
            "more than its chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
        )
        .not_reused(),
        Row::good(
            "the same length twice",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        ),
        Row::refused(
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        ),
        Row::refused("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
        Row::refused("no HTTP", "SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        Row::refused("a giant header", [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 3 << 20]].concat()),
        Row::refused("closed before the header", "").closing(),
        Row::refused("closed within the header", "HTTP/1.1 200 OK\r\nContent-Le").closing(),
        Row::refused("closed after a 1xx", "HTTP/1.1 103 Early Hints\r\n\r\n").closing(),
        Row::good("closed after the header", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            .closing()
            .truncated(b""),
        Row::good("closed within the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
            .closing()
            .truncated(b"hel"),
        Row::good(
            "closed between chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
        )
        .closing()
        .truncated(b"hel"),
        Row::good(
            "closed before the trailers' end",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n",
        )
        .closing()
        .truncated(b"hel"),
        Row::good(
            "a chunk that is none",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nzz\r\n",
        )
        .truncated(b"hel"),
        Row::good("closed after the body", HELLO).closing(),
    ]
}

/// `late`: the header is sent to the client before anything of the body was looked at.
async fn play(row: Row, split: bool, late: bool) {
    let name = row.name;
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(post(if late { "/?once&late" } else { "/?once" }, b"{}")).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    if split && row.answer.len() < 4096 {
        for byte in &row.answer {
            if wire.try_send(&[*byte]).await.is_err() {
                break;
            }
        }
    } else {
        let _ = wire.try_send(&row.answer).await;
    }
    let wire = (!row.closes).then_some(wire);
    let head = client.head().await.unwrap_or_else(|| panic!("{name}: an answer"));
    assert_eq!(&head[9..12], row.status, "{name}");
    let body = client.body(&head).await;
    if row.status != "502" {
        assert_eq!((body.bytes.as_slice(), body.whole), (row.body, row.whole), "{name}");
    }
    let good = row.whole && row.status != "502";
    let outcome = door.outcome().await;
    match (row.status, row.whole) {
        ("502", _) => assert!(outcome.failure().starts_with("upstream_"), "{name}"),
        (_, true) => assert_eq!(outcome.end(), RelayEnd::Complete, "{name}"),
        (_, false) => assert_eq!(outcome.end(), RelayEnd::UpstreamBroken, "{name}"),
    }
    if !good {
        client = client::h1(&door).await;
    }
    client.send(post("/?once", b"{}")).await;
    let mut wire = match wire {
        Some(wire) if row.reused => wire,
        _ => up.accept().await,
    };
    request(&mut wire).await;
    wire.send(ok("next")).await;
    let head = client.head().await.unwrap_or_else(|| panic!("{name}: the next answer"));
    assert_eq!(client.body(&head).await.bytes, b"next", "{name}");
    assert!(!up.is_called(), "{name}: no third connection");
}

#[tokio::test]
async fn every_shape_of_answer_is_relayed_or_refused_and_only_a_clean_connection_is_reused() {
    for row in rows() {
        play(row, false, true).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_there_as_a_whole_is_the_same_answer() {
    for row in rows().into_iter().filter(|row| row.whole) {
        play(row, false, false).await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_at_once_is_an_error_and_never_a_clean_end() {
    for row in rows().into_iter().filter(|row| !row.whole) {
        let name = row.name;
        let up = Played::bind().await;
        let mut door = Plan::to(up.addr).open().await;
        let mut client = client::h1(&door).await;
        client.send(post("/", b"{}")).await;
        let mut wire = up.accept().await;
        request(&mut wire).await;
        let _ = wire.try_send(&row.answer).await;
        drop(wire);
        let head = client.head().await.unwrap_or_else(|| panic!("{name}: an answer"));
        let body = client.body(&head).await;
        assert!(&head[9..12] == "502" || !body.whole, "{name}: {head}");
        match door.outcome().await {
            Outcome::Failed(error) => assert_eq!(error.reason(), "upstream_broken", "{name}"),
            other => assert_eq!(other.end(), RelayEnd::UpstreamBroken, "{name}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_the_same_answer() {
    // Bytes past the answer's end come later then: the pool notices them, or the next request does.
    let past_its_end = ["204 and bytes", "more than its length", "more than its chunks"];
    for row in rows().into_iter().filter(|r| !past_its_end.contains(&r.name)) {
        play(row, true, true).await;
    }
}

#[tokio::test]
async fn http2_answers_of_every_shape_are_relayed_on_one_connection() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).http(HttpVersion::H2).open().await;
    let mut client = client::h1(&door).await;
    client.send(post("/", b"{}")).await;
    let mut connection = up.accept_h2().await;

    // 1xx, then trailers.
    let (_, mut respond) = connection.accept().await.unwrap().unwrap();
    respond.send_informational(Response::builder().status(103).body(()).unwrap()).unwrap();
    respond.send_informational(Response::builder().status(100).body(()).unwrap()).unwrap();
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "1".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
    let (head, mut connection) = tokio::join!(client.head(), drive(connection));
    assert_eq!(client.body(&head.unwrap()).await.bytes, b"hello");
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);

    // A header that ends the stream.
    for (status, end) in [(204, "204"), (202, "202")] {
        client.send(post("/", b"{}")).await;
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        respond.send_response(Response::builder().status(status).body(()).unwrap(), true).unwrap();
        let (head, again) = tokio::join!(client.head(), drive(connection));
        connection = again;
        let head = head.unwrap();
        assert_eq!(&head[9..12], end);
        assert!(client.body(&head).await.whole);
        assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
    }
    assert_eq!(door.accepted(), 1);
    assert!(!up.is_called(), "all on one connection");
}

/// Lets `connection` move until nothing happens on it for a moment, and hands it back.
async fn drive(
    mut connection: h2::server::Connection<tokio::net::TcpStream, Bytes>,
) -> h2::server::Connection<tokio::net::TcpStream, Bytes> {
    let moment = std::time::Duration::from_millis(100);
    assert!(tokio::time::timeout(moment, connection.accept()).await.is_err(), "no other stream yet");
    connection
}

#[tokio::test]
async fn an_http2_client_sees_a_reset_where_the_answer_broke_off() {
    for (name, answer) in [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"),
        ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"),
    ] {
        let up = Played::bind().await;
        let mut door = Plan::to(up.addr).open().await;
        let mut client = H2::plain(&door).await;
        let call = client.call("/?late", b"{}", true);
        let play = async {
            let mut wire = up.accept().await;
            request(&mut wire).await;
            wire.send(answer).await;
        };
        let (called, ()) = tokio::join!(call, play);
        assert!(called.is_err(), "{name}: never a clean end");
        assert_eq!(door.outcome().await.end(), RelayEnd::UpstreamBroken);
        // The connection and its other streams live on.
        let call = client.call("/", b"{}", true);
        let play = async {
            let mut wire = up.accept().await;
            request(&mut wire).await;
            wire.send(ok("next")).await;
            wire
        };
        let (called, _wire) = tokio::join!(call, play);
        assert_eq!(called.expect("an answer").1, b"next", "{name}");
        assert_eq!(door.accepted(), 1);
    }
}
