use super::*;
use narthex_testkit::{Answer, RawClient, RecordingUpstream, mcp};
use serde_json::json;

#[tokio::test]
async fn a_request_arrives_as_it_was_sent_but_for_the_token() {
    let upstream = RecordingUpstream::start().await;
    let mut relay = Relay::bind().await;
    relay.start(upstream.address(), HashMap::from([("/mcp".to_owned(), "shown".to_owned())]));
    let headers = [("Origin", "http://elsewhere"), ("X-Other", "1")];
    let request = mcp::post("/mcp", Some("the-clients"), &headers, &mcp::tools_call("echo", json!({})));
    for _ in 0..2 {
        let address = SocketAddr::from(([127, 0, 0, 1], relay.port));
        assert_eq!(mcp::exchange(address, &request).await.unwrap().status, 200);
        let seen = upstream.requests().pop().unwrap();
        assert_eq!(seen.header("authorization"), Some("Bearer shown"));
        assert_eq!(seen.header("origin"), Some("http://elsewhere"));
        assert_eq!(seen.header("x-other"), Some("1"));
    }
}

#[tokio::test]
async fn what_is_streamed_arrives_before_its_end_and_the_end_of_a_client_goes_through() {
    let upstream = RecordingUpstream::start().await;
    let mut relay = Relay::bind().await;
    relay.start(upstream.address(), HashMap::new());
    let (answer, mut feed) = Answer::sse();
    upstream.next(answer);
    let mut client = RawClient::connect(SocketAddr::from(([127, 0, 0, 1], relay.port))).await.unwrap();
    client.send(mcp::post("/mcp", None, &[], &mcp::tools_call("slow", json!({})))).await.unwrap();
    assert_eq!(client.response_head().await.unwrap().status, 200);
    for text in ["one", "two"] {
        feed.event(text);
        assert_eq!(client.sse_event().await.unwrap().unwrap().data, text);
    }
    drop(client);
    feed.gone().await;
}
