use super::*;
use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

fn app(api_key: Option<ApiKey>) -> Router {
    app_with(api_key, false)
}

fn app_with(api_key: Option<ApiKey>, stateless: bool) -> Router {
    let address = ([127, 0, 0, 1], 9001).into();
    App { address, any_host: false, api_key, stateless, stop: CancellationToken::new() }.router()
}

fn key(content: &[u8]) -> Result<ApiKey, ApiKeyError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, content).unwrap();
    ApiKey::read(&path)
}

fn post(headers: &[(&str, &str)], body: &Value) -> Request {
    let mut request = Request::post("/mcp")
        .header("host", "127.0.0.1:9001")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_string())).unwrap()
}

/// The status, the session id, and the message with an `id`, out of JSON or SSE.
async fn send(app: &Router, request: Request) -> (StatusCode, Option<String>, Value) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let session = response.headers().get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    let lines = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let message =
        lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|m| !m["id"].is_null());
    (status, session, message.unwrap_or_default())
}

fn initialize(revision: &str) -> Value {
    let params = json!({
        "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

fn call(name: &str, arguments: &Value) -> Value {
    let params = json!({"name": name, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})
}

/// Opens a session of `revision`; its id.
async fn open_session(app: &Router, revision: &str) -> String {
    let (status, session, answer) = send(app, post(&[], &initialize(revision))).await;
    assert_eq!(status, 200);
    assert_eq!(answer["result"]["protocolVersion"], revision);
    let session = session.unwrap();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let (status, ..) = send(app, post(&[("mcp-session-id", &session)], &initialized)).await;
    assert_eq!(status, 202);
    session
}

#[tokio::test]
async fn clients_of_every_revision_with_sessions_can_call_a_tool() {
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let app = app(None);
        let session = open_session(&app, revision).await;
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", revision)];
        let (status, _, answer) = send(&app, post(&headers, &call("echo", &json!({"text": "hi"})))).await;
        assert_eq!(
            (status, &answer["result"]["content"][0]["text"]),
            (StatusCode::OK, &json!("hi")),
            "{revision}"
        );
    }
}

#[tokio::test]
async fn a_client_of_2026_07_28_can_call_a_tool_without_a_session() {
    let app = app(None);
    let mut body = call("add", &json!({"a": 2, "b": 40}));
    body["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "add")];
    let (status, session, answer) = send(&app, post(&headers, &body)).await;
    assert_eq!((status, session), (StatusCode::OK, None), "{answer}");
    assert_eq!(answer["result"]["structuredContent"], json!({"sum": 42}));
}

#[tokio::test]
async fn without_sessions_a_bare_call_is_answered_in_json() {
    let app = app_with(None, true);
    let body = call("echo", &json!({"text": "hi"}));
    let response = app.clone().oneshot(post(&[], &body)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let (_, session, answer) = send(&app, post(&[], &initialize("2025-11-25"))).await;
    assert_eq!((session, &answer["result"]["protocolVersion"]), (None, &json!("2025-11-25")));
}

#[tokio::test]
async fn whoami_tells_of_the_request_at_hand_and_not_of_the_one_that_opened_the_session() {
    let app = app(None);
    let session = open_session(&app, "2025-11-25").await;
    for id in ["r-1", "r-2"] {
        let headers =
            [("mcp-session-id", session.as_str()), ("x-api-key", "0123456789"), ("x-request-id", id)];
        let (_, _, answer) = send(&app, post(&headers, &call("whoami", &json!({})))).await;
        let told = &answer["result"]["structuredContent"];
        assert_eq!(told["request_id"], id);
        assert_eq!(told["credentials"], json!({"x-api-key": ["012***"]}));
    }
}

#[tokio::test]
async fn slow_reports_progress_before_its_result() {
    let app = app(None);
    let session = open_session(&app, "2025-11-25").await;
    let mut body = call("slow", &json!({"seconds": 0.01}));
    body["params"]["_meta"] = json!({"progressToken": "p"});
    let response = app.oneshot(post(&[("mcp-session-id", &session)], &body)).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    let (progress, result) =
        (text.find("notifications/progress").unwrap(), text.find("slept 0.01 s").unwrap());
    assert!(progress < result);
}

#[tokio::test]
async fn arguments_out_of_bounds_are_refused() {
    let app = app(None);
    let session = open_session(&app, "2025-11-25").await;
    let cases = [
        ("slow", json!({"seconds": -1})),
        ("slow", json!({"seconds": 601})),
        ("big", json!({"bytes": MAX_BYTES_AND_ONE})),
        ("add", json!({"a": i64::MAX, "b": 1})),
    ];
    for (name, arguments) in cases {
        let (_, _, answer) = send(&app, post(&[("mcp-session-id", &session)], &call(name, &arguments))).await;
        assert_eq!(answer["error"]["code"], -32602, "{name} {arguments}");
    }
}

#[tokio::test]
async fn fail_fails_the_way_it_is_asked_to() {
    let app = app(None);
    let session = open_session(&app, "2025-11-25").await;
    let headers = [("mcp-session-id", session.as_str())];
    let (_, _, answer) = send(&app, post(&headers, &call("fail", &json!({})))).await;
    assert_eq!(answer["result"]["isError"], true);
    let (_, _, answer) = send(&app, post(&headers, &call("fail", &json!({"protocol": true})))).await;
    assert_eq!(answer["error"]["code"], -32603);
}

#[tokio::test]
async fn big_answers_with_as_many_bytes_as_asked() {
    let app = app(None);
    let session = open_session(&app, "2025-11-25").await;
    let request = post(&[("mcp-session-id", &session)], &call("big", &json!({"bytes": 1 << 20})));
    let (_, _, answer) = send(&app, request).await;
    assert_eq!(answer["result"]["content"][0]["text"].as_str().unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn hosts_and_origins_from_elsewhere_are_refused() {
    let app = app(None);
    let cases = [
        ("host", "127.0.0.1:9001", 200),
        ("host", "localhost:9001", 200),
        ("host", "evil.example.com", 403),
        ("origin", "http://localhost:6274", 200),
        ("origin", "http://evil.example.com", 403),
    ];
    for (name, value, expected) in cases {
        let mut request = post(&[], &initialize("2025-11-25"));
        request.headers_mut().insert(name, value.parse().unwrap());
        // An answer of 200 is a stream that goes on: only its status is looked at.
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), expected, "{name}: {value}");
    }
}

#[tokio::test]
async fn with_an_api_key_only_requests_that_show_it_once_get_in() {
    let app = app(Some(key(b"  right-key\n").unwrap()));
    let cases: [(&[(&str, &str)], u16); 6] = [
        (&[("x-api-key", "right-key")], 200),
        (&[], 401),
        (&[("x-api-key", "wrong-key")], 401),
        (&[("x-api-key", "right-key-")], 401),
        (&[("x-api-key", "right-key"), ("x-api-key", "right-key")], 401),
        (&[("authorization", "Bearer right-key")], 401),
    ];
    for (headers, expected) in cases {
        let response = app.clone().oneshot(post(headers, &initialize("2025-11-25"))).await.unwrap();
        assert_eq!(response.status(), expected, "{headers:?}");
    }
}

#[test]
fn an_empty_or_missing_key_file_is_an_error() {
    assert!(matches!(key(b" \n"), Err(ApiKeyError::Empty(_))));
    assert!(matches!(ApiKey::read(Path::new("/nonexistent")), Err(ApiKeyError::Read { .. })));
}

const MAX_BYTES_AND_ONE: usize = (64 << 20) + 1;
