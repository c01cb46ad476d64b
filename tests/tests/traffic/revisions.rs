//! Each revision between equals: every kind of message, there and back.

use super::stage::{ALL, LEGACY, body, headers, is_modern, setup, tool_call};
use narthex_testkit::{Answer, mcp};
use serde_json::json;

#[tokio::test]
async fn a_request_goes_up_byte_for_byte_and_its_json_answer_comes_back_so() {
    let stage = setup().start().await;
    for revision in ALL {
        let text = r#"{"jsonrpc":"2.0",  "id":1,"result":{"content":[{"type":"text","text":"é\u0041"}]} }"#;
        stage.upstream.next(Answer::full(200, "application/json; charset=utf-8", text));
        let sent = tool_call(revision, "/main", &stage.token, "echo");
        let answer = stage.exchange(&sent).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{revision}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{revision}");
        let got = stage.upstream.requests().pop().unwrap();
        assert!(sent.ends_with(&got.body) && !got.body.is_empty(), "{revision}");
        assert_eq!((got.method.as_str(), got.path.as_str()), ("POST", "/mcp"), "{revision}");
        let version = (revision != "2025-03-26").then_some(revision);
        assert_eq!(got.header("mcp-protocol-version"), version, "{revision}");
        assert_eq!(got.header("accept"), Some("application/json, text/event-stream"), "{revision}");
    }
}

#[tokio::test]
async fn events_arrive_one_by_one_at_once_and_the_connection_lives_on() {
    let stage = setup().start().await;
    for revision in ALL {
        let (answer, feed) = Answer::sse();
        stage.upstream.next(answer);
        let mut client = stage.connect().await;
        client.send(tool_call(revision, "/main", &stage.token, "echo")).await.unwrap();
        // The header is there before the first event is.
        let head = client.response_head().await.unwrap();
        assert_eq!(
            (head.status, head.header("content-type")),
            (200, Some("text/event-stream")),
            "{revision}"
        );
        assert_eq!(head.header("x-accel-buffering"), Some("no"), "{revision}");
        for n in 0..3 {
            feed.event_with_id(&format!("e{n}"), json!({"n": n}).to_string());
            let event = client.sse_event().await.unwrap().unwrap();
            assert_eq!((event.id, event.data), (Some(format!("e{n}")), json!({"n": n}).to_string()));
        }
        feed.event(json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string());
        assert_eq!(client.sse_event().await.unwrap().unwrap().json()["id"], 1, "{revision}");
        drop(feed);
        assert_eq!(client.sse_event().await.unwrap(), None, "{revision}");
        client.send(tool_call(revision, "/main", &stage.token, "echo")).await.unwrap();
        assert_eq!(client.response().await.unwrap().status, 200, "{revision}: the next request");
    }
    assert_eq!(stage.upstream.connections(), 1, "its answers were read to their end");
}

#[tokio::test]
async fn an_event_arrives_as_it_was_whatever_pieces_it_came_in() {
    let stage = setup().start().await;
    let (answer, feed) = Answer::sse();
    stage.upstream.next(answer);
    let mut client = stage.connect().await;
    client.send(tool_call(mcp::STATEFUL, "/main", &stage.token, "echo")).await.unwrap();
    client.response_head().await.unwrap();
    let whole = ": hello\r\n\r\nid: 1\rdata: {\"a\":\rdata: 1}\r\revent: message\nretry: 5\ndata: \u{e9}\n\n";
    for byte in whole.bytes() {
        feed.raw(vec![byte]);
    }
    drop(feed);
    let mut got = Vec::new();
    while let Some(chunk) = client.chunk().await.unwrap() {
        got.extend_from_slice(&chunk);
    }
    assert_eq!(String::from_utf8_lossy(&got), whole);
}

#[tokio::test]
async fn a_batch_of_2025_03_26_goes_through_whole_and_in_order() {
    let stage = setup().start().await;
    let batch = format!(
        "[{}, {},{}]",
        mcp::request("a", "tools/list", json!({})),
        mcp::notification("notifications/progress", json!({"progressToken": 1, "progress": 2})),
        mcp::tools_call("echo", json!({})),
    );
    let answers =
        json!([{"jsonrpc": "2.0", "id": 1, "result": {}}, {"jsonrpc": "2.0", "id": "a", "result": {}}]);
    stage.upstream.next(Answer::json(200, answers.clone()));
    let answer = stage.post(&[], &batch).await;
    assert_eq!((answer.status, answer.json()), (200, answers));
    assert_eq!(stage.upstream.requests()[0].body, batch.as_bytes());

    let silent = format!("[{}]", mcp::notification("notifications/initialized", json!({})));
    stage.upstream.next(Answer::status(202));
    assert_eq!(stage.post(&[], &silent).await.status, 202, "nothing in it wants an answer");

    for revision in &ALL[1..] {
        let before = stage.upstream.count();
        let answer = stage.post(&headers(revision, "tools/call", Some("echo")), &batch).await;
        assert_eq!(answer.status, 400, "{revision}");
        assert_eq!(stage.upstream.count(), before, "{revision}");
    }
}

#[tokio::test]
async fn notifications_and_responses_are_answered_with_202_and_nothing_else() {
    let stage = setup().start().await;
    for revision in ALL {
        for upstream_says in [
            Answer::status(202),
            Answer::no_content(),
            Answer::json(200, json!({"upstream": "chatter"})),
            Answer::sse_events(&[json!({"upstream": "chatter"})]),
        ] {
            stage.upstream.next(upstream_says);
            let note = match is_modern(revision) {
                true => json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {
                    "requestId": 1,
                    "_meta": {"io.modelcontextprotocol/protocolVersion": revision,
                              "io.modelcontextprotocol/clientCapabilities": {}}}})
                .to_string(),
                false => mcp::notification("notifications/initialized", json!({})),
            };
            let answer = stage.post(&headers(revision, "notifications/cancelled", None), &note).await;
            assert_eq!((answer.status, answer.body.len()), (202, 0), "{revision}: {}", answer.text());
        }
    }
    for revision in LEGACY {
        let response = json!({"jsonrpc": "2.0", "id": "s-1", "result": {"roots": []}}).to_string();
        stage.upstream.next(Answer::status(202));
        let answer = stage.post(&headers(revision, "", None), &response).await;
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{revision}");
        assert_eq!(stage.upstream.requests().pop().unwrap().body, response.as_bytes(), "{revision}");
    }
}

#[tokio::test]
async fn a_session_has_its_stream_its_resumption_and_its_end() {
    let stage = setup().start().await;
    for revision in LEGACY {
        let (address, token) = (stage.gateway.address(), Some(stage.token.as_str()));
        let session = mcp::open_session(address, "/main", token, revision).await.unwrap();
        assert!(!session.contains("upstream-session"), "{revision}: it is sealed");
        let theirs = stage.upstream.requests().pop().unwrap().header("mcp-session-id").map(str::to_owned);
        assert!(theirs.as_deref().is_some_and(|id| id.starts_with("upstream-session")), "{revision}");
        let mut fields = headers(revision, "", None);
        fields.push(("Mcp-Session-Id", &session));

        let (answer, feed) = Answer::sse();
        stage.upstream.next(answer);
        let mut client = stage.connect().await;
        client.send(mcp::bodiless("GET", "/main", token, &fields)).await.unwrap();
        assert_eq!(client.response_head().await.unwrap().status, 200, "{revision}");
        feed.event_with_id("7_a", r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
        let event = client.sse_event().await.unwrap().unwrap();
        let got = stage.upstream.requests().pop().unwrap();
        assert_eq!((got.method.as_str(), got.header("accept")), ("GET", Some("text/event-stream")));
        assert_eq!(got.header("mcp-session-id"), theirs.as_deref(), "{revision}");
        assert!(got.body.is_empty() && got.header("content-length").is_none(), "{revision}");
        drop(feed);

        stage.upstream.next(Answer::sse_events(&[json!({"again": true})]));
        let id = event.id.unwrap();
        fields.push(("Last-Event-ID", &id));
        let answer = stage.exchange(&mcp::bodiless("GET", "/main", token, &fields)).await;
        assert_eq!((answer.status, answer.events().len()), (200, 1), "{revision}");
        let got = stage.upstream.requests().pop().unwrap();
        assert_eq!(got.header("last-event-id"), Some("7_a"), "{revision}");
        fields.pop();

        let answer = stage.exchange(&mcp::bodiless("DELETE", "/main", token, &fields)).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{revision}");
        let got = stage.upstream.requests().pop().unwrap();
        assert_eq!((got.method.as_str(), got.header("mcp-session-id")), ("DELETE", theirs.as_deref()));
    }
}

#[tokio::test]
async fn a_server_without_streams_or_without_deletion_may_say_so() {
    let stage = setup().start().await;
    let (address, token) = (stage.gateway.address(), Some(stage.token.as_str()));
    let session = mcp::open_session(address, "/main", token, mcp::STATEFUL).await.unwrap();
    let fields = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    for method in ["GET", "DELETE"] {
        stage.upstream.next(Answer::status(405).header("Allow", "POST"));
        let answer = stage.exchange(&mcp::bodiless(method, "/main", token, &fields)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    // 2026-07-28 has neither, and the upstream is not asked.
    let before = stage.upstream.count();
    for method in ["GET", "DELETE"] {
        let fields = [("MCP-Protocol-Version", mcp::STATELESS)];
        let answer = stage.exchange(&mcp::bodiless(method, "/main", token, &fields)).await;
        assert_eq!(answer.status, 405, "{method}");
    }
    assert_eq!(stage.upstream.count(), before);
}

#[tokio::test]
async fn a_session_that_the_upstream_has_forgotten_is_a_404_with_the_id() {
    let stage = setup().start().await;
    let (address, token) = (stage.gateway.address(), Some(stage.token.as_str()));
    let session = mcp::open_session(address, "/main", token, mcp::STATEFUL).await.unwrap();
    let fields = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    stage.upstream.next(Answer::status(404));
    let answer = stage.post(&fields, &body(mcp::STATEFUL, "q", "tools/list", json!({}))).await;
    assert_eq!((answer.status, &answer.json()["id"]), (404, &json!("q")));
}

#[tokio::test]
async fn a_list_asked_for_in_a_batch_shows_no_more_than_one_asked_for_alone() {
    let stage = setup()
        .routes(
            "  main:\n    path: /main\n    upstream: main\n    tools:\n      \
             - match: [\"create_*\"]\n        deny: true\n",
        )
        .start()
        .await;
    let list = mcp::request(1, "tools/list", json!({}));
    let alone = stage.post(&[], &list).await;
    assert!(alone.text().contains("whoami") && !alone.text().contains("create_issue"), "{}", alone.text());
    let tools = Answer::TOOLS.map(|name| json!({"name": name, "inputSchema": {}}));
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}});
    for answer in [Answer::json(200, json!([result])), Answer::sse_events(&[json!([result])])] {
        stage.upstream.next(answer);
        let answer = stage.post(&[], &format!("[{list}]")).await;
        assert!(
            answer.text().contains("whoami") && !answer.text().contains("create_issue"),
            "{}",
            answer.text()
        );
    }
}
