use super::*;
use crate::client::RawClient;
use crate::mcp;
use serde_json::json;

const ECHO: &str =
    r#"{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"echo","arguments":{}}}"#;

async fn connected(upstream: &RecordingUpstream) -> RawClient {
    RawClient::connect(upstream.address()).await.unwrap()
}

async fn ask(client: &mut RawClient) -> crate::RawResponse {
    client.send(mcp::post("/mcp", None, &[], ECHO)).await.unwrap();
    client.response().await.unwrap()
}

#[tokio::test]
async fn it_answers_as_an_mcp_server_does_unless_told_otherwise() {
    let upstream = RecordingUpstream::start().await;
    let address = upstream.address();
    let session = mcp::open_session(address, "/mcp", None, mcp::STATEFUL).await.unwrap();
    assert!(session.starts_with("upstream-session-"));
    let answer = mcp::call(address, "/mcp", None, ECHO).await.unwrap();
    assert_eq!(answer.rpc()["id"], "a-1");
    assert_eq!(answer.tool_text().as_deref(), Some("echo {}"));
    assert_eq!(mcp::get(address, "/mcp", None).await.unwrap().status, 405);
    assert_eq!(upstream.count(), 4);
    assert_eq!(upstream.requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn queued_answers_come_first_then_the_rule() {
    let upstream = RecordingUpstream::start().await;
    upstream.always(|request| Answer::text(request, "rule"));
    upstream.next(Answer::status(401).header("WWW-Authenticate", "Bearer"));
    let mut client = connected(&upstream).await;
    let first = ask(&mut client).await;
    assert_eq!((first.status, first.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(ask(&mut client).await.tool_text().as_deref(), Some("rule"));
    assert_eq!((upstream.count(), upstream.connections()), (2, 1));
}

#[tokio::test]
async fn every_byte_is_kept_also_of_requests_never_finished() {
    let upstream = RecordingUpstream::start().await;
    let mut client = connected(&upstream).await;
    ask(&mut client).await;
    client.send("POST / HTTP/1.1\r\nX-Odd: Canary-4711\r\nContent-").await.unwrap();
    client.finish_sending().await.unwrap();
    upstream.wait_for_no_connections().await;
    assert!(upstream.seen("canary-4711") && upstream.seen(ECHO) && !upstream.seen("canary-4712"));
    assert!(upstream.received_bytes().ends_with(b"Content-"));
    assert_eq!(upstream.count(), 1);
    upstream.forget();
    assert!(!upstream.seen("canary-4711") && upstream.count() == 0);
}

#[tokio::test]
async fn events_leave_one_by_one_as_the_test_says() {
    let upstream = RecordingUpstream::start().await;
    let (answer, feed) = Answer::sse();
    upstream.next(answer);
    let mut client = connected(&upstream).await;
    client.send(mcp::post("/mcp", None, &[], ECHO)).await.unwrap();
    let head = client.response_head().await.unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    feed.event("one\ntwo");
    assert_eq!(client.sse_event().await.unwrap().unwrap().data, "one\ntwo");
    feed.raw("data: hal");
    feed.raw("f\n\n");
    assert_eq!(client.sse_event().await.unwrap().unwrap().data, "half");
    feed.event_with_id("9", "last");
    drop(feed);
    assert_eq!(client.sse_event().await.unwrap().unwrap().id.as_deref(), Some("9"));
    assert_eq!(client.sse_event().await.unwrap(), None);
    assert_eq!(ask(&mut client).await.status, 200, "the connection lives on");
}

#[tokio::test]
async fn a_cut_stream_is_no_finished_stream() {
    let upstream = RecordingUpstream::start().await;
    let (answer, feed) = Answer::sse();
    upstream.next(answer);
    let mut client = connected(&upstream).await;
    client.send(mcp::post("/mcp", None, &[], ECHO)).await.unwrap();
    feed.event("x");
    feed.cut();
    assert!(client.response().await.is_err());
}

#[tokio::test]
async fn the_feed_tells_when_the_peer_is_gone() {
    let upstream = RecordingUpstream::start().await;
    let (answer, mut feed) = Answer::sse();
    upstream.next(answer);
    let mut client = connected(&upstream).await;
    client.send(mcp::post("/mcp", None, &[], ECHO)).await.unwrap();
    client.response_head().await.unwrap();
    assert!(!feed.is_gone());
    drop(client);
    feed.gone().await;
    upstream.wait_for_no_connections().await;
}

#[tokio::test]
async fn odd_answers_are_given_as_told() {
    let upstream = RecordingUpstream::start().await;
    upstream.next(Answer::status(200).after_informational(103));
    upstream.next(Answer::no_content());
    upstream.next(Answer::json(200, json!({"a": 1})).trickled());
    upstream.next(Answer::raw("HTTP/1.1 299 Odd\r\nContent-Length: 1\r\n\r\nx"));
    upstream.next(Answer::sse_events(&[json!({"id": 1, "result": {}})]));
    upstream.next(Answer::until_close(200, "text/plain", "until close"));
    let mut client = connected(&upstream).await;
    assert_eq!(ask(&mut client).await.informational, [103]);
    let none = ask(&mut client).await;
    assert_eq!((none.status, none.header("content-length")), (204, None));
    assert_eq!(ask(&mut client).await.json(), json!({"a": 1}));
    assert_eq!(ask(&mut client).await.status, 299);
    assert_eq!(ask(&mut client).await.rpc()["id"], 1);
    assert_eq!(ask(&mut client).await.text(), "until close");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn connections_end_as_told_and_without_a_byte() {
    for answer in [Answer::close, Answer::reset] {
        let upstream = RecordingUpstream::start().await;
        upstream.next(answer());
        let mut client = connected(&upstream).await;
        client.send(mcp::post("/mcp", None, &[], ECHO)).await.unwrap();
        assert!(client.closed().await.unwrap());
    }
    let upstream = RecordingUpstream::start().await;
    upstream.next(Answer::status(200).then_close());
    let mut client = connected(&upstream).await;
    assert_eq!(ask(&mut client).await.status, 200);
    assert!(client.closed().await.unwrap());
}

#[tokio::test]
async fn a_giant_answer_is_valid_json_of_the_asked_length() {
    let upstream = RecordingUpstream::start().await;
    upstream.always(|request| Answer::giant(request, 200_001));
    let answer = ask(&mut connected(&upstream).await).await;
    assert_eq!(answer.rpc()["id"], "a-1");
    assert_eq!(answer.tool_text().unwrap().len(), 200_001);
}

#[tokio::test]
async fn a_client_that_expects_continue_is_told_to_go_on() {
    let upstream = RecordingUpstream::start().await;
    let mut client = connected(&upstream).await;
    let head =
        format!("POST /mcp HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n", ECHO.len());
    client.send(head).await.unwrap();
    assert_eq!(client.next_status().await.unwrap(), 100);
    client.send(ECHO).await.unwrap();
    assert_eq!(client.response().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stopped_server_refuses_connections_and_its_port_can_be_used_again() {
    let upstream = RecordingUpstream::start().await;
    let address = upstream.address();
    let mut client = connected(&upstream).await;
    ask(&mut client).await;
    upstream.stop().await;
    assert!(client.closed().await.unwrap());
    assert!(RawClient::connect(address).await.is_err());
    let again = RecordingUpstream::start_with(UpstreamOptions::default().port(address.port())).await;
    assert_eq!(ask(&mut connected(&again).await).await.status, 200);
}

#[tokio::test]
async fn it_speaks_tls() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["localhost"]);
    let upstream = RecordingUpstream::start_with(UpstreamOptions::default().tls(&pki, &leaf)).await;
    assert!(upstream.url("/mcp").starts_with("https://localhost:"));
    let config = pki.client_config(None, &["http/1.1"]);
    let mut client = RawClient::connect_tls(upstream.address(), "localhost", config).await.unwrap();
    assert_eq!(ask(&mut client).await.status, 200);
    assert!(upstream.seen(ECHO), "the record is of the plain text");
}

#[tokio::test]
async fn it_speaks_http2_and_keeps_the_decoded_headers() {
    let upstream = RecordingUpstream::start_with(UpstreamOptions::default().http2()).await;
    let (answer, feed) = Answer::sse();
    upstream.next(answer);
    feed.event("x");
    drop(feed);
    let stream = TcpStream::connect(upstream.address()).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async || {
        let body = http_body_util::Full::new(bytes::Bytes::from(ECHO));
        let request = http::Request::post("http://upstream.test/mcp?a=b").header("x-odd", "Canary-4711");
        let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
        http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes()
    };
    assert_eq!(ask().await, "data: x\n\n");
    assert!(ask().await.ends_with(b"}"));
    let requests = upstream.requests();
    assert!(requests[0].http2 && requests[0].path == "/mcp?a=b");
    assert_eq!(requests[0].header("host"), Some("upstream.test"));
    assert!(upstream.seen("canary-4711") && upstream.seen(ECHO));
}
