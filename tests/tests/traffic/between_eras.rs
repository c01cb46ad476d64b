//! What holds where a client and a server have no era in common.

use super::stage::{headers, setup};
use narthex_testkit::{Answer, UpstreamRequest, mcp};
use serde_json::json;

#[tokio::test]
async fn a_bridged_session_ends_when_its_server_speaks_the_clients_era_again() {
    let modern = setup().main("    protocol: 2026-07-28\n");
    let stage = modern.start().await;
    let token = Some(stage.token.as_str());
    let session = mcp::open_session(stage.gateway.address(), "/main", token, mcp::STATEFUL).await.unwrap();
    let fields = [("MCP-Protocol-Version", mcp::STATEFUL), ("Mcp-Session-Id", session.as_str())];
    let ping = mcp::request(1, "ping", json!({}));
    assert_eq!(stage.post(&fields, &ping).await.status, 200, "answered by the gateway");
    assert!(stage.reload(&setup().main("    protocol: 2025-11-25\n")).await);
    let answer = stage.post(&fields, &ping).await;
    // By which the client knows that it has to initialize anew.
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(stage.upstream.requests_for("ping").is_empty());
}

#[tokio::test]
async fn a_servers_own_name_of_a_task_does_not_cross_the_bridge() {
    let stage = setup().main("    protocol: 2025-11-25\n").start().await;
    stage.upstream.always(|request: &UpstreamRequest| {
        if request.rpc_method().as_deref() != Some("tools/call") {
            return Answer::mcp(request);
        }
        let note = |method: &str, params| json!({"jsonrpc": "2.0", "method": method, "params": params});
        Answer::sse_events(&[
            note("notifications/tasks/status", json!({"taskId": "of-the-server", "status": "working"})),
            note("notifications/x/vendor", json!({})),
            json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": {"content": []}}),
        ])
    });
    let fields = headers(mcp::STATELESS, "tools/call", Some("echo"));
    let call = mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
    let answer = stage.post(&fields, &call).await;
    assert_eq!(answer.rpc()["result"]["resultType"], "complete", "{}", answer.text());
    assert!(answer.text().contains("notifications/x/vendor"), "{}", answer.text());
    assert!(!answer.text().contains("of-the-server"), "{}", answer.text());
}

#[tokio::test]
async fn what_is_found_out_of_a_server_rests_on_nothing_that_a_caller_says() {
    let stage = setup().main("    protocol: auto\n").start().await;
    // A server of 2026-07-28 that is strict about what clients say of themselves.
    stage.upstream.always(|request: &UpstreamRequest| {
        if request.json().to_string().contains("canary") {
            let error = json!({"code": -32602, "message": "Invalid params"});
            let id = request.json()["id"].clone();
            return Answer::json(400, json!({"jsonrpc": "2.0", "id": id, "error": error}));
        }
        Answer::mcp(request)
    });
    let fields = headers(mcp::STATELESS, "tools/call", Some("echo"));
    let call = mcp::stateless_request(1, "tools/call", json!({"name": "echo", "arguments": {}}));
    let mut poisoned: serde_json::Value = serde_json::from_str(&call).unwrap();
    poisoned["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({"name": "canary"});
    assert_eq!(stage.post(&fields, &poisoned.to_string()).await.status, 400, "the server's own answer");
    assert_eq!(stage.post(&fields, &call).await.status, 200);
    assert!(stage.upstream.requests_for("initialize").is_empty(), "nobody takes it for an older server");
    assert_eq!(stage.upstream.requests_for("server/discover").len(), 1);
}
