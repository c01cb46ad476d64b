//! What a server asks for in its result, asked of the client in mid-call.

use super::client::{Client, Stream};
use super::stage::{LATEST, LEGACY, Setup, Stage, everything};
use narthex_testkit::{Answer, UpstreamRequest, mcp};
use serde_json::{Value, json};

fn form() -> Value {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": "Who?", "requestedSchema": schema}})
}

fn url() -> Value {
    json!({"method": "elicitation/create",
           "params": {"mode": "url", "message": "Go", "url": "https://example.com/x", "elicitationId": "theirs"}})
}

fn sampling() -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": "2+2"}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 9}})
}

fn roots() -> Value {
    json!({"method": "roots/list"})
}

/// Lets the server answer the next call by questions.
fn next_asks(stage: &Stage, requests: Value, state: Value) {
    stage.server.next("tools/call", move |r| Answer::input_required(r, requests, state));
}

/// The call that came last, once `count` have come.
async fn call(stage: &Stage, count: usize) -> UpstreamRequest {
    stage.upstream.wait_for_method("tools/call", count).await.pop().unwrap()
}

/// Begins a call that is asked `question` under the key `k`; its stream, and the request that comes.
async fn asked(stage: &Stage, client: &Client, question: Value, state: Value) -> (Stream, Value) {
    next_asks(stage, json!({"k": question}), state);
    let mut stream = client.begin_call().await;
    let request = stream.message().await;
    (stream, request)
}

async fn done(mut stream: Stream) {
    let message = stream.message().await;
    assert_eq!(
        (&message["id"], &message["result"]["content"][0]["text"]),
        (&json!(7), &json!("done")),
        "{message}"
    );
    assert!(stream.ended().await);
}

#[tokio::test]
async fn each_question_is_a_request_and_its_answer_goes_back_with_the_exact_state() {
    let stage = Stage::start().await;
    let state = "opaque \"state\" \u{e9}\\n=";
    let person = json!({"action": "accept", "content": {"name": "Ada"}});
    let message = json!({"role": "assistant", "content": {"type": "text", "text": "4"}, "model": "m"});
    let cases = [
        (form(), person),
        (sampling(), message),
        (roots(), json!({"roots": [{"uri": "file:///a", "name": "a"}]})),
    ];
    for revision in LEGACY {
        let client = stage.open(revision, everything()).await;
        for (question, answer) in &cases {
            stage.upstream.forget();
            let (stream, request) = asked(&stage, &client, question.clone(), json!(state)).await;
            stage.next_text("done");
            assert_eq!(request["method"], question["method"], "{revision}");
            assert_eq!(request["jsonrpc"], "2.0");
            if question["params"].is_object() {
                assert_eq!(request["params"], question["params"], "{revision}");
            }
            let id = request["id"].as_str().expect("an id of the gateway's");
            assert!(!["7", "k"].contains(&id), "{id}");
            let accepted = client.respond(&request["id"], answer.clone()).await;
            assert_eq!((accepted.status, accepted.body.len()), (202, 0));
            done(stream).await;
            let retry = call(&stage, 2).await;
            let first = stage.upstream.requests_for("tools/call").swap_remove(0).json();
            let sent = retry.json();
            assert_eq!(sent["params"]["inputResponses"], json!({"k": answer}), "{revision}");
            assert_eq!(sent["params"]["requestState"], state);
            assert_ne!(sent["id"], first["id"], "a fresh id");
            for member in ["name", "arguments", "_meta"] {
                assert_eq!(sent["params"][member], first["params"][member], "{member}");
            }
            assert!(first["params"].get("requestState").is_none());
            assert_eq!(retry.header("mcp-name"), Some("echo"));
        }
    }
}

#[tokio::test]
async fn a_question_without_state_is_answered_without_state() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    let (stream, request) = asked(&stage, &client, roots(), Value::Null).await;
    stage.next_text("done");
    client.respond(&request["id"], json!({"roots": []})).await;
    done(stream).await;
    assert!(call(&stage, 2).await.json()["params"].get("requestState").is_none());
}

#[tokio::test]
async fn an_address_to_visit_has_an_id_of_the_gateways() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (stream, request) = asked(&stage, &client, url(), Value::Null).await;
        let params = &request["params"];
        assert_eq!((&params["mode"], &params["url"]), (&json!("url"), &json!("https://example.com/x")));
        let id = params["elicitationId"].as_str().expect("an id").to_owned();
        assert_ne!(id, "theirs");
        ids.push(id);
        stage.next_text("done");
        client.respond(&request["id"], json!({"action": "accept"})).await;
        done(stream).await;
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn several_questions_and_several_rounds() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    next_asks(&stage, json!({"a": roots(), "b": form()}), json!("one"));
    next_asks(&stage, Value::Null, json!("two"));
    next_asks(&stage, json!({"c": sampling()}), json!("three"));
    stage.next_text("done");
    let mut stream = client.begin_call().await;
    let (first, second) = (stream.message().await, stream.message().await);
    assert_ne!(first["id"], second["id"]);
    let answer_to = |request: &Value| match request["method"].as_str() {
        Some("roots/list") => json!({"roots": []}),
        _ => json!({"action": "decline"}),
    };
    // In the other order.
    client.respond(&second["id"], answer_to(&second)).await;
    client.respond(&first["id"], answer_to(&first)).await;
    let third = stream.message().await;
    assert_eq!(third["method"], "sampling/createMessage");
    client.respond(&third["id"], json!({"model": "m"})).await;
    done(stream).await;
    let sent: Vec<_> =
        stage.upstream.requests_for("tools/call").iter().map(|r| r.json()["params"].clone()).collect();
    let said = |params: &Value| (params["inputResponses"].clone(), params["requestState"].clone());
    assert_eq!(sent.len(), 4);
    assert_eq!(said(&sent[0]), (Value::Null, Value::Null));
    let both = json!({"a": {"roots": []}, "b": {"action": "decline"}});
    assert_eq!(said(&sent[1]), (both, json!("one")));
    assert_eq!(said(&sent[2]), (Value::Null, json!("two")), "a round without questions needs no client");
    assert_eq!(said(&sent[3]), (json!({"c": {"model": "m"}}), json!("three")));
    let ids: std::collections::BTreeSet<_> =
        stage.upstream.requests_for("tools/call").iter().map(|r| r.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 4, "each with a fresh id");
}

#[tokio::test]
async fn prompts_and_resources_may_ask_too() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    for method in ["prompts/get", "resources/read"] {
        stage.server.next(method, |r| Answer::input_required(r, json!({"k": roots()}), json!("s")));
        stage.server.next(method, |r| Answer::complete(r, json!({"done": true})));
        let body = mcp::request(7, method, json!({"name": "n", "uri": "x:y"}));
        let mut stream = client.begin(&body).await;
        let request = stream.message().await;
        client.respond(&request["id"], json!({"roots": []})).await;
        assert_eq!(stream.message().await["result"], json!({"done": true}), "{method}");
    }
}

/// Answers with an error.
async fn refuse(client: &Client, id: &Value, code: i64) {
    let error = json!({"code": code, "message": "no, thanks"});
    let answer = client.post(&json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()).await;
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn a_client_that_refuses_a_form_is_understood_to_cancel_it() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    for question in [form(), url()] {
        stage.upstream.forget();
        let (stream, request) = asked(&stage, &client, question, json!("s")).await;
        stage.next_text("done");
        refuse(&client, &request["id"], -1).await;
        done(stream).await;
        let sent = call(&stage, 2).await.json();
        assert_eq!(sent["params"]["inputResponses"], json!({"k": {"action": "cancel"}}));
    }
}

#[tokio::test]
async fn what_no_result_can_say_fails_the_call() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    for question in [sampling(), roots()] {
        stage.upstream.forget();
        let (mut stream, request) = asked(&stage, &client, question, json!("s")).await;
        refuse(&client, &request["id"], -1).await;
        let message = stream.message().await;
        assert_eq!((&message["id"], &message["error"]["code"]), (&json!(7), &json!(-1)), "{message}");
        assert_eq!(message["error"]["message"], "no, thanks");
        assert!(stream.ended().await);
        assert_eq!(stage.upstream.requests_for("tools/call").len(), 1, "the server is not asked again");
    }
}

#[tokio::test]
async fn a_client_is_not_asked_for_what_it_did_not_offer() {
    let stage = Stage::start().await;
    let cases = [
        (json!({}), form()),
        (json!({}), sampling()),
        (json!({}), roots()),
        (json!({"elicitation": {}}), url()),
        (json!({"elicitation": {"form": {}}}), url()),
        (json!({"elicitation": {"url": {}}}), form()),
        (json!({"roots": {}, "sampling": {}}), form()),
    ];
    for (offered, question) in cases {
        let client = stage.open(LATEST, offered.clone()).await;
        stage.upstream.forget();
        next_asks(&stage, json!({"k": question}), json!("s"));
        let answer = client.call("echo", json!({})).await;
        assert_eq!(answer["error"]["code"], -32603, "{offered} {question}: {answer}");
        assert_eq!(stage.upstream.requests_for("tools/call").len(), 1);
    }
    // An empty `elicitation` means forms.
    let client = stage.open(LATEST, json!({"elicitation": {}})).await;
    let (stream, request) = asked(&stage, &client, form(), Value::Null).await;
    stage.next_text("done");
    client.respond(&request["id"], json!({"action": "decline"})).await;
    done(stream).await;
}

#[tokio::test]
async fn a_question_leaves_out_what_an_older_client_would_misread() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    let mut question = form();
    question["params"]["task"] = json!({"ttl": 1});
    question["params"]["_meta"] =
        json!({"progressToken": 4, "io.modelcontextprotocol/logLevel": "info", "com.example/a": 1});
    let (stream, request) = asked(&stage, &client, question, Value::Null).await;
    assert!(request["params"].get("task").is_none(), "{request}");
    assert_eq!(request["params"]["_meta"], json!({"com.example/a": 1}));
    stage.next_text("done");
    client.respond(&request["id"], json!({"action": "cancel"})).await;
    done(stream).await;
}

#[tokio::test]
async fn a_call_can_be_cancelled_while_its_client_is_asked() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    let (mut stream, request) = asked(&stage, &client, form(), Value::Null).await;
    client.post(&mcp::notification("notifications/cancelled", json!({"requestId": 7}))).await;
    assert!(stream.ended().await);
    assert_eq!(client.respond(&request["id"], json!({"action": "accept"})).await.status, 202);
    client.ask("ping", json!({})).await;
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 1);
}

#[tokio::test]
async fn a_client_that_never_answers_gets_an_error_and_leaves_nothing() {
    let stage = Setup::limits(&["suspend_timeout: 1s"]).start().await;
    let client = stage.open(LATEST, everything()).await;
    let (mut stream, request) = asked(&stage, &client, form(), json!("s")).await;
    let taken_back = stream.message().await;
    assert_eq!(taken_back["method"], "notifications/cancelled", "{taken_back}");
    assert_eq!(taken_back["params"]["requestId"], request["id"]);
    let failed = stream.message().await;
    assert_eq!((&failed["id"], &failed["error"]["code"]), (&json!(7), &json!(-32603)), "{failed}");
    assert!(stream.ended().await);
    // Too late.
    assert_eq!(client.respond(&request["id"], json!({"action": "accept"})).await.status, 202);
    let inflight = "narthex_inflight_requests{route=\"main\"}";
    stage.gateway.wait_for_metric(inflight, |requests| requests == 0.0).await;
    stage.gateway.wait_for_metric("narthex_suspended_calls", |calls| calls == 0.0).await;
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 1);
    assert_eq!(client.call("echo", json!({})).await["result"]["content"][0]["text"], "echo {}");
}

#[tokio::test]
async fn ending_the_session_ends_the_wait() {
    let stage = Stage::start().await;
    let client = stage.open(LATEST, everything()).await;
    let (mut stream, _) = asked(&stage, &client, form(), json!("s")).await;
    assert_eq!(client.delete().await.status, 204);
    assert!(stream.ended().await);
    assert_eq!(stage.upstream.requests_for("tools/call").len(), 1);
}
