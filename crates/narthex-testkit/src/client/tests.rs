use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that writes `answer` once it has read anything, then closes.
async fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    address
}

async fn asked(answer: &'static str) -> RawClient {
    let mut client = RawClient::connect(server(answer).await).await.unwrap();
    client.trickle("ping").await.unwrap();
    client
}

#[tokio::test]
async fn informational_responses_are_skipped_and_told() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 204 No Content\r\n\r\n";
    let mut client = asked(answer).await;
    let first = client.response().await.unwrap();
    assert_eq!((first.status, first.text().as_str()), (200, "hi"));
    assert_eq!(first.informational, [100, 103]);
    assert_eq!(client.response().await.unwrap().status, 204);
    assert!(client.closed().await.unwrap());
}

#[tokio::test]
async fn the_answer_to_a_head_request_has_no_body() {
    let mut client = asked("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 201 Created\r\n\r\n").await;
    assert_eq!(client.response_to_head().await.unwrap().status, 200);
    assert_eq!(client.response().await.unwrap().status, 201);
}

#[tokio::test]
async fn events_are_given_as_they_come_even_when_a_chunk_ends_inside_one() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                  9\r\ndata: a\n\n\r\n8\r\ndata: b\n\r\n1\r\n\n\r\n0\r\n\r\n";
    let mut client = asked(answer).await;
    assert_eq!(client.response_head().await.unwrap().status, 200);
    assert_eq!(client.sse_event().await.unwrap().unwrap().data, "a");
    assert_eq!(client.sse_event().await.unwrap().unwrap().data, "b");
    assert_eq!(client.sse_event().await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_answers_is_not_taken_for_one_that_closes() {
    assert!(!asked("HTTP/1.1 200 OK\r\n\r\n").await.closed().await.unwrap());
    assert!(!asked("HTTP/1.1 2").await.closed().await.unwrap());
    assert!(asked("").await.closed().await.unwrap());
}
