//! Bodies that are refused, and `Expect`.

use super::client::{self, H2, post};
use super::door::{Door, LIMIT, Outcome, Plan};
use super::upstream::{Echo, Played, Speaks, ok, request};
use super::wire::{Wire, pattern};
use narthex_proxy::body::BodyError;
use narthex_proxy::forward::RelayEnd;
use std::time::Duration;

async fn refused(door: &mut Door, client: &mut Wire, status: &str, error: BodyError) {
    let head = client.head().await.expect("an answer");
    assert_eq!(&head[9..12], status);
    let outcome = door.outcome().await;
    assert!(matches!(outcome, Outcome::Body(e) if e == error), "{outcome:?}");
}

#[tokio::test]
async fn a_body_that_is_declared_too_large_is_refused_unread() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send(format!("POST / HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n\r\n", LIMIT + 1)).await;
    refused(&mut door, &mut client, "413", BodyError::TooLarge).await;
    client.until_closed().await;
    assert!(!up.is_called());
}

#[tokio::test]
async fn a_body_of_unknown_length_is_read_to_the_limit_and_no_further() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    client.send("POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let piece = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    while sent < 4 * LIMIT && client.try_send(&piece).await.is_ok() {
        sent += 0x10000;
    }
    assert!(sent < 2 * LIMIT, "{sent} bytes were taken");
    assert!(matches!(door.outcome().await, Outcome::Body(BodyError::TooLarge)));

    let mut client = H2::plain(&door).await;
    let called = client.call("/", &pattern(LIMIT + 1), false).await;
    assert!(called.is_err() || called.is_ok_and(|(status, _)| status == 413));
    assert!(matches!(door.outcome().await, Outcome::Body(BodyError::TooLarge)));
    assert!(!up.is_called());
}

#[tokio::test]
async fn a_body_at_the_limit_passes() {
    let echo = Echo::serve(Speaks::H1, None).await;
    let mut door = Plan::to(echo.addr).open().await;
    let mut client = client::h1(&door).await;
    let body = pattern(LIMIT);
    client.send(post("/", &body)).await;
    let head = client.head().await.expect("an answer");
    assert!(client.body(&head).await.bytes == body);
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_refused() {
    let up = Played::bind().await;
    let mut plan = Plan::to(up.addr);
    plan.body_within = Duration::from_millis(100);
    let mut door = plan.open().await;
    for head in ["Content-Length: 10\r\n\r\nhel", "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"] {
        let mut client = client::h1(&door).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: d\r\n{head}")).await;
        refused(&mut door, &mut client, "408", BodyError::TooSlow).await;
    }
    assert!(!up.is_called());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    for rest in [
        "Content-Length: 10\r\n\r\nhel",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n",
    ] {
        let mut client = client::h1(&door).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: d\r\n{rest}")).await;
        client.half_close().await;
        let outcome = door.outcome().await;
        assert!(matches!(outcome, Outcome::Body(BodyError::Incomplete)), "{rest}: {outcome:?}");
    }
    let mut client = H2::plain(&door).await;
    let request =
        http::Request::post("http://door/").header("content-length", 10).body(()).expect("a request");
    let (_answer, mut stream) = client.sender().send_request(request, false).expect("sent");
    stream.send_data("hel".into(), false).expect("sent");
    stream.send_reset(h2::Reason::CANCEL);
    assert!(matches!(door.outcome().await, Outcome::Body(BodyError::Incomplete)));
    assert!(!up.is_called());
}

#[tokio::test]
async fn bodies_over_the_budget_of_all_requests_are_refused_and_give_their_bytes_back() {
    let up = Played::bind().await;
    let mut plan = Plan::to(up.addr);
    plan.budget = 100_000;
    let mut door = plan.open().await;
    let mut first = client::h1(&door).await;
    first.send(post("/", &pattern(60_000))).await;
    let mut wire = up.accept().await;
    request(&mut wire).await;
    let mut second = client::h1(&door).await;
    second.send(post("/", &pattern(60_000))).await;
    assert!(second.head().await.expect("an answer").starts_with("http/1.1 503"));
    wire.send(ok("hello")).await;
    assert!(matches!(door.outcome_of_many().await, Outcome::Body(BodyError::Saturated)));
    assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
    assert_eq!(door.budget.held(), 0);
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_and_then_its_answer() {
    let echo = Echo::serve(Speaks::H1, None).await;
    let mut door = Plan::to(echo.addr).open().await;
    let mut client = client::h1(&door).await;
    let body = pattern(100_000);
    for _ in 0..2 {
        let head = "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n";
        client.send(head).await;
        assert_eq!(client.head().await.expect("an answer").lines().next(), Some("http/1.1 100 continue"));
        client.send(&body).await;
        let head = client.head().await.expect("an answer");
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(client.body(&head).await.bytes == body);
        assert_eq!(door.outcome().await.end(), RelayEnd::Complete);
    }
    assert_eq!(door.accepted(), 1);
    assert_eq!(echo.connections(), 1);
}

#[tokio::test]
async fn a_body_too_large_is_not_asked_for() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    let mut client = client::h1(&door).await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        LIMIT + 1
    );
    client.send(head).await;
    refused(&mut door, &mut client, "413", BodyError::TooLarge).await;
}

#[tokio::test]
async fn an_unknown_expectation_is_refused() {
    let up = Played::bind().await;
    let mut door = Plan::to(up.addr).open().await;
    for expect in ["Expect: tea", "Expect: 100-continue\r\nExpect: tea", "Expect: 100-continue, tea"] {
        let mut client = client::h1(&door).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n{expect}\r\n\r\n{{}}")).await;
        refused(&mut door, &mut client, "417", BodyError::Expectation).await;
    }
    assert!(!up.is_called());
}
