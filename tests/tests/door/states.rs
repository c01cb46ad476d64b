//! `requestState` of 2026-07-28: what a server wants to see again comes back from whom it was given to.

use super::stage::{Failures, Stage, whole};
use narthex_testkit::{Answer, RawResponse, UpstreamRequest, mcp};
use serde_json::{Value, json};
use std::time::Duration;

const STATE: &str = "upstream-state-canary-{\"step\":1}";

#[derive(Clone, Copy)]
enum Way {
    Json,
    Slowly,
    Events,
    Feed,
}

fn question(request: &UpstreamRequest) -> Value {
    let schema = json!({"type": "object", "properties": {}});
    let ask = json!({"method": "elicitation/create",
        "params": {"mode": "form", "message": "sure?", "requestedSchema": schema}});
    json!({"jsonrpc": "2.0", "id": request.json()["id"],
        "result": {"resultType": "input_required", "inputRequests": {"k": ask}, "requestState": STATE}})
}

fn answer(way: Way, request: &UpstreamRequest) -> Answer {
    if let Some(account) = Answer::discovered(request) {
        return account;
    }
    if request.json()["params"].get("requestState").is_some() {
        return Answer::text(request, "done");
    }
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": 1, "progress": 1, "message": "requestState"}});
    match way {
        Way::Json => Answer::json(200, question(request)),
        Way::Slowly => Answer::json(200, question(request)).trickled(),
        Way::Events => Answer::sse_events(&[progress, question(request)]),
        Way::Feed => {
            let (answer, feed) = Answer::sse();
            let question = question(request);
            tokio::spawn(async move {
                feed.event(progress.to_string());
                tokio::time::sleep(Duration::from_millis(50)).await;
                feed.event(question.to_string());
            });
            answer
        }
    }
}

async fn call(stage: &Stage, path: &str, token: &str, method: &str, params: Value) -> RawResponse {
    let name = params["name"].as_str().or_else(|| params["uri"].as_str()).unwrap().to_owned();
    let headers = mcp::stateless_headers(method, Some(&name));
    let body = mcp::stateless_request(5, method, params);
    stage.send(&mcp::post(path, Some(token), &headers, &body)).await
}

async fn asked(stage: &Stage) -> String {
    let first = call(stage, "/mcp", &stage.token(), "tools/call", json!({"name": "echo"})).await;
    let said = whole(&first);
    assert!(!said.contains("state-canary"), "{said}");
    let result = &first.rpc()["result"];
    assert_eq!(result["inputRequests"]["k"]["params"]["message"], "sure?", "{said}");
    result["requestState"].as_str().unwrap_or_else(|| panic!("no state in {said}")).to_owned()
}

fn retry(name: &str, state: &str) -> Value {
    json!({"name": name, "inputResponses": {"k": {"action": "accept", "content": {}}}, "requestState": state})
}

#[tokio::test]
async fn a_state_is_sealed_and_the_upstream_gets_its_own_back() {
    for way in [Way::Json, Way::Slowly, Way::Events, Way::Feed] {
        let stage = Stage::start().await;
        stage.upstream.always(move |request| answer(way, request));
        let state = asked(&stage).await;
        let last = call(&stage, "/mcp", &stage.token(), "tools/call", retry("echo", &state)).await;
        assert_eq!(last.tool_text().as_deref(), Some("done"), "{}", whole(&last));
        let requests = stage.upstream.requests();
        let params = &requests.last().unwrap().json()["params"];
        assert_eq!(params["requestState"], STATE);
        assert_eq!(params["inputResponses"]["k"]["action"], "accept");
        assert!(!stage.upstream.seen(&state), "the sealed state went upstream");
    }
}

#[tokio::test]
async fn anybody_elses_state_and_one_for_something_else_is_refused() {
    let stage = Stage::start().await;
    stage.upstream.always(|request| answer(Way::Json, request));
    let state = asked(&stage).await;
    let count = stage.upstream.count();
    let alice = stage.token();
    let bob = stage.token_with(json!({"sub": "bob"}));
    let globex = stage.token_with(json!({"org_id": "globex"}));
    let other = stage.idp.token(&stage.resource("/other"));
    let mut flipped = state.clone().into_bytes();
    flipped[60] = if flipped[60] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let of = |state: &str| retry("echo", state);
    let cases = [
        ("another subject", "/mcp", &bob, "tools/call", of(&state)),
        ("another tenant", "/mcp", &globex, "tools/call", of(&state)),
        ("another route", "/other", &other, "tools/call", of(&state)),
        ("another tool", "/mcp", &alice, "tools/call", retry("ping", &state)),
        ("a prompt of that name", "/mcp", &alice, "prompts/get", of(&state)),
        ("a bit flipped", "/mcp", &alice, "tools/call", of(&flipped)),
        ("cut short", "/mcp", &alice, "tools/call", of(&state[..state.len() - 4])),
        ("the upstream's own", "/mcp", &alice, "tools/call", of(STATE)),
        ("nothing", "/mcp", &alice, "tools/call", of("")),
        ("too long", "/mcp", &alice, "tools/call", of(&"A".repeat(300_000))),
    ];
    let mut failures = Failures::default();
    for (name, path, token, method, params) in cases {
        let answer = call(&stage, path, token, method, params).await;
        let refused = answer.status == 400 && answer.json()["error"]["code"] == -32602;
        failures.unless(refused && answer.json()["id"] == 5, name, || whole(&answer));
        failures.unless(stage.upstream.count() == count, name, || "reached the upstream".to_owned());
    }
    let good = call(&stage, "/mcp", &alice, "tools/call", of(&state)).await;
    assert_eq!(good.status, 200, "{}", whole(&good));
}

#[tokio::test]
async fn a_state_of_prompts_and_resources_is_sealed_too() {
    let stage = Stage::start().await;
    stage.upstream.always(|request| answer(Way::Json, request));
    for (method, key) in [("prompts/get", "name"), ("resources/read", "uri")] {
        let first = call(&stage, "/mcp", &stage.token(), method, json!({key: "a://b"})).await;
        let state = first.rpc()["result"]["requestState"].as_str().unwrap().to_owned();
        assert_ne!(state, STATE);
        let again = json!({key: "a://b", "inputResponses": {}, "requestState": state});
        assert_eq!(call(&stage, "/mcp", &stage.token(), method, again).await.status, 200);
        assert_eq!(stage.upstream.requests().last().unwrap().json()["params"]["requestState"], STATE);
    }
}

#[tokio::test]
async fn a_long_result_that_asks_nothing_goes_through_as_it_is() {
    let stage = Stage::start().await;
    let text = "x".repeat(300_000);
    let reply = text.clone();
    stage
        .upstream
        .always(move |request| Answer::discovered(request).unwrap_or_else(|| Answer::text(request, &reply)));
    let answer = call(&stage, "/mcp", &stage.token(), "tools/call", json!({"name": "echo"})).await;
    assert_eq!(answer.tool_text(), Some(text));
}
