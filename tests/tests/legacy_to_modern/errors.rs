//! A server's errors, as an older client can read them.

use super::stage::{LEGACY, Setup, Stage};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

#[tokio::test]
async fn what_an_error_means_survives_and_codes_of_the_newer_revision_do_not() {
    let stage = Stage::start().await;
    let supported = json!({"supported": ["2026-07-28"], "requested": "2026-07-28"});
    let cases = [
        ("tools/call", 400, -32020, Value::Null, -32603),
        ("tools/call", 400, -32021, json!({"requiredCapabilities": {"sampling": {}}}), -32602),
        ("tools/call", 400, -32022, supported, -32603),
        ("tools/call", 400, -32022, json!({"supported": ["2027-01-01"]}), -32603),
        ("tools/call", 200, -32050, Value::Null, -32603),
        ("tools/call", 404, -32601, Value::Null, -32601),
        ("tools/call", 400, -32602, json!({"uri": "x:y"}), -32602),
        ("tools/call", 200, -32603, json!({"n": 1}), -32603),
        ("tools/call", 200, -31000, json!([1]), -31000),
        ("resources/read", 200, -32602, json!({"uri": "x:y"}), -32002),
        ("resources/read", 400, -32602, json!({"uri": "x:y"}), -32002),
        ("resources/read", 200, -32602, json!({"why": "?"}), -32602),
        ("resources/read", 200, -32602, Value::Null, -32602),
        ("prompts/get", 404, -32601, Value::Null, -32601),
    ];
    for revision in LEGACY {
        let client = stage.open(revision, json!({})).await;
        for (method, status, code, data, expected) in &cases {
            let case = format!("{revision}: {method} {status} {code} {data}");
            let (status, code, sent) = (*status, *code, data.clone());
            stage
                .server
                .always(method, move |r| Answer::failure(r, status, code, "why \"not\"", sent.clone()));
            let answer = client.post(&mcp::request(7, method, json!({"name": "echo", "uri": "x:y"}))).await;
            assert_eq!(answer.status, 200, "a 404 would end the session: {case}");
            let message = answer.json();
            assert_eq!((&message["id"], &message["error"]["code"]), (&json!(7), &json!(expected)), "{case}");
            assert_eq!(message["error"]["message"], "why \"not\"", "{case}");
            assert_eq!(message["error"]["data"], *data, "{case}");
        }
    }
}

#[tokio::test]
async fn an_unknown_method_is_an_error_not_the_end_of_the_session() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({})).await;
    for method in ["nothing/like_it", "logging/getLevel", "resources/list"] {
        assert_eq!(client.ask(method, json!({})).await["error"]["code"], -32601, "{method}");
    }
    assert_eq!(client.ask("ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn a_server_that_fails_is_told_of_as_an_error_with_the_id() {
    let stage = Setup::upstream("timeout: 1s").start().await;
    let client = stage.open("2025-06-18", json!({})).await;
    client.ask("tools/list", json!({})).await;
    type Make = fn() -> Answer;
    let cases: [(&str, Make); 12] = [
        ("500", || Answer::status(500)),
        ("503", || Answer::status(503)),
        ("401", || Answer::status(401)),
        ("403", || Answer::status(403)),
        ("redirect", || Answer::status(307).header("Location", "http://127.0.0.1:1/")),
        ("404 without a message", || Answer::full(404, "text/html", "<html>")),
        ("accepted", || Answer::status(202)),
        ("closed", Answer::close),
        ("reset", Answer::reset),
        ("silent", Answer::hang),
        ("a page", || Answer::full(200, "text/html", "<html>")),
        ("no JSON", || Answer::full(200, "application/json", "{\"jsonrpc\":")),
    ];
    for (name, answer) in cases {
        stage.upstream.forget();
        stage.server.next("tools/call", move |_| answer());
        let message = client.call("echo", json!({})).await;
        assert_eq!(message["error"]["code"], -32603, "{name}: {message}");
        assert!(!message.to_string().contains("127.0.0.1"), "{message}");
        let calls = stage.upstream.requests_for("tools/call").len();
        assert_eq!(calls, 1, "{name}: a call is never sent twice");
    }
}

#[tokio::test]
async fn a_result_of_a_kind_that_nobody_knows_is_an_error() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({})).await;
    for result in [
        json!({"resultType": "task", "task": {}}),
        json!({"resultType": 7}),
        json!({"resultType": "input_required"}),
        json!({"resultType": "input_required", "inputRequests": {"k": {"method": "tools/call"}}}),
        json!({"resultType": "input_required", "inputRequests": [1]}),
        json!({"resultType": "input_required", "requestState": 7}),
    ] {
        let sent = result.clone();
        stage.server.next("tools/call", move |request| Answer::result(request, sent));
        assert_eq!(client.call("echo", json!({})).await["error"]["code"], -32603, "{result}");
    }
    // A list may not ask for anything.
    stage.server.next("tools/list", |request| Answer::input_required(request, Value::Null, json!("s")));
    assert_eq!(client.ask("tools/list", json!({})).await["error"]["code"], -32603);
}

#[tokio::test]
async fn a_server_that_has_to_be_asked_in_its_revision_again_is() {
    let stage = Stage::start().await;
    let client = stage.open("2025-11-25", json!({})).await;
    let data = json!({"supported": ["2026-07-28"]});
    stage.server.next("tools/call", move |r| Answer::failure(r, 400, -32022, "once", data));
    let answer = client.call("echo", json!({})).await;
    assert_eq!(answer["result"]["content"][0]["text"], "echo {}", "{answer}");
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 2);
}
