//! Tenants, routes, scopes and tool rules.

use super::stage::{Failures, Stage, whole};
use narthex_testkit::{Answer, mcp};
use serde_json::{Value, json};

fn call(tool: &str) -> String {
    mcp::tools_call(tool, json!({}))
}

fn listed(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array();
    tools.into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect()
}

#[tokio::test]
async fn an_unknown_tenant_and_a_route_not_granted_are_refused_alike() {
    let stage = Stage::start().await;
    let mut failures = Failures::default();
    for (name, path, tenant, reason) in [
        ("a tenant that is not configured", "/mcp", "stranger", "unknown_tenant"),
        ("a tenant in other letters", "/mcp", "ACME", "unknown_tenant"),
        ("a tenant without routes", "/mcp", "bare", "route_not_granted"),
        ("a route of nobody", "/lonely", "acme", "route_not_granted"),
        ("a route of another tenant", "/lonely", "globex", "route_not_granted"),
    ] {
        let claims = json!({"org_id": tenant, "scope": "mcp:admin mcp:write mcp:read"});
        let token = stage.idp.token_with(&stage.resource(path), claims);
        let id = name.replace(' ', "-");
        let headers = [("X-Request-Id", id.as_str())];
        for body in [call("echo"), mcp::initialize(mcp::STATEFUL), mcp::request(1, "tools/list", json!({}))] {
            let answer = stage.send(&mcp::post(path, Some(&token), &headers, &body)).await;
            let right = answer.status == 403
                && answer.json()["error"]["message"] == "Not allowed on this route"
                && answer.header("www-authenticate").is_none();
            failures.unless(right, name, || whole(&answer));
        }
        let line = stage.log_line(&id).await;
        failures.unless(line["reason"] == reason && line["security"] == true, name, || line.to_string());
    }
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn a_missing_scope_is_challenged_with_all_that_the_call_needs() {
    let stage = Stage::start().await;
    let mut failures = Failures::default();
    for (name, held, tool, needed) in [
        ("no scope at all", "", "echo", "mcp:read"),
        ("the route's scope", "issues:write", "echo", "mcp:read"),
        ("a scope that starts like it", "mcp:reader", "echo", "mcp:read"),
        ("a scope in other letters", "MCP:READ", "echo", "mcp:read"),
        ("the tool's scope", "mcp:read", "add", "mcp:read mcp:write"),
        ("both scopes of a tool", "mcp:read", "create_issue", "issues:write mcp:read mcp:write"),
        ("one of a tool's scopes", "mcp:write", "create_issue", "issues:write mcp:read mcp:write"),
        ("route and tool", "", "create_issue", "issues:write mcp:read mcp:write"),
    ] {
        let answer = stage.post(&stage.token_with(json!({"scope": held})), &[], &call(tool)).await;
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", scope=\"{needed}\", resource_metadata=\"{}\"",
            stage.metadata("/mcp")
        );
        let right = answer.status == 403
            && answer.header("www-authenticate") == Some(&challenge)
            && answer.json()["id"] == 1;
        failures.unless(right, name, || format!("expected {challenge}, got {}", whole(&answer)));
    }
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn a_higher_scope_implies_the_lower_ones() {
    let stage = Stage::start().await;
    let mut failures = Failures::default();
    for (held, tool) in [
        ("mcp:read", "echo"),
        ("mcp:write", "echo"),
        ("mcp:admin", "echo"),
        ("mcp:write", "add"),
        ("mcp:admin", "add"),
        ("mcp:admin issues:write", "create_issue"),
    ] {
        let answer = stage.post(&stage.token_with(json!({"scope": held})), &[], &call(tool)).await;
        failures.unless(answer.status == 200, &format!("{held} for {tool}"), || whole(&answer));
    }
    assert_eq!(stage.upstream.count(), 6);
}

#[tokio::test]
async fn a_denied_tool_is_unknown_when_called_by_anybody() {
    let stage = Stage::start().await;
    let mut failures = Failures::default();
    for (name, body) in [
        ("plainly", call("whoami")),
        ("escaped", call("whoami").replace("whoami", "wh\\u006fami")),
        ("as a task", mcp::request(1, "tools/call", json!({"name": "whoami", "task": {"ttl": 1}}))),
    ] {
        let answer = stage.post(&stage.token_with(json!({"scope": "mcp:admin"})), &[], &body).await;
        let error = json!({"code": -32602, "message": "Unknown tool: whoami"});
        let right =
            answer.status == 200 && answer.json() == json!({"jsonrpc": "2.0", "id": 1, "error": error});
        failures.unless(right, name, || whole(&answer));
    }
    let batch = format!("[{},{}]", call("echo"), call("whoami").replace("\"id\":1", "\"id\":2"));
    let answer = stage.post(&stage.token(), &[], &batch).await;
    failures.unless(answer.json().get("result").is_none(), "in a batch", || whole(&answer));
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn a_denied_tool_is_not_listed_and_one_that_only_lacks_a_scope_is() {
    let stage = Stage::start().await;
    let list = mcp::request(3, "tools/list", json!({}));
    let visible = ["add", "create_issue", "echo"];
    let answer = stage.post(&stage.token(), &[], &list).await;
    assert_eq!(listed(&answer.json()), visible, "JSON");
    assert!(!answer.text().contains("whoami"));

    let tools = Answer::TOOLS.map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
    let result = json!({"jsonrpc": "2.0", "id": 3, "result": {"tools": tools}});
    let notice = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
    stage.upstream.next(Answer::sse_events(&[notice, result]));
    let answer = stage.post(&stage.token(), &[], &list).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(listed(&answer.rpc()), visible, "SSE");
    assert_eq!(answer.events().len(), 2);
    assert!(!answer.text().contains("whoami"));

    let headers = mcp::stateless_headers("tools/list", None);
    let body = mcp::stateless_request(4, "tools/list", json!({}));
    let answer = stage.post(&stage.token(), &headers, &body).await;
    assert_eq!(listed(&answer.json()), visible, "2026-07-28");
}

#[tokio::test]
async fn a_list_that_could_hide_a_denied_tool_is_withheld() {
    let stage = Stage::start().await;
    let list = mcp::request(3, "tools/list", json!({}));
    let mut failures = Failures::default();
    for (name, body) in [
        ("the name escaped", r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"wh\u006fami"}]}}"#),
        (
            "the name twice",
            r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"echo","name":"whoami"}]}}"#,
        ),
        ("tools twice", r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[],"tools":[{"name":"whoami"}]}}"#),
        (
            "the result twice",
            r#"{"jsonrpc":"2.0","id":3,"result":{},"result":{"tools":[{"name":"whoami"}]}}"#,
        ),
        ("the name's key in capitals", r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"Name":"whoami"}]}}"#),
        ("not JSON", r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"whoami"}"#),
    ] {
        stage.upstream.next(Answer::full(200, "application/json", body));
        let answer = stage.post(&stage.token(), &[], &list).await;
        let text = answer.text();
        let right = !text.contains("whoami") && !text.contains("wh\\u006fami");
        failures.unless(right, name, || whole(&answer));
    }
}

#[tokio::test]
async fn an_open_route_needs_no_token_and_says_whose_it_is() {
    let stage = Stage::start().await;
    let headers = [("X-Request-Id", "open-1")];
    let answer = stage.send(&mcp::post("/open", None, &headers, &call("echo"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stage.log_line("open-1").await["tenant"], "acme");
    let answer = stage.send(&mcp::post("/open", Some("anything.at-all.canary"), &[], &call("echo"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!stage.upstream.seen("anything.at-all.canary"));
    assert_eq!(stage.upstream.count(), 2);
}
