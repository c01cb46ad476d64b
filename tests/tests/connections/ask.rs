//! From a call to the page and back to the call: the client is asked, its user goes through the gateway's pages, and
//! the call is made.

use super::stage::{Stage, User};
use narthex_testkit::{RawClient, RawResponse, mcp};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

fn pages() -> Value {
    json!({"elicitation": {"url": {}}})
}

/// A call of `echo` by a client of 2026-07-28, with these members of `params` besides.
async fn call(stage: &Stage, token: &str, more: Value) -> RawResponse {
    let mut params = json!({"name": "echo", "arguments": {"text": "hi"}});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let headers = mcp::stateless_headers("tools/call", Some("echo"));
    let body = mcp::stateless_request_by(1, "tools/call", params, pages());
    let request = mcp::post("/mcp", Some(token), &headers, &body);
    mcp::exchange(stage.gateway.address(), &request).await.unwrap()
}

/// `user` does at the browser what the page at `url` is for.
async fn visit(stage: &Stage, user: &mut User, url: &str) {
    let link = url.strip_prefix(&stage.gateway.place().public_url()).unwrap_or_else(|| panic!("{url}"));
    let away = stage.press(user, link).await;
    let back = stage.approve(&away).await;
    let page = user.browser.get(&back).await.unwrap();
    assert!(page.status < 400, "{} {}", page.status, page.text());
}

#[tokio::test]
async fn a_modern_client_has_its_user_connect_and_goes_on() {
    let stage = Stage::start().await;
    let (mut ann, bob) = (stage.user("ann").await, stage.user("bob").await);
    let asked = call(&stage, &ann.token, json!({})).await;
    let result = asked.rpc()["result"].clone();
    let question = &result["inputRequests"]["connect"]["params"];
    assert_eq!((&result["resultType"], &question["mode"]), (&json!("input_required"), &json!("url")));
    assert!(question["message"].as_str().unwrap().contains("GitHub"), "{question}");
    let retry =
        json!({"requestState": result["requestState"], "inputResponses": {"connect": {"action": "accept"}}});
    let stolen = call(&stage, &bob.token, retry.clone()).await;
    assert_eq!((stolen.status, &stolen.rpc()["error"]["code"]), (400, &json!(-32602)), "{}", stolen.text());
    visit(&stage, &mut ann, question["url"].as_str().unwrap()).await;
    let done = call(&stage, &ann.token, retry).await;
    assert_eq!(done.tool_text().as_deref(), Some(r#"echo {"text":"hi"}"#), "{}", done.text());
    // What Ann connected is nothing of Bob's.
    let his = call(&stage, &bob.token, json!({})).await;
    assert_eq!(his.rpc()["result"]["resultType"], "input_required", "{}", his.text());
    assert_ne!(his.rpc()["result"]["inputRequests"]["connect"]["params"]["url"], question["url"]);
}

#[tokio::test]
async fn an_older_client_is_told_when_its_user_has_connected() {
    let stage = Stage::start().await;
    let (mut ann, address) = (stage.user("ann").await, stage.gateway.address());
    let hello = json!({"protocolVersion": mcp::STATEFUL, "capabilities": pages(),
        "clientInfo": {"name": "old", "version": "1"}});
    let opened = mcp::post("/mcp", Some(&ann.token), &[], &mcp::request(0, "initialize", hello));
    let opened = mcp::exchange(address, &opened).await.unwrap();
    let session = opened.header("mcp-session-id").unwrap_or_else(|| panic!("{}", opened.text())).to_owned();
    let fields = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", mcp::STATEFUL)];
    let ask = async |token: &str, body: &str| {
        mcp::exchange(address, &mcp::post("/mcp", Some(token), &fields, body)).await.unwrap()
    };
    let listed = ask(&ann.token, &mcp::request(1, "tools/list", json!({}))).await;
    assert_eq!(listed.rpc()["result"]["tools"][0]["name"], "connect", "{}", listed.text());
    let mut stream = RawClient::connect(address).await.unwrap();
    let accept = [fields[0], fields[1], ("Accept", "text/event-stream")];
    stream.send(mcp::bodiless("GET", "/mcp", Some(&ann.token), &accept)).await.unwrap();
    assert_eq!(stream.response_head().await.unwrap().status, 200);
    let echo = mcp::tools_call("echo", json!({"text": "hi"}));
    let asked = ask(&ann.token, &echo).await.rpc()["error"].clone();
    assert_eq!(asked["code"], -32042, "{asked}");
    let elicitation = asked["data"]["elicitations"][0].clone();
    visit(&stage, &mut ann, elicitation["url"].as_str().unwrap()).await;
    let (mut done, mut changed) = (false, false);
    while !(done && changed) {
        let event = timeout(Duration::from_secs(20), stream.sse_event()).await.expect("in time");
        let event = event.unwrap().expect("a stream");
        let heard = if event.data.is_empty() { Value::Null } else { event.json() };
        done |= heard["method"] == "notifications/elicitation/complete"
            && heard["params"]["elicitationId"] == elicitation["elicitationId"];
        changed |= heard["method"] == "notifications/tools/list_changed";
    }
    let said = ask(&ann.token, &echo).await;
    assert_eq!(said.tool_text().as_deref(), Some(r#"echo {"text":"hi"}"#), "{}", said.text());
}
