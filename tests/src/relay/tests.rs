use super::*;
use narthex_testkit::{RecordingUpstream, mcp};

#[tokio::test]
async fn a_request_arrives_as_it_was_sent_but_for_the_token() {
    let upstream = RecordingUpstream::start().await;
    let mut relay = Relay::bind().await;
    relay.start(upstream.address(), HashMap::from([("/mcp".to_owned(), "shown".to_owned())]));
    let headers = [("Origin", "http://elsewhere"), ("X-Other", "1")];
    let request =
        mcp::post("/mcp", Some("the-clients"), &headers, &mcp::tools_call("echo", serde_json::json!({})));
    for _ in 0..2 {
        let address = SocketAddr::from(([127, 0, 0, 1], relay.port));
        assert_eq!(mcp::exchange(address, &request).await.unwrap().status, 200);
        let seen = upstream.requests().pop().unwrap();
        assert_eq!(seen.header("authorization"), Some("Bearer shown"));
        assert_eq!(seen.header("origin"), Some("http://elsewhere"));
        assert_eq!(seen.header("x-other"), Some("1"));
    }
}
